"""From a network that spikes to a chip: clusters of neurons on crossbars, crossbars on tiles, and what that costs."""

from .graph_file import open_graph as open_graph
from .graph_file import save_graph as save_graph
from .graph_text import read_graph_text as read_graph_text
from .graph_text import write_graph_text as write_graph_text
from .spike_graph import SpikeGraph as SpikeGraph
from .spike_graph import SpikeTimes as SpikeTimes
