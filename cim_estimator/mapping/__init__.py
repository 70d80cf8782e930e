"""From a network that spikes to a chip: clusters of neurons on crossbars, crossbars on tiles, and what that costs."""

from .clusters import CrossbarLimits as CrossbarLimits
from .clusters import Traffic as Traffic
from .clusters import Usage as Usage
from .clusters import check_clusters as check_clusters
from .clusters import global_spikes as global_spikes
from .clusters import traffic as traffic
from .clusters import usage as usage
from .fan_in import split_wide as split_wide
from .graph_file import open_graph as open_graph
from .graph_file import save_graph as save_graph
from .graph_text import read_graph_text as read_graph_text
from .graph_text import write_graph_text as write_graph_text
from .partitioners import PARTITIONERS as PARTITIONERS
from .partitioners import partition as partition
from .partitioners import refine as refine
from .placers import PLACERS as PLACERS
from .placers import place as place
from .placers import placement_figures as placement_figures
from .spike_graph import SpikeGraph as SpikeGraph
from .spike_graph import SpikeTimes as SpikeTimes
from .topology import Topology as Topology
from .topology import mesh as mesh
from .topology import topology_for as topology_for
from .topology import tree as tree
