"""A module that somebody wrote in torch costs what the same network costs here, and computes the same."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.tracing.trace import trace_activity, trace_module
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.graph import LayerGraph
from hasnas.search_spaces.layers import (
    ALIF,
    IF,
    LIF,
    PLIF,
    Add,
    AvgPool2d,
    Conv2d,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Vote,
)
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network, initialise
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.quantization import QuantisedConv2d, QuantisedLinear
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample
from tests.lively import enliven
from tests.nas.tracing.examples import IMAGE, B, Doing, Plain, Residual, T, images, multi_step, traced

HARDWARE = "rram-32nm"


class Repeating(nn.Module):
    """The layout of SpikingJelly's tutorials: the module repeats its image and takes the mean over time."""

    def __init__(self) -> None:
        super().__init__()
        self.net = Plain(
            layer.Conv2d(1, 4, 3, padding=1, bias=False), layer.BatchNorm2d(4), neuron.IFNode(v_threshold=0.3),
            layer.MaxPool2d(2, 2), layer.Flatten(), layer.Linear(64, 10, bias=False), neuron.IFNode(v_threshold=0.1),
        )  # fmt: skip
        functional.set_step_mode(self, "m")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x.unsqueeze(0).repeat(T, 1, 1, 1, 1)).mean(0)


class Folding(nn.Module):
    """Plain torch layers on time and batch folded together, by hand and in a container."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.SeqToANNContainer(nn.Conv2d(1, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.neurons = layer.MultiStepContainer(nn.Identity(), neuron.LIFNode())
        self.head = nn.Linear(4, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.neurons(self.conv(x))
        x = nn.functional.avg_pool2d(x.flatten(0, 1), 8)
        return self.head(x.view(T, B, -1))


def parameters(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def energy(graph: LayerGraph) -> float:
    return float(estimate(lower(graph), load_hardware(HARDWARE)).energy_j)


def operations(graph: LayerGraph, kind: type) -> list[Any]:
    return [node.operation for node in graph.nodes if isinstance(node.operation, kind)]


def test_both_step_modes_give_the_same_graph():
    single = trace_module(Residual(), images(), T)
    assert trace_module(multi_step(Residual()), images(T), T) == single
    names = [node.name for node in single.nodes]
    assert names == ["input", "stem.0", "stem.1", "lif", "block.conv", "block.norm", "block.add", "block.lif", "pool",
                     "flatten", "drop", "head", "output"]  # fmt: skip
    assert [node.shape for node in single.nodes][-4:] == [(16,), (16,), (5,), (5,)]
    assert {link.source for link in single.inputs("block.add")} == {"lif", "block.norm"}
    assert operations(single, AvgPool2d) == [AvgPool2d(4, 4)]
    assert operations(single, LIF) == [LIF(2.0, 0.3), LIF(2.0, 0.25)]


def test_neurons_without_leak_and_with_a_learned_one_stay_what_they_are():
    plif, scaled = neuron.ParametricLIFNode(init_tau=2.0), neuron.ParametricLIFNode(init_tau=2.0, decay_input=False)
    plif.w.data.fill_(-math.log(4.0))
    scaled.w.data.fill_(0.0)
    graph = traced(nn.Conv2d(1, 2, 3), neuron.IFNode(v_threshold=0.3), plif, scaled)
    (integrator,), (first, second) = operations(graph, IF), operations(graph, PLIF)
    assert integrator == IF(0.3, 0.0)
    assert (first.tau, first.threshold) == pytest.approx((5.0, 1.0))
    assert second == PLIF(2.0, 0.5, 0.0)
    assert graph.parameter_count == 2 * 9 + 2 + 2


def test_weights_of_few_bits_are_priced_as_such():
    few, full = QuantisedConv2d(Conv2d(1, 4, 3, weight_bits=2)), nn.Conv2d(1, 4, 3, bias=False)
    graph = traced(few, neuron.IFNode(), nn.Flatten(), QuantisedLinear(Linear(144, 3, weight_bits=2)))
    assert lower(graph).weight_bits.tolist() == [2, 0, 2]
    assert energy(graph) < energy(traced(full, neuron.IFNode(), nn.Flatten(), nn.Linear(144, 3, bias=False)))


@pytest.mark.parametrize(
    "make, time", [(Residual, 0), (Repeating, 0), (Folding, T), (lambda: multi_step(Residual()), T)]
)
def test_all_parameters_are_priced_and_batch_norms_are_folded(make: Any, time: int):
    module = make()
    workload = lower(trace_module(module, images(time), T))
    assert int(workload.parameters.sum()) == parameters(module)
    assert not any("norm" in name or name == "stem.1" for name in workload.names)


def test_a_static_input_reaches_the_first_layers_once_and_frames_at_every_timestep():
    assert lower(trace_module(Residual(), images(), T)).evaluations.tolist()[:2] == [1, T]
    frames = torch.rand(T, B, *IMAGE, generator=torch.Generator().manual_seed(2))
    graph = trace_module(multi_step(Residual()), frames, T)
    assert operations(graph, Input) == [Input(static=False)]
    assert lower(graph).evaluations.tolist()[:2] == [T, T]
    assert trace_module(Residual(), images(), T, static=False) == graph


@pytest.mark.slow
@torch.no_grad()
@pytest.mark.parametrize("make", [Residual, Repeating])
def test_the_graph_computes_what_the_module_computes(make: Any):
    module = make()
    if make is Residual:
        multi_step(module)
    example = images(T if make is Residual else 0)
    network = SpikingNetwork(trace_module(module, example, T))
    initialise(network, seed=3)
    module.load_state_dict(enliven(network, inputs=images()).double().state_dict())
    expected = module.double().eval()(example.double())
    found = network.steps(images().double()) if make is Residual else network(images().double())
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-9)


def counterpart(macro: Macro) -> nn.Module:
    """The network of one cell with a single 3x3 convolution, written by hand."""
    c, inputs = macro.channels, macro.channels * 16
    return Plain(
        nn.Conv2d(1, c, 3, padding=1, bias=False), nn.BatchNorm2d(c),
        neuron.LIFNode(tau=macro.tau), nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c),
        nn.BatchNorm2d(c), neuron.LIFNode(tau=macro.tau), nn.AvgPool2d(2), nn.Flatten(), nn.Dropout(macro.dropout),
        nn.Linear(inputs, macro.hidden, bias=False), neuron.LIFNode(tau=macro.tau),
        nn.Linear(macro.hidden, macro.classes * macro.votes), layer.VotingLayer(macro.votes),
    )  # fmt: skip


def test_a_hand_written_network_costs_what_its_architecture_costs():
    macro = Macro(IMAGE, classes=3, timesteps=T, channels=4, hidden=6, votes=2)
    ours = Architecture((Genotype(2, (Edge(0, 1, "conv3x3"),)),), macro).expand()
    module = counterpart(macro)
    theirs = trace_module(module, images(), T)
    assert theirs.structure == ours.structure
    assert theirs.parameter_count == ours.parameter_count == parameters(module)
    assert energy(theirs) == energy(ours)


def test_activity_is_the_share_of_inputs_that_are_not_zero_by_the_names_that_pricing_reads():
    module, example = Residual(), images()
    graph = trace_module(module, example, T)
    network = SpikingNetwork(graph)
    initialise(network, seed=3)
    module.load_state_dict(enliven(network, inputs=example).state_dict())
    rates = trace_activity(module, example, T)
    expected = network.activity(example)
    assert rates == pytest.approx(expected, rel=1e-6)
    assert 0 < rates["block.lif"] < 1
    assert 0 < rates["block.conv"] < 1
    assert trace_activity(multi_step(module), images(T), T) == pytest.approx(rates, rel=1e-6)
    assert not np.isnan(lower(graph, rates).input_rate).any()


def test_a_module_is_left_as_it_was():
    module = Residual().train()
    module.stem.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    trace_module(module, images(), T)
    assert module.training
    assert module.block.norm.training
    assert not module.stem[1].training
    assert module.lif.v == 0.0
    assert all(torch.equal(before[name], tensor) for name, tensor in module.state_dict().items())


def test_sums_in_one_block_and_layers_called_like_the_ends_get_names_of_their_own():
    class Sums(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.input, self.output = nn.Conv2d(1, 2, 3, padding=1), nn.Conv2d(2, 2, 1)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.input(x)
            y = sum([x, self.output(x)])
            return torch.add(nn.functional.avg_pool2d(y, 1), y)

    graph = trace_module(Sums(), images(), T)
    assert [node.name for node in graph.nodes] == ["input", "input.2", "output.2", "add", "avg_pool2d", "add.2",
                                                   "output"]  # fmt: skip
    assert len(operations(graph, Add)) == 2
    assert int(lower(graph).parameters.sum()) == parameters(Sums())


class Three(nn.Module):
    """Adds three results, or four, as a test wants them added."""

    def __init__(self, adds: Any) -> None:
        super().__init__()
        self.parts, self.adds = nn.ModuleList(nn.Conv2d(1, 2, 1) for _ in range(3)), adds

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.adds(*(part(x) for part in self.parts))


@pytest.mark.parametrize(
    "adds",
    [
        lambda a, b, c: a + b + c,
        lambda a, b, c: a + (b + c),
        lambda a, b, c: sum([a, b, c]),
        lambda a, b, c: torch.add(a, b).add(c),
        lambda a, b, c: a.clone().add_(b).add_(c),
    ],
)
def test_additions_that_only_lead_into_each_other_are_one(adds: Any):
    graph = trace_module(Three(adds), images(), T)
    (node,) = [node for node in graph.nodes if isinstance(node.operation, Add)]
    assert sorted(link.source for link in graph.inputs(node.name)) == ["parts.0", "parts.1", "parts.2"]
    shares = {name: trace_activity(Three(adds), images(), T)[name] for name in ("add", "parts.0")}
    assert all(0 < share <= 1 for share in shares.values())


def test_a_sum_that_is_read_twice_stays_one_of_its_own():
    def twice(a: torch.Tensor, b: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        both = a + b
        return nn.functional.max_pool2d(both, 1) + both + c

    graph = trace_module(Three(twice), images(), T)
    assert [len(graph.inputs(node.name)) for node in graph.nodes if isinstance(node.operation, Add)] == [2, 3]
    doubled = trace_module(Three(lambda a, b, c: (a + b) + (a + b) + c), images(), T)
    assert [len(doubled.inputs(node.name)) for node in doubled.nodes if isinstance(node.operation, Add)] == [5]
    with pytest.raises(BadInputError, match="function 'add' in '0' does not add results of one shape"):
        traced(Three(lambda a, b, c: a + b + 1))


@torch.no_grad()
def test_the_activity_of_a_sum_is_the_mean_share_of_what_it_adds():
    module = Three(lambda a, b, c: a + b + c)
    for number, part in enumerate(module.parts):
        part.weight.fill_(0.0)
        part.bias.fill_(float(number == 1))
    assert trace_activity(module, images(), T)["add"] == pytest.approx(1 / 3)


def test_a_reset_by_subtraction_is_that_of_the_kind_that_has_it():
    plain = neuron.LIFNode(tau=4.0, v_threshold=0.6, v_reset=None)
    scaled = neuron.LIFNode(tau=4.0, v_threshold=0.6, v_reset=None, decay_input=False)
    graph = traced(nn.Conv2d(1, 2, 3), plain, scaled)
    assert operations(graph, SoftResetLIF) == [SoftResetLIF(4.0, 0.6), SoftResetLIF(4.0, 0.15)]
    x = torch.rand(30, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    functional.set_step_mode(scaled, "m")
    spikes = SoftResetLIF(4.0, 0.15).module()(x)
    assert torch.equal(spikes, scaled(x))
    assert 0 < spikes.mean() < 1


OWN = [
    (ALIF(2.0, 0.8, beta=0.4), ALIF(2.0, 0.8, beta=0.4)),
    (LIF(2.0, 0.5, membrane_bits=6), LIF(2.0, 0.5, membrane_bits=6)),
    (SoftResetLIF(3.0, 0.5), SoftResetLIF(3.0, 0.5)),
    (LIF(2.0, 0.5), LIF(2.0, 0.5)),
]


@pytest.mark.parametrize("operation, wanted", OWN)
def test_our_own_neurons_say_what_they_are(operation: Neuron, wanted: Neuron):
    module = Plain(layer.Conv2d(1, 2, 3), operation.module(), layer.Flatten(), layer.Linear(72, 3))
    functional.set_step_mode(module, "m")
    over_time = trace_module(module, images(T), T)
    assert operations(over_time, Neuron) == [wanted]
    with torch.no_grad():
        assert module(images(T)).shape == (T, B, 3)
    functional.set_step_mode(module, "s")
    assert trace_module(module, images(), T) == over_time
    assert 0 <= trace_activity(module, images(), T)["1"] <= 1
    with pytest.raises(BadInputError, match="layer '1' is used twice"):
        traced(Doing(lambda conv, x: conv(x)), module[1], module[1])


def test_registers_with_a_learned_time_constant_keep_what_was_learned():
    neurons = PLIF(2.0, 0.5, membrane_bits=5).module()
    neurons.w.data.fill_(-math.log(3.0))
    functional.set_step_mode(neurons, "s")
    (found,) = operations(traced(nn.Conv2d(1, 2, 3), neurons), PLIF)
    assert (found.tau, found.threshold, found.membrane_bits) == (pytest.approx(4.0), 0.5, 5)


@pytest.mark.parametrize(
    "votes",
    [
        lambda x: x.view(-1, 3, 2).mean(-1),
        lambda x: x.unflatten(1, (3, 2)).mean(dim=2),
        lambda x: torch.mean(x.reshape(B, 3, 2), 2),
        layer.VotingLayer(2),
    ],
)
def test_means_over_groups_are_votes(votes: Any):
    class Voting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head, self.votes = nn.Linear(64, 6), votes

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.votes(self.head(x.flatten(1)))

    graph = trace_module(Voting(), images(), T)
    assert operations(graph, Vote) == [Vote(2)]
    assert [node.shape for node in graph.nodes][-2:] == [(3,), (3,)]
    with pytest.raises(BadInputError, match="neither flattens maps nor arranges timesteps"):
        traced(nn.Flatten(), nn.Linear(64, 6), Doing(lambda conv, x: x.view(-1, 3, 2)))
    with pytest.raises(BadInputError, match="take it over the last axis"):
        traced(nn.Flatten(), nn.Linear(64, 6), Doing(lambda conv, x: x.view(-1, 3, 2).mean(1)))


def test_our_networks_are_their_graphs_feedback_included():
    space = SNASNetSpace(Macro(IMAGE, classes=3, timesteps=T, channels=4, hidden=0, votes=2, neuron="alif"), True)
    drawn = sample(space, np.random.default_rng(0), 99)
    graphs = [space.decode(row).expand() for row in drawn[space.canonical(drawn)[1]]]
    graph = next(graph for graph in graphs if any(link.delay for link in graph.connections))
    network = enliven(build_network(graph, 0), inputs=images())
    assert trace_module(network, images(), T) == graph
    assert trace_activity(network, images(), T) == network.eval().activity(images())
    counted = trace_module(network, images(), T, largest_count=3)
    assert operations(counted, Input) == [Input(largest_count=3)]
    for example, timesteps, static in ((images(), T + 1, None), (images(), T, False), (torch.rand(B, 4), T, None)):
        with pytest.raises(BadInputError, match=r"takes an image, \[1, 8, 8\], and runs 3 timesteps"):
            trace_module(network, example, timesteps, static)
    with pytest.raises(BadInputError, match="layer '0' is a SpikingNetwork inside another module"):
        traced(network)


def test_a_layer_without_weights_may_serve_twice():
    pool = nn.MaxPool2d(2)
    graph = traced(nn.Conv2d(1, 2, 3, padding=1), pool, neuron.LIFNode(), pool)
    assert [(node.name, node.shape) for node in graph.nodes if isinstance(node.operation, MaxPool2d)] == [
        ("1", (2, 4, 4)), ("1.2", (2, 2, 2)),
    ]  # fmt: skip


def test_a_single_layer_is_a_module_too():
    assert [node.name for node in trace_module(nn.Linear(4, 2), torch.rand(B, 4), T).nodes] == [
        "input", "linear", "output",
    ]  # fmt: skip


def lines() -> nn.Module:
    """Two convolutions along a line, with everything that goes along it."""
    return nn.Sequential(
        nn.Conv1d(2, 4, 5, stride=2, padding=2), nn.BatchNorm1d(4), neuron.LIFNode(), nn.AvgPool1d(2),
        nn.Conv1d(4, 6, 3, padding="same"), neuron.IFNode(), nn.MaxPool1d(3, 1, 1), nn.AdaptiveAvgPool1d(1),
        nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip


def test_lines_are_priced_as_maps_of_one_row():
    flat = nn.Sequential(
        nn.Conv2d(2, 4, (1, 5), stride=(1, 2), padding=(0, 2)), nn.BatchNorm2d(4), neuron.LIFNode(),
        nn.AvgPool2d((1, 2)), nn.Conv2d(4, 6, (1, 3), padding="same"), neuron.IFNode(),
        nn.MaxPool2d((1, 3), 1, (0, 1)), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 3),
    )  # fmt: skip
    module = lines()
    graph = trace_module(module, torch.rand(2, 2, 16), T)
    assert graph == trace_module(flat, torch.rand(2, 2, 1, 16), T)
    assert graph.parameter_count == sum(parameter.numel() for parameter in module.parameters())
    assert lower(graph).fan_in[lower(graph).on_crossbar].tolist() == [10, 12, 6]  # a row a channel and kernel place
    assert graph.node("0").shape == (4, 1, 8)
