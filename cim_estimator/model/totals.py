"""What candidates cost as a whole, without a breakdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Totals(Mapping[str, NDArray[Any]]):
    """Costs of a sample over all timesteps on a chip, each `[...]` with the candidates' axes; also by name.

    Args:
        parameters: trainable parameters as trained.
        memory_bits: weights, biases, membranes and values held for the next timestep, as deployed.
        peak_memory_bits: those and the largest live buffer: what the layer with the largest maps reads and writes in a
            timestep. Values that wait for a layer further on are not counted, so it is a lower bound for branches.
        area_m2: of the chip.
        latency_s: from a sample's first timestep to its answer.
        interval_s: between two samples in a stream; its inverse is the throughput.
        energy_j: leakage included.
        timesteps: T.

    >>> import numpy as np
    >>> one = Totals(*(np.full(2, value) for value in (10, 80, 90, 1e-6, 1e-3, 1e-3, 1e-9, 4)))
    >>> one["energy_j"] is one.energy_j, list(one)[:2]
    (True, ['parameters', 'memory_bits'])
    """

    parameters: NDArray[Any]
    memory_bits: NDArray[Any]
    peak_memory_bits: NDArray[Any]
    area_m2: NDArray[Any]
    latency_s: NDArray[Any]
    interval_s: NDArray[Any]
    energy_j: NDArray[Any]
    timesteps: NDArray[Any]

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in TOTALS:
            raise KeyError(name)
        values: NDArray[Any] = getattr(self, name)
        return values

    def __iter__(self) -> Iterator[str]:
        return iter(TOTALS)

    def __len__(self) -> int:
        return len(TOTALS)


TOTALS = tuple(item.name for item in fields(Totals))
