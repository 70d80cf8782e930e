"""Many chips priced at once: those that are built alike differ in numbers only, and these are one more axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from operator import attrgetter, is_
from typing import Any, get_type_hints

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import ARRAY_FIELDS, Workload

from . import batch_kernels as kernels
from . import components as circuit
from .batch import general_columns, schedule_of, table_of

AT_ONCE = 30_000  # layers times chips whose terms are held at once: their arrays stay in cache
_NOT_PRICED = ("name", "sources")


def _words(kind: type[Any], prefix: str = "") -> Iterator[str]:
    """Paths of the fields of a description that are one of a few words."""
    hints = get_type_hints(kind)
    for item in fields(kind):
        if "choices" in item.metadata:
            yield f"{prefix}{item.name}"
        elif is_dataclass(hints[item.name]):
            yield from _words(hints[item.name], f"{item.name}.")


# What a chip is built of: words, and numbers that decide which formula holds or how large an array is.
_BUILD = attrgetter(
    *_words(GeneralHardware), "crossbar.rows_read", "tile.pes", "tile.arrays_per_pe", "interconnect.bus_bits",
    "chip.tiles", "device.cell_bits",
)  # fmt: skip


def price_on_chips(
    choices: Workload,
    codes: NDArray[Any],
    chips: Sequence[GeneralHardware],
    which: NDArray[np.int64],
    activity: Activity,
) -> NDArray[np.float64]:
    """The totals of candidates, each on a chip of its own.

    Args:
        choices: shape `[C, L]`, see `hasnas.cim_estimator.model.batch.price_choices`.
        codes: shape `[N, L]`.
        chips: of the general model; none shares tiles between layers.
        which: number of each candidate's chip, `[N]`, rising.
        activity: how many inputs spike.

    Returns:
        `[N, 7]` as `sum_general` gives them.

    Raises:
        BadInputError: if a layer cannot be mapped onto a chip.
    """
    found = np.empty((len(codes), 7))
    bounds = np.searchsorted(which, np.arange(len(chips) + 1)).tolist()
    layers, numbers = distinct_layers(choices)
    codes = numbers[codes, np.arange(choices.shape[1])]
    rates, at_once = activity.rates(layers), max(1, AT_ONCE // len(layers.names))
    for alike in _built_alike(chips):
        for start in range(0, len(alike), at_once):
            group = alike[start : start + at_once]
            stacked = stack_chips([chips[number] for number in group])
            table = table_of(general_columns(layers, stacked, rates), (len(group), 1, len(layers.names)))
            # Whatever the slot, its codes mean the same layers.
            tables = np.broadcast_to(table[:, np.newaxis, :, 0], (len(group), choices.shape[1], *table.shape[1::2]))
            leakages = np.broadcast_to(circuit.leakage_w_per_m2(stacked), (len(group), 1, 1)).ravel().tolist()
            schedule = schedule_of(choices, stacked)
            for number, terms, leakage in zip(group, tables, leakages, strict=True):
                own = slice(bounds[number], bounds[number + 1])
                found[own] = kernels.sum_general(terms, codes[own], stacked.chip.tiles, schedule, leakage)
    return found


def distinct_layers(choices: Workload) -> tuple[Workload, NDArray[np.int32]]:
    """The layers that occur in any slot, each once, as slots of one network `[M]`, and which of them each is, `[C, L]`.

    >>> from hasnas.cim_estimator import LayerSpec
    >>> from .batch import stack_choices
    >>> layers = [LayerSpec("linear", 4, 4, level=1), LayerSpec("linear", 4, 4, level=1), LayerSpec("lif", 4, 4)]
    >>> choices = stack_choices([Workload.from_layers(layers, timesteps=2)])
    >>> distinct, numbers = distinct_layers(choices)
    >>> len(distinct.names), bool(numbers[0, 0] == numbers[0, 1])
    (2, True)
    """
    columns = {name: np.broadcast_to(getattr(choices, name), choices.shape).ravel() for name in ARRAY_FIELDS}
    plain = [column.view(np.int64) if column.dtype == np.float64 else column for column in columns.values()]
    _, first, numbers = np.unique(np.stack(plain, axis=1), axis=0, return_index=True, return_inverse=True)
    picked = {name: column[first] for name, column in columns.items()}
    names = tuple(f"layer {number}" for number in first.tolist())
    layers = Workload(names=names, timesteps=choices.timesteps, **picked)
    return layers, numbers.reshape(choices.shape).astype(np.int32)


def stack_chips(chips: Sequence[GeneralHardware]) -> GeneralHardware:
    """Chips that are built alike as one, with arrays `[H, 1, 1]` for the numbers in which they differ."""
    first = chips[0]
    return replace(first, **{
        item.name: _stacked([getattr(chip, item.name) for chip in chips])
        for item in fields(first)
        if item.name not in _NOT_PRICED
    })  # fmt: skip


def _stacked(parts: Sequence[Any]) -> Any:
    """Sections or numbers of many chips as one."""
    first = parts[0]
    if all(map(is_, parts, [first] * len(parts))) or isinstance(first, str):
        return first
    if isinstance(first, int | float):
        return first if len(set(parts)) == 1 else np.array(parts).reshape(-1, 1, 1)
    names = [item.name for item in fields(first)]
    return replace(first, **{name: _stacked([getattr(part, name) for part in parts]) for name in names})


def _built_alike(chips: Sequence[GeneralHardware]) -> list[list[int]]:
    """The numbers of the chips that differ in numbers alone."""
    groups: dict[tuple[Any, ...], list[int]] = {}
    for number, chip in enumerate(chips):
        groups.setdefault(_BUILD(chip), []).append(number)
    return list(groups.values())
