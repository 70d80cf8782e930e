"""What the card of an export says of other tools is what they do."""

from dataclasses import replace
from pathlib import Path

import nir
import nirtorch
import numpy as np
import pytest
import torch

from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.elsewhere import OURS, tools_that_open
from hasnas.nas.export.nir_reader import read_deployed, read_nir
from hasnas.nas.export.nir_writer import MOST_DENSE, TIMESTEP_S, to_nir, write_nir
from hasnas.nas.export.target import probe
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import AvgPool2d, Input, Output, pair
from hasnas.search_spaces.network import SpikingNetwork, build_network
from tests.lively import assert_lively
from tests.nas.export.conftest import draw_architecture, train_a_little

CHAIN = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(1, 2, "avgpool3x3"), Edge(2, 3, "conv1x1")))
CASES = {"chain": (1, None), "branches": (1, False), "feedback": (3, True)}


def architecture_of(case: str) -> Architecture:
    seed, feedback = CASES[case]
    drawn = draw_architecture(seed, bool(feedback))
    return replace(drawn, genotypes=(CHAIN, CHAIN)) if feedback is None else drawn


def network_of(case: str, neuron: str) -> SpikingNetwork:
    architecture = architecture_of(case)
    graph = replace(architecture, macro=replace(architecture.macro, neuron=neuron)).expand()
    return train_a_little(build_network(graph, 1), 1)


def open_with(tool: str, path: Path, way: str):
    graph = nir.read(path)
    if tool.startswith("SpikingJelly"):
        from spikingjelly.activation_based.nir_exchange import import_from_nir

        return import_from_nir(path, dt=TIMESTEP_S)
    if tool.startswith("snnTorch"):
        pytest.importorskip("snntorch")
        from snntorch.import_nir import import_from_nir

        return import_from_nir(graph)
    pytest.importorskip("norse")
    from norse.torch.utils.import_nir import _import_norse_module, from_nir

    if "nir_to_torch" not in way:
        return from_nir(graph, ignore_warnings=True, dt=TIMESTEP_S)
    kinds = {type(node) for node in graph.nodes.values()} - {nir.Input, nir.Output}
    return nirtorch.nir_to_torch(
        graph, dict.fromkeys(kinds, lambda node: _import_norse_module(node, True, dt=TIMESTEP_S))
    )


def steps_of(module, inputs: torch.Tensor, timesteps: int) -> torch.Tensor:
    state, steps = None, []
    for step in range(timesteps):
        result = module(inputs if inputs.ndim == 4 else inputs[step], state)
        output, state = result if isinstance(result, tuple) else (result, None)
        steps.append(output)
    return torch.stack(steps)


@pytest.mark.slow
@pytest.mark.parametrize("neuron", ["lif", "if"])
@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_tools_do_what_is_said_of_them(case: str, neuron: str, tmp_path: Path):
    network = network_of(case, neuron)
    inputs = probe(network, 8)
    assert_lively(network, inputs)
    path = tmp_path / "network.nir"
    deployed = deploy(network.graph, network.state_dict())
    write_nir(path, deployed)
    said = tools_that_open(to_nir(deployed))
    for tool in ("SpikingJelly 2.0", "snnTorch 1.0", "Norse 1.1"):
        if said[tool].startswith("no: "):
            with pytest.raises((ValueError, AssertionError, KeyError)):
                steps_of(open_with(tool, path, said[tool]), inputs, network.graph.timesteps)
            continue
        found = steps_of(open_with(tool, path, said[tool]), inputs, network.graph.timesteps)
        close = (found - network.steps(inputs)).abs().amax((0, 2)) < 1e-4
        assert close.float().mean() > 0.8, (tool, "rounding moves a spike now and then")


def test_the_cases_differ_in_what_is_said():
    for case, told in {"chain": "norse.torch.from_nir", "branches": "nir_to_torch", "feedback": "no: "}.items():
        network = network_of(case, "lif")
        said = tools_that_open(to_nir(deploy(network.graph, network.state_dict())))
        assert told in said["Norse 1.1"]


def test_nothing_is_promised_of_primitives_that_nobody_tried():
    graph = nir.NIRGraph.from_list(nir.Input(np.array([2])), nir.Threshold(np.ones(2)))
    assert set(tools_that_open(graph).values()) == {"no: nobody tried its Threshold there"}


def pooled(channels: int, window: int | tuple[int, int]) -> LayerGraph:
    """A pool alone."""
    nodes = (
        Node("input", Input(False), (channels, *pair(window))),
        Node("pool", AvgPool2d(window, window, 0), (channels, 1, 1)),
        Node("output", Output(), (channels, 1, 1)),
    )
    return LayerGraph(nodes, (Connection("input", "pool"), Connection("pool", "output")), 2)


def test_pools_are_convolutions_that_every_tool_knows_unless_they_would_fill_the_disk():
    small, large = pooled(3, 2), pooled(400, 8)
    assert MOST_DENSE < 400**2 * 8**2
    written = [to_nir(deploy(graph, {})) for graph in (small, large)]
    kinds = [type(graph.nodes["pool"]).__name__ for graph in written]
    assert kinds == ["Conv2d", "AvgPool2d"]
    np.testing.assert_array_equal(written[0].nodes["pool"].weight[1, 1], np.full((2, 2), 0.25))
    assert written[0].nodes["pool"].weight.sum() == 3
    assert tools_that_open(written[0])["Norse 1.1"].startswith("yes")
    assert "AvgPool2d" in tools_that_open(written[1])["Norse 1.1"]
    assert {type(node).__name__ for graph in written for node in graph.nodes.values()} <= OURS


@pytest.mark.parametrize("window, kind", [((1, 3), "Conv2d"), ((1, 4), "AvgPool2d"), (3, "Conv2d")])
@torch.no_grad()
def test_pools_come_back_as_pools_also_along_a_line(window: int | tuple[int, int], kind: str, tmp_path: Path):
    graph = pooled(2, window)
    deployed, path = deploy(graph, {}), tmp_path / "network.nir"
    write_nir(path, deployed)
    assert type(nir.read(path).nodes["pool"]).__name__ == kind  # an even side has no middle row
    back = read_deployed(path).graph
    assert [node.operation for node in back.nodes] == [node.operation for node in graph.nodes]
    inputs = torch.randn(2, 3, 2, *pair(window))
    torch.testing.assert_close(read_nir(path).steps(inputs), inputs.mean((-2, -1), keepdim=True))
