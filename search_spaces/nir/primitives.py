"""NIR's primitives as the layers of this project: one at a time, with the shape of what leaves it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, one_line
from hasnas.search_spaces.layers import (
    IF,
    LIF,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Operation,
    Output,
    SumPool2d,
)
from hasnas.search_spaces.neurons.synaptic import SynapticLIF

from .checks import check_node

TIMESTEP_S = 1e-4  # what SpikingJelly and snnTorch assume when they read a file
SAME = "; the price is the same"
Shape = tuple[int, ...]
Sides2 = tuple[int, int]  # height and width
Note = Callable[[str], None]


@dataclass(frozen=True)
class Context:
    """What a primitive does not say itself.

    Args:
        timestep_s: duration of a timestep.
        static: whether the input is the same at every timestep.
        weight_bits, membrane_bits: of the layer, 0 unless the file names them.
        has_lines: whether the file holds layers along lines, so that `[C, L]` is a line of L places of C channels.
        note: is told what the primitive does beyond the layer that stands for it.
    """

    timestep_s: float
    static: bool
    weight_bits: int
    membrane_bits: int
    has_lines: bool
    note: Note


def as_maps(shape: Shape) -> Shape:
    """Lines `[C, L]` as the maps of one row that they are, `[C, 1, L]`; other shapes as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def layer_of(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    """The layer that stands for a primitive, and the shape of its result.

    Args:
        name: of the node, for messages.
        node: the primitive.
        before: shape of what arrives, without time and batch; `()` for an input.
        context: the rest.

    Raises:
        BadInputError: if it cannot be laid out on crossbars and beside them.
    """
    kind = type(node).__name__
    if kind not in _READERS:
        raise BadInputError(f"node '{name}' is a {kind}, which cannot be priced; known: {', '.join(sorted(_READERS))}")
    try:
        check_node(name, node, before)
        operation, shape = _READERS[kind](name, node, before, context)
        if any(side < 1 for side in shape):
            raise BadInputError(f"node '{name}' makes {list(shape)}, no values at all; export it anew")
        return operation, shape
    except BadInputError:
        raise
    except (ValueError, TypeError, IndexError, OverflowError, AttributeError, ZeroDivisionError) as error:
        told = one_line(str(error))
        raise BadInputError(f"node '{name}' ({kind}) holds what no such node does ({told}); export it anew") from error


def _input(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    told = np.asarray(node.input_type["input"]).reshape(-1)
    if told.dtype.kind not in "iuf" or not ((told == np.trunc(told)) & (told >= 1)).all():
        raise BadInputError(f"input '{name}' has the shape {told.tolist()}; write whole numbers of at least 1")
    shape = tuple(int(side) for side in told)
    if len(shape) == 2 and context.has_lines:
        shape = as_maps(shape)
    if len(shape) in (2, 4) and shape[0] == 1:
        shape = shape[1:]  # a batch axis, as Norse writes it
    if len(shape) not in (1, 3):
        known = "vectors, [C, L] lines before a Conv1d and [C, H, W] maps"
        raise BadInputError(f"input '{name}' has shape {list(shape)}; only {known} can be laid out")
    return Input(context.static), shape


def _output(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    return Output(), before


def _flatten(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    return Flatten(), (math.prod(before),)


def _matrix(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    outputs, inputs = np.asarray(node.weight).shape
    if math.prod(before) != inputs:
        raise BadInputError(f"node '{name}' takes {inputs} values, but {math.prod(before)} arrive")
    bias = getattr(node, "bias", None) is not None
    return Linear(inputs, outputs, bias, context.weight_bits), (outputs,)


def _convolution(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    outputs, per_group, *window = np.asarray(node.weight).shape
    groups, line = int(np.asarray(node.groups).reshape(())), len(window) == 1
    if len(before) != 3 or before[0] != per_group * groups:
        raise BadInputError(f"node '{name}' takes {per_group * groups} channels, but {before} arrives")
    windows = sides(name, window, line)
    strides, dilations = (sides(name, value, line) for value in (node.stride, node.dilation))
    if dilations != (1, 1):
        context.note(f"node '{name}' is dilated, which cannot be run")
    reach = [dilation * (side - 1) + 1 for dilation, side in zip(dilations, windows, strict=True)]
    if isinstance(node.padding, str):
        filled = [_same(*each) for each in zip(before[1:], reach, strides, strict=True)]
        around = filled if node.padding == "same" else [0, 0]
        uneven = any(pad and (stride > 1 or pad % 2) for pad, stride in zip(around, strides, strict=True))
    else:
        around, uneven = [2 * side for side in sides(name, node.padding, line, 0)], False
    if uneven:
        context.note(f"node '{name}' is padded unevenly, which cannot be run")
    down, across = (
        (size + pad - each) // stride + 1
        for size, pad, each, stride in zip(before[1:], around, reach, strides, strict=True)
    )
    if min(down, across) < 1:
        raise BadInputError(f"node '{name}' has a kernel of {reach[0]} x {reach[1]}, but {before} arrives")
    bias = bool(np.any(np.asarray(node.bias) != 0))  # NIR always has one; other tools write none as zeros
    padding = around[0] // 2, around[1] // 2
    layer = Conv2d(before[0], outputs, windows, strides, padding, groups, bias, context.weight_bits)
    return layer, (outputs, down, across)


def _same(size: int, reach: int, stride: int) -> int:
    """Zeros beside a map, on both sides together, that make it ceil(size / stride) long."""
    return max((-(-size // stride) - 1) * stride + reach - size, 0)


def _pool(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    window, stride, padding = (sides(name, getattr(node, key)) for key in ("kernel_size", "stride", "padding"))
    if len(before) != 3:
        raise BadInputError(f"node '{name}' pools maps, but {before} arrives")
    if any(2 * around > side for around, side in zip(padding, window, strict=True)):
        raise BadInputError(f"node '{name}' is padded by {padding}, more than half of its window {window}; pad less")
    layer = (SumPool2d if type(node).__name__ == "SumPool2d" else AvgPool2d)(window, stride, padding)
    down, across = layer.size_after((before[1], before[2]))
    if min(down, across) < 1:
        raise BadInputError(f"node '{name}' has a window of {window[0]} x {window[1]}, but {before} arrives")
    return layer, (before[0], down, across)


def _scale(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    factors = np.asarray(node.scale, float)
    if len(before) != 3 or (factors.size not in (1, before[0]) and not _is_one_a_channel(factors, before)):
        context.note(f"node '{name}' scales single values, which cannot be run; it is priced as one factor a channel")
    return BatchNorm(before[0]), before


def _is_one_a_channel(factors: NDArray[np.float64], before: Shape) -> bool:
    if factors.size != math.prod(before):
        return False
    rows = factors.reshape(before[0], -1)
    return bool((rows == rows[:, :1]).all())


def _leaky(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    values = [_uniform(name, quantity, getattr(node, quantity), context) for quantity in _LEAKY]
    tau, threshold, reset, leak, resistance = values
    if not resistance > 0 or leak != reset:
        held = f"r = {resistance:g}, v_leak = {leak:g}, v_reset = {reset:g}"
        context.note(f"node '{name}' has {held}; only r > 0 and v_leak = v_reset can be run{SAME}")
    elif not tau >= context.timestep_s:
        step = f"a timestep of {context.timestep_s:g} s"
        context.note(f"node '{name}' has tau = {tau:g} s, less than {step}, and cannot be run{SAME}")
    else:
        in_units = threshold / resistance, reset / resistance  # of r, in which a membrane follows what arrives
        return LIF(tau / context.timestep_s, *in_units, context.membrane_bits), before
    return LIF(membrane_bits=context.membrane_bits), before


_LEAKY = ("tau", "v_threshold", "v_reset", "v_leak", "r")


def _synaptic(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    values = [_uniform(name, quantity, getattr(node, quantity), context) for quantity in _SYNAPTIC]
    tau_synapse, tau, threshold, reset, leak, resistance, gain = values
    scale = resistance * gain
    if not scale > 0 or leak != reset:
        held = f"r = {resistance:g}, w_in = {gain:g}, v_leak = {leak:g}, v_reset = {reset:g}"
        context.note(f"node '{name}' has {held}; only r w_in > 0 and v_leak = v_reset can be run{SAME}")
    elif not min(tau, tau_synapse) >= context.timestep_s:
        step = f"a timestep of {context.timestep_s:g} s"
        context.note(f"node '{name}' has a time constant less than {step}, and cannot be run{SAME}")
    else:
        steps = tau / context.timestep_s, tau_synapse / context.timestep_s
        return SynapticLIF(steps[0], threshold / scale, reset / scale, steps[1], context.membrane_bits), before
    return SynapticLIF(membrane_bits=context.membrane_bits), before


_SYNAPTIC = ("tau_syn", "tau_mem", "v_threshold", "v_reset", "v_leak", "r", "w_in")


def _integrators(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    threshold, reset, resistance = (
        _uniform(name, quantity, getattr(node, quantity), context) for quantity in ("v_threshold", "v_reset", "r")
    )
    if not np.isclose(resistance * context.timestep_s, 1.0):
        steps = 1 / context.timestep_s
        held = f"r = {resistance:g}; only 1 / timestep = {steps:g} can be run"
        unit = "" if resistance <= 0 else f" (with a timestep of {1 / resistance:g} s, timestep_s, it can)"
        context.note(f"node '{name}' has {held}{unit}{SAME}")
        return IF(membrane_bits=context.membrane_bits), before
    return IF(threshold, reset, context.membrane_bits), before


def _other_neurons(name: str, node: Any, before: Shape, context: Context) -> tuple[Operation, Shape]:
    context.note(f"node '{name}' is a {type(node).__name__}, which cannot be run; it is priced as a LIF")
    return LIF(membrane_bits=context.membrane_bits), before


def _uniform(name: str, quantity: str, values: Any, context: Context) -> float:
    array = np.asarray(values, float)
    if array.size == 0 or not (array == array.flat[0]).all():
        context.note(f"node '{name}' has different {quantity} among its neurons, which cannot be run{SAME}")
    return float(array.flat[0]) if array.size else 1.0


def mean_kernel(channels: int, window: Sides2) -> NDArray[np.float64]:
    """The kernel `[C, C, height, width]` of a convolution that averages each channel over a window.

    >>> mean_kernel(2, (1, 2))[1].tolist()
    [[[0.0, 0.0]], [[0.5, 0.5]]]
    """
    return np.eye(channels)[:, :, None, None] * np.full(window, 1.0 / (window[0] * window[1]))


def sides(name: str, value: Any, line: bool = False, across: int = 1) -> Sides2:
    """Height and width that a node gives as one number, two, or along a line as one.

    Args:
        name: of the node, for messages.
        value: what it says.
        line: whether the layer goes along a line, and says only its width.
        across: the height of such a layer.

    Raises:
        BadInputError: if it says more than two numbers.
    """
    found = [int(each) for each in np.asarray(value).reshape(-1)]
    if len(found) not in ((1,) if line else (1, 2)):
        raise BadInputError(f"node '{name}' has sides {found}; only windows along one or two axes can be laid out")
    return (across, found[0]) if line else (found[0], found[-1])


_READERS: dict[str, Callable[[str, Any, Shape, Context], tuple[Operation, Shape]]] = {
    "Input": _input, "Output": _output, "Flatten": _flatten, "Affine": _matrix, "Linear": _matrix,
    "Conv1d": _convolution, "Conv2d": _convolution, "AvgPool2d": _pool, "SumPool2d": _pool, "Scale": _scale,
    "LIF": _leaky, "IF": _integrators, "CubaLIF": _synaptic,
    **dict.fromkeys(("LI", "CubaLI", "I", "Threshold"), _other_neurons),
}  # fmt: skip
