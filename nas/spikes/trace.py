"""Run a deployed network on samples and write down who is connected to whom and when each neuron spikes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_matrix
from torch import Tensor

from hasnas.cim_estimator.mapping import Layers, SpikeGraph, SpikeTimes
from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import Deployed
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import Input, Output

from .synapses import sending_layers, size_of, synapses_of

MOST_TIMES = 100_000_000
BATCH = 64


def trace(deployed: Deployed, samples: Tensor, step_s: float = 1e-3, by_channel: bool = False) -> SpikeGraph:
    """The spike graph of a network, with the spikes that it sends on samples.

    Neurons are numbered layer by layer: inputs, neurons, outputs, in the order of the layers. An input sends a packet
    wherever its value is not zero: a static one once a sample, as layers that depend on it alone are computed once.
    Outputs hear the last layer and send nothing. Biases are added by the periphery.

    Args:
        deployed: the network, see `hasnas.nas.export.deploy`.
        samples: as the network takes them, batch first: `[N, C, H, W]` or `[N, T, C, H, W]`.
        step_s: seconds from one timestep to the next.
        by_channel: whether a channel of maps is one neuron, for large convolutional networks. Spikes are then those of
            the whole channel, sent position by position within a timestep, and spike times are left out. A channel
            takes one row then, where a kernel of k x k takes k^2: give crossbars of fewer rows, or read it as a bound.

    Raises:
        BadInputError: if there is no sample, or samples do not have the network's shape.

    >>> from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
    >>> from hasnas.search_spaces.network import build_network
    >>> from hasnas.nas.export.deploy import deploy
    >>> cell = Genotype(2, (Edge(0, 1, "conv3x3"),))
    >>> network = build_network(Architecture((cell, cell), Macro((1, 8, 8), timesteps=2, channels=4)).expand(), 0)
    >>> graph = trace(deploy(network.graph, network.state_dict()), torch.rand(5, 1, 8, 8))
    >>> graph.samples, graph.steps, int(graph.spikes[:64].sum())
    (5, 2, 320)
    """
    if not len(samples):
        raise BadInputError("there is no sample to trace; give at least one")
    senders = sending_layers(deployed.graph)
    layers = [n for n in deployed.graph.nodes if n.name in senders or isinstance(n.operation, Output)]
    sizes = [size_of(node, by_channel) for node in layers]
    first = dict(zip((node.name for node in layers), np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    bare = _without_times(deployed, first, sum(sizes), by_channel)
    of_layers = Layers(tuple(first), np.repeat(np.arange(len(sizes), dtype=np.int32), sizes))
    records = _Records(deployed.graph, layers, first, by_channel)
    records.run(deployed, samples)
    steps, duration = deployed.graph.timesteps, step_s
    if by_channel:  # a channel's positions are sent one after another
        most = max(node.size // node.shape[0] for node in layers)
        steps, duration = steps * most, step_s / most
    counts, times = records.finish(sum(sizes))
    return replace(
        bare, spikes=counts, steps=steps, samples=len(samples), step_s=duration, times=times, layers=of_layers
    )


def _without_times(deployed: Deployed, first: dict[str, int], neurons: int, by_channel: bool) -> SpikeGraph:
    tensors = {name: tensor.detach().numpy().astype(np.float32) for name, tensor in deployed.tensors.items()}
    rows, columns, shares = [], [], []
    for found in synapses_of(deployed.graph, tensors, by_channel):
        weights = found.weights.tocoo()
        largest = np.abs(weights.data).max(initial=0)
        shares.append(weights.data / largest if largest > 0 else weights.data)
        rows.append((weights.col + first[found.source]).astype(np.int32))
        columns.append((weights.row + first[found.target]).astype(np.int32))
    ends = np.concatenate(rows), np.concatenate(columns)
    table = coo_matrix((np.concatenate(shares), ends), (neurons, neurons)).tocsr()
    table.sort_indices()
    strengths = np.clip(table.data, -1, 1).astype(np.float32)
    offsets = table.indptr.astype(np.int64)
    return SpikeGraph(offsets, table.indices, np.zeros(neurons, np.int64), 1, strengths=strengths)


class _Records:
    """Spikes of the layers, batch after batch."""

    def __init__(self, graph: LayerGraph, layers: list[Node], first: dict[str, int], by_channel: bool) -> None:
        self.graph, self.layers, self.first, self.by_channel = graph, layers, first, by_channel
        self.counts: list[NDArray[np.int64]] = []
        self.parts: list[NDArray[np.int32]] = []  # [neuron, sample, step] by spike
        self.spikes = 0

    @torch.no_grad()
    def run(self, deployed: Deployed, samples: Tensor) -> None:
        network = deployed.network()
        static = network.graph.static_nodes
        for start in range(0, len(samples), BATCH):
            batch = samples[start : start + BATCH].float()
            entry = next(node.name for node in self.layers if isinstance(node.operation, Input))
            values = network.run(batch if entry in static else batch.transpose(0, 1))
            for node in self.layers:
                if isinstance(node.operation, Output):
                    continue
                fires = values[node.name] != 0
                fires = fires.unsqueeze(0) if node.name in static else fires
                self._add(fires.numpy(), node, start)

    def _add(self, fires: NDArray[np.bool_], node: Node, start: int) -> None:
        """Args: fires: `[T, B, C, ...]`."""
        if self.by_channel:
            fires = fires.reshape(*fires.shape[:3], -1)
            counts = fires.sum(axis=(0, 1, 3))
        else:
            fires = fires.reshape(*fires.shape[:2], -1)
            counts = fires.sum(axis=(0, 1))
            self.spikes += int(counts.sum())
            if self.spikes <= MOST_TIMES:
                neuron, sample, step = np.nonzero(fires.transpose(2, 1, 0))
                self.parts.append(np.array([neuron + self.first[node.name], sample + start, step], np.int32))
        self.counts.append(np.stack([np.arange(len(counts)) + self.first[node.name], counts]))

    def finish(self, neurons: int) -> tuple[NDArray[np.int64], SpikeTimes | None]:
        spikes = np.zeros(neurons, np.int64)
        for which, counts in self.counts:
            spikes[which] += counts
        if self.by_channel or self.spikes > MOST_TIMES:
            return spikes, None
        neuron, sample, step = np.concatenate(self.parts, axis=1)
        order = np.argsort(neuron, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(spikes)])
        return spikes, SpikeTimes(offsets, sample[order], step[order])
