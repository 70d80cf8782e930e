"""Walks the registered kinds of operations and neurons, so that one that is half added fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import neuron as theirs

from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_reader import read_nir
from hasnas.nas.export.nir_writer import write_nir
from hasnas.nas.export.target import NotExpressibleError
from hasnas.nas.scoring.graph_features import canonical_classes, graph_features
from hasnas.nas.scoring.mean_field import propagate
from hasnas.nas.scoring.spiking_statistics import spike_statistics
from hasnas.nas.supernet.sharing import shared_layers
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.layers import LIF, Conv2d, MaxPool2d, Neuron, layer_from_json, layer_to_json
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network, initialise, module_for
from hasnas.search_spaces.neurons import NEURONS, neuron_of
from hasnas.search_spaces.neurons.modules import OwnNeurons
from hasnas.search_spaces.neurons.synaptic import SynapticLIF
from hasnas.search_spaces.operations import OPERATIONS, listed_operations, operation_like, operation_named
from hasnas.search_spaces.snasnet import CellSpace

KINDS = [kind for kind in OPERATIONS.names() if kind != "none"]
MACRO = Macro((1, 8, 8), classes=3, timesteps=4, channels=4, hidden=0, votes=1, threshold=0.2)
PRICED = (
    "kind in_channels out_channels kernel_size kernel_height groups evaluations input_bits membrane_bits biases "
    "parameters level"
).split()


def space_of(kind: str, macro: Macro = MACRO, feedback: bool = True) -> CellSpace:
    others = [name for name in ("identity", "conv1x1", "maxpool3x3") if name not in OPERATIONS.get(kind).listed]
    return CellSpace(macro, nodes=3, feedback=feedback, operations=("none", OPERATIONS.get(kind).listed[0], *others))


def slots(columns: dict[str, np.ndarray]) -> list[tuple[int, ...]]:
    rows = list(zip(*(columns[name].tolist() for name in PRICED), strict=True))
    return sorted(row for row in rows if row[0])


def assert_codes_cost_what_graphs_cost(space: CellSpace) -> None:
    codes = np.array([[1, 0, 1], [1, 2, 1], [1, 1, 1], [1, 4, 1] if space.feedback else [1, 0, 2]])
    codes = codes[space.canonical(codes)[1]]
    assert len(codes) > 2
    population = lower_codes(space, codes)
    for index, code in enumerate(codes):
        graph = lower(space.decode(code).expand())
        own = {name: np.broadcast_to(getattr(population, name), population.shape)[index] for name in PRICED}
        assert slots(own) == slots({name: getattr(graph, name) for name in PRICED})


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_costs_the_same_in_a_population_and_in_a_graph(kind: str) -> None:
    assert_codes_cost_what_graphs_cost(space_of(kind))
    assert_codes_cost_what_graphs_cost(space_of(kind, replace(MACRO, neuron="alif", static_input=False)))


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_keeps_maps_learns_and_is_read_back(kind: str) -> None:
    operation = operation_named(OPERATIONS.get(kind).listed[0])
    assert type(operation) is OPERATIONS.get(kind)
    cell = Genotype(3, (Edge(0, 1, operation.name), Edge(1, 2, "conv1x1")))
    architecture = Architecture((cell,), MACRO)
    assert architecture.drawn_parameter_count == architecture.expand().parameter_count
    network = build_network(architecture.expand(), seed=1)
    output = network(torch.rand(16, 1, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert (output.std(0) > 0).any(), "the answer depends on the input"
    output.square().sum().backward()
    own = [value for name, value in network.named_parameters() if name.startswith("cell1.0_1")]
    assert sum(value.numel() for value in own) == operation.parameters(4)
    assert all(value.grad is not None and value.grad.abs().sum() > 0 for value in own if value.dim() > 1)


@pytest.mark.parametrize("kind", KINDS)
def test_scores_tell_an_operation_from_others(kind: str) -> None:
    space = space_of(kind, feedback=False)
    codes = np.array([[choice, 0, 1] for choice in range(1, len(space.choices))])
    assert len(np.unique(graph_features(space, codes), axis=0)) == len(codes)
    assert len(np.unique(canonical_classes(space, codes))) == len(codes)
    if OPERATIONS.get(kind).field_rule is None:
        with pytest.raises(BadInputError, match="no statistics"):
            propagate(space, codes)
    else:
        assert np.isfinite(propagate(space, codes).head_rate).all()


def test_kinds_have_codes_and_names_of_their_own() -> None:
    classes = [OPERATIONS.get(kind) for kind in OPERATIONS.names()]
    assert len({one.code for one in classes}) == len(classes)
    assert len(set(listed_operations())) == len(listed_operations())
    assert [one.kind for one in classes] == OPERATIONS.names()
    assert [NEURONS.get(kind).kind for kind in NEURONS.names()] == NEURONS.names()
    assert operation_like("depthwise_separable", 5, 0.5).name == "dwsep5x5_t0.5"


@pytest.mark.parametrize("kind", KINDS)
def test_an_operation_is_in_the_supernet_and_in_nir_or_refused(kind: str, tmp_path: Path) -> None:
    space = space_of(kind, feedback=False)
    architecture = space.decode([1, 0, 1])
    graph = architecture.expand()
    assert {node.name for node in graph.nodes if node.parameter_count} <= set(shared_layers(space))
    network = build_network(graph, seed=1).double().eval()
    deployed = deploy(graph, network.state_dict())
    if any(isinstance(node.operation, MaxPool2d) for node in graph.nodes):
        with pytest.raises(NotExpressibleError, match="NIR has no word"):
            write_nir(tmp_path / "net.nir", deployed)
        return
    write_nir(tmp_path / "net.nir", deployed)
    x = torch.rand(8, 1, 8, 8, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = read_nir(tmp_path / "net.nir", torch.float64)(x)
    torch.testing.assert_close(found, network(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("kind", NEURONS.names())
def test_neurons_are_priced_read_back_and_known_to_scores(kind: str, tmp_path: Path) -> None:
    assert_codes_cost_what_graphs_cost(space_of("conv", replace(MACRO, neuron=kind, membrane_bits=5)))
    neurons = neuron_of(kind, 2.0, 0.8, 6)
    data = {"kind": type(neurons).__name__, **layer_to_json(neurons)}
    assert layer_from_json(data) == neurons
    spikes = neuron_of(kind, 2.0, 0.8).module().multi_step_forward(torch.linspace(0, 2, 50).repeat(8, 1))
    assert 0 < float(spikes.mean()) < 1
    assert set(spikes.unique().tolist()) == {0.0, 1.0}
    if neurons.dynamics is None:
        with pytest.raises(BadInputError, match="no statistics"):
            spike_statistics(1.0, 1.0, 2.0, 4, neuron=kind)
    else:
        assert 0 < spike_statistics(0.5, 0.5, 2.0, 4, neuron=kind).rate < 1
    graph = Architecture((Genotype(2, (Edge(0, 1, "conv3x3"),)),), replace(MACRO, neuron=kind)).expand()
    deployed = deploy(graph, build_network(graph, seed=1).state_dict())
    layers = [node.operation for node in deployed.graph.nodes]
    if any(layer.to_nir((1,), 1e-4) is None for layer in layers if isinstance(layer, Neuron)):
        with pytest.raises(NotExpressibleError, match="NIR has no word"):
            write_nir(tmp_path / "net.nir", deployed)
    else:
        write_nir(tmp_path / "net.nir", deployed)
        assert read_nir(tmp_path / "net.nir").graph.timesteps == 4


def test_a_kind_that_leaves_out_what_all_must_say_cannot_be_made() -> None:
    @dataclass(frozen=True)
    class Nameless(Neuron):
        membrane_bits: int = 0

    class Still(OwnNeurons):
        def reset(self) -> None:
            pass

    with pytest.raises(TypeError, match="Nameless with abstract methods module, of, reset, threshold"):
        Nameless()
    with pytest.raises(TypeError, match="Still with abstract method single_step_forward"):
        Still(LIF())


@pytest.mark.slow
def test_a_soft_reset_keeps_what_lies_above_the_threshold() -> None:
    x = 3 * torch.rand(12, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = neuron_of("lif_soft_reset", 2.0, 0.8).module().multi_step_forward(x)
    node = theirs.LIFNode(tau=2.0, v_threshold=0.8, v_reset=None, step_mode="m")
    assert torch.equal(ours, node(x))
    assert ours.mean() > LIF(2.0, 0.8).module().multi_step_forward(x).mean()
    rate = spike_statistics(0.8, 0.0, 2.0, 12, mean=1.5, neuron="lif_soft_reset").rate.item()
    simulated = neuron_of("lif_soft_reset", 2.0, 0.8).module().multi_step_forward(
        1.5 + torch.randn(12, 20000, generator=torch.Generator().manual_seed(1))
    )
    assert rate == pytest.approx(float(simulated.mean()), abs=0.02)


@pytest.mark.slow
def test_synapses_smooth_the_input_and_keep_it() -> None:
    x = 3 * torch.rand(12, 200, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    synaptic = SynapticLIF(2.0, 0.8, tau_synapse=4.0)
    current, smoothed = torch.zeros(200, dtype=torch.float64), []
    for step in x:
        current = 0.75 * current + 0.25 * step
        smoothed.append(current)
    spikes = synaptic.module().multi_step_forward(x)
    assert 0 < spikes.mean() < 1
    torch.testing.assert_close(spikes, LIF(2.0, 0.8).module().multi_step_forward(torch.stack(smoothed)))
    at_once = SynapticLIF(2.0, 0.8, tau_synapse=1.0).module().multi_step_forward(x)
    assert torch.equal(at_once, LIF(2.0, 0.8).module().multi_step_forward(x))
    rate = spike_statistics(0.8, 0.0, 2.0, 12, mean=1.5, neuron="synaptic_lif").rate.item()
    noise = 1.5 + torch.randn(12, 20000, generator=torch.Generator().manual_seed(1))
    assert rate == pytest.approx(float(neuron_of("synaptic_lif", 2.0, 0.8).module()(noise).mean()), abs=0.02)
    with pytest.raises(BadInputError, match="tau_synapse of at least 1"):
        SynapticLIF(tau_synapse=0.5).module()


CONVOLVING = [kind for kind in KINDS if (rule := OPERATIONS.get(kind).field_rule) and rule.does == "convolve"]


@pytest.mark.parametrize("kind", CONVOLVING)
def test_random_weights_give_the_variance_of_the_rule(kind: str) -> None:
    operation, rate = operation_named(OPERATIONS.get(kind).listed[0]), 0.2
    layers = [module_for(layer) for _, layer in operation.layers(64) if isinstance(layer, Conv2d)]
    spikes = (torch.rand(4, 64, 12, 12, generator=torch.Generator().manual_seed(0)) < rate).float()
    powers = []
    for seed in range(12):
        value = spikes
        for number, layer in enumerate(layers):
            initialise(torch.nn.ModuleList([layer]), 100 * seed + number)
            value = layer(value).detach()
        powers.append(float(value[:, :, 2:-2, 2:-2].square().mean()))  # away from the padding
    assert type(operation).field_rule.rate_per_variance == pytest.approx(rate / np.mean(powers), rel=0.05)
