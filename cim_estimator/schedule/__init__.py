"""Guarantees: clusters of a mapped network as a synchronous dataflow graph, its schedule and its throughput."""

from .admission import Admission, admit
from .buffers import Storage, trade_off
from .dataflow import Actor, Channel, DataflowGraph
from .mapped import MappedGuarantee, guarantee_mapped
from .sdf3 import read_sdf3
from .static_order import Schedule, schedule
from .throughput import Guarantee, guarantee

__all__ = [
    "Actor",
    "Admission",
    "Channel",
    "DataflowGraph",
    "Guarantee",
    "MappedGuarantee",
    "Schedule",
    "Storage",
    "admit",
    "guarantee",
    "guarantee_mapped",
    "read_sdf3",
    "schedule",
    "trade_off",
]
