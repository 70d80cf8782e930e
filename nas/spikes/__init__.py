"""A trained network as a spike graph: what is connected to what, how strongly, and how often it spikes on samples."""

from .synapses import Synapses as Synapses
from .synapses import synapses_of as synapses_of
from .trace import trace as trace
