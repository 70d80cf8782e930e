"""One network has one price, whichever door it comes in by: codes, graph, JSON, NIR file, torch module."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import nn

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.commands.estimate import Question, answer
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.nir_writer import write_nir
from hasnas.nas.export.target import NotExpressibleError
from hasnas.nas.tracing.trace import trace_module
from hasnas.search_spaces import Architecture, LayerGraph, Macro, read_nir
from hasnas.search_spaces.hasnas import HASNASSpace
from hasnas.search_spaces.layers import (
    ALIF,
    IF,
    LIF,
    PLIF,
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Operation,
    Output,
    Vote,
)
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.network import build_network, module_for
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.python_space import load_space_class
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import SPACES as REGISTERED
from hasnas.search_spaces.space import SearchSpace, sample
from hasnas.search_spaces.yaml_space import space_from_tree

MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=1)
CHIPS = {
    "general": load_hardware("rram-32nm", {"readout": "event"}),
    "spikesim": load_hardware("spikesim-65nm-rram", {"crossbar.size": "32"}),
}

WRITTEN = {"version": 1, "name": "own", "nodes": 3, "cells": 2, "shared": False, "feedback": True}
OPERATIONS = ["none", "identity", "dwsep3x3", {"name": "sharp", "kind": "conv", "kernel_size": 5, "threshold": 0.5}]
BLOCKS = {"version": 1, "name": "blocks", "kind": "blocks", "cells": 2, "operations": ["conv3x3", "conv1x1"]}
PYTHON = """
from dataclasses import dataclass
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.python_space import load_space_class
from hasnas.search_spaces.snasnet import CellSpace

@dataclass(frozen=True)
class Narrow(CellSpace):
    nodes: int = 3
    cells: int = 1
    operations: tuple[str, ...] = ("none", "conv1x1", "dwsep3x3", "avgpool3x3")
"""


def written_in_python() -> SearchSpace:
    """A space whose class stands in a file, as a config's `space.file` names it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "narrow_space_of_one_price.py"
        path.write_text(PYTHON)
        return load_space_class(path)(MACRO)


# Every space that a config may name, as it comes, then variants of them and spaces that users write.
SPACES: dict[str, SearchSpace] = {
    **{name: REGISTERED.get(name)(MACRO) for name in REGISTERED.names()},
    "feedback": SNASNetSpace(replace(MACRO, votes=2), feedback=True),
    "votes": HASNASSpace(replace(MACRO, hidden=0, votes=3)),
    "max pools": CellSpace(replace(MACRO, reduction="max_pool"), cells=3, operations=("none", "conv3x3", "maxpool3x3")),
    "frames": CellSpace(replace(MACRO, static_input=False), operations=("none", "identity", "conv5x5", "avgpool3x3")),
    "spikes": SNASNetSpace(replace(MACRO, static_input=False, largest_count=1)),
    "plif, 4 bits": SNASNetSpace(replace(MACRO, neuron="plif", weight_bits=4), feedback=True),
    "if, membranes of 6 bits": SNASNetSpace(replace(MACRO, neuron="if", membrane_bits=6)),
    "alif": SNASNetSpace(replace(MACRO, neuron="alif")),
    "soft reset": SNASNetSpace(replace(MACRO, neuron="lif_soft_reset")),
    "soft reset of 5 bits": SNASNetSpace(replace(MACRO, neuron="lif_soft_reset", membrane_bits=5, votes=2)),
    "depthwise separable": CellSpace(MACRO, nodes=3, operations=("none", "identity", "dwsep3x3", "conv3x3")),
    "depthwise separable of 4 bits": CellSpace(
        replace(MACRO, weight_bits=4, neuron="lif_soft_reset"), nodes=3, operations=("none", "dwsep3x3", "avgpool3x3")
    ),
    "yaml": space_from_tree({**WRITTEN, "kind": "cell", "operations": OPERATIONS}, "own.yaml").build(MACRO),
    "yaml, blocks": space_from_tree(BLOCKS, "blocks.yaml").build(MACRO),
    "python": written_in_python(),
}


def connected(space: SearchSpace, count: int, fits: Callable[[LayerGraph], bool] = lambda graph: True) -> np.ndarray:
    """Codes of a few connected networks of a space."""
    codes = sample(space, np.random.default_rng(3), 200)
    codes = codes[space.canonical(codes)[1]]
    found = [code for code in codes if fits(space.decode(code).expand())]
    assert found
    return np.array(found[:count])


def costs_of(graph: LayerGraph, chip: str) -> dict[str, float]:
    report = estimate(lower(graph), CHIPS[chip], Activity.assumed(0.1))
    return {name: float(value) for name, value in report.costs().items()}


def assert_same(one: dict[str, float], other: dict[str, float]) -> None:
    assert one == pytest.approx(other, rel=1e-12)
    assert one["energy_j"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", SPACES)
def test_codes_and_graph(name: str, chip: str):
    space = SPACES[name]
    codes = connected(space, 12)
    together = Pricer(space, CHIPS[chip], Activity.assumed(0.1)).costs(codes)
    for row, code in enumerate(codes):
        alone = costs_of(space.decode(code).expand(), chip)
        found = {field: value for field, value in together.row(row).items() if field in alone}
        assert len(found) >= 5
        assert_same(found, {field: alone[field] for field in found})


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", SPACES)
def test_graph_and_architecture_file(name: str, chip: str, tmp_path: Path):
    for code in connected(SPACES[name], 3):
        architecture = SPACES[name].decode(code)
        architecture.save(tmp_path / "architecture.json")
        assert_same(costs_of(Architecture.load(tmp_path / "architecture.json").expand(), chip),
                    costs_of(architecture.expand(), chip))  # fmt: skip


def has_a_word_in_nir(graph: LayerGraph) -> bool:
    return not any(isinstance(node.operation, MaxPool2d | ALIF | SoftResetLIF) for node in graph.nodes)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_graph_and_nir_file(name: str, tmp_path: Path):
    graphs = [SPACES[name].decode(code).expand() for code in connected(SPACES[name], 12)]
    written = 0
    for seed, graph in enumerate(graphs):
        deployed = deploy(graph, build_network(graph, seed).state_dict())
        if not has_a_word_in_nir(graph):
            with pytest.raises(NotExpressibleError, match="NIR has no word for"):
                write_nir(tmp_path / "network.nir", deployed)
            continue
        write_nir(tmp_path / "network.nir", deployed)
        found = read_nir(tmp_path / "network.nir")
        assert found.ignored == ()
        assert sorted(found.tensors) == sorted(build_network(found.graph, 0).state_dict())
        written += 1
        for chip in CHIPS:
            assert_same(costs_of(found.graph, chip), costs_of(graph, chip))
    without = ("alif", "soft reset", "soft reset of 5 bits", "depthwise separable of 4 bits")  # NIR has no such neurons
    assert bool(written) != (name in (*without, "autosnn", "max pools"))  # and the last two pool by maximum


def test_file_and_command(tmp_path: Path):
    graph = SPACES["feedback"].decode(connected(SPACES["feedback"], 1)[0]).expand()
    write_nir(tmp_path / "network.nir", deploy(graph, build_network(graph, 0).state_dict()))
    (told,) = answer(Question(tmp_path / "network.nir", ["rram-32nm"], ["readout=event"], activity="0.1"))
    assert_same({name: float(value) for name, value in told.report.costs().items()}, costs_of(graph, "general"))
    assert told.report.layer_names == lower(graph).names


class TorchTwin(nn.Module):
    """A graph as somebody would write it with torch and SpikingJelly: layers, and `+` where values meet."""

    def __init__(self, graph: LayerGraph) -> None:
        super().__init__()
        self.graph, self.layers = graph, nn.ModuleDict()
        for node in graph.nodes:
            if not isinstance(node.operation, Input | Output | Add):
                self.layers[node.name.replace(".", "-")] = torch_layer(node.operation)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        values: dict[str, torch.Tensor] = {}
        for node in self.graph.nodes:
            arriving = [values[link.source] for link in self.graph.inputs(node.name)]
            name = node.name.replace(".", "-")
            if not arriving:
                values[node.name] = x
            elif isinstance(node.operation, Add):
                values[node.name] = sum(arriving)
            else:
                values[node.name] = self.layers[name](arriving[0]) if name in self.layers else arriving[0]
        return values["output"]


def torch_layer(operation: Operation) -> nn.Module:
    """The layer of torch or SpikingJelly that does the same."""
    if isinstance(operation, Neuron) and (operation.membrane_bits or isinstance(operation, ALIF)):
        module = operation.module()  # nobody else has such neurons
        functional.set_step_mode(module, "s")
        return module
    match operation:
        case SoftResetLIF(tau, threshold):
            return neuron.LIFNode(tau=tau, v_threshold=threshold, v_reset=None)
        case Vote(group_size):
            return layer.VotingLayer(group_size)
        case LIF(tau, threshold, reset):
            return neuron.LIFNode(tau=tau, v_threshold=threshold, v_reset=reset)
        case PLIF(tau, threshold, reset):
            return neuron.ParametricLIFNode(init_tau=tau, v_threshold=threshold, v_reset=reset)
        case IF(threshold, reset):
            return neuron.IFNode(v_threshold=threshold, v_reset=reset)
        case Conv2d(inputs, outputs, kernel, stride, padding, groups, bias, 0):
            return layer.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=bias)
        case Linear(inputs, outputs, bias, 0):
            return layer.Linear(inputs, outputs, bias)
        case Flatten():
            return nn.Flatten()
        case Dropout(probability):
            return nn.Dropout(probability)
        case AvgPool2d(kernel, stride, padding):
            return nn.AvgPool2d(kernel, stride, padding)
        case BatchNorm() | MaxPool2d() | Conv2d() | Linear():
            module = module_for(operation)
            assert module is not None
            return module
    raise AssertionError(f"no twin of {operation}")


def has_a_twin(graph: LayerGraph) -> bool:
    """A module has no feedback."""
    return not any(link.delay for link in graph.connections)


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("name", SPACES)
def test_graph_and_torch_module(name: str, chip: str):
    space = SPACES[name]
    example = torch.rand(2, 1, 8, 8)
    for code in connected(space, 4, has_a_twin):
        graph = space.decode(code).expand()
        static, largest = space.macro.static_input, space.macro.largest_count
        traced = trace_module(TorchTwin(graph), example, MACRO.timesteps, static, largest)
        assert_same(costs_of(traced, chip), costs_of(graph, chip))
    for code in connected(space, 4):  # ours say what they are, feedback included
        graph = space.decode(code).expand()
        traced = trace_module(build_network(graph, 0), example, MACRO.timesteps)
        assert_same(costs_of(traced, chip), costs_of(graph, chip))


def test_sums_of_many_are_among_the_networks():
    counts = {
        len(graph.inputs(node.name))
        for code in connected(SPACES["snasnet"], 40, has_a_twin)
        for graph in [SPACES["snasnet"].decode(code).expand()]
        for node in graph.nodes
        if isinstance(node.operation, Add)
    }
    assert {2, 3} <= counts


def test_what_a_torch_module_cannot_be_read_as_is_named():
    with pytest.raises(BadInputError, match="IzhikevichNode, which has no price"):
        trace_module(nn.Sequential(nn.Linear(4, 3), neuron.IzhikevichNode()), torch.rand(1, 4), 2)


def test_spikes_at_the_input_of_a_file_or_a_module_are_said_on_the_command_line(tmp_path: Path):
    space = SNASNetSpace(replace(MACRO, static_input=False))
    graph = space.decode(connected(space, 1)[0]).expand()
    spiking = SNASNetSpace(replace(MACRO, static_input=False, largest_count=1))
    wanted = costs_of(spiking.decode(connected(space, 1)[0]).expand(), "general")
    write_nir(tmp_path / "network.nir", deploy(graph, build_network(graph, 0).state_dict()))
    settings = ["readout=event"]
    (told,) = answer(Question(tmp_path / "network.nir", ["rram-32nm"], settings, activity="0.1", largest_count=1))
    assert_same({name: float(value) for name, value in told.report.costs().items()}, wanted)
    (tmp_path / "net.py").write_text("from torch import nn\n\ndef make():\n    return nn.Sequential(nn.Linear(8, 4))\n")
    module = Question(Path(f"{tmp_path}/net.py:make"), ["rram-32nm"], timesteps=2, input_shape=(8,))
    real, spikes = (answer(replace(module, largest_count=largest))[0].report for largest in (0, 1))
    assert real.energy_j > spikes.energy_j
    with pytest.raises(BadInputError, match="--input-count is for torch modules and NIR files"):
        answer(Question(tmp_path / "layers.yaml", ["rram-32nm"], largest_count=1))
