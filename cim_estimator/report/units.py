"""The quantities of a report and their SI units: every table, column and limit on them reads this one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# What a network costs, each with a share for every layer, in the order of columns; `"1"` is a count.
UNITS: Mapping[str, str] = MappingProxyType(
    {"parameters": "1", "memory_bits": "bit", "area_m2": "m2", "latency_s": "s", "energy_j": "J"}
)
