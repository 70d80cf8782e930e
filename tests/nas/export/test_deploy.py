import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.target import load_double, probe
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import (
    LIF,
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Flatten,
    Input,
    Linear,
    Neuron,
    Output,
)
from hasnas.search_spaces.neurons import NEURONS
from hasnas.search_spaces.quantization import quantise, weight_codes


@pytest.mark.slow
@pytest.mark.parametrize("feedback", [False, True])
@pytest.mark.parametrize("seed", range(4))
@torch.no_grad()
def test_the_deployed_network_computes_the_same(trained, seed: int, feedback: bool):
    _, network = trained(seed, feedback)
    inputs = probe(network, 3).double()
    deployed = deploy(network.graph, network.state_dict())
    torch.testing.assert_close(
        deployed.network(torch.float64).steps(inputs), load_double(network).steps(inputs), atol=1e-9, rtol=0
    )
    kinds = {type(node.operation) for node in deployed.graph.nodes}
    assert kinds <= {Input, Conv2d, Linear, LIF, AvgPool2d, Add, Flatten, Output}


@pytest.mark.slow
@pytest.mark.parametrize("neuron, bits", [("plif", 0), ("if", 4), ("alif", 2), ("lif", 1), ("plif", 8)])
@pytest.mark.parametrize("seed, feedback", [(1, False), (2, True)])
@torch.no_grad()
def test_other_neurons_and_few_bits_compute_the_same(trained, seed: int, feedback: bool, neuron: str, bits: int):
    _, network = trained(seed, feedback, neuron, bits)
    inputs = probe(network, 3).double()
    deployed = deploy(network.graph, network.state_dict())
    expected = load_double(network).steps(inputs)
    torch.testing.assert_close(deployed.network(torch.float64).steps(inputs), expected, atol=1e-9, rtol=0)
    kinds = {type(node.operation) for node in deployed.graph.nodes if isinstance(node.operation, Neuron)}
    assert kinds == {LIF if neuron == "plif" else NEURONS.get(neuron)}, "what was learned is fixed"


@pytest.mark.slow
@pytest.mark.parametrize("neuron", NEURONS.names())
@torch.no_grad()
def test_membranes_of_few_bits_compute_the_same(trained, neuron: str):
    _, network = trained(2, True, neuron, 4, 5)
    inputs = probe(network, 3).double()
    deployed = deploy(network.graph, network.state_dict())
    expected = load_double(network).steps(inputs)
    torch.testing.assert_close(deployed.network(torch.float64).steps(inputs), expected, atol=1e-9, rtol=0)
    assert deployed.has_short_membranes
    free = deployed.with_float_membranes()
    assert not free.has_short_membranes
    assert not torch.equal(free.network(torch.float64).steps(inputs), expected)


@pytest.mark.parametrize("seed", [1, 2])
@torch.no_grad()
def test_answers_by_rate_compute_the_same(trained, seed: int):
    _, network = trained(seed, False, readout="rate")
    inputs = probe(network, 8).double()
    expected = load_double(network).steps(inputs)
    deployed = deploy(network.graph, network.state_dict())
    torch.testing.assert_close(deployed.network(torch.float64).steps(inputs), expected, atol=1e-9, rtol=0)
    assert -2 <= expected.min() < expected.max() <= 2


@pytest.mark.parametrize("bits", [1, 3])
def test_deployed_weights_lie_on_the_levels_of_the_trained_ones(trained, bits: int):
    _, network = trained(1, False, "lif", bits)
    deployed = deploy(network.graph, network.state_dict())
    folded = 0
    for node in deployed.graph.nodes:
        if not getattr(node.operation, "weight_bits", 0):
            continue
        weight, before = deployed.tensors[f"{node.name}.weight"], network.state_dict()[f"{node.name}.weight"]
        assert node.operation.weight_bits == bits
        assert torch.equal(weight_codes(weight, bits), weight_codes(before, bits)), "gains are positive here"
        torch.testing.assert_close(quantise(weight, bits), weight, rtol=1e-14, atol=0)
        folded += not torch.allclose(weight, quantise(before.double(), bits))
    assert folded >= 3, "batch norms scale columns"
    assert not getattr(deployed.graph.node("head.norm").operation, "weight_bits", 0)


def test_folding_by_hand():
    shape = (1, 1, 1)
    graph = LayerGraph(
        (
            Node("input", Input(), shape),
            Node("conv", Conv2d(1, 1, 1), shape),
            Node("norm", BatchNorm(1), shape),
            Node("output", Output(), shape),
        ),
        (Connection("input", "conv"), Connection("conv", "norm"), Connection("norm", "output")),
        timesteps=1,
    )
    values = {"weight": 3.0, "bias": 0.5, "running_mean": 2.0, "running_var": 4.0 - 1e-5}
    state = {f"norm.{name}": torch.tensor([value], dtype=torch.float64) for name, value in values.items()}
    state["conv.weight"] = torch.full((1, 1, 1, 1), 8.0)
    deployed = deploy(graph, state)
    assert [node.name for node in deployed.graph.nodes] == ["input", "conv", "output"]
    assert deployed.tensors["conv.weight"].item() == pytest.approx(8 * 3 / 2)
    assert deployed.tensors["conv.bias"].item() == pytest.approx(0.5 - 2 * 3 / 2)


def test_a_layer_with_other_readers_keeps_its_batch_norm_apart():
    shape = (1, 2, 2)
    graph = LayerGraph(
        (
            Node("input", Input(), shape),
            Node("conv", Conv2d(1, 1, 1), shape),
            Node("norm", BatchNorm(1), shape),
            Node("sum", Add(), shape),
            Node("output", Output(), shape),
        ),
        (
            Connection("input", "conv"),
            Connection("conv", "norm"),
            Connection("conv", "sum"),
            Connection("norm", "sum"),
            Connection("sum", "output"),
        ),
        timesteps=1,
    )
    state = {f"norm.{name}": torch.full((1,), 2.0) for name in ("weight", "bias", "running_mean", "running_var")}
    deployed = deploy(graph, {**state, "conv.weight": torch.ones(1, 1, 1, 1)})
    assert deployed.graph.node("norm").operation == Conv2d(1, 1, 1, groups=1, bias=True)
    assert deployed.tensors["conv.weight"].item() == 1.0


def test_weights_of_another_network_are_refused(trained):
    _, network = trained(0, False)
    state = network.state_dict()
    del state["stem.norm.running_mean"]
    with pytest.raises(BadInputError, match=r"lack tensor 'stem.norm.running_mean'"):
        deploy(network.graph, state)
