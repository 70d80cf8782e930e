"""One forward pass for many candidates: what several of them have in common is computed once.

Weights are drawn by layer name, so two candidates share a layer's result if they agree on the layer and on everything
before it. Each result has a number that says so; it is computed when it is first asked for and dropped when no
remaining candidate holds it. Batch norm and sums stay scales and shifts of convolution results (`fused_kernels`).

Batch norm is by the batch at every timestep, as in a network that is stepped through time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import (
    LIF,
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Operation,
    Output,
    Vote,
)
from hasnas.search_spaces.network import attach, initialise, module_for

from .arithmetic import PackedWeight, convolve, pack
from .fused_kernels import fire, materialise, moments

Floats = NDArray[np.float32]
EPSILON = 1e-5
PLAIN = (Input, Conv2d, Linear, BatchNorm, LIF, AvgPool2d, MaxPool2d, Add, Flatten, Dropout, Vote, Output)
LIVE_BYTES = 3 << 30


@dataclass(frozen=True, eq=False)
class Value:
    """A sum of scaled terms plus a shift, channels last.

    Args:
        raws: terms `[T or 1, B, H, W, C]`, float32.
        scales: `[terms, T, C]`; T is 1 for a value that is the same at every timestep.
        shift: `[T, C]`.
    """

    raws: tuple[Tensor, ...]
    scales: Floats
    shift: Floats

    @property
    def steps(self) -> int:
        """Timesteps, 1 for a static value."""
        return len(self.shift)

    @property
    def rows(self) -> tuple[Floats, ...]:
        """Terms as `[T or 1, positions, C]`."""
        return tuple(raw.reshape(len(raw), -1, raw.shape[-1]).numpy() for raw in self.raws)

    @property
    def bytes(self) -> int:
        """Size in memory."""
        return sum(raw.numel() * 4 for raw in self.raws)

    def tensor(self) -> Tensor:
        """The value itself, `[T, B, H, W, C]`."""
        out = torch.empty(self.steps, *self.raws[0].shape[1:])
        materialise(self.rows, self.scales, self.shift, out.view(len(out), -1, out.shape[-1]).numpy())
        return out

    @staticmethod
    def plain(raw: Tensor, scale: Floats | None = None) -> Value:
        """One term as it is."""
        shape = (len(raw), raw.shape[-1])
        ones = np.ones(shape, np.float32) if scale is None else np.tile(scale.astype(np.float32), (shape[0], 1))
        return Value((raw.contiguous(),), ones[None], np.zeros(shape, np.float32))


class Weights:
    """Weights by layer name: drawn as `build_network` draws them, or given.

    Args:
        seed: of the draws.
        given: weights by parameter name that are taken instead.
    """

    def __init__(self, seed: int, given: Mapping[str, Tensor] | None = None) -> None:
        self.seed = seed
        self.given = dict(given or {})
        self._drawn: dict[tuple[str, Operation], Tensor] = {}
        self._packed: dict[tuple[str, Operation, str], PackedWeight] = {}
        self._matrices: dict[tuple[str, Operation, str], Tensor] = {}

    def weight(self, name: str, operation: Operation) -> Tensor:
        """The weight of a layer."""
        if f"{name}.weight" in self.given:
            return self.given[f"{name}.weight"]
        if (name, operation) not in self._drawn:
            root, module = torch.nn.Module(), module_for(operation)
            assert module is not None, f"layer {name} has no weights"
            attach(root, name, module)
            initialise(root, self.seed)
            self._drawn[name, operation] = root.get_parameter(f"{name}.weight").detach()
        return self._drawn[name, operation]

    def packed(self, name: str, operation: Conv2d, kind: str) -> PackedWeight:
        """The weight of a convolution of spikes, in one kind of number."""
        key = (name, operation, kind)
        if key not in self._packed:
            self._packed[key] = pack(self.weight(name, operation), operation.stride, operation.padding, kind)
        return self._packed[key]

    def matrix(self, name: str, operation: Linear, kind: str) -> Tensor:
        """The weight of a fully connected layer, in bfloat16 unless in single precision."""
        key = (name, operation, kind)
        if key not in self._matrices:
            weight = self.weight(name, operation)
            self._matrices[key] = weight if kind == "float32" else weight.to(torch.bfloat16)
        return self._matrices[key]


@dataclass(frozen=True)
class _Result:
    """What a number stands for: a layer and the numbers of its inputs."""

    node: Node
    inputs: tuple[int, ...]


def supports(graph: LayerGraph) -> bool:
    """Whether the shared forward pass knows every layer and nothing feeds back."""
    if any(link.delay for link in graph.connections):
        return False
    return all(_plain(node.operation) for node in graph.nodes)


def _plain(operation: Operation) -> bool:
    if type(operation) not in PLAIN:
        return False
    if isinstance(operation, Conv2d) and (operation.groups != 1 or operation.bias):
        return False
    if isinstance(operation, Dropout) and operation.probability > 0:
        return False
    if isinstance(operation, Vote) and operation.span:
        return False  # the biases before it do not start at 0
    # Whole-number weights are rounded layer by layer in the network; here they would be rounded twice.
    # The fused kernels know no membranes of few bits.
    return not getattr(operation, "weight_bits", 0) and not getattr(operation, "membrane_bits", 0)


class SharedForward:
    """Runs the networks of many candidates on one batch.

    Args:
        graphs: the candidates, all supported.
        inputs: `[B, C, H, W]`, or `[T, B, C, H, W]`.
        weights: of all layers.
        kind: numbers of convolutions of spikes, one of `ARITHMETICS`.
    """

    def __init__(self, graphs: Sequence[LayerGraph], inputs: Tensor, weights: Weights, kind: str = "float32") -> None:
        self.inputs, self.weights, self.kind = inputs, weights, kind
        self.timesteps = graphs[0].timesteps if graphs else 1
        self._results: list[_Result] = []
        self._numbers: dict[object, int] = {}
        self.names = [self._number(graph) for graph in graphs]
        self._remaining = Counter(number for names in self.names for number in set(names.values()))
        self._live: dict[int, Value | Tensor] = {}
        self.computed: Counter[str] = Counter()

    def order(self) -> Iterator[int]:
        """Candidates so that those with common results follow each other; each is released after its turn."""
        for index in sorted(range(len(self.names)), key=lambda index: list(self.names[index].values())):
            yield index
            self._release(index)

    def spikes(self, number: int) -> Tensor:
        """The spikes behind a number, `[T, B, H, W, C]`, uint8."""
        found = self.result(number)
        assert isinstance(found, Tensor)
        return found

    def result(self, number: int) -> Value | Tensor:
        """The result behind a number: spikes as a tensor, all else as a value."""
        if number not in self._live:
            result = self._results[number]
            self._live[number] = self._evaluate(result.node, [self.result(one) for one in result.inputs])
            self.computed[type(result.node.operation).__name__] += 1
        return self._live[number]

    def _number(self, graph: LayerGraph) -> dict[str, int]:
        names: dict[str, int] = {}
        for node in graph.nodes:
            inputs = tuple(sorted(names[link.source] for link in graph.inputs(node.name)))
            weighted = isinstance(node.operation, Conv2d | Linear)
            passes = isinstance(node.operation, Dropout) and len(inputs) == 1
            key = (node.operation, node.name if weighted else "", inputs, node.shape)
            if not passes and key not in self._numbers:
                self._numbers[key] = len(self._results)
                self._results.append(_Result(node, inputs))
            names[node.name] = inputs[0] if passes else self._numbers[key]
        return names

    def _release(self, index: int) -> None:
        held = set(self.names[index].values())
        for number in held:
            self._remaining[number] -= 1
        self._live = {number: value for number, value in self._live.items() if self._remaining[number] > 0}
        if sum(_bytes(value) for value in self._live.values()) > LIVE_BYTES:
            self._live.clear()  # computed again when asked for

    def _evaluate(self, node: Node, arriving: list[Value | Tensor]) -> Value | Tensor:
        match node.operation:
            case Input():
                frames = self.inputs if self.inputs.dim() == 5 else self.inputs.unsqueeze(0)
                return Value.plain(frames.float().permute(0, 1, 3, 4, 2))
            case Add():
                return _sum([_value(one) for one in arriving])
            case BatchNorm():
                return _normalised(_value(arriving[0]))
            case LIF(tau, threshold, reset):
                return self._fire(_value(arriving[0]), (tau, threshold, reset))
            case Conv2d() as convolution:
                return self._convolved(arriving[0], node.name, convolution)
            case Linear() as linear:
                weight = self.weights.matrix(node.name, linear, self.kind)
                return Value.plain((_tensor(arriving[0]).to(weight.dtype) @ weight.T).float())
            case AvgPool2d(kernel, stride, padding):
                mean = partial(functional.avg_pool2d, kernel_size=kernel, stride=stride, padding=padding)
                return _pooled(arriving[0], mean, by_terms=padding == 0)
            case MaxPool2d(kernel, stride, padding):
                largest = partial(functional.max_pool2d, kernel_size=kernel, stride=stride, padding=padding)
                return _pooled(arriving[0], largest, by_terms=False)
            case Flatten():
                image = _tensor(arriving[0]).permute(0, 1, 4, 2, 3).flatten(2)
                return Value.plain(image[:, :, None, None])
        raise BadInputError(
            f"layer '{node.name}' ({type(node.operation).__name__}) is not computed here; ask for one before the vote"
        )

    def _fire(self, value: Value, neuron: tuple[float, float, float]) -> Tensor:
        spikes = torch.empty(self.timesteps, *value.raws[0].shape[1:], dtype=torch.uint8)
        rows = spikes.view(self.timesteps, -1, spikes.shape[-1]).numpy()
        fire(value.rows, value.scales, value.shift, neuron, rows)
        return spikes

    def _convolved(self, arriving: Value | Tensor, name: str, convolution: Conv2d) -> Value:
        kind = self.kind if isinstance(arriving, Tensor) else "float32"
        image = _tensor(arriving) if isinstance(arriving, Value) else arriving
        terms = convolve(image.flatten(0, 1), self.weights.packed(name, convolution, kind))
        return _sum([Value.plain(raw.unflatten(0, image.shape[:2]), scale.numpy()) for raw, scale in terms])


def _bytes(value: Value | Tensor) -> int:
    return value.bytes if isinstance(value, Value) else value.numel()


def _value(arriving: Value | Tensor) -> Value:
    return arriving if isinstance(arriving, Value) else Value.plain(arriving.float())


def _tensor(arriving: Value | Tensor) -> Tensor:
    return arriving.tensor() if isinstance(arriving, Value) else arriving.float()


def _sum(values: list[Value]) -> Value:
    steps = max(value.steps for value in values)
    repeats = [1 if value.steps == steps else steps for value in values]
    scales = [np.repeat(value.scales, repeat, axis=1) for value, repeat in zip(values, repeats, strict=True)]
    shifts = [np.repeat(value.shift, repeat, axis=0) for value, repeat in zip(values, repeats, strict=True)]
    raws = tuple(raw for value in values for raw in value.raws)
    return Value(raws, np.concatenate(scales), np.sum(shifts, axis=0, dtype=np.float32))


def _normalised(value: Value) -> Value:
    mean, variance = moments(value.rows, value.scales, value.shift)
    gain = 1 / np.sqrt(variance + EPSILON)
    scales, shift = value.scales * gain, (value.shift - mean) * gain
    return replace(value, scales=scales.astype(np.float32), shift=shift.astype(np.float32))


def _pooled(arriving: Value | Tensor, pool: Callable[[Tensor], Tensor], by_terms: bool) -> Value:
    """Pooled maps; a mean without border may be taken term by term."""
    if isinstance(arriving, Value) and by_terms:
        return replace(arriving, raws=tuple(_pool(raw, pool) for raw in arriving.raws))
    return Value.plain(_pool(_tensor(arriving), pool))


def _pool(maps: Tensor, pool: Callable[[Tensor], Tensor]) -> Tensor:
    image = maps.flatten(0, 1).permute(0, 3, 1, 2)
    return pool(image).permute(0, 2, 3, 1).unflatten(0, maps.shape[:2]).contiguous()
