"""Many candidates on many chips: what does not depend on the chip is worked out once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import Workload

from .estimator import estimate_costs
from .totals import TOTALS, Totals

MANY_CANDIDATES, MANY_CHIPS = 4096, 32  # from here on compiled loops repay their start-up


@dataclass(frozen=True, eq=False)
class Population:
    """Candidates that are priced on many chips.

    Args:
        workload: shape `[N, L]`, or `[L]` where all candidates agree.
        count: N.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> layers = [LayerSpec("conv", 4, 8, kernel_size=3, in_size=8)]
    >>> population = Population(Workload.from_layers(layers, timesteps=2), 3)
    >>> chips = [load_hardware("rram-22nm"), load_hardware("rram-32nm")]
    >>> costs = population.costs(np.array([0, 2, 2]), np.array([0, 0, 1]), chips, Activity.dense())
    >>> costs.parameters.tolist(), bool(costs.area_m2[1] < costs.area_m2[2])
    ([288, 288, 288], True)
    """

    workload: Workload
    count: int

    def costs(
        self, places: NDArray[np.int64], which: NDArray[np.int64], chips: Sequence[HardwareSpec], activity: Activity
    ) -> Totals:
        """The totals of some candidates, each on a chip of its own.

        Args:
            places: their numbers, `[n]`, at least one.
            which: number of the chip of each, `[n]`, rising.
            chips: the chips.
            activity: how many inputs spike.

        Returns:
            Each `[n]`.

        Raises:
            BadInputError: if a layer cannot be mapped onto a chip.
        """
        numbers, starts = np.unique(which, return_index=True)
        own = [chips[number] for number in numbers]
        general = [chip for chip in own if isinstance(chip, GeneralHardware) and chip.tile.sharing == "none"]
        many = len(places) >= MANY_CANDIDATES or len(own) >= MANY_CHIPS
        if many and len(general) == len(own) and self._compressed is not None:
            from .batch import named
            from .many_chips import price_on_chips

            choices, codes = self._compressed
            found = price_on_chips(choices, codes[places], general, np.searchsorted(numbers, which), activity)
            return named(found, self.workload.timesteps)
        split = zip(np.split(places, starts[1:]), own, strict=True)
        parts = [self._on_one(part, chip, activity) for part, chip in split]
        return Totals(**{name: np.concatenate([part[name] for part in parts]) for name in TOTALS})

    def _on_one(self, places: NDArray[np.int64], chip: HardwareSpec, activity: Activity) -> Totals:
        alike = len(self.workload.shape) == 1
        found = estimate_costs(self.workload if alike else self.workload.at(places), chip, activity)
        return Totals(**{name: np.broadcast_to(found[name], len(places)) for name in TOTALS})

    @cached_property
    def _compressed(self) -> tuple[Workload, NDArray[Any]] | None:
        """The distinct layers of each slot, and each candidate's codes into them; None where these are too many."""
        from .batch import compress, stack_choices  # numba is only imported where it pays

        if len(self.workload.shape) == 1 or self.workload.shape[0] == 1:
            slots = len(self.workload.names)
            single = self.workload if len(self.workload.shape) > 1 else stack_choices([self.workload])
            return single, np.zeros((self.count, slots), np.int32)
        return compress(self.workload)
