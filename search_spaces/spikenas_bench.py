"""SpikeNAS-Bench's space: SNASNet's forward cell with convolutions that differ in their neurons' threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from .operations import NONE
from .snasnet import CellSpace

RADIX = 5


@dataclass(frozen=True)
class SpikeNASBenchSpace(CellSpace):
    """none, identity, LIF-Conv3x3-BN with threshold 0.5, 1.0 or 1.5 on each of the six edges: 15,625 architectures.

    Source: SpikeNAS-Bench (IEEE Transactions on Artificial Intelligence, 2024).

    >>> from hasnas.search_spaces.macro import Macro
    >>> space = SpikeNASBenchSpace(Macro(timesteps=5, channels=128))
    >>> space.decode(codes_of_id(0)).drawn_parameter_count, space.decode(codes_of_id(15624)).drawn_parameter_count
    (17179620, 21607908)
    """

    name: ClassVar[str] = "spikenas_bench"
    operations: tuple[str, ...] = (NONE, "identity", "conv3x3_t0.5", "conv3x3_t1.0", "conv3x3_t1.5")


def codes_of_id(architecture_id: int) -> tuple[int, ...]:
    """Codes of a benchmark id: base 5, least significant digit first, edges (0,1),(0,2),(0,3),(1,2),(1,3),(2,3).

    >>> codes_of_id(7)
    (2, 1, 0, 0, 0, 0)
    """
    return tuple(architecture_id // RADIX**place % RADIX for place in range(6))


def id_of_codes(codes: Sequence[int]) -> int:
    """The benchmark id of six codes; the inverse of `codes_of_id`.

    >>> id_of_codes(codes_of_id(12617))
    12617
    """
    return sum(int(code) * RADIX**place for place, code in enumerate(codes))
