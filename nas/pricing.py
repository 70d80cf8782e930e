"""What candidates of a space cost on a chip, before any of them runs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, HardwareSpec, estimate_costs
from hasnas.search_spaces.lowering import lower_codes
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

from .budget import COST_FIELDS

CHUNK = 32_768


@dataclass(frozen=True)
class Pricer:
    """Prices candidates by their codes, as arrays.

    Args:
        space: what the codes mean.
        hardware: the chip.
        activity: the assumption about spikes; dense activity is an upper bound for any measured one.

    >>> from hasnas.cim_estimator import load_hardware
    >>> from hasnas.search_spaces import Macro
    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> space = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))
    >>> pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    >>> costs = pricer.costs(np.array([[0, 0, 3, 0, 0, 0], [0, 0, 2, 0, 0, 0]]))
    >>> bool(costs["energy_j"][0] > costs["energy_j"][1])
    True
    """

    space: CellSpace
    hardware: HardwareSpec
    activity: Activity

    def costs(self, codes: Codes) -> dict[str, NDArray[np.float64]]:
        """Fields of `COST_FIELDS` -> SI values `[N]`, for connected codes `[N, genes]`."""
        array = np.atleast_2d(codes)
        parts = [self._chunk(array[start : start + CHUNK]) for start in range(0, len(array), CHUNK)]
        empty: NDArray[np.float64] = np.empty(0)
        return {field: np.concatenate([part[field] for part in parts] or [empty]) for field in COST_FIELDS.values()}

    def _chunk(self, codes: Codes) -> dict[str, NDArray[np.float64]]:
        costs = estimate_costs(lower_codes(self.space, codes), self.hardware, self.activity)
        return {
            field: np.broadcast_to(np.asarray(costs[field], float), (len(codes),)).copy()
            for field in COST_FIELDS.values()
        }
