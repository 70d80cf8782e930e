"""The kinds of layers that networks are made of: typed operations, their checks, and their plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from hasnas.errors import BadInputError, nearest

MOST_WEIGHT_BITS = 16
LEAST_MEMBRANE_BITS, MOST_MEMBRANE_BITS = 2, 16
# Fields that files mention only where they are not 0, as files of the first release do not know them.
UNMENTIONED = ("weight_bits", "membrane_bits")


@dataclass(frozen=True)
class Input:
    """Where samples enter; `static` ones (images) are the same at every timestep."""

    static: bool = True


@dataclass(frozen=True)
class Conv2d:
    """Two-dimensional convolution, square kernel; weights of `weight_bits` bits, 0 for float."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int = 1
    padding: int = 0
    groups: int = 1
    bias: bool = False
    weight_bits: int = 0


@dataclass(frozen=True)
class Linear:
    """Fully connected layer; weights of `weight_bits` bits, 0 for float."""

    in_features: int
    out_features: int
    bias: bool = False
    weight_bits: int = 0


@dataclass(frozen=True)
class BatchNorm:
    """Batch normalisation over channels; an affine map once trained."""

    channels: int


@dataclass(frozen=True)
class Neuron:
    """What all spiking neurons are: one per element, with a state that starts every sample at rest.

    All have `membrane_bits`: 0 for float membrane potentials, else b = 2 to 16 bits of a register that holds v. After
    every update, before it is compared with the threshold,

        v <- D clip(round(v / D), -2^(b-1), 2^(b-1) - 1),    D = threshold / 2^(b-2)

    signed fixed point from -2 to just below 2 thresholds: it saturates, rounds to the nearest step (ties to the even
    one), and the threshold itself is a step. The reset is rounded to a step, too, so that v stays on steps after it.
    """


@dataclass(frozen=True)
class LIF(Neuron):
    """Leaky integrate-and-fire neurons, one per element.

    v <- v + (x - v) / tau;  spike where v >= threshold, then v <- reset.

    Source: SpikingJelly `LIFNode` with `decay_input=True` and a hard reset.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    membrane_bits: int = 0


@dataclass(frozen=True)
class PLIF(Neuron):
    """LIF neurons whose time constant is learned, one for the whole layer; `tau`, above 1, is its initial value.

    v <- v + (x - v) sigmoid(w);  spike where v >= threshold, then v <- reset;  w starts at -ln(tau - 1).

    Source: Fang et al., "Incorporating Learnable Membrane Time Constant", ICCV 2021; SpikingJelly `ParametricLIFNode`.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    membrane_bits: int = 0


@dataclass(frozen=True)
class IF(Neuron):
    """Integrate-and-fire neurons without leak: v <- v + x;  spike where v >= threshold, then v <- reset.

    Source: SpikingJelly `IFNode` with a hard reset.
    """

    threshold: float = 1.0
    reset: float = 0.0
    membrane_bits: int = 0


@dataclass(frozen=True)
class ALIF(Neuron):
    """LIF neurons whose threshold rises with each spike and falls back over `tau_adaptation` timesteps.

        v <- v + (x - v) / tau
        z = 1 where v >= threshold + beta a, else 0;  then v <- reset where z = 1
        a <- exp(-1 / tau_adaptation) a + z

    A spike thus counts from the next timestep on. The published model writes the last line with (1 - rho) z, rho =
    exp(-1 / tau_adaptation), which is the same neuron at beta (1 - rho) for beta. Its values (beta 1.8, tau_adaptation
    700 steps, threshold 0.01) raise the threshold by 0.26 of itself at each spike; the default does nearly so. Its time
    constant outlasts the samples of image classification, where a few timesteps are as slow in proportion.
    `membrane_bits` holds for v; the adaptation a is a second state, which stays float.

    Source: Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons", NeurIPS 2018;
    there reset subtracts the threshold, here it is hard as for the other neurons.
    """

    tau: float = 4 / 3
    threshold: float = 1.0
    reset: float = 0.0
    beta: float = 0.25
    tau_adaptation: float = 4.0
    membrane_bits: int = 0


@dataclass(frozen=True)
class AvgPool2d:
    """Average over windows, zeros counted at the border."""

    kernel_size: int
    stride: int
    padding: int = 0


@dataclass(frozen=True)
class MaxPool2d:
    """Maximum over windows."""

    kernel_size: int
    stride: int
    padding: int = 0


@dataclass(frozen=True)
class Add:
    """Sum of all incoming connections."""


@dataclass(frozen=True)
class Flatten:
    """[C, H, W] to a vector."""


@dataclass(frozen=True)
class Dropout:
    """Random zeros in training; nothing afterwards."""

    probability: float = 0.5


@dataclass(frozen=True)
class Vote:
    """Mean over groups of `group_size` neighbours: several output neurons speak for one class."""

    group_size: int


@dataclass(frozen=True)
class Output:
    """Where results leave; the network's answer is their mean over time."""


Operation = (
    Input
    | Conv2d
    | Linear
    | BatchNorm
    | LIF
    | PLIF
    | IF
    | ALIF
    | AvgPool2d
    | MaxPool2d
    | Add
    | Flatten
    | Dropout
    | Vote
    | Output
)
OPERATION_TYPES: dict[str, type] = {kind.__name__: kind for kind in Operation.__args__}
NEURONS: dict[str, type[Neuron]] = {"lif": LIF, "plif": PLIF, "if": IF, "alif": ALIF}


def layer_to_json(operation: Operation) -> dict[str, Any]:
    """Plain data of an operation; float weights and membranes are not mentioned."""
    data = asdict(operation)
    return {key: value for key, value in data.items() if key not in UNMENTIONED or value}


def parameter_count(operation: Operation) -> int:
    """Trainable parameters of a layer."""
    match operation:
        case Conv2d() as conv:
            kernel = conv.kernel_size**2 * conv.in_channels // conv.groups
            return conv.out_channels * (kernel + conv.bias)
        case Linear() as linear:
            return linear.out_features * (linear.in_features + linear.bias)
        case BatchNorm(channels):
            return 2 * channels
        case PLIF():
            return 1
    return 0


def neuron_of(kind: str, tau: float, threshold: float, membrane_bits: int = 0) -> LIF | PLIF | IF | ALIF:
    """The neuron operation that a name stands for; one without leak has no use for `tau`.

    Raises:
        BadInputError: if the name is unknown; the nearest known one is named.

    >>> neuron_of("if", tau=2.0, threshold=0.5)
    IF(threshold=0.5, reset=0.0, membrane_bits=0)
    """
    match kind:
        case "lif":
            return LIF(tau, threshold, membrane_bits=membrane_bits)
        case "plif":
            return PLIF(tau, threshold, membrane_bits=membrane_bits)
        case "if":
            return IF(threshold, membrane_bits=membrane_bits)
        case "alif":
            return ALIF(tau, threshold, membrane_bits=membrane_bits)
    raise BadInputError(f"unknown neuron '{kind}'{nearest(str(kind), NEURONS)}")


def check_weight_bits(bits: int, where: str = "weight_bits") -> None:
    """Refuse bits that the quantiser has no levels for; 0 means float weights and passes.

    Raises:
        BadInputError: if `bits` is not a whole number from 0 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= MOST_WEIGHT_BITS:
        raise BadInputError(f"{where} is {bits!r}; give 1 to {MOST_WEIGHT_BITS} bits, or 0 for float weights")


def check_membrane_bits(bits: int, where: str = "membrane_bits") -> None:
    """Refuse bits that no register of a membrane has; 0 means float membranes and passes.

    Raises:
        BadInputError: if `bits` is neither 0 nor a whole number from 2 to 16.
    """
    least, most = LEAST_MEMBRANE_BITS, MOST_MEMBRANE_BITS
    if isinstance(bits, bool) or not isinstance(bits, int) or not (bits == 0 or least <= bits <= most):
        raise BadInputError(f"{where} is {bits!r}; give {least} to {most} bits, or 0 for float membranes")


def layer_from_json(item: dict[str, Any]) -> Operation:
    """An operation from plain data.

    Raises:
        BadInputError: if its kind is unknown.
    """
    kind = item.get("kind", "")
    if kind not in OPERATION_TYPES:
        raise BadInputError(f"layer '{item.get('name')}': unknown kind '{kind}'{nearest(kind, OPERATION_TYPES)}")
    known = {field.name for field in fields(OPERATION_TYPES[kind])}
    return OPERATION_TYPES[kind](**{key: value for key, value in item.items() if key in known})
