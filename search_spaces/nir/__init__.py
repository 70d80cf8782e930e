"""Networks in the Neuromorphic Intermediate Representation (NIR): read as layers and weights, without torch."""

from .reader import NirNetwork as NirNetwork
from .reader import read_nir as read_nir
