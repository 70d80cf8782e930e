"""How crossbars warm each other through the substrate.

Silicon below the tiles is a half-space that conducts heat; what a tile gives off raises the others as a point source
does, and itself as a disc of the area of its cells does (Carslaw and Jaeger, Conduction of Heat in Solids, 1959,
sections 10.2 and 8.2):

    other: 1 / (2 pi k d),      itself, mean over the disc: 8 / (3 pi^2 k a)
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .topology import Topology, places_on_chip

Floats = NDArray[np.float64]


@lru_cache(maxsize=2)
def tile_kernel(topology: Topology, pitch_m: float, area_m2: float, substrate_w_per_m_k: float) -> Floats:
    """Kelvin by which a tile warms for each watt of another, shape `[tiles, tiles]`; shared, so not to be changed.

    Args:
        topology: the tiles; those of a tree lie as in an H-tree.
        pitch_m: from a tile to the next.
        area_m2: of the cells of a crossbar.
        substrate_w_per_m_k: heat that the substrate conducts.
    """
    places = places_on_chip(topology) * pitch_m
    apart = np.hypot(*(places[:, None, axis] - places[None, :, axis] for axis in range(2)))
    radius = math.sqrt(area_m2 / math.pi)
    itself = 8 / (3 * math.pi**2 * substrate_w_per_m_k * radius)
    with np.errstate(divide="ignore"):
        return np.where(apart > 0, 1 / (2 * math.pi * substrate_w_per_m_k * apart), itself)
