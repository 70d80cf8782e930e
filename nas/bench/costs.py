"""What the table's architectures cost, with the rates of their trained networks or with rates known before training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, HardwareSpec, Workload, estimate_costs, synaptic_operations
from hasnas.nas.budget.costs import Costs, known_costs
from hasnas.nas.scoring.mean_field import propagate
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

from .table import CLASSIFIER_RATE, HEAD_RATE, MACRO, RATE_PAIRS, REDUCTION_RATE

FloatArray = NDArray[np.float64]
LayerRates = dict[str, FloatArray]


def pooled_rate(rate: FloatArray, window: int) -> FloatArray:
    """Share of windows that hold a spike, 1 - (1 - p)^(window^2), if neurons fire independently.

    >>> float(pooled_rate(np.array(0.5), 2))
    0.9375
    """
    return 1 - (1 - rate) ** (window * window)


def measured_rates(rates: FloatArray) -> LayerRates:
    """Share of non-zero inputs of each layer from the benchmark's columns `[N, 16]`, by workload slot."""
    present = np.clip(rates, 0, 1)
    layers = {
        f"cell{cell + 1}.{low}_{high}": present[:, 6 * cell + column]
        for cell in range(2)
        for column, (low, high) in enumerate(RATE_PAIRS)
    }
    layers["reduction1.conv"] = present[:, REDUCTION_RATE]
    layers["head.hidden"] = pooled_rate(present[:, HEAD_RATE], MACRO.final_pool)
    layers["head.classifier"] = present[:, CLASSIFIER_RATE]
    return layers


def mean_field_rates(space: CellSpace, codes: Codes) -> LayerRates:
    """The same, before anything is trained: firing rates of networks with random weights, by mean field.

    The hidden layer has no batch norm to bring its neurons to life at the start; it is assumed to fire as the head
    does.
    """
    field = propagate(space, codes)
    layers: LayerRates = {}
    for number, cell in enumerate(field.cells, start=1):
        either = np.nan_to_num(cell.rate, nan=0.0)
        either = either + either.transpose(0, 2, 1)  # a pair runs one way or the other
        layers |= {f"cell{number}.{low}_{high}": either[:, low, high] for low, high in space.pairs}
    layers |= {f"reduction{index + 1}.conv": field.reduction_rates[:, index] for index in range(space.cells - 1)}
    pooled = pooled_rate(field.head_rate, space.macro.final_pool)
    return layers | {"head.hidden": pooled, "head.classifier": field.head_rate if space.macro.hidden else pooled}


def active_workload(space: CellSpace, codes: Codes, rates: LayerRates) -> Workload:
    """The candidates' workload with these rates; the stem reads images and counts as dense."""
    workload = lower_codes(space, codes)
    dense = np.ones(len(codes))
    columns = [np.broadcast_to(rates.get(name, dense), (len(codes),)) for name in workload.names]
    return replace(workload, input_rate=np.stack(columns, axis=1))


def operations_and_costs(
    space: CellSpace, codes: Codes, rates: LayerRates, hardware: HardwareSpec | None = None
) -> dict[str, FloatArray]:
    """Synaptic operations of a sample, and on a chip every known cost by its field, each `[N]`.

    Args:
        space: the space of the codes.
        codes: connected, `[N, genes]`.
        rates: share of non-zero inputs by workload slot.
        hardware: the chip; without one only operations are counted.
    """
    workload = active_workload(space, codes, rates)
    operations = synaptic_operations(workload, Activity.measured()).sum(axis=-1)
    costs = {"synaptic_operations": np.asarray(operations, np.float64)}
    if hardware is not None:
        priced = Costs.of(estimate_costs(workload, hardware, Activity.measured()), known_costs(), len(codes))
        costs |= {cost.field: priced[cost.name] for cost in priced.costs}
    return costs
