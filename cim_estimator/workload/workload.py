"""What is priced: the layers of one network, or of a whole population, as arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from functools import cached_property
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, nearest

IntArray = NDArray[np.integer[Any]]
FloatArray = NDArray[np.float64]


class LayerKind(IntEnum):
    """What a layer does, and with it which circuits it occupies."""

    NONE = 0  # the slot is unused by this candidate and costs exactly nothing
    CONV = 1
    LINEAR = 2
    POOL = 3
    ADD = 4
    LIF = 5
    SCALE = 6  # stand-alone batch norm: a digital multiply and add


KINDS = {kind.name.lower(): kind for kind in LayerKind}
_NAMES = {value: name for name, value in KINDS.items()}


@dataclass(frozen=True)
class LayerSpec:
    """One layer as a user writes it.

    Args:
        kind: `"conv"`, `"linear"`, `"pool"`, `"add"`, `"lif"` or `"scale"`.
        in_channels: input channels; for `"add"` the sum over the operands (three maps of 16 channels: 48).
        out_channels: output channels.
        kernel_size: side of the kernel or pooling window, or `(height, width)`.
        stride: of the kernel or window, or `(down, across)`.
        groups: groups of a convolution.
        in_size: side of the input map, or `(height, width)`.
        out_size: side of the output map; unless given, that of a padded convolution, `ceil(in / stride)`.
        evaluations: times the layer runs per sample; 0 means every timestep, 1 a layer whose input is static.
        input_bits: 1 for binary spikes, more for real values.
        weight_bits: 0 means as the hardware says.
        biases: bias values deployed after batch norm is folded in.
        parameters: trainable parameters as trained; unless given, weights and biases.
        input_rate: measured share of non-zero inputs per evaluation, 0 to 1; None means unknown.
        level: position in the order of execution; parallel branches share one; unless given, the layer's index.
        delay: 1 if the output is held for the next timestep (feedback).
        name: shown in reports; unless given, kind and index.
        membrane_bits: of the neurons' registers; 0 means as the hardware says.

    Raises:
        BadInputError: if a number cannot be.

    >>> LayerSpec("conv", in_channels=3, out_channels=64, kernel_size=3, in_size=32).output_shape
    (32, 32)
    """

    kind: str
    in_channels: int
    out_channels: int
    kernel_size: int | tuple[int, int] = 1
    stride: int | tuple[int, int] = 1
    groups: int = 1
    in_size: int | tuple[int, int] = 1
    out_size: int | tuple[int, int] | None = None
    evaluations: int = 0
    input_bits: int = 1
    weight_bits: int = 0
    biases: int = 0
    parameters: int | None = None
    input_rate: float | None = None
    level: int | None = None
    delay: int = 0
    name: str = ""
    membrane_bits: int = 0

    def __post_init__(self) -> None:
        where = f"layer '{self.name or self.kind}'"
        if not isinstance(self.kind, str) or self.kind not in KINDS:
            raise BadInputError(f"{where}: unknown kind{nearest(str(self.kind), KINDS)}")
        if not isinstance(self.name, str):
            raise BadInputError(f"{where}: name is {self.name!r}; give a text, in quotes if it looks like a number")
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not (value is None and name in _MAY_BE_UNKNOWN) and not _is_count(value, least):
                raise BadInputError(
                    f"{where}: {name} is {value!r}; give a whole number of at least {least} and at most {MOST}"
                )
        for name in ("kernel_size", "stride", "in_size", "out_size"):
            self._check_size(name, where)
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise BadInputError(
                f"{where}: groups is {self.groups}, which does not divide {self.in_channels} -> {self.out_channels}"
                " channels; choose a common divisor"
            )
        rate = self.input_rate
        if rate is not None and not (isinstance(rate, Real) and not isinstance(rate, bool) and 0 <= rate <= 1):
            raise BadInputError(f"{where}: input_rate is {self.input_rate}; give 0 to 1, or leave it out if unknown")

    def _check_size(self, name: str, where: str) -> None:
        value = getattr(self, name)
        if name == "out_size" and value is None:
            return
        if not all(_is_count(side, 1) for side in _pair(value)):
            raise BadInputError(f"{where}: {name} is {value!r}; give a side of at least 1, or [height, width]")

    @property
    def input_shape(self) -> tuple[int, int]:
        """Height and width of the input map."""
        return _pair(self.in_size)

    @property
    def window(self) -> tuple[int, int]:
        """Height and width of the kernel or pooling window."""
        return _pair(self.kernel_size)

    @property
    def output_shape(self) -> tuple[int, int]:
        """Height and width of the output map."""
        if self.out_size is not None:
            return _pair(self.out_size)
        height, width = self.input_shape
        down, across = _pair(self.stride)
        return -(-height // down), -(-width // across)


_LEAST = {
    "in_channels": 1, "out_channels": 1, "groups": 1, "evaluations": 0, "input_bits": 1, "weight_bits": 0, "biases": 0,
    "delay": 0, "membrane_bits": 0, "parameters": 0, "level": 0,
}  # fmt: skip
_MAY_BE_UNKNOWN = ("parameters", "level")
MOST = 10**9
"""The largest number that a layer may have."""


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool) and bool(least <= value <= MOST)


def _pair(size: Any) -> tuple[Any, Any]:
    if isinstance(size, (tuple, list)):
        return (size[0], size[1]) if len(size) == 2 else (None, None)
    return size, size


@dataclass(frozen=True)
class Workload:
    """The layers of one network, or of many candidates at once, as NumPy arrays.

    Every array has the shape `[..., L]` or broadcasts to it: L layer slots, leading axes are candidates. A slot that a
    candidate does not use has the kind `NONE`, whatever its other numbers.

    Args:
        names: the L slots' names.
        timesteps: T of one sample.
        kind: `LayerKind` of each slot.
        in_channels, out_channels, kernel_size, stride, groups, in_height, in_width, out_height, out_width: geometry;
            kernel and stride are those across; an `ADD` slot has the channels of all its operands as `in_channels` (two
            if it equals `out_channels`).
        evaluations: times the layer runs per sample: T, or 1 for a layer whose input is static.
        input_bits: 1 for binary spikes; real values enter bit by bit.
        weight_bits: 0 means as the hardware says.
        biases: bias values deployed after folding batch norm.
        parameters: trainable parameters of the layer as trained (weights, biases, batch norm).
        input_rate: measured share of non-zero inputs per evaluation; NaN means unknown.
        level: longest-path level over the connections without delay; parallel branches share a level.
        delay: 1 where the layer's output is held for the next timestep (feedback).
        membrane_bits: of the neurons' registers; 0 means as the hardware says.
        kernel_height: of the kernel or window; 0 means as high as wide, 1 is a kernel along a line.

    Raises:
        BadInputError: if shapes do not fit, a number is not whole, or a used slot has an impossible geometry.

    >>> layers = [LayerSpec("conv", 2, 4, kernel_size=3, in_size=8), LayerSpec("lif", 4, 4, in_size=8)]
    >>> network = Workload.from_layers(layers, timesteps=5)
    >>> int(network.weights.sum()), network.shape
    (72, (2,))
    """

    names: tuple[str, ...]
    timesteps: int
    kind: IntArray
    in_channels: IntArray
    out_channels: IntArray
    kernel_size: IntArray
    stride: IntArray
    groups: IntArray
    in_height: IntArray
    in_width: IntArray
    out_height: IntArray
    out_width: IntArray
    evaluations: IntArray
    input_bits: IntArray
    weight_bits: IntArray
    biases: IntArray
    parameters: IntArray
    input_rate: FloatArray
    level: IntArray
    delay: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))
    membrane_bits: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))
    kernel_height: IntArray = field(default_factory=lambda: np.zeros(1, np.int64))

    def __post_init__(self) -> None:
        if isinstance(self.timesteps, bool) or self.timesteps < 1:
            raise BadInputError(f"timesteps is {self.timesteps}; give at least 1")
        for name in ARRAY_FIELDS:
            object.__setattr__(self, name, self._checked_array(name))
        self._check_values()

    def _checked_array(self, name: str) -> NDArray[Any]:
        array = np.atleast_1d(np.asarray(getattr(self, name)))
        if name == "input_rate":
            array = array.astype(np.float64, copy=False)
        elif not np.issubdtype(array.dtype, np.integer):
            raise BadInputError(f"workload: {name} holds {array.dtype} numbers; give whole numbers")
        if array.shape[-1] not in (1, len(self.names)):
            raise BadInputError(f"workload: {name} has {array.shape[-1]} slots, but there are {len(self.names)} names")
        return array

    def _check_values(self) -> None:
        try:
            np.broadcast_shapes(*(getattr(self, name).shape for name in ARRAY_FIELDS))
        except ValueError as error:
            shapes = ", ".join(f"{name} {getattr(self, name).shape}" for name in ARRAY_FIELDS)
            raise BadInputError(f"workload: the arrays do not broadcast together: {shapes}") from error
        if self.kind.size and (self.kind.min() < 0 or self.kind.max() > max(LayerKind)):
            raise BadInputError(f"workload: kind must be 0 to {max(LayerKind)}; see LayerKind")
        used = self.kind != LayerKind.NONE
        for name in _POSITIVE:
            array = getattr(self, name)
            if array.size and array.min() < 1 and bool(np.any(used & (array < 1))):
                raise BadInputError(
                    f"{self._slot(used & (array < 1))}: {name} is below 1; give at least 1, or kind NONE"
                )
        rate = self.input_rate
        if rate.size and bool(np.any(used & ((rate < 0) | (rate > 1)))):
            raise BadInputError(f"{self._slot(used & ((rate < 0) | (rate > 1)))}: input_rate lies outside 0 to 1")

    def _slot(self, wrong: NDArray[np.bool_]) -> str:
        slots = np.nonzero(wrong.reshape(-1, wrong.shape[-1]).any(axis=0))[0]
        return f"layer '{self.names[int(slots[0])]}'"

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape `[..., L]` that every array broadcasts to."""
        return np.broadcast_shapes(*(getattr(self, name).shape for name in ARRAY_FIELDS), (len(self.names),))

    @cached_property
    def on_crossbar(self) -> NDArray[np.bool_]:
        """Slots that hold weights: convolutions and fully connected layers."""
        return (self.kind == LayerKind.CONV) | (self.kind == LayerKind.LINEAR)

    @cached_property
    def kernel_places(self) -> IntArray:
        """Places of the kernel or window, `height * width`."""
        return self.kernel_size * np.where(self.kernel_height > 0, self.kernel_height, self.kernel_size)

    @cached_property
    def fan_in(self) -> IntArray:
        """Inputs of one output value, `kernel places * in / groups`; zero where there are no weights."""
        return np.where(self.on_crossbar, self.kernel_places * (self.in_channels // np.maximum(self.groups, 1)), 0)

    @cached_property
    def weights(self) -> IntArray:
        """Weight values of each slot; zero where there are none."""
        return self.fan_in * self.out_channels

    @cached_property
    def positions(self) -> IntArray:
        """Places of the output map, `height * width`."""
        return self.out_height * self.out_width

    @cached_property
    def neurons(self) -> IntArray:
        """Membranes of each LIF slot; zero elsewhere."""
        return np.where(self.kind == LayerKind.LIF, self.out_channels * self.positions, 0)

    def rows(self, start: int, stop: int) -> Workload:
        """Candidates `start` to `stop` of the first leading axis; arrays shared by all candidates stay as they are."""
        return self._picked(slice(start, stop))

    def at(self, places: NDArray[np.int64]) -> Workload:
        """Some candidates of the first leading axis, by their numbers."""
        return self._picked(places)

    def _picked(self, which: slice | NDArray[np.int64]) -> Workload:
        count = len(self.shape)
        cut = {
            name: array[which] if array.ndim == count and array.shape[0] > 1 else array
            for name in ARRAY_FIELDS
            for array in [getattr(self, name)]
        }
        return _unchecked(self.names, self.timesteps, cut)

    @staticmethod
    def from_layers(layers: Sequence[LayerSpec], timesteps: int) -> Workload:
        """Arrays from a list of layers.

        Args:
            layers: in the order of execution.
            timesteps: T of one sample.

        Raises:
            BadInputError: if the list is empty or a layer is impossible.
        """
        if not layers:
            raise BadInputError("the network has no layers; list at least one")
        columns = {name: np.array([_value(name, layer, index, timesteps) for index, layer in enumerate(layers)])
                   for name in ARRAY_FIELDS}  # fmt: skip
        names = tuple(layer.name or f"{layer.kind}{index}" for index, layer in enumerate(layers))
        return Workload(names=names, timesteps=timesteps, **columns)

    def layers(self) -> list[LayerSpec]:
        """The layers of a single network (no leading axis), as a user would write them; unused slots are left out."""
        if len(self.shape) != 1:
            raise BadInputError("this workload holds many candidates; take one with rows() first")
        columns = {name: np.broadcast_to(getattr(self, name), self.shape).tolist() for name in ARRAY_FIELDS}
        used = [index for index, kind in enumerate(columns["kind"]) if kind != LayerKind.NONE]
        return [_layer(self.names[index], {name: column[index] for name, column in columns.items()}) for index in used]


ARRAY_FIELDS = tuple(entry.name for entry in fields(Workload) if entry.name not in ("names", "timesteps"))
_POSITIVE = ("in_channels", "out_channels", "kernel_size", "groups", "in_height", "in_width", "out_height", "out_width",
             "evaluations", "input_bits")  # fmt: skip


def _unchecked(names: tuple[str, ...], timesteps: int, columns: dict[str, Any]) -> Workload:
    """A part of a workload that was checked as a whole."""
    part = object.__new__(Workload)
    for name, value in {"names": names, "timesteps": timesteps, **columns}.items():
        object.__setattr__(part, name, value)
    return part


def _value(name: str, layer: LayerSpec, index: int, timesteps: int) -> Any:
    kind = KINDS[layer.kind]
    height, width = layer.window
    weights = height * width * (layer.in_channels // layer.groups) * layer.out_channels
    weights = weights if kind in (LayerKind.CONV, LayerKind.LINEAR) else 0
    derived = {
        "kind": int(kind),
        "kernel_size": width, "kernel_height": 0 if height == width else height, "stride": _pair(layer.stride)[1],
        "in_height": layer.input_shape[0], "in_width": layer.input_shape[1],
        "out_height": layer.output_shape[0], "out_width": layer.output_shape[1],
        "evaluations": layer.evaluations or timesteps,
        "parameters": weights + layer.biases if layer.parameters is None else layer.parameters,
        "input_rate": np.nan if layer.input_rate is None else layer.input_rate,
        "level": index if layer.level is None else layer.level,
    }  # fmt: skip
    return derived[name] if name in derived else getattr(layer, name)


def _layer(name: str, row: dict[str, Any]) -> LayerSpec:
    row["in_size"] = (row.pop("in_height"), row.pop("in_width"))
    row["out_size"] = (row.pop("out_height"), row.pop("out_width"))
    row["kind"] = _NAMES[LayerKind(row["kind"])]
    height = row.pop("kernel_height")
    if height:
        row["kernel_size"] = (height, row["kernel_size"])
    row["input_rate"] = None if np.isnan(row["input_rate"]) else row["input_rate"]
    return LayerSpec(name=name, **row)
