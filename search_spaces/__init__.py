"""What may be searched: the architecture's intermediate representation, the spaces, lowering and the network."""

from .architecture import Architecture as Architecture
from .cells import Edge as Edge
from .cells import Genotype as Genotype
from .graph import LayerGraph as LayerGraph
from .macro import Macro as Macro
from .nir import NirNetwork as NirNetwork
from .nir import read_nir as read_nir
