"""Prices one network on many variants of the hardware."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hasnas.cim_estimator.hardware.presets_reader import read_variants
from hasnas.cim_estimator.hardware.spec import HardwareSpec
from hasnas.cim_estimator.hardware.unused import refuse_unused
from hasnas.cim_estimator.model.estimator import estimate
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import Workload
from hasnas.errors import BadInputError

from .report import CostReport

_DENSE = Activity.dense()


def _silent(steps: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class SweepPoint:
    """One variant: what was set, what it costs, and the hardware that this describes."""

    values: Mapping[str, Any]
    report: CostReport
    hardware: HardwareSpec


def sweep(
    workload: Workload,
    hardware: str | Path,
    fields: Mapping[str, Sequence[Any]],
    activity: Activity = _DENSE,
    settings: Mapping[str, Any] | None = None,
    progress: Callable[[int], None] = _silent,
) -> list[SweepPoint]:
    """Price a network for every combination of some fields of the hardware.

    Args:
        workload: one network.
        hardware: name of a preset, or path of a YAML file.
        fields: dotted path -> the values it takes, e.g. `{"adc.bits": [4, 5, 6]}`.
        activity: how many inputs spike.
        settings: dotted path -> value, the same in all variants.
        progress: called after each step with the number of all: one describes a variant, another prices it.

    Returns:
        One point for each combination, a single one without fields; the last field varies fastest.

    Raises:
        BadInputError: if a field takes no value, or one that does not fit, or changes nothing in any variant.

    >>> from hasnas.cim_estimator import LayerSpec
    >>> network = Workload.from_layers([LayerSpec("linear", 128, 10)], timesteps=4)
    >>> points = sweep(network, "rram-22nm", {"adc.bits": [4, 5]})
    >>> bool(points[0].report.energy_j < points[1].report.energy_j)
    True
    """
    empty = [name for name, values in fields.items() if not len(values)]
    if empty:
        raise BadInputError(f"sweep: '{empty[0]}' has no values; give at least one")
    chosen = [dict(zip(fields, values, strict=True)) for values in product(*fields.values())]
    variants, points, steps = list[HardwareSpec](), list[SweepPoint](), 2 * len(chosen)
    for variant in read_variants(hardware, ({**(settings or {}), **values} for values in chosen)):
        variants.append(variant)
        progress(steps)
    refuse_unused(variants, {**(settings or {}), **fields})
    for values, variant in zip(chosen, variants, strict=True):
        points.append(SweepPoint(values, estimate(workload, variant, activity), variant))
        progress(steps)
    return points
