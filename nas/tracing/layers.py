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
    Sides,
    Vote,
    pair,
    sides_of,
)
from hasnas.search_spaces.lif_scan import ScannedLIF
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.neurons.modules import LearnedTauLIF, OwnNeurons, learned_tau, neuron
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.quantization import QuantisedConv2d, QuantisedLinear, weight_bits_of

from .elsewhere import Note, is_neuron, library_of, neurons_of, number

from spikingjelly.activation_based import base, layer  # isort: skip  # only after hasnas has silenced its import

KNOWN_LAYERS = (
    "Conv1d, Conv2d, Linear, BatchNorm1d, BatchNorm2d, AvgPool, MaxPool, AdaptiveAvgPool, AdaptiveMaxPool 1d and 2d, "
    "Dropout, Dropout2d, Flatten, Identity, VotingLayer, LIFNode, ParametricLIFNode, IFNode, neurons of hasnas"
)
AlongLine = nn.Conv1d | nn.AvgPool1d | nn.MaxPool1d | nn.AdaptiveAvgPool1d | nn.AdaptiveMaxPool1d
Averages = nn.AvgPool1d | nn.AvgPool2d | nn.AdaptiveAvgPool1d | nn.AdaptiveAvgPool2d
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
        before: shape of its input without time and batch; `(C, L)` along a line.
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
            if len(before) != 1 or before[0] % module.voting_size:
                size = module.voting_size
                raise BadInputError(f"layer '{name}': values of shape {before} are no groups of {size}; make them so")
            return Vote(module.voting_size)
        case nn.Conv1d() | nn.Conv2d():
            return _convolution(name, module)
        case nn.Linear():
            return _fully_connected(name, module, before)
        case nn.BatchNorm2d() | nn.BatchNorm1d():
            return _normalisation(name, module, before)
        case nn.AvgPool1d() | nn.MaxPool1d() | nn.AvgPool2d() | nn.MaxPool2d():
            return _pool(name, module, before, after)
        case nn.AdaptiveAvgPool1d() | nn.AdaptiveMaxPool1d() | nn.AdaptiveAvgPool2d() | nn.AdaptiveMaxPool2d():
            return _adaptive_pool(name, isinstance(module, Averages), before, after)
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


def is_along_line(module: nn.Module) -> bool:
    """Whether a layer takes lines `(C, L)`: it is priced and run as one on maps of one row.

    >>> is_along_line(nn.Conv1d(1, 2, 3)), is_along_line(nn.Conv2d(1, 2, 3))
    (True, False)
    """
    return isinstance(module, AlongLine)


def _convolution(name: str, module: nn.Conv1d | nn.Conv2d) -> Conv2d:
    plain = nn.Conv1d if isinstance(module, nn.Conv1d) else nn.Conv2d
    known = (plain.forward, getattr(layer, plain.__name__).forward, QuantisedConv2d.forward)
    if type(module)._conv_forward is not plain._conv_forward or type(module).forward not in known:
        raise _own_forward(name, module, plain.__name__)
    if set(module.dilation) != {1}:
        raise BadInputError(f"layer '{name}': dilation {module.dilation} has no price; use dilation=1, a larger kernel")
    if module.padding_mode != "zeros":
        raise BadInputError(f"layer '{name}': padding_mode '{module.padding_mode}' cannot be expressed; use 'zeros'")
    kernel, stride = _sides(module, "kernel_size"), _sides(module, "stride")
    if module.padding == "same" and any(side % 2 == 0 for side in pair(kernel)):
        raise BadInputError(f"layer '{name}': padding 'same' of an even kernel is uneven; use an odd kernel_size")
    height, width = pair(kernel)
    named: dict[str, Sides] = {"same": (height // 2, width // 2), "valid": 0}
    padding = named[module.padding] if isinstance(module.padding, str) else _sides(module, "padding", across=0)
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
    if isinstance(module, nn.BatchNorm1d) and len(before) > 2:
        raise BadInputError(f"layer '{name}' is a BatchNorm1d on values of shape {before}; use BatchNorm2d on maps")
    if not module.affine or not module.track_running_stats:
        raise BadInputError(
            f"layer '{name}': a batch norm is priced as a trained affine map; use affine=True, track_running_stats=True"
        )
    return BatchNorm(module.num_features)


def _pool(name: str, module: Any, before: Shape, after: Shape) -> Operation:
    pool = (AvgPool2d if isinstance(module, Averages) else MaxPool2d)(
        _sides(module, "kernel_size"), _sides(module, "stride"), _sides(module, "padding", across=0)
    )
    if as_maps(after)[1:] != pool.size_after(as_maps(before)[1:]):
        raise BadInputError(f"layer '{name}': ceil_mode makes its map {after[1:]}; use padding or another window")
    if isinstance(pool, MaxPool2d):
        if {*pair(_sides(module, "dilation"))} != {1} or module.return_indices:
            raise BadInputError(f"layer '{name}': use dilation=1 and return_indices=False")
    elif getattr(module, "divisor_override", None) is not None or (pool.padding and not module.count_include_pad):
        raise BadInputError(f"layer '{name}': use count_include_pad=True and no divisor_override")
    return pool


def as_maps(shape: Shape) -> Any:
    """Lines `(C, L)` as maps of one row, `(C, 1, L)`; other shapes as they are."""
    return (shape[0], 1, shape[1]) if len(shape) == 2 else shape


def _adaptive_pool(name: str, averages: bool, before: Shape, after: Shape) -> Operation | None:
    between = list(zip(as_maps(before)[1:], as_maps(after)[1:], strict=True))
    if any(inside % outside for inside, outside in between):
        raise BadInputError(
            f"layer '{name}' pools {before[1:]} to {after[1:]}, which takes windows that are not equal; choose an "
            "output_size that divides the map's"
        )
    window = sides_of(tuple(inside // outside for inside, outside in between))
    if window == 1:
        return None
    return (AvgPool2d if averages else MaxPool2d)(window, window)


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


def _sides(module: Any, key: str, across: int = 1) -> Sides:
    """Height and width of what a module says; along a line, `across` stands for the height."""
    value = getattr(module, key)
    found = tuple(value) if isinstance(value, tuple | list) else (value,)
    if is_along_line(module):
        return (across, int(found[0]))
    return (int(found[0]), int(found[-1]))


def _own_forward(name: str, module: nn.Module, kind: str) -> BadInputError:
    return BadInputError(
        f"layer '{name}' is a {type(module).__name__}, a {kind} that computes something of its own; use a plain {kind}"
    )
