"""Networks as spike graphs: synapses carry exactly what the layers compute, spikes are those that the network sends."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import Deployed, deploy
from hasnas.nas.spikes import synapses_of, trace
from hasnas.nas.spikes.synapses import layer_matrix, sending_layers
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.graph import Node
from hasnas.search_spaces.layers import AvgPool2d, BatchNorm, Conv2d, Input, MaxPool2d, Neuron
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network, module_for
from tests.nas.export.conftest import trained as trained

Trained = Callable[..., tuple[Architecture, SpikingNetwork]]


def samples_for(network: SpikingNetwork, count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    entry = network.graph.nodes[0]
    assert isinstance(entry.operation, Input)
    shape = entry.shape if entry.operation.static else (network.graph.timesteps, *entry.shape)
    return torch.rand(count, *shape, generator=generator).mul(4).floor()


@pytest.mark.parametrize(
    "operation, shape, result",
    [
        (Conv2d(3, 4, 3, 1, 1), (3, 5, 6), (4, 5, 6)),
        (Conv2d(4, 6, 3, 2, 0, groups=2), (4, 7, 7), (6, 3, 3)),
        (Conv2d(3, 3, 1, groups=3), (3, 4, 4), (3, 4, 4)),
        (AvgPool2d(2, 2), (2, 4, 6), (2, 2, 3)),
        (AvgPool2d(3, 1, 1), (2, 4, 4), (2, 4, 4)),
    ],
)
def test_matrices_compute_what_the_layers_compute(
    operation: object, shape: tuple[int, ...], result: tuple[int, ...]
) -> None:
    module = module_for(operation)  # type: ignore[arg-type]
    assert module is not None
    weight = getattr(module, "weight", None)
    matrix = layer_matrix(
        Node("n", operation, result),
        shape,
        None if weight is None else weight.detach().numpy(),  # type: ignore[arg-type]
    )
    x = torch.rand(2, *shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = module(x).reshape(2, -1).numpy()
    np.testing.assert_allclose((matrix @ x.reshape(2, -1).numpy().T).T, expected, atol=1e-5)
    assert matrix.shape == expected.shape[1:] + (x[0].numel(),)


def test_windows_of_a_maximum_pool_are_connected() -> None:
    matrix = layer_matrix(Node("pool", MaxPool2d(2, 2), (1, 2, 2)), (1, 4, 4), None)
    assert sorted(matrix[3].indices.tolist()) == [10, 11, 14, 15]


def test_layers_without_a_matrix_are_refused() -> None:
    with pytest.raises(BadInputError, match="deploy the network first"):
        layer_matrix(Node("norm", BatchNorm(2), (2, 4, 4)), (2, 4, 4), None)
    with pytest.raises(BadInputError, match=r"lack tensor 'c.weight'"):
        layer_matrix(Node("c", Conv2d(1, 1, 3), (1, 2, 2)), (1, 4, 4), None)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("feedback", [False, True])
def test_spikes_through_synapses_are_the_currents_of_the_network(trained: Trained, seed: int, feedback: bool) -> None:
    _, network = trained(seed, feedback)
    deployed = deploy(network.graph, network.state_dict())
    runner, steps = deployed.network(torch.float64), network.graph.timesteps
    runs = []
    for sample in range(2):
        x = samples_for(network, 1, sample).double()
        static = x.dim() == 4
        with torch.no_grad():
            runs.append(runner.run(x if static else x.transpose(0, 1)))
    tensors = {name: tensor.numpy() for name, tensor in deployed.tensors.items()}
    found = list(synapses_of(deployed.graph, tensors))
    checked = 0
    for target in deployed.graph.nodes:
        arriving = [one for one in found if one.target == target.name]
        if not isinstance(target.operation, Neuron) or feedback:
            continue
        (link,) = deployed.graph.inputs(target.name)

        def at_steps(run: dict[str, torch.Tensor], name: str) -> np.ndarray:
            return runner.at_every_step(run, name).reshape(steps, -1).numpy()

        currents = at_steps(runs[0], link.source) - at_steps(runs[1], link.source)  # biases cancel
        expected = sum(
            (one.weights @ (at_steps(runs[0], one.source) - at_steps(runs[1], one.source)).T).T for one in arriving
        )
        np.testing.assert_allclose(currents, expected, atol=1e-3, rtol=1e-3)
        checked += 1
    assert checked or feedback
    assert {one.target for one in found} >= {n.name for n in deployed.graph.nodes if isinstance(n.operation, Neuron)}


def deployed_of(trained: Trained, seed: int = 1, feedback: bool = False) -> tuple[Deployed, torch.Tensor]:
    _, network = trained(seed, feedback)
    return deploy(network.graph, network.state_dict()), samples_for(network, 5)


@pytest.mark.slow
@pytest.mark.parametrize("feedback", [False, True])
def test_spikes_are_those_that_the_network_sends(trained: Trained, feedback: bool) -> None:
    deployed, samples = deployed_of(trained, 3, feedback)
    graph = trace(deployed, samples)
    network = deployed.network()
    with torch.no_grad():
        values = network.run(samples)
    layers = [deployed.graph.node(name) for name in sending_layers(deployed.graph)[1:]]
    assert {n.name for n in deployed.graph.nodes if isinstance(n.operation, Neuron)} <= {n.name for n in layers}
    expected = [int((samples != 0).sum()), *(int((values[node.name] != 0).sum()) for node in layers)]
    bounds = np.cumsum([0, samples[0].numel(), *(node.size for node in layers)])
    assert [int(graph.spikes[a:b].sum()) for a, b in pairwise(bounds)] == expected
    assert sum(expected[1:]) > 0
    assert graph.times is not None
    name, at = layers[-1].name, int(bounds[-2])
    for neuron in np.flatnonzero(graph.spikes[at : bounds[-1]])[:5]:
        own = slice(graph.times.offsets[at + neuron], graph.times.offsets[at + neuron + 1])
        fires = values[name].reshape(len(values[name]), len(samples), -1)[:, :, neuron].T  # [B, T]
        sample, step = np.nonzero(fires.numpy())
        assert graph.times.samples[own].tolist() == sample.tolist()
        assert graph.times.steps[own].tolist() == step.tolist()
    assert (graph.spikes[bounds[-1] :] == 0).all()
    assert graph.strengths is not None
    assert np.abs(graph.strengths).max() == 1
    assert graph.strengths.min() < 0


def test_feedback_without_neurons_is_a_layer_that_sends() -> None:
    cell = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(1, 2, "identity"), Edge(2, 1, "avgpool3x3")))
    graph = Architecture((cell, cell), Macro((1, 8, 8), timesteps=3, channels=4)).expand()
    kept = [name for name in sending_layers(graph) if not isinstance(graph.node(name).operation, Input | Neuron)]
    fed_back = [f"cell{cell}.2_1.avgpool3x3.pool" for cell in (1, 2)]
    assert set(kept) == {*fed_back, "cell1.1.sum", "cell2.1.sum", "head.classifier"}, "sums are averaged, votes counted"
    network = build_network(graph, 0)
    traced = trace(deploy(graph, network.state_dict()), torch.rand(2, 1, 8, 8))
    assert traced.synapses > 0


@pytest.mark.slow
def test_channels_send_what_their_neurons_send(trained: Trained) -> None:
    deployed, samples = deployed_of(trained)
    fine, coarse = trace(deployed, samples), trace(deployed, samples, by_channel=True)
    assert coarse.spikes.sum() == fine.spikes.sum()
    assert coarse.neurons < fine.neurons / 4
    assert coarse.times is None
    assert coarse.duration_s == pytest.approx(fine.duration_s)
    assert coarse.spikes.max() <= coarse.steps * coarse.samples
    maps = [node for node in deployed.graph.nodes if isinstance(node.operation, Neuron) and len(node.shape) == 3]
    first = deployed.graph.nodes[0]
    at, channel = first.size, first.shape[0]
    expected = fine.spikes[at : at + maps[0].size].reshape(maps[0].shape).sum(axis=(1, 2))
    assert coarse.spikes[channel : channel + maps[0].shape[0]].tolist() == expected.tolist()


def test_nothing_to_trace_is_said(trained: Trained) -> None:
    deployed, samples = deployed_of(trained)
    with pytest.raises(BadInputError, match="no sample to trace"):
        trace(deployed, samples[:0])
