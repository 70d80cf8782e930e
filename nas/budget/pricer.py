"""What candidates of a space cost on a chip, before any of them runs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, HardwareSpec, Workload, estimate_costs
from hasnas.errors import BadInputError
from hasnas.search_spaces.cell_groups import ReadsAsCells, by_group
from hasnas.search_spaces.joint import JointSpace
from hasnas.search_spaces.lowering import lower, lower_codes
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes, SearchSpace

from .costs import STANDARD, Cost, Costs

CHUNK = 32_768


@dataclass(frozen=True)
class Pricer:
    """Prices candidates by their codes, as arrays; those of a space that does not read as cells one by one.

    Args:
        space: what the codes mean.
        hardware: the chip; None in a joint space, where each candidate has its own.
        activity: the assumption about spikes; dense activity is an upper bound for any measured one.
        priced: the costs to compute.

    >>> from hasnas.cim_estimator import load_hardware
    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> space = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))
    >>> pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    >>> costs = pricer.costs(np.array([[0, 0, 3, 0, 0, 0], [0, 0, 2, 0, 0, 0]]))
    >>> bool(costs["energy"][0] > costs["energy"][1])
    True
    """

    space: SearchSpace
    hardware: HardwareSpec | None
    activity: Activity
    priced: tuple[Cost, ...] = STANDARD

    def __post_init__(self) -> None:
        if (self.hardware is None) != isinstance(self.space, JointSpace):
            raise BadInputError("give a chip, or none for a joint space, where each candidate has its own")

    def costs(self, codes: Codes) -> Costs:
        """What connected codes `[N, genes]` cost; candidates of a joint space are grouped by chip, one call each.

        Raises:
            BadInputError: if the chip of one contradicts itself.
        """
        array = np.atleast_2d(codes)
        found = np.empty((len(array), len(self.priced)))
        for hardware, space, rows, own in self._on_chips(array):
            for start in range(0, len(rows), CHUNK):
                part = slice(start, start + CHUNK)
                found[rows[part]] = _Priced(space, hardware, self.activity, self.priced).values(own[part])
        return Costs(self.priced, found)

    def _on_chips(self, codes: Codes) -> Iterator[tuple[HardwareSpec, SearchSpace, NDArray[np.int64], Codes]]:
        """Each chip with the space of the networks on it, their rows, and their codes in that space."""
        if self.hardware is not None:
            yield self.hardware, self.space, np.arange(len(codes)), codes
        elif isinstance(self.space, JointSpace):
            networks = self.space.network(codes)
            for chosen, rows in self.space.chips(codes):
                yield self.space.chip.variant(chosen), self.space.inner, rows, networks[rows]


@dataclass(frozen=True)
class _Priced:
    """Prices networks on one chip; see `Pricer`."""

    space: SearchSpace
    hardware: HardwareSpec
    activity: Activity
    priced: tuple[Cost, ...]

    def values(self, codes: Codes) -> NDArray[np.float64]:
        """`[N, C]`."""
        if isinstance(self.space, CellSpace | ReadsAsCells):
            return by_group(self.space, codes, self._price)
        graphs = (self.space.decode(row).expand() for row in codes.tolist())
        return np.concatenate([self._values(lower(graph), 1) for graph in graphs])

    def _price(self, space: CellSpace, codes: Codes) -> NDArray[np.float64]:
        return self._values(lower_codes(space, codes), len(codes))

    def _values(self, workload: Workload, count: int) -> NDArray[np.float64]:
        """`[count, C]`."""
        return Costs.of(estimate_costs(workload, self.hardware, self.activity), self.priced, count).values
