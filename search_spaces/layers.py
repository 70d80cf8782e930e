"""The kinds of layers that networks are made of: typed operations, their checks, and their plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from hasnas.errors import BadInputError, nearest

from .neurons import ALIF as ALIF
from .neurons import IF as IF
from .neurons import LIF as LIF
from .neurons import NEURONS, neuron_type
from .neurons import PLIF as PLIF
from .neurons import Neuron as Neuron
from .neurons import check_membrane_bits as check_membrane_bits

MOST_WEIGHT_BITS = 16
Sides = int | tuple[int, int]  # height and width, or one number for both


def pair(sides: Sides) -> tuple[int, int]:
    """Height and width.

    >>> pair(3), pair((1, 5))
    ((3, 3), (1, 5))
    """
    return sides if isinstance(sides, tuple) else (sides, sides)


def sides_of(value: Any) -> Any:
    """Sides as layers hold them: one number where height and width agree, so that equal layers are equal.

    >>> sides_of([3, 3]), sides_of((1, 5)), sides_of(2)
    (3, (1, 5), 2)
    """
    if isinstance(value, tuple | list) and len(value) == 2:
        return value[0] if value[0] == value[1] else tuple(value)
    return value


class Windowed:
    """What layers that slide a window over a map have in common; each side is a number or `(height, width)`."""

    kernel_size: Sides
    stride: Sides
    padding: Sides

    def __post_init__(self) -> None:
        for name in ("kernel_size", "stride", "padding"):
            object.__setattr__(self, name, sides_of(getattr(self, name)))

    @property
    def places(self) -> int:
        """Places of the window."""
        height, width = pair(self.kernel_size)
        return height * width

    def size_after(self, before: tuple[int, int]) -> tuple[int, int]:
        """Height and width of the map behind the layer.

        >>> Conv2d(1, 2, (1, 5), (1, 2), (0, 2)).size_after((1, 9))
        (1, 5)
        """
        windows, strides, paddings = pair(self.kernel_size), pair(self.stride), pair(self.padding)
        down, across = (
            (size + 2 * padding - window) // stride + 1
            for size, window, stride, padding in zip(before, windows, strides, paddings, strict=True)
        )
        return down, across


# Fields that files mention only where they are not 0, as files of the first release do not know them.
UNMENTIONED = ("weight_bits", "membrane_bits", "largest_count", "span")


@dataclass(frozen=True)
class Input:
    """Where samples enter; `static` ones (images) are the same at every timestep.

    `largest_count` is the largest of their values if these are whole numbers: 1 for spikes, more for counts of events;
    0 for real values.
    """

    static: bool = True
    largest_count: int = 0


@dataclass(frozen=True)
class Conv2d(Windowed):
    """Convolution, along a line with a kernel `(1, k)`; weights of `weight_bits` bits, 0 for float."""

    in_channels: int
    out_channels: int
    kernel_size: Sides
    stride: Sides = 1
    padding: Sides = 0
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
class AvgPool2d(Windowed):
    """Average over windows, zeros counted at the border."""

    kernel_size: Sides
    stride: Sides
    padding: Sides = 0


@dataclass(frozen=True)
class SumPool2d(AvgPool2d):
    """Sum over windows: costs what their average does, and is worth as many times as much as a window has places."""


@dataclass(frozen=True)
class MaxPool2d(Windowed):
    """Maximum over windows."""

    kernel_size: Sides
    stride: Sides
    padding: Sides = 0


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
    """Mean over groups of `group_size` neighbours: several output neurons speak for one class.

    With a `span` above 0 the operands are spikes, and their mean rate r becomes the value span (r - 1/2).
    """

    group_size: int
    span: float = 0.0

    def decode(self, mean: Any) -> Any:
        """What the mean of a group stands for.

        >>> Vote(1).decode(0.25), Vote(1, span=4.0).decode(0.25)
        (0.25, -1.0)
        """
        return self.span * (mean - 0.5) if self.span else mean


@dataclass(frozen=True)
class Output:
    """Where results leave; the network's answer is their mean over time."""


Operation = (
    Input
    | Conv2d
    | Linear
    | BatchNorm
    | Neuron
    | AvgPool2d
    | SumPool2d
    | MaxPool2d
    | Add
    | Flatten
    | Dropout
    | Vote
    | Output
)
OPERATION_TYPES: dict[str, type] = {kind.__name__: kind for kind in Operation.__args__ if kind is not Neuron}


def layer_to_json(operation: Operation) -> dict[str, Any]:
    """Plain data of an operation; float weights and membranes are not mentioned."""
    data = asdict(operation)
    return {key: value for key, value in data.items() if key not in UNMENTIONED or value}


def parameter_count(operation: Operation) -> int:
    """Trainable parameters of a layer.

    Raises:
        BadInputError: if it is of no kind that is known.
    """
    match operation:
        case Conv2d() as conv:
            kernel = conv.places * conv.in_channels // conv.groups
            return conv.out_channels * (kernel + conv.bias)
        case Linear() as linear:
            return linear.out_features * (linear.in_features + linear.bias)
        case BatchNorm(channels):
            return 2 * channels
        case Neuron():
            return operation.trained_parameters
        case Input() | AvgPool2d() | MaxPool2d() | Add() | Flatten() | Dropout() | Vote() | Output():
            return 0
    raise BadInputError(f"no rule says how many parameters {type(operation).__name__} has")


def check_weight_bits(bits: int, where: str = "weight_bits") -> None:
    """Refuse bits that the quantiser has no levels for; 0 means float weights and passes.

    Raises:
        BadInputError: if `bits` is not a whole number from 0 to 16.
    """
    if isinstance(bits, bool) or not isinstance(bits, int) or not 0 <= bits <= MOST_WEIGHT_BITS:
        raise BadInputError(f"{where} is {bits!r}; give 1 to {MOST_WEIGHT_BITS} bits, or 0 for float weights")


def layer_from_json(item: dict[str, Any]) -> Operation:
    """An operation from plain data.

    Raises:
        BadInputError: if its kind is unknown.
    """
    kind = item.get("kind", "")
    found = OPERATION_TYPES.get(kind) or neuron_type(kind)
    if found is None:
        known = [*OPERATION_TYPES, *(NEURONS.get(name).__name__ for name in NEURONS.names())]
        raise BadInputError(f"layer '{item.get('name')}': unknown kind '{kind}'{nearest(kind, known)}")
    own = {field.name for field in fields(found)}
    operation: Operation = found(**{key: value for key, value in item.items() if key in own})
    return operation
