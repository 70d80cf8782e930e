"""Neurons against traces by hand, and the same neurons inside networks with and without feedback."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, LayerGraph, Macro
from hasnas.search_spaces.layers import ALIF, IF, LIF, PLIF, Neuron
from hasnas.search_spaces.network import SpikingNetwork, build_network, initialise
from hasnas.search_spaces.neurons import NEURONS, neuron_of
from hasnas.search_spaces.neurons.modules import AdaptiveLIF, LearnedTauLIF, learned_tau, neuron_module
from tests.lively import enliven

MACRO = Macro((1, 8, 8), classes=3, timesteps=5, channels=4, hidden=8, votes=2, dropout=0.0, threshold=0.3)
FEEDBACK = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv1x1"), Edge(3, 1, "conv1x1"), Edge(3, 0, "avgpool3x3")))
FORWARD = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv1x1"), Edge(0, 3, "identity")))


def spikes_of(operation: Neuron, *inputs: float) -> list[float]:
    return neuron_module(operation).multi_step_forward(torch.tensor(inputs)[:, None])[:, 0].tolist()


def network_of(neuron: str, cell: Genotype = FEEDBACK, seed: int = 0) -> SpikingNetwork:
    """A lively network in double precision, where no spike hangs on rounding."""
    graph = Architecture((cell, cell), replace(MACRO, neuron=neuron)).expand()
    return enliven(build_network(graph, seed), seed, images(0).float()).double()


def images(seed: int = 1) -> Tensor:
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_integrators_do_not_leak() -> None:
    # v: 0.5, 0.5, 1.0 -> spike, 0.25, -1.75, 0.25, 1.25 -> spike
    assert spikes_of(IF(1.0), 0.5, 0.0, 0.5, 0.25, -2.0, 2.0, 1.0) == [0, 0, 1, 0, 0, 0, 1]
    assert spikes_of(IF(1.0, reset=0.5), 1.0, 0.5, 0.0) == [1, 1, 0]


def test_a_fresh_plif_is_a_lif_at_its_initial_time_constant() -> None:
    inputs = torch.randn(20, 50, generator=torch.Generator().manual_seed(0)) + 0.5
    for tau in (1.25, 2.0, 5.0):
        plif, lif = neuron_module(PLIF(tau, 0.4)), neuron_module(LIF(tau, 0.4))
        assert learned_tau(plif.w) == pytest.approx(tau, rel=1e-6)
        assert torch.equal(plif.multi_step_forward(inputs), lif.multi_step_forward(inputs))


def test_a_plif_follows_its_parameter() -> None:
    plif = neuron_module(PLIF(2.0, 1.0))
    with torch.no_grad():
        plif.w.fill_(math.log(3))  # 1 / tau = 0.75
    # v: 0.75 -> 0.9375 -> 0.984375
    assert plif.multi_step_forward(torch.ones(3, 1))[:, 0].tolist() == [0, 0, 0]
    assert plif.v.item() == pytest.approx(0.984375)
    assert learned_tau(plif.w) == pytest.approx(4 / 3)


def test_an_adaptive_threshold_rises_with_spikes_and_falls_back() -> None:
    half = 1 / math.log(2)  # the adaptation halves at each timestep
    # tau 1: v is the input. Thresholds: 1, 1.5, 1.25, 1.125, 1.5625 and 1.28125.
    assert spikes_of(ALIF(1.0, 1.0, 0.0, beta=0.5, tau_adaptation=half), *[1.2] * 6) == [1, 0, 0, 1, 0, 0]
    # tau 2: v is 1 -> spike; 0.75, 1.375 >= 1.25 -> spike; 0.5, 1.25 < 1 + 0.5 * 0.625, 1.625 -> spike
    inputs = (2.0, 1.5, 2.0, 1.0, 2.0, 2.0)
    assert spikes_of(ALIF(2.0, 1.0, 0.0, beta=0.5, tau_adaptation=half), *inputs) == [1, 0, 1, 0, 0, 1]


def test_without_adaptation_an_alif_is_a_lif() -> None:
    inputs = torch.randn(20, 50, generator=torch.Generator().manual_seed(0)) + 0.5
    alif, lif = neuron_module(ALIF(2.0, 0.4, 0.1, beta=0.0)), neuron_module(LIF(2.0, 0.4, 0.1))
    assert torch.equal(alif.multi_step_forward(inputs), lif.multi_step_forward(inputs))
    busy = neuron_module(ALIF(2.0, 0.4, beta=0.5))
    assert busy.multi_step_forward(inputs).mean() < neuron_module(LIF(2.0, 0.4)).multi_step_forward(inputs).mean()


@pytest.mark.parametrize("kind", NEURONS.names())
def test_single_steps_equal_many_steps_and_reset_forgets(kind: str) -> None:
    module = neuron_module(neuron_of(kind, tau=2.0, threshold=0.5))
    inputs = torch.randn(12, 4, 3, generator=torch.Generator().manual_seed(2)) + 0.3
    with torch.no_grad():
        together = module.multi_step_forward(inputs)
        assert 0 < together.mean() < 1
        continued = module.multi_step_forward(inputs)
        assert not torch.equal(together, continued), "the state must reach the next call"
        module.reset()
        assert torch.equal(torch.stack([module.single_step_forward(x) for x in inputs]), together)
        module.reset()
        assert torch.equal(module.multi_step_forward(inputs), together)


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEURONS.names())
def test_networks_fire_learn_and_start_every_sample_at_rest(kind: str) -> None:
    network = network_of(kind)
    x, y = images(), images(2)
    first = network(x)
    network(y)
    assert torch.equal(network(x), first)
    rates = network.activity(x)
    assert 0 < rates["cell1.1.lif"] < 1
    network.train()(x).square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())


@pytest.mark.slow
@pytest.mark.parametrize("kind", NEURONS.names())
@torch.no_grad()
def test_stepping_through_time_equals_folding_time_into_the_batch(kind: str) -> None:
    network = network_of(kind, FORWARD)
    folded = network.run(images())
    stepped = {"input": images()}
    network._run_stepped(tuple(node.name for node in network.graph.nodes[1:]), stepped)
    network.reset()
    torch.testing.assert_close(stepped["output"], folded["output"], rtol=0, atol=1e-9)


def test_the_macro_chooses_all_neurons() -> None:
    for kind in NEURONS.names():
        operation = NEURONS.get(kind)
        graph = Architecture((FEEDBACK, FEEDBACK), replace(MACRO, neuron=kind)).expand()
        neurons = [node for node in graph.nodes if isinstance(node.operation, Neuron)]
        assert [type(node.operation) for node in neurons] == [operation] * 9
        assert LayerGraph.from_json(graph.to_json()) == graph
        lif = Architecture((FEEDBACK, FEEDBACK), MACRO).expand()
        assert graph.static_nodes == lif.static_nodes
        assert graph.parameter_count - lif.parameter_count == 9 * (kind == "plif")
        assert (graph.structure == lif.structure) == (kind == "lif")


def test_the_choice_is_part_of_the_architecture_only_where_it_is_made() -> None:
    plain, other = Architecture((FORWARD,), MACRO), Architecture((FORWARD,), replace(MACRO, neuron="alif"))
    assert "neuron" not in plain.to_json()["macro"]
    assert Architecture.from_json(other.to_json()) == other
    assert plain.key != other.key


def test_drawn_and_deployed_parameters_count_learned_time_constants() -> None:
    architecture = Architecture((FORWARD, FORWARD), replace(MACRO, neuron="plif"))
    graph = architecture.expand()
    assert architecture.drawn_parameter_count == graph.parameter_count
    assert sum(parameter.numel() for parameter in build_network(graph, 0).parameters()) == graph.parameter_count


def test_initialising_puts_time_constants_back() -> None:
    network = network_of("plif")
    neurons = [module for module in network.modules() if isinstance(module, LearnedTauLIF)]
    assert len(neurons) == 9
    assert [learned_tau(module.w) for module in neurons] == pytest.approx([4 / 3] * 9, rel=1e-6)
    for module in neurons:
        module.w.data.fill_(3.0)
    initialise(network, seed=0)
    assert [learned_tau(module.w) for module in neurons] == pytest.approx([4 / 3] * 9, rel=1e-6)


def test_adaptation_lets_gradients_pass_and_the_reset_does_not() -> None:
    module = AdaptiveLIF(ALIF(1.0, 1.0, beta=0.5))
    x = torch.tensor([[0.9], [0.9]], requires_grad=True)
    module.multi_step_forward(x)[1].sum().backward()
    # With tau 1 the membrane forgets, so the first input acts on the second spike by the adaptation alone.
    assert x.grad[0].item() < 0 < x.grad[1].item()


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"neuron": "lfi"}, r"macro.neuron is 'lfi'; did you mean 'lif'\?"),
        ({"neuron": "plif", "tau": 1.0}, "give more than 1 timestep"),
        ({"neuron": "lif", "tau": 1.0}, "give more than 1 timestep"),
    ],
)
def test_impossible_choices_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        replace(MACRO, **changes)


def test_impossible_neurons_are_refused() -> None:
    with pytest.raises(BadInputError, match="unknown neuron 'alfi'; did you mean 'alif'"):
        neuron_of("alfi", 2.0, 1.0)
    with pytest.raises(BadInputError, match=r"starts at tau 1\.0"):
        neuron_module(PLIF(1.0))
    with pytest.raises(BadInputError, match="beta of at least 0"):
        neuron_module(ALIF(beta=-1.0))


@pytest.mark.parametrize("kind", [kind for kind in NEURONS.names() if NEURONS.get(kind).leaks])
def test_no_membrane_forgets_more_than_all(kind: str) -> None:
    for tau in (0.5, math.nan):
        with pytest.raises(BadInputError, match=rf"tau.*{tau:g}.* give"):
            neuron_module(neuron_of(kind, tau, 1.0))
    if kind in ("lif", "lif_soft_reset"):  # at 1 it holds what arrives and nothing else
        assert spikes_of(neuron_of(kind, 1.0, 1.0), 0.75, 0.75, 1.0, 0.0) == [0, 0, 1, 0]


def test_neurons_by_default() -> None:
    """Decay, threshold, reset and adaptation as the docstrings say; the reset takes a neuron back to rest at zero."""
    x = torch.tensor([1.5, 1.5, 0.7, 0.7, 0.7, 0.7]).reshape(6, 1, 1)
    expected = {
        # v after each step: 1.125 and 1.125 fire; 0.525, 0.656, 0.689, 0.697 do not.
        "lif": [1, 1, 0, 0, 0, 0],
        "plif": [1, 1, 0, 0, 0, 0],
        # 1.5 and 1.5 fire; 0.7, 1.4 fires; 0.7, 1.4 fires.
        "if": [1, 1, 0, 1, 0, 1],
        # The first spike lifts the threshold to 1.25, which falls to 1.19 and 1.15; 1.125 no longer reaches it.
        "alif": [1, 0, 0, 0, 0, 0],
    }
    for kind, spikes in expected.items():
        module = neuron_module({"lif": LIF(), "plif": PLIF(), "if": IF(), "alif": ALIF()}[kind])
        assert module.multi_step_forward(x).flatten().tolist() == spikes, kind
