"""The ten workloads of the mapping literature, rebuilt by size and topology; weights and spikes are drawn by a seed.

Their trained weights and recordings are not published. Sizes are those told in the papers of SpiNeMap, eSpine and
DFSynthesizer as far as they could be read; where a told size contradicts a simple graph, what was built is said here.
A pool is a layer of neurons with fixed weights, as the converters of that literature make it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from hasnas.cim_estimator.mapping import SpikeGraph, SpikeTimes
from hasnas.nas.spikes.synapses import layer_matrix
from hasnas.search_spaces.graph import Node
from hasnas.search_spaces.layers import AvgPool2d, Conv2d, Linear, Operation

Rng = np.random.Generator
STEPS = 50
RATE = 1.0, 9.0  # of the beta distribution of firing rates: a tenth of the timesteps on average


class Builder:
    """Layers of neurons and the matrices between them."""

    def __init__(self, inputs: tuple[int, ...], rng: Rng, by_channel: bool = False) -> None:
        self.rng, self.by_channel, self.shape = rng, by_channel, inputs
        self.positions = [int(np.prod(inputs[1:])) if by_channel else 1]
        self.sizes = [inputs[0] if by_channel else int(np.prod(inputs))]
        self.parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]] = []

    def layer(self, operation: Operation, shape: tuple[int, ...], weight_shape: tuple[int, ...] | None = None) -> None:
        """A layer of neurons that hear the last one through an operation."""
        weight = None if weight_shape is None else self.rng.normal(size=weight_shape).astype(np.float32)
        flat = int(np.prod(self.shape))
        source = (flat,) if isinstance(operation, Linear) else self.shape
        matrix = layer_matrix(Node("layer", operation, shape), source, weight, self.by_channel and len(shape) == 3)
        size = shape[0] if self.by_channel else int(np.prod(shape))
        self.connect(matrix, size, int(np.prod(shape)) // size)
        self.shape = shape

    def connect(self, matrix: csr_matrix, size: int, positions: int = 1) -> None:
        """A layer of `size` neurons that hear the last one by a matrix `[size, last]`."""
        found = matrix.tocoo()
        start = sum(self.sizes)
        self.parts.append((found.col + (start - self.sizes[-1]), found.row + start, found.data))
        self.sizes.append(size)
        self.positions.append(positions)

    def conv(self, maps: int, side: int, padding: int = 0, stride: int = 1) -> None:
        """A convolution with full mixing of maps."""
        before, height = self.shape[0], (self.shape[1] + 2 * padding - side) // stride + 1
        operation = Conv2d(before, maps, side, stride, padding)
        self.layer(operation, (maps, height, height), (maps, before, side, side))

    def pool(self) -> None:
        """An average over windows of 2 x 2."""
        self.layer(AvgPool2d(2, 2), (self.shape[0], self.shape[1] // 2, self.shape[2] // 2))

    def full(self, size: int) -> None:
        """A fully connected layer."""
        last = self.sizes[-1]
        weight = self.rng.normal(size=(size, last)).astype(np.float32)
        self.connect(csr_matrix(weight), size)
        self.shape = (size,)

    def graph(self) -> SpikeGraph:
        """The graph with spikes drawn for every neuron."""
        ends = [np.concatenate([part[axis] for part in self.parts]) for axis in range(3)]
        shares = ends[2] / np.abs(ends[2]).max()
        neurons = sum(self.sizes)
        bare = SpikeGraph.from_edges(ends[0], ends[1], np.zeros(neurons), STEPS, strengths=shares)
        if not self.by_channel:
            return with_spikes(bare, self.rng)
        positions = np.repeat(self.positions, self.sizes)
        spikes = self.rng.binomial(STEPS * positions, self.rng.beta(*RATE, neurons))
        most = int(positions.max())
        return replace(bare, spikes=spikes, steps=STEPS * most, step_s=1e-3 / most)


def with_spikes(graph: SpikeGraph, rng: Rng) -> SpikeGraph:
    """Every neuron spikes at its own rate."""
    fires = rng.random((graph.neurons, STEPS)) < rng.beta(*RATE, (graph.neurons, 1))
    neuron, step = np.nonzero(fires)
    counts = np.bincount(neuron, minlength=graph.neurons)
    offsets = np.concatenate([[0], np.cumsum(counts)])
    times = SpikeTimes(offsets, np.zeros(len(step), np.int32), step.astype(np.int32))
    return replace(graph, spikes=counts, times=times)


def lenet(rng: Rng) -> SpikeGraph:
    """LeNet-5 on 32 x 32 pixels, maps fully mixed."""
    net = Builder((1, 32, 32), rng)
    net.conv(6, 5)
    net.pool()
    net.conv(16, 5)
    net.pool()
    for size in (120, 84, 10):
        net.full(size)
    return net.graph()


def alexnet(rng: Rng) -> SpikeGraph:
    """AlexNet's convolutions by channel, its fully connected layers in groups of 16 neurons."""
    return by_channel(rng, [(96, 55), (256, 27), (384, 13), (384, 13), (256, 6)], [256, 256, 63])


def vgg16(rng: Rng) -> SpikeGraph:
    """VGG16's convolutions by channel, its fully connected layers in groups of 16 neurons."""
    widths = [(64, 224)] * 2 + [(128, 112)] * 2 + [(256, 56)] * 3 + [(512, 28)] * 3 + [(512, 14)] * 3
    return by_channel(rng, widths, [256, 256, 63])


def by_channel(rng: Rng, maps: list[tuple[int, int]], groups: list[int]) -> SpikeGraph:
    """Convolutions of 1 x 1 channels, then groups of neurons."""
    net = Builder((3, 224, 224), rng, by_channel=True)
    for width, side in maps:
        before = net.sizes[-1]
        net.connect(csr_matrix(rng.normal(size=(width, before)).astype(np.float32)), width, side * side)
    for size in groups:
        net.connect(csr_matrix(rng.normal(size=(size, net.sizes[-1])).astype(np.float32)), size, 16)
    return net.graph()


def heart_class(rng: Rng) -> SpikeGraph:
    """Convolution of 16 maps on 82 x 82 pixels, two pools, 6 outputs: 141,130 neurons and 1.09 million synapses."""
    net = Builder((1, 82, 82), rng)
    net.conv(16, 3)
    net.pool()
    net.pool()
    net.full(6)
    return net.graph()


def digit_mlp(rng: Rng) -> SpikeGraph:
    """784-100-10."""
    net = Builder((784,), rng)
    net.full(100)
    net.full(10)
    return net.graph()


def image_smoothing(rng: Rng) -> SpikeGraph:
    """Windows of 3 x 3 from 64 x 64 pixels to 32 x 32 neurons: 9,025 synapses, as told."""
    net = Builder((1, 64, 64), rng)
    net.conv(1, 3, 1, 2)
    return net.graph()


def edge_detection(rng: Rng) -> SpikeGraph:
    """The same, then 1,000 neurons that hear the 105 nearest of them: 6,120 neurons and 114,025 synapses, as told."""
    net = Builder((1, 64, 64), rng)
    net.conv(1, 3, 1, 2)
    places = np.stack(np.divmod(np.arange(1024), 32), 1)
    own = np.stack([np.repeat(np.linspace(0, 31, 40), 25), np.tile(np.linspace(0, 31, 25), 40)], 1)
    apart = ((own[:, None] - places[None]) ** 2).sum(2)
    near = np.argsort(apart, axis=1, kind="stable")[:, :105]
    weights = rng.normal(size=near.size).astype(np.float32)
    net.connect(csr_matrix((weights, (np.repeat(np.arange(1000), 105), near.ravel())), (1000, 1024)), 1000)
    return net.graph()


def all_to_all(neurons: int) -> Callable[[Rng], SpikeGraph]:
    """A recurrent reservoir; more synapses than pairs of neurons are told of it, so every pair has one."""

    def build(rng: Rng) -> SpikeGraph:
        source, target = np.divmod(np.arange(neurons * neurons), neurons)
        away = source != target
        weights = rng.uniform(-1, 1, int(away.sum()))
        zeros = np.zeros(neurons)
        return with_spikes(SpikeGraph.from_edges(source[away], target[away], zeros, STEPS, strengths=weights), rng)

    return build


def digit_stdp(rng: Rng) -> SpikeGraph:
    """525 inputs, 21 neurons that excite one inhibitory each, which inhibits all others: 567 neurons, as told."""
    excite, inhibit = 525 + np.arange(21), 546 + np.arange(21)
    one, other = np.divmod(np.arange(21 * 21), 21)
    away = one != other
    source = np.concatenate([np.repeat(np.arange(525), 21), excite, inhibit[one[away]]])
    target = np.concatenate([np.tile(excite, 525), inhibit, excite[other[away]]])
    weights = rng.uniform(-1, 1, len(source))
    return with_spikes(SpikeGraph.from_edges(source, target, np.zeros(567), STEPS, strengths=weights), rng)


WORKLOADS: dict[str, Callable[[Rng], SpikeGraph]] = {
    "LeNet": lenet,
    "AlexNet": alexnet,
    "VGG16": vgg16,
    "HeartClass": heart_class,
    "DigitRecogMLP": digit_mlp,
    "EdgeDet": edge_detection,
    "ImgSmooth": image_smoothing,
    "HeartEstm": all_to_all(166),
    "VisualPursuit": all_to_all(205),
    "DigitRecogSTDP": digit_stdp,
}
