"""Many candidates on many chips: what does not depend on the chip is worked out once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import HardwareSpec, SpikeSimHardware
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import Workload

from .estimator import MANY, estimate_costs
from .totals import Totals


@dataclass(frozen=True, eq=False)
class Population:
    """Candidates that are priced in parts, each part on a chip of its own.

    Args:
        workload: shape `[N, L]`, or `[L]` where all candidates agree.
        asked: prices that will be asked for, on all chips together.

    >>> from hasnas.cim_estimator import LayerSpec, load_hardware
    >>> layers = [LayerSpec("conv", 4, 8, kernel_size=3, in_size=8)]
    >>> population = Population(Workload.from_layers(layers, timesteps=2), 3)
    >>> int(population.costs(np.array([0, 2]), load_hardware("rram-22nm"), Activity.dense()).parameters)
    288
    """

    workload: Workload
    asked: int

    @cached_property
    def _compressed(self) -> tuple[Workload, NDArray[Any]] | None:
        """The distinct layers and codes into them, where that pays."""
        if len(self.workload.shape) != 2 or self.asked < MANY:
            return None
        from .batch import compress  # numba is only imported where it pays

        return compress(self.workload)

    def costs(self, places: NDArray[np.int64], hardware: HardwareSpec, activity: Activity) -> Totals:
        """The totals of some candidates on one chip.

        Args:
            places: their numbers, `[n]`.
            hardware: the chip.
            activity: how many inputs spike.

        Returns:
            Each `[n]`; a plain number where all candidates agree.

        Raises:
            BadInputError: if a layer cannot be mapped onto the chip.
        """
        separable = isinstance(hardware, SpikeSimHardware) or hardware.tile.sharing == "none"
        if separable and self._compressed is not None:
            from .batch import price_choices

            choices, codes = self._compressed
            return price_choices(choices, codes[places], hardware, activity)
        alike = len(self.workload.shape) == 1
        return estimate_costs(self.workload if alike else self.workload.at(places), hardware, activity)
