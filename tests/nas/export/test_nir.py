from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from spikingjelly.activation_based.nir_exchange import import_from_nir

from hasnas.errors import BadInputError
from hasnas.nas.export.deploy import Deployed, deploy
from hasnas.nas.export.nir_reader import read_deployed, read_nir
from hasnas.nas.export.nir_writer import TIMESTEP_S, dense_kernel, to_nir, write_nir
from hasnas.nas.export.target import NotExpressibleError, load_double, probe
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import IF, Input, MaxPool2d, Neuron, Output
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.lively import enliven

CASES = [(seed, feedback) for feedback in (False, True) for seed in range(5)]


def written(network: SpikingNetwork, directory: Path) -> Path:
    path = directory / "network.nir"
    write_nir(path, deploy(network.graph, network.state_dict()))
    return path


def run_spikingjelly(path: Path, inputs: torch.Tensor, timesteps: int, static: bool) -> torch.Tensor:
    """Outputs `[T, B, classes]` in double precision, in which no membrane is within rounding of its threshold."""
    module, state, steps = import_from_nir(path, dt=TIMESTEP_S).double(), None, []
    inputs = inputs.double()
    for step in range(timesteps):
        output, state = module(inputs if static else inputs[step], state)
        steps.append(output)
    return torch.stack(steps)


def cell_network(*edges: Edge) -> SpikingNetwork:
    cell = Genotype(4, edges)
    macro = Macro((1, 8, 8), classes=2, timesteps=4, channels=3, hidden=0, votes=1)
    return enliven(build_network(Architecture((cell, cell), macro).expand(), seed=0))


def exact_steps(network: SpikingNetwork, inputs: torch.Tensor) -> torch.Tensor:
    return load_double(network).steps(inputs.double())


def assert_same(found: torch.Tensor, expected: torch.Tensor, atol: float = 1e-9) -> None:
    """In double precision, so that every spike is the same on any machine; SpikingJelly reads weights as float32."""
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)


def delays_in(path: Path) -> int:
    return sum(isinstance(node, nir.Delay) for node in nir.read(path).nodes.values())


@pytest.mark.slow
@pytest.mark.parametrize("seed, feedback", CASES)
@torch.no_grad()
def test_reading_back_gives_the_same_outputs(trained, seed: int, feedback: bool, tmp_path: Path):
    _, network = trained(seed, feedback)
    inputs = probe(network, 64)
    path = written(network, tmp_path)
    assert_same(read_nir(path, torch.float64).steps(inputs.double()), exact_steps(network, inputs))
    differences = (read_nir(path).steps(inputs) - network.steps(inputs)).abs().amax((0, 2))
    assert (differences < 1e-4).sum() >= 60, "rounding moves a spike now and then"


@pytest.mark.slow
@pytest.mark.parametrize("seed, feedback", CASES)
@torch.no_grad()
def test_spikingjelly_computes_the_same_from_the_file(trained, seed: int, feedback: bool, tmp_path: Path):
    architecture, network = trained(seed, feedback)
    inputs = probe(network, 2)
    path = written(network, tmp_path)
    if delays_in(path):
        with pytest.raises(ValueError, match="Delay"):
            import_from_nir(path)
        return
    macro = architecture.macro
    theirs = run_spikingjelly(path, inputs, macro.timesteps, macro.static_input)
    assert_same(theirs, exact_steps(network, inputs), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("neuron, bits", [("if", 0), ("plif", 0), ("if", 4), ("lif", 1), ("plif", 2)])
@pytest.mark.parametrize("seed, feedback", [(0, False), (2, True)])
@torch.no_grad()
def test_other_neurons_and_few_bits_survive(trained, seed, feedback, neuron: str, bits: int, tmp_path: Path):
    _, network = trained(seed, feedback, neuron, bits)
    inputs = probe(network, 3)
    path = written(network, tmp_path)
    exact = load_double(network).run(inputs.double())
    found = read_nir(path, torch.float64).run(inputs.double())
    assert_same(found["output"], exact["output"])
    spiking = [node.name for node in network.graph.nodes if isinstance(node.operation, Neuron)]
    assert all(torch.equal(found[name], exact[name]) for name in spiking), "every spike at its timestep"
    assert any(0 < exact[name].mean() < 1 for name in spiking)
    graph = read_deployed(path).graph
    assert any(isinstance(node.operation, IF) for node in graph.nodes) == (neuron == "if")
    assert all(graph.node(name).operation.weight_bits == bits for name in ("stem.conv", "head.classifier"))
    assert ("weight_bits" in nir.read(path).metadata) == (bits > 0)


@torch.no_grad()
def test_answers_by_rate_survive(trained, tmp_path: Path):
    architecture, network = trained(1, False, readout="rate")
    inputs = probe(network, 3)
    path = written(network, tmp_path)
    assert_same(read_nir(path, torch.float64).steps(inputs.double()), exact_steps(network, inputs))
    assert read_deployed(path).graph.node("head.vote").operation == network.graph.node("head.vote").operation
    theirs = run_spikingjelly(path, inputs, architecture.macro.timesteps, True)
    assert_same(theirs, exact_steps(network, inputs), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["lif", "plif", "if"])
@torch.no_grad()
def test_membranes_of_few_bits_survive_in_the_metadata(trained, neuron: str, tmp_path: Path):
    _, network = trained(2, True, neuron, 0, 5)
    inputs = probe(network, 3).double()
    path = written(network, tmp_path)
    exact, found = load_double(network).run(inputs), read_nir(path, torch.float64).run(inputs)
    spiking = [node.name for node in network.graph.nodes if isinstance(node.operation, Neuron)]
    assert all(torch.equal(found[name], exact[name]) for name in spiking), "every spike at its timestep"
    assert any(0 < exact[name].mean() < 1 for name in spiking)
    assert all(read_deployed(path).graph.node(name).operation.membrane_bits == 5 for name in spiking)
    assert "membrane_bits" in nir.read(path).metadata
    _, plain = trained(2, True, neuron)
    assert "membrane_bits" not in nir.read(written(plain, tmp_path)).metadata


@pytest.mark.parametrize("neuron, bits", [("if", 0), ("plif", 4)])
@torch.no_grad()
def test_spikingjelly_knows_the_other_neurons(trained, neuron: str, bits: int, tmp_path: Path):
    architecture, network = trained(1, False, neuron, bits)
    inputs = probe(network, 2)
    theirs = run_spikingjelly(written(network, tmp_path), inputs, architecture.macro.timesteps, True)
    assert_same(theirs, exact_steps(network, inputs), atol=1e-5)


def test_a_learned_time_constant_is_written(trained, tmp_path: Path):
    _, network = trained(1, False, "plif")
    node = nir.read(written(network, tmp_path)).nodes["head.lif"]
    tau = 1 / network.state_dict()["head.lif.w"].double().sigmoid()
    np.testing.assert_allclose(node.tau, tau * TIMESTEP_S)
    assert not np.isclose(tau, 4 / 3)


def test_an_adaptive_threshold_is_refused(trained, tmp_path: Path):
    _, network = trained(1, False, "alif")
    with pytest.raises(NotExpressibleError, match=r"no word for neurons with an adaptive threshold \(ALIF\); export"):
        written(network, tmp_path)


@torch.no_grad()
def test_a_loop_is_a_recurrent_edge_that_spikingjelly_understands(tmp_path: Path):
    feedback = Edge(3, 1, "avgpool3x3"), Edge(1, 0, "identity")
    network = cell_network(Edge(0, 1, "conv3x3"), Edge(1, 3, "conv1x1"), *feedback)
    assert any(link.delay for link in network.graph.connections)
    path = written(network, tmp_path)
    assert delays_in(path) == 0
    inputs = probe(network, 5)
    assert_same(run_spikingjelly(path, inputs, 4, True), exact_steps(network, inputs), atol=1e-5)


@torch.no_grad()
def test_a_delay_without_a_loop_is_written_as_such(tmp_path: Path):
    network = cell_network(Edge(0, 2, "conv3x3"), Edge(2, 1, "identity"), Edge(1, 3, "conv1x1"), Edge(0, 3, "identity"))
    path = written(network, tmp_path)
    assert delays_in(path) == 2
    inputs = probe(network, 5)
    assert_same(read_nir(path, torch.float64).steps(inputs.double()), exact_steps(network, inputs))


@torch.no_grad()
def test_a_value_that_is_added_twice_counts_twice(tmp_path: Path):
    network = cell_network(Edge(0, 1, "identity"), Edge(0, 3, "identity"), Edge(1, 3, "identity"))
    links = [(link.source, link.target) for link in network.graph.connections]
    assert len(set(links)) < len(links)
    path = written(network, tmp_path)
    inputs = probe(network, 5)
    assert_same(read_nir(path, torch.float64).steps(inputs.double()), exact_steps(network, inputs))
    assert_same(run_spikingjelly(path, inputs, 4, True), exact_steps(network, inputs), atol=1e-5)


def test_neurons_and_metadata_say_what_a_timestep_is(trained, tmp_path: Path):
    architecture, network = trained(1, False)
    graph = nir.read(written(network, tmp_path))
    neuron = graph.nodes["head.lif"]
    np.testing.assert_allclose(neuron.tau, architecture.macro.tau * TIMESTEP_S)
    assert (neuron.r == 1).all()
    assert graph.metadata["timestep_s"] == TIMESTEP_S
    assert graph.metadata["timesteps"] == architecture.macro.timesteps
    assert list(graph.nodes) == [node.name for node in deploy(network.graph, network.state_dict()).graph.nodes]


def test_a_layer_without_a_word_is_refused():
    shape = (1, 4, 4)
    nodes = (Node("input", Input(), shape), Node("pool", MaxPool2d(3, 1, 1), shape), Node("output", Output(), shape))
    graph = LayerGraph(nodes, (Connection("input", "pool"), Connection("pool", "output")), 1)
    with pytest.raises(BadInputError, match="'pool': NIR has no word for MaxPool2d"):
        to_nir(Deployed(graph, {}))


def test_a_dense_kernel_computes_what_the_grouped_one_does():
    weight = torch.randn(6, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    inputs = torch.randn(1, 6, 5, 5, generator=torch.Generator().manual_seed(1))
    grouped = torch.nn.functional.conv2d(inputs, weight, groups=3)
    torch.testing.assert_close(torch.nn.functional.conv2d(inputs, dense_kernel(weight, 3)), grouped)


def foreign_graph(**changes: nir.NIRNode) -> nir.NIRGraph:
    """A file as another tool may write it: no metadata, a neuron fed by two layers, an output with its own name."""
    full = np.full((2,), 1.0)
    nodes = {
        "x": nir.Input(np.array([3])),
        "output": nir.Linear(np.ones((2, 3))),
        "b": nir.Affine(-np.ones((2, 3)) / 2, np.array([0.25, 0.5])),
        "n": nir.LIF(full * 2 * TIMESTEP_S, full, full * 0, full, full * 0),
        "y": nir.Output(np.array([2])),
    }
    edges = [("x", "output"), ("x", "b"), ("output", "n"), ("b", "n"), ("n", "y")]
    return nir.NIRGraph({**nodes, **changes}, edges)


@torch.no_grad()
def test_a_feed_forward_file_of_another_tool_is_read(tmp_path: Path):
    nir.write(tmp_path / "foreign.nir", foreign_graph())
    network = read_nir(tmp_path / "foreign.nir", timesteps=3)
    inputs = torch.tensor([[1.0, 1.0, 1.0]]).expand(3, 1, 3)
    # The current is 3 - 1.5 + bias = 1.75 and 2.0, the membrane half of it: 0.875 and 1.0 at the first timestep.
    assert network.steps(inputs)[:, 0].tolist() == [[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]]
    with pytest.raises(BadInputError, match="pass timesteps"):
        read_nir(tmp_path / "foreign.nir")


def lif(tau: object = 2 * TIMESTEP_S, r: object = 1.0, threshold: object = 1.0) -> nir.LIF:
    values = [np.broadcast_to(np.asarray(value, float), (2,)).copy() for value in (tau, r, 0.0, threshold, 0.0)]
    return nir.LIF(*values)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"n": lif(threshold=[1.0, 2.0])}, "'n' has different v_threshold"),
        ({"n": lif(r=-3.0)}, "'n' has r = -3"),
        ({"n": lif(tau=TIMESTEP_S / 2)}, "'n' has tau = 5e-05 s"),
        ({"n": nir.IF(np.full(2, 1.0), np.ones(2))}, "'n' has r = 1; only 1 / timestep = 10000 can be run"),
        ({"n": nir.Threshold(np.ones(2))}, "'n' is a Threshold, which cannot be run"),
        ({"n": nir.Delay(np.full(2, 2 * TIMESTEP_S))}, "'n' delays by 2 timesteps"),
    ],
)
def test_what_cannot_be_read_is_named(changes: dict[str, nir.NIRNode], message: str, tmp_path: Path):
    path = tmp_path / "foreign.nir"
    graph = foreign_graph(**changes)
    if isinstance(changes["n"], nir.Delay):
        graph.edges = [edge for edge in graph.edges if "b" not in edge]
        del graph.nodes["b"]
    nir.write(path, graph)
    with pytest.raises(BadInputError, match=f"foreign.nir: .*{message}"):
        read_deployed(path, timesteps=1)


def test_a_loop_of_another_tool_is_refused(tmp_path: Path):
    graph = foreign_graph()
    graph.nodes["back"] = nir.Affine(np.ones((2, 2)), np.ones(2))
    graph.edges += [("n", "back"), ("back", "n")]
    nir.write(tmp_path / "loop.nir", graph)
    with pytest.raises(BadInputError, match="does not say where it takes a timestep"):
        read_nir(tmp_path / "loop.nir", timesteps=1)


def test_a_file_that_is_not_nir_is_refused(trained, tmp_path: Path):
    with pytest.raises(BadInputError, match="no such file"):
        read_nir(tmp_path / "absent.nir")
    path = written(trained(0, False)[1], tmp_path)
    path.write_bytes(path.read_bytes()[:500])
    with pytest.raises(BadInputError, match=r"network.nir is not a readable NIR file"):
        read_nir(path)
