"""What candidates of a space cost on a chip, before any of them runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, HardwareSpec, Workload, estimate_costs
from hasnas.search_spaces.cell_groups import ReadsAsCells, by_group
from hasnas.search_spaces.joint import JointSpace
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes, SearchSpace

from .costs import STANDARD, Cost, Costs
from .joint_prices import joint_costs

CHUNK = 32_768


@dataclass(frozen=True)
class Pricer:
    """Prices candidates by their codes, as arrays; those of a space that does not read as cells one by one.

    Args:
        space: what the codes mean.
        hardware: the chip; not looked at in a joint space, where each candidate has its own.
        activity: the assumption about spikes; dense activity is an upper bound for any measured one.
        priced: the costs to compute, each known before a network runs.

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
    hardware: HardwareSpec
    activity: Activity
    priced: tuple[Cost, ...] = STANDARD

    def costs(self, codes: Codes) -> Costs:
        """What connected codes `[N, genes]` cost.

        Raises:
            BadInputError: if the chip of a candidate contradicts itself.
        """
        array = np.atleast_2d(codes)
        if isinstance(self.space, JointSpace):
            return Costs(self.priced, joint_costs(self.space, array, self.activity, self.priced))
        parts = [self._chunk(array[start : start + CHUNK]) for start in range(0, len(array), CHUNK)]
        return Costs(self.priced, np.concatenate(parts or [np.empty((0, len(self.priced)))]))

    def _chunk(self, codes: Codes) -> NDArray[np.float64]:
        if isinstance(self.space, CellSpace | ReadsAsCells):
            return by_group(self.space, codes, self._price)
        graphs = (self.space.decode(row).expand() for row in codes.tolist())
        return np.concatenate([self._values(lower(graph), 1) for graph in graphs])

    def _price(self, space: CellSpace, codes: Codes) -> NDArray[np.float64]:
        return self._values(lower_codes(space, codes), len(codes))

    def _values(self, workload: Workload, count: int) -> NDArray[np.float64]:
        """`[count, C]`."""
        return Costs.of(estimate_costs(workload, self.hardware, self.activity), self.priced, count).values
