"""HASNAS's space: two cells with a genotype each, and a larger set of operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from .operations import IDENTITY, NONE
from .snasnet import CellSpace


@dataclass(frozen=True)
class HASNASSpace(CellSpace):
    """Cells of 4 nodes, each cell with its own genotype; 7 operations on each pair: 7^12, about 1.4e10 architectures.

    Source: Putra and Shafique, "HASNAS: A Hardware-Aware Spiking Neural Architecture Search Framework for
    Neuromorphic Compute-in-Memory Systems", 2024: SNASNet's cells (none, identity, 1 x 1, 3 x 3 convolution, 3 x 3
    average pool), optimised one by one, so that they differ. Ours: 5 x 5 convolution and 3 x 3 max pool beside them.

    >>> from hasnas.search_spaces.macro import Macro
    >>> from hasnas.search_spaces.space import space_size
    >>> space_size(HASNASSpace(Macro()))
    13841287201
    """

    name: ClassVar[str] = "hasnas"
    shared: bool = False
    operations: tuple[str, ...] = (NONE, IDENTITY, "conv1x1", "conv3x3", "conv5x5", "avgpool3x3", "maxpool3x3")
