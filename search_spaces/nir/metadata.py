"""What files of this project say in their metadata, beyond NIR's words: bits, and layers as they were trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.workload.workload import MOST
from hasnas.errors import BadInputError
from hasnas.search_spaces.layers import (
    PLIF,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Linear,
    Operation,
    SumPool2d,
    Vote,
    check_weight_bits,
    layer_from_json,
    pair,
)
from hasnas.search_spaces.neurons.base import check_membrane_bits

from .primitives import mean_kernel


def bits_of(metadata: Mapping[str, Any], quantity: str) -> dict[str, int]:
    """Bits of weights or membranes by layer, as this project's files say in their metadata; empty if a file does not.

    Args:
        metadata: of the graph.
        quantity: `"weight_bits"` or `"membrane_bits"`.

    Raises:
        BadInputError: if the entry is not a mapping of names to whole numbers that registers or cells have.

    >>> bits_of({"weight_bits": '{"conv": 4}'}, "weight_bits")
    {'conv': 4}
    """
    told: dict[str, int] = listed(metadata, quantity, dict)
    check = check_weight_bits if quantity == "weight_bits" else check_membrane_bits
    for name, bits in told.items():
        check(bits, f"metadata {quantity} of '{name}'")
    return told


def listed(metadata: Mapping[str, Any], quantity: str, kind: type) -> Any:
    """A list or a mapping that stands in the metadata as JSON."""
    text = str(single(metadata, quantity, "[]" if kind is list else "{}"))
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BadInputError(f"metadata {quantity} is {text!r:.60}; write it as JSON") from error
    if not isinstance(found, kind):
        raise BadInputError(f"metadata {quantity} is {text!r:.60}; write a JSON {kind.__name__}")
    return found


def whole(metadata: Mapping[str, Any], quantity: str) -> int:
    """A whole number of the metadata, 0 without it."""
    told = single(metadata, quantity, 0)
    try:
        found = int(told)
        is_whole = not isinstance(told, bool) and (isinstance(told, str) or found == told) and found <= MOST
    except (TypeError, ValueError, OverflowError):
        is_whole = False
    if not is_whole:
        raise BadInputError(f"metadata {quantity} is {str(told)[:60]!r}; write a whole number, at most {MOST}")
    return found


def single(metadata: Mapping[str, Any], quantity: str, default: Any) -> Any:
    """A single value of the metadata."""
    told = np.asarray(metadata.get(quantity, default))
    if told.size != 1:
        raise BadInputError(f"metadata {quantity} holds {told.size} values; write one")
    return told.reshape(()).item()


def layers_as_trained(name: str, items: Any, found: Operation, node: Any) -> list[tuple[str, Operation]]:
    """The layers that the metadata name for a node, which must fit it."""
    try:
        layers = [(str(item["name"]), layer_from_json(item)) for item in items]
    except (KeyError, TypeError) as error:
        raise BadInputError(f"metadata layers: '{name}' is {items!r:.60}; export the file anew") from error
    first = layers[0][1] if layers else None
    if not _fits(first, found, node):
        kinds = ", ".join(type(layer).__name__ for _, layer in layers) or "nothing"
        raise BadInputError(
            f"metadata layers say that '{name}' is {kinds}, which its {type(node).__name__} is not; export it anew"
        )
    return layers


def _fits(told: Operation | None, found: Operation, node: Any) -> bool:
    """Whether a layer as trained can be what stands in the file."""
    match told, found:
        case Conv2d(), Conv2d():
            geometry = ("in_channels", "out_channels", "stride")
            return all(getattr(told, name) == getattr(found, name) for name in geometry) and _holds(found, told, node)
        case Linear(), Linear():
            return (told.in_features, told.out_features) == (found.in_features, found.out_features)
        case BatchNorm(channels), Conv2d():
            return np.asarray(node.weight).shape == (channels, channels, 1, 1) or (
                found.groups == channels == found.out_channels and found.kernel_size == 1
            )
        case AvgPool2d(window, stride, padding), Conv2d(channels) if not isinstance(told, SumPool2d):
            same = Conv2d(channels, found.out_channels, window, stride, padding)
            kernel = middle(np.asarray(node.weight), pair(window))
            averages = kernel.shape == (channels, channels, *pair(window)) and np.array_equal(
                kernel, mean_kernel(channels, pair(window))
            )
            return averages and found.stride == same.stride and not found.bias and _holds(found, same, node)
        case Vote(size), Linear():
            return found.in_features == size * found.out_features
        case None, _:
            return False
    return type(told) is type(found) or isinstance(told, PLIF)


def _holds(found: Conv2d, told: Conv2d, node: Any) -> bool:
    """Whether a kernel is that of another layer with zeros around, so that both compute the same."""
    outside = pair(found.kernel_size), pair(found.padding)
    inside = pair(told.kernel_size), pair(told.padding)
    more = [outer - inner for outer, inner in zip(outside[0], inside[0], strict=True)]
    wider = [2 * (outer - inner) for outer, inner in zip(outside[1], inside[1], strict=True)]
    weight = np.asarray(node.weight)
    return more == wider and min(more) >= 0 and np.count_nonzero(weight) == np.count_nonzero(middle(weight, inside[0]))


def middle(weight: NDArray[Any], window: tuple[int, int]) -> NDArray[Any]:
    """The middle of a kernel `[C_out, C_in, height, width]`."""
    down, across = ((own - side) // 2 for own, side in zip(weight.shape[2:], window, strict=True))
    return weight[:, :, down : down + window[0], across : across + window[1]]
