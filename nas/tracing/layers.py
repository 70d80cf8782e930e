"""One layer of PyTorch or SpikingJelly as an operation of a LayerGraph; what cannot be expressed is refused."""

from __future__ import annotations

from typing import Any

from torch import nn

from hasnas.errors import BadInputError
from hasnas.search_spaces.layers import (
    IF,
    LIF,
    PLIF,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Linear,
    MaxPool2d,
    Neuron,
    Operation,
    Vote,
)
from hasnas.search_spaces.lif_scan import ScannedLIF
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.neurons.modules import LearnedTauLIF, OwnNeurons, learned_tau, neuron
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.quantization import QuantisedConv2d, QuantisedLinear, weight_bits_of

from .elsewhere import Note, is_neuron, library_of, neurons_of, number

from spikingjelly.activation_based import base, layer  # isort: skip  # only after hasnas has silenced its import

KNOWN_LAYERS = (
    "Conv2d, Linear, BatchNorm1d, BatchNorm2d, AvgPool2d, MaxPool2d, AdaptiveAvgPool2d, AdaptiveMaxPool2d, Dropout, "
    "Dropout2d, Flatten, Identity, VotingLayer, LIFNode, ParametricLIFNode, IFNode, neurons of hasnas"
)
LEAKY = (neuron.LIFNode, neuron.SimpleLIFNode, ScannedLIF)
LEARNED = (neuron.ParametricLIFNode, LearnedTauLIF)
LEAKLESS = (neuron.IFNode, neuron.SimpleIFNode)
Shape = tuple[int, ...]


def operation_of(
    name: str, module: nn.Module, before: Shape, after: Shape, note: Note = lambda text: None
) -> Operation | None:
    """What a layer computes.

    Leaky neurons whose input is not scaled (`decay_input=False`) are expressed in units of 1 / tau: v / tau follows the
    LIF's equation with the threshold and the reset divided by tau, too. A `ParametricLIFNode` becomes a PLIF that
    starts at the time constant the module has now.

    Args:
        name: of the layer, for messages.
        module: the layer.
        before: shape of its input without time and batch.
        after: shape of its result, likewise.
        note: is told what the layer does beyond what is priced.

    Returns:
        None if the result is the input.

    Raises:
        BadInputError: naming the layer, if a LayerGraph cannot express it.

    >>> operation_of("stem", nn.Conv2d(3, 8, 3, padding="same", bias=False), (3, 8, 8), (8, 8, 8))
    Conv2d(in_channels=3, out_channels=8, kernel_size=3, stride=1, padding=1, groups=1, bias=False, weight_bits=0)
    >>> operation_of("lif", neuron.LIFNode(tau=4.0, decay_input=False), (8,), (8,))
    LIF(tau=4.0, threshold=0.25, reset=0.0, membrane_bits=0)
    """
    match module:
        case nn.Identity():
            return None
        case nn.Dropout() | nn.Dropout2d() | layer.Dropout():
            return Dropout(module.p)
        case layer.VotingLayer():
            return Vote(module.voting_size)
        case nn.Conv2d():
            return _convolution(name, module)
        case nn.Linear():
            return _fully_connected(name, module, before)
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return _normalisation(name, module, before)
        case nn.AvgPool2d() | nn.MaxPool2d():
            return _pool(name, module, before, after)
        case nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            return _adaptive_pool(name, module, before, after)
        case OwnNeurons():
            return module.settled
        case layer.ElementWiseRecurrentContainer() | layer.LinearRecurrentContainer():
            raise BadInputError(
                f"layer '{name}' is a {type(module).__name__}: feedback cannot be read off a torch module; give the "
                "network as architecture.json or as a NIR file"
            )
        case SpikingNetwork():
            raise BadInputError(
                f"layer '{name}' is a SpikingNetwork inside another module; give that network itself, its price is its "
                "graph's"
            )
    if isinstance(module, (neuron.BaseNode, neuron.SimpleBaseNode)):
        return _neurons(name, module, note)
    if library_of(module):
        return neurons_of(name, module, note).neuron
    raise BadInputError(
        f"layer '{name}' is a {type(module).__name__}, which has no price; use spiking neurons and {KNOWN_LAYERS}"
    )


def has_state(module: nn.Module) -> bool:
    """Whether a layer remembers what came before, as neurons do."""
    return isinstance(module, base.MemoryModule | OwnNeurons) or is_neuron(module)


def _convolution(name: str, module: nn.Conv2d) -> Conv2d:
    own = type(module)._conv_forward is not nn.Conv2d._conv_forward
    if own or type(module).forward not in (nn.Conv2d.forward, layer.Conv2d.forward, QuantisedConv2d.forward):
        raise _own_forward(name, module, "Conv2d")
    if _side(name, "dilation", module.dilation) != 1:
        raise BadInputError(f"layer '{name}': dilation {module.dilation} has no price; use dilation=1, a larger kernel")
    if module.padding_mode != "zeros":
        raise BadInputError(f"layer '{name}': padding_mode '{module.padding_mode}' cannot be expressed; use 'zeros'")
    kernel, stride = _side(name, "kernel_size", module.kernel_size), _side(name, "stride", module.stride)
    if module.padding == "same" and kernel % 2 == 0:
        raise BadInputError(f"layer '{name}': padding 'same' of an even kernel is uneven; use an odd kernel_size")
    named = {"same": kernel // 2, "valid": 0}
    padding = named[module.padding] if isinstance(module.padding, str) else _side(name, "padding", module.padding)
    bias, bits = module.bias is not None, weight_bits_of(module)
    return Conv2d(module.in_channels, module.out_channels, kernel, stride, padding, module.groups, bias, bits)


def _fully_connected(name: str, module: nn.Linear, before: Shape) -> Linear:
    if type(module).forward not in (nn.Linear.forward, layer.Linear.forward, QuantisedLinear.forward):
        raise _own_forward(name, module, "Linear")
    if len(before) != 1:
        raise BadInputError(f"layer '{name}' is a Linear on values of shape {before}; flatten them first")
    return Linear(module.in_features, module.out_features, module.bias is not None, weight_bits_of(module))


def _normalisation(name: str, module: nn.BatchNorm1d | nn.BatchNorm2d, before: Shape) -> BatchNorm:
    known = (nn.BatchNorm1d, nn.BatchNorm2d, layer.BatchNorm1d, layer.BatchNorm2d)
    if type(module).forward not in {kind.forward for kind in known}:
        raise _own_forward(name, module, "BatchNorm2d")
    if isinstance(module, nn.BatchNorm1d) and len(before) != 1:
        raise BadInputError(f"layer '{name}' is a BatchNorm1d on values of shape {before}; use BatchNorm2d on maps")
    if not module.affine or not module.track_running_stats:
        raise BadInputError(
            f"layer '{name}': a batch norm is priced as a trained affine map; use affine=True, track_running_stats=True"
        )
    return BatchNorm(module.num_features)


def _pool(name: str, module: nn.AvgPool2d | nn.MaxPool2d, before: Shape, after: Shape) -> Operation:
    sides = [_side(name, key, getattr(module, key)) for key in ("kernel_size", "stride", "padding")]
    kernel, stride, padding = sides
    if after[1:] != tuple((side + 2 * padding - kernel) // stride + 1 for side in before[1:]):
        raise BadInputError(f"layer '{name}': ceil_mode makes its map {after[1:]}; use padding or another window")
    if isinstance(module, nn.MaxPool2d):
        if _side(name, "dilation", module.dilation) != 1 or module.return_indices:
            raise BadInputError(f"layer '{name}': use dilation=1 and return_indices=False")
        return MaxPool2d(*sides)
    if module.divisor_override is not None or (padding and not module.count_include_pad):
        raise BadInputError(f"layer '{name}': use count_include_pad=True and no divisor_override")
    return AvgPool2d(*sides)


def _adaptive_pool(
    name: str, module: nn.AdaptiveAvgPool2d | nn.AdaptiveMaxPool2d, before: Shape, after: Shape
) -> Operation | None:
    windows = {inside // outside for inside, outside in zip(before[1:], after[1:], strict=True)}
    remainders = [inside % outside for inside, outside in zip(before[1:], after[1:], strict=True)]
    if len(windows) != 1 or any(remainders):
        raise BadInputError(
            f"layer '{name}' pools {before[1:]} to {after[1:]}, which takes windows that are not square or not equal; "
            "choose an output_size that divides height and width by the same number"
        )
    window = windows.pop()
    if window == 1:
        return None
    return (AvgPool2d if isinstance(module, nn.AdaptiveAvgPool2d) else MaxPool2d)(window, window)


def _neurons(name: str, module: Any, note: Note) -> Neuron:
    kind = type(module)
    if kind not in LEAKY + LEARNED + LEAKLESS:
        raise BadInputError(
            f"layer '{name}' is a {kind.__name__}, which has no price; use LIFNode, ParametricLIFNode or IFNode"
        )
    if module.v_reset is None and kind not in LEAKY:
        note(f"layer '{name}' subtracts at reset; it is priced with a hard reset, which costs the same")
    threshold, reset = number(name, "thresholds", module.v_threshold, note), float(module.v_reset or 0.0)
    if kind in LEAKLESS:
        return IF(threshold, reset)
    tau = learned_tau(module.w) if kind in LEARNED else float(module.tau)
    unit = 1.0 if module.decay_input else 1 / tau
    if kind in LEARNED:
        return PLIF(tau, threshold * unit, reset * unit)
    return SoftResetLIF(tau, threshold * unit) if module.v_reset is None else LIF(tau, threshold * unit, reset * unit)


def _side(name: str, what: str, value: Any) -> int:
    sides = set(value) if isinstance(value, tuple | list) else {value}
    if len(sides) != 1:
        raise BadInputError(f"layer '{name}': {what} {tuple(value)} is not square; use the same for height and width")
    return int(sides.pop())


def _own_forward(name: str, module: nn.Module, kind: str) -> BadInputError:
    return BadInputError(
        f"layer '{name}' is a {type(module).__name__}, a {kind} that computes something of its own; use a plain {kind}"
    )
