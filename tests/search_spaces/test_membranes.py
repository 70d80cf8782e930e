"""Membranes in registers: traces by hand, agreement with float membranes, networks, searches and files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Edge, Genotype, LayerGraph, Macro
from hasnas.search_spaces.layers import ALIF, IF, LIF, PLIF, Neuron
from hasnas.search_spaces.lif_scan import lif_scan, use_lif_scan
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.membranes import hold, step_of
from hasnas.search_spaces.network import build_network, initialise
from hasnas.search_spaces.neurons import neuron_of
from hasnas.search_spaces.neurons.modules import SteppedNeurons, learned_tau, neuron_module
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample
from tests.lively import enliven

MACRO = Macro((1, 8, 8), classes=3, timesteps=4, channels=4, hidden=8, votes=2, dropout=0.0, threshold=0.3)
CELL = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv1x1"), Edge(3, 1, "conv1x1"), Edge(0, 3, "identity")))
KINDS = ("lif", "plif", "if", "alif")


def spikes_and_membranes(operation: Neuron, *inputs: float) -> tuple[list[float], list[float]]:
    module = neuron_module(operation)
    spikes, membranes = [], []
    for value in inputs:
        spikes.append(module.single_step_forward(torch.tensor([value])).item())
        membranes.append(module.membrane.item())
    return spikes, membranes


def images(seed: int = 1) -> Tensor:
    return torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(seed))


def test_leaky_neurons_round_before_they_fire() -> None:
    # Steps of 0.25. 0.45 -> 0.5; 1.05 -> 1.0 fires; 0.65 -> 0.75; 0.925 -> 1.0 fires, which 0.875 in float would not.
    found = spikes_and_membranes(LIF(2.0, 1.0, membrane_bits=4), 0.9, 1.6, 1.3, 1.1)
    assert found == ([0, 1, 0, 1], [0.5, 0, 0.75, 0])


def test_integrators_saturate_below_two_thresholds_and_at_minus_two() -> None:
    # Steps of 0.5 from -2 to 1.5: -7 saturates, so 2.5 brings 0.5; 9 saturates above the threshold and fires.
    found = spikes_and_membranes(IF(1.0, membrane_bits=3), -7.0, 2.5, 0.2, 9.0, 0.3)
    assert found == ([0, 0, 0, 1, 0], [-2, 0.5, 0.5, 0, 0.5])
    # Two bits know -2, -1, 0 and 1 threshold, here 0.5. Ties go to the even step: 0.25 -> 0, 0.75 -> 1.0, held as 0.5.
    assert spikes_and_membranes(IF(0.5, membrane_bits=2), 0.25, 0.3, -9.0)[1] == [0, 0, -1]
    assert hold(torch.tensor([0.75]), 0.5, 2).tolist() == [0.5]
    assert hold(torch.tensor([0.75]), 0.5, 3).tolist() == [0.75]


def test_small_inputs_are_lost_and_the_reset_is_rounded() -> None:
    assert spikes_and_membranes(IF(1.0, membrane_bits=3), *[0.2] * 6) == ([0] * 6, [0] * 6)
    # A reset of 0.3 is held as 0.25: 0.25 -> 0.625 -> 0.5 (to the even step of 0.25) -> 0.75 -> 1.0 fires.
    found = spikes_and_membranes(LIF(2.0, 1.0, 0.3, membrane_bits=4), 0.75, 0.75, 1.0)
    assert found == ([0, 0, 1], [0.5, 0.75, 0.25])


def test_a_learned_time_constant_and_an_adaptive_threshold_use_the_same_registers() -> None:
    inputs = torch.randn(12, 40, generator=torch.Generator().manual_seed(0)) + 0.6
    lif, plif = neuron_module(LIF(2.0, 1.0, membrane_bits=5)), neuron_module(PLIF(2.0, 1.0, membrane_bits=5))
    assert learned_tau(plif.w) == pytest.approx(2.0)
    expected = lif.multi_step_forward(inputs)
    assert torch.equal(plif.multi_step_forward(inputs), expected)
    alif = neuron_module(ALIF(2.0, 1.0, beta=0.0, membrane_bits=5))
    assert torch.equal(alif.multi_step_forward(inputs), expected)
    assert torch.equal(alif.membrane, hold(alif.membrane, 1.0, 5))
    busy = neuron_module(ALIF(2.0, 1.0, beta=0.5, membrane_bits=5)).multi_step_forward(inputs)
    assert busy.mean() < expected.mean()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1.9, 1.9), min_size=1, max_size=30),
    st.sampled_from([1.25, 4 / 3, 2.0]),
    st.sampled_from([0.3, 0.5, 1.0]),
)
def test_with_16_bits_spikes_are_those_of_float_membranes(inputs: list[float], tau: float, threshold: float) -> None:
    # Roundings of half a step add up to tau / 2 steps, one for tau 2; a spike forgets them.
    step = step_of(threshold, 16)
    exact, held = neuron_module(LIF(tau, threshold)), neuron_module(LIF(tau, threshold, membrane_bits=16))
    membrane = 0.0
    for value in inputs:
        current = torch.tensor([value * threshold])
        charged = membrane + (current.item() - membrane) / tau
        expected, found = exact.single_step_forward(current), held.single_step_forward(current)
        if abs(charged - threshold) <= step + 1e-5:
            return
        assert found.item() == expected.item()
        membrane = exact.v.item()
        assert abs(held.membrane.item() - membrane) <= step + 1e-5


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.floats(-100, 100), min_size=1, max_size=12),
    st.integers(2, 16),
    st.sampled_from([0.3, 0.7, 1.0, 2.5]),
    st.sampled_from(KINDS),
)
def test_membranes_stay_on_the_steps_of_their_range(
    inputs: list[float], bits: int, threshold: float, kind: str
) -> None:
    module, step = neuron_module(neuron_of(kind, 2.0, threshold, bits)), step_of(threshold, bits)
    for value in inputs:
        module.single_step_forward(torch.tensor([value]))
        codes = module.membrane.double() / step
        assert (codes - codes.round()).abs().max() < 1e-2
        assert -(2 ** (bits - 1)) <= codes.round().item() <= 2 ** (bits - 1) - 1


@given(st.integers(2, 16), st.floats(0.01, 50))
def test_the_threshold_is_a_step_and_holding_twice_changes_nothing(bits: int, threshold: float) -> None:
    values = torch.linspace(-3, 3, 41) * threshold
    held = hold(values, threshold, bits)
    assert torch.equal(hold(held, threshold, bits), held)
    just = torch.tensor([threshold])
    assert torch.equal(hold(just, threshold, bits), just)


def test_the_gradient_passes_straight_through() -> None:
    x = torch.tensor([0.3, -9.0, 9.0], requires_grad=True)
    hold(x, 1.0, 3).square().sum().backward()
    assert x.grad.tolist() == [1.0, -4.0, 3.0]
    current = torch.tensor([[0.9], [0.4]], requires_grad=True)
    neuron_module(LIF(2.0, 1.0, membrane_bits=4)).multi_step_forward(current)[1].sum().backward()
    # h(2) is held at 0.5 (0.45 rounds to 0.5, 0.45 again to 0.5): the arctangent's slope there, times 1 / 2 and 1 / 4.
    slope = 1 / (1 + (np.pi * (0.5 - 1.0)) ** 2)
    torch.testing.assert_close(current.grad, torch.tensor([[slope / 4], [slope / 2]], dtype=torch.float32))


def test_bfloat16_currents_reach_registers_of_16_bits() -> None:
    inputs = (torch.randn(8, 50, generator=torch.Generator().manual_seed(0)) + 0.5).bfloat16()
    for kind in KINDS:
        module = neuron_module(neuron_of(kind, 2.0, 0.7, 16))
        spikes = module.multi_step_forward(inputs)
        assert spikes.dtype == torch.bfloat16
        assert module.membrane.dtype == torch.float32
        module.reset()
        assert torch.equal(module.multi_step_forward(inputs.float()), spikes.float())


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_networks_compute_with_registers_in_training_and_evaluation(kind: str) -> None:
    graph = Architecture((CELL, CELL), replace(MACRO, neuron=kind, membrane_bits=3)).expand()
    network = build_network(graph, seed=0)
    x = images()
    torch.manual_seed(0)
    first = network.train()(x)
    assert torch.equal(network(x), first), "every sample starts at rest"
    first.square().sum().backward()
    assert all(parameter.grad.abs().max() > 0 for parameter in network.parameters())
    enliven(network, inputs=x)
    unlimited = build_network(LayerGraph.from_json(_without(graph.to_json())), seed=0)
    unlimited.load_state_dict(network.state_dict())
    found, float_rates = network.eval().activity(x), unlimited.eval().activity(x)
    assert torch.equal(network(x), network(x))
    assert found["cell1.0.lif"] > 0
    assert found != float_rates, "membranes of 3 bits make a difference"


def _without(graph: dict) -> dict:
    nodes = [{key: value for key, value in node.items() if key != "membrane_bits"} for node in graph["nodes"]]
    return {**graph, "nodes": nodes}


@torch.no_grad()
def test_stepping_through_time_equals_folding_time_into_the_batch() -> None:
    cell = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(1, 3, "conv1x1"), Edge(0, 3, "identity")))
    graph = Architecture((cell, cell), replace(MACRO, membrane_bits=4)).expand()
    network = enliven(build_network(graph, seed=0), inputs=images()).double()
    x = images().double()
    folded, stepped = network.run(x), {"input": x}
    network._run_stepped(tuple(node.name for node in network.graph.nodes[1:]), stepped)
    torch.testing.assert_close(stepped["output"], folded["output"], rtol=0, atol=1e-9)


def test_initialising_puts_learned_time_constants_back() -> None:
    network = build_network(Architecture((CELL,), replace(MACRO, neuron="plif", membrane_bits=4)).expand(), seed=0)
    neurons = [module for module in network.modules() if isinstance(module, SteppedNeurons)]
    assert len(neurons) == 5
    for module in neurons:
        module.w.data.fill_(3.0)
    initialise(network, seed=0)
    assert [learned_tau(module.w) for module in neurons] == pytest.approx([4 / 3] * 5, rel=1e-6)


def test_files_mention_bits_only_where_there_are_some() -> None:
    plain, short = Architecture((CELL,), MACRO), Architecture((CELL,), replace(MACRO, membrane_bits=6))
    assert "membrane_bits" not in plain.to_json()["macro"]
    assert not any("membrane_bits" in node for node in plain.expand().to_json()["nodes"])
    assert short.to_json()["macro"]["membrane_bits"] == 6
    assert Architecture.from_json(short.to_json()) == short
    assert LayerGraph.from_json(short.expand().to_json()) == short.expand()
    assert plain.key != short.key
    assert plain.expand().structure != short.expand().structure
    neurons = [node.operation for node in short.expand().nodes if isinstance(node.operation, Neuron)]
    assert {operation.membrane_bits for operation in neurons} == {6}


def test_prices_use_the_registers() -> None:
    chip = load_hardware("rram-22nm", {"precision.membrane_bits": "16"})
    costs = {}
    for bits in (0, 16, 4):
        graph = Architecture((CELL, CELL), replace(MACRO, membrane_bits=bits)).expand()
        costs[bits] = estimate(lower(graph), chip)
    for total in ("energy_j", "area_m2", "latency_s", "memory_bits"):
        assert getattr(costs[0], total) == getattr(costs[16], total)
    neurons = sum(node.size for node in graph.nodes if isinstance(node.operation, Neuron))
    assert int(costs[16].memory_bits - costs[4].memory_bits) == 12 * neurons
    for name in ("neuron", "membrane"):
        full, few = (costs[bits].to_dict()["components"] for bits in (16, 4))
        assert few["energy_j"][name] == pytest.approx(full["energy_j"][name] / 4)
        assert few["area_m2"][name] == pytest.approx(full["area_m2"][name] / 4)


def test_the_adaptation_is_priced_as_the_hardware_says() -> None:
    graph = Architecture((CELL, CELL), replace(MACRO, neuron="alif", membrane_bits=4)).expand()
    workload = lower(graph)
    bits = dict(zip(workload.names, workload.membrane_bits.tolist(), strict=True))
    assert bits["head.lif"] == 4
    assert bits["head.lif.adaptation"] == bits["head.classifier"] == 0


def test_bits_are_searched_beside_the_cells() -> None:
    space = with_searched_macro(SNASNetSpace(MACRO), {"membrane_bits": [0, 4, 8], "neuron": ["lif", "alif"]})
    drawn = [space.decode(codes) for codes in sample(space, np.random.default_rng(0), 30)]
    assert {architecture.macro.membrane_bits for architecture in drawn} == {0, 4, 8}
    assert all(space.decode(space.encode(architecture)) == architecture for architecture in drawn)


def test_the_compiled_scan_leaves_registers_alone() -> None:
    network = build_network(Architecture((CELL, CELL), replace(MACRO, membrane_bits=4)).expand(), seed=0)
    assert use_lif_scan(network) == 0
    with pytest.raises(BadInputError, match=r"lif_scan got membranes of 4 bits; .* use neuron_module"):
        lif_scan(torch.zeros(2, 3), LIF(membrane_bits=4))


@pytest.mark.parametrize("bits", [1, 17, -2, 2.0, True])
def test_impossible_registers_are_refused(bits: object) -> None:
    with pytest.raises(BadInputError, match=r"macro.membrane_bits is .*; give 2 to 16 bits, or 0 for float membranes"):
        replace(MACRO, membrane_bits=bits)
    with pytest.raises(BadInputError, match="give 2 to 16 bits"):
        neuron_module(LIF(membrane_bits=bits))


def test_registers_need_a_positive_threshold() -> None:
    with pytest.raises(BadInputError, match="give a positive threshold"):
        neuron_module(IF(0.0, membrane_bits=4))
    with pytest.raises(BadInputError, match=r"starts at tau 1\.0"):
        neuron_module(PLIF(1.0, membrane_bits=4))
