"""What every node of a NIR file must be before it is read: numbers that are finite, of sizes that fit each other."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

Shape = tuple[int, ...]
# Which of a primitive's fields hold numbers; those of neurons may be infinite: no leak, no spikes.
WEIGHTS = ("weight", "bias", "scale", "delay")
OF_NEURONS = ("tau", "tau_mem", "tau_syn", "r", "v_leak", "v_threshold", "v_reset", "w_in", "threshold")
WINDOWS = {"kernel_size": 1, "stride": 1, "dilation": 1, "groups": 1, "padding": 0}  # least value of each


def check_node(name: str, node: Any, before: Shape) -> None:
    """Refuse a primitive whose numbers do not fit each other, or what arrives.

    Args:
        name: of the node, for messages.
        node: the primitive.
        before: shape of what arrives; `()` for an input.

    Raises:
        BadInputError: naming the node, the field and what it holds.
    """
    for field in (*WEIGHTS, *OF_NEURONS):
        value = getattr(node, field, None)
        if value is not None:
            _check_numbers(name, field, np.asarray(value))
    for field, least in WINDOWS.items():
        value = getattr(node, field, None)
        if value is not None and not isinstance(value, str):
            _check_sides(name, field, np.asarray(value), least)
    _check_outputs(name, node)
    size = math.prod(before)
    for field in OF_NEURONS:
        told = np.size(getattr(node, field, 0))
        if before and told not in (1, size, before[0]):
            raise BadInputError(f"node '{name}': {field} holds {told} values, but {size} arrive; export it anew")


def _check_numbers(name: str, field: str, values: NDArray[Any]) -> None:
    if values.dtype.kind not in "biuf":
        raise BadInputError(f"node '{name}': {field} is of the type {values.dtype}; write real numbers")
    wrong = np.isnan(values) if field in OF_NEURONS else ~np.isfinite(values)
    if wrong.any():
        what = "NaN" if np.isnan(values).any() else "infinite values"
        raise BadInputError(f"node '{name}': {field} holds {what}, in {int(wrong.sum())} places; train it anew")


def _check_sides(name: str, field: str, values: NDArray[Any], least: int) -> None:
    if values.dtype.kind not in "iuf" or not ((values >= least) & (values == np.trunc(values))).all():
        raise BadInputError(f"node '{name}': {field} is {values.tolist()}; give whole numbers of at least {least}")


def _check_outputs(name: str, node: Any) -> None:
    """Biases and groups that do not fit a weight."""
    weight, bias = getattr(node, "weight", None), getattr(node, "bias", None)
    if weight is None:
        return
    outputs = len(np.atleast_1d(weight))
    if bias is not None and np.size(bias) != outputs:
        raise BadInputError(f"node '{name}': bias holds {np.size(bias)} values for {outputs} outputs; export it anew")
    groups = int(np.asarray(getattr(node, "groups", 1)).reshape(-1)[0])
    if outputs % groups:
        raise BadInputError(f"node '{name}' has {outputs} outputs in {groups} groups, which does not divide")


def check_edges(graph: Any) -> None:
    """Refuse edges that stand twice, leave an output, or enter an input.

    Raises:
        BadInputError: naming the edge.
    """
    seen: set[tuple[str, str]] = set()
    for source, target in graph.edges:
        if (source, target) in seen:
            raise BadInputError(f"the edge from '{source}' to '{target}' stands twice; keep one, or add up the weights")
        seen.add((source, target))
        leaves = type(graph.nodes.get(source)).__name__ == "Output"
        if leaves or type(graph.nodes.get(target)).__name__ == "Input":
            end = f"leaves the output '{source}'" if leaves else f"enters the input '{target}'"
            raise BadInputError(f"the edge from '{source}' to '{target}' {end}; take it out")


def check_named(quantity: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse metadata about nodes that the file does not hold.

    Raises:
        BadInputError: naming the first, and the nearest node.
    """
    held = set(known)
    for name in names:
        if name not in held:
            raise BadInputError(f"metadata {quantity} names the node '{name}', which is not there{nearest(name, held)}")


def timestep_of(told: Any) -> float:
    """The duration of a timestep in seconds, as metadata tell it.

    Raises:
        BadInputError: if it is none.
    """
    try:
        seconds = float(told)
    except (TypeError, ValueError):
        seconds = math.nan
    if isinstance(told, bool) or not 0 < seconds < math.inf:
        raise BadInputError(f"metadata timestep_s is {told!r:.60}; write seconds above 0, such as 0.001")
    return seconds
