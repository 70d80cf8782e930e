"""Networks of snnTorch and Norse cost what the same network costs here."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import norse.torch as norse
import pytest
import snntorch
import torch
from spikingjelly.activation_based import neuron
from torch import nn

from hasnas.cim_estimator import estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.cli import run_command
from hasnas.nas.tracing.trace import trace_module
from hasnas.nas.tracing.weights import traced_network
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import ALIF, IF, LIF, PLIF, Add, Input, Linear, Neuron, Output
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.neurons.synaptic import SynapticLIF

T = 4
VECTOR = torch.rand(2, 20, generator=torch.Generator().manual_seed(0))


class Loop(nn.Module):
    """As snnTorch's tutorials write it: the module steps through time and gathers spikes and membranes."""

    def __init__(self, over_time: bool = False, count: bool = False) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(20, 12), nn.Linear(12, 5)
        self.hidden, self.out = snntorch.Leaky(beta=0.75), snntorch.Leaky(beta=0.75, reset_mechanism="zero")
        self.over_time, self.count = over_time, count

    def forward(self, x: torch.Tensor) -> Any:
        hidden, out = self.hidden.init_leaky(), self.out.init_leaky()
        spikes, membranes = [], []
        for step in range(x.size(0) if self.over_time else T):
            current = self.first(x[step] if self.over_time else x)
            fired, hidden = self.hidden(current, hidden)
            answer, out = self.out(self.second(fired), out)
            spikes.append(answer)
            membranes.append(out)
        return sum(spikes) if self.count else (torch.stack(spikes), torch.stack(membranes, dim=0))


def chain(*neurons: Neuron, static: bool = True) -> LayerGraph:
    """Two dense layers, each with such neurons."""
    layers = [("first", Linear(20, 12, True), 12), ("hidden", neurons[0], 12)]
    layers += [("second", Linear(12, 5, True), 5), ("out", neurons[1], 5)]
    nodes = [Node("input", Input(static), (20,)), *(Node(name, layer, (size,)) for name, layer, size in layers)]
    nodes.append(Node("output", Output(), (5,)))
    names = [node.name for node in nodes]
    return LayerGraph(tuple(nodes), tuple(map(Connection, names, names[1:])), T)


@pytest.mark.parametrize("over_time", [False, True])
@pytest.mark.parametrize("count", [False, True])
def test_a_module_that_loops_over_time_is_its_layers(over_time: bool, count: bool):
    module, before = Loop(over_time, count), torch.get_rng_state()
    example = torch.rand(T, *VECTOR.shape) if over_time else VECTOR
    torch.set_rng_state(before)
    graph = trace_module(module, example, T)
    assert graph == chain(SoftResetLIF(4.0, 0.25), LIF(4.0, 0.25), static=not over_time)
    assert graph.parameter_count == sum(parameter.numel() for parameter in module.parameters())


def test_what_is_called_less_or_more_often_than_there_are_timesteps_is_refused():
    with pytest.raises(BadInputError, match="'first' is used twice in one pass"):
        trace_module(Loop(), VECTOR, T + 1)


def operations(module: nn.Module, example: torch.Tensor = VECTOR) -> tuple[list[Any], list[str]]:
    notes: list[str] = []
    graph = trace_module(nn.Sequential(nn.Linear(20, 12), module), example, T, note=notes.append)
    return [node.operation for node in graph.nodes[2:-1]], notes


LEAKY_OF_SNNTORCH = {
    "Leaky": (snntorch.Leaky(beta=0.8, init_hidden=True), SoftResetLIF(5.0, 0.2)),
    "hard reset": (snntorch.Leaky(beta=0.8, threshold=2.0, reset_mechanism="zero", init_hidden=True), LIF(5.0, 0.4)),
    "no leak": (snntorch.Leaky(beta=1.0, init_hidden=True), IF(1.0)),
    "learned": (snntorch.Leaky(beta=0.8, learn_beta=True, reset_mechanism="zero", init_hidden=True), PLIF(5.0, 0.2)),
    "Lapicque": (snntorch.Lapicque(beta=0.5, init_hidden=True), SoftResetLIF(2.0, 0.5)),
    "Synaptic": (snntorch.Synaptic(alpha=0.5, beta=0.8, init_hidden=True), SynapticLIF(5.0, 0.1, 0.0, 2.0)),
}


@pytest.mark.parametrize("kind", LEAKY_OF_SNNTORCH)
def test_neurons_of_snntorch(kind: str):
    module, expected = LEAKY_OF_SNNTORCH[kind]
    (found,), _ = operations(module)
    assert type(found) is type(expected)
    for quantity in ("tau", "threshold", "tau_synapse"):
        assert getattr(found, quantity, 0) == pytest.approx(getattr(expected, quantity, 0), rel=1e-6)


@torch.no_grad()
def test_their_equation_is_ours():
    """snnTorch resets one step later; its hard reset at beta = 0.5 is compared where no spike came yet."""
    x = 0.3 * torch.rand(T, 2, 50, generator=torch.Generator().manual_seed(1))
    theirs = snntorch.Leaky(beta=0.5, threshold=0.4, reset_mechanism="zero")
    (ours,), _ = operations(copy.deepcopy(theirs))
    assert isinstance(ours, LIF)
    membrane, fired = theirs.init_leaky(), []
    for step in x:
        spike, membrane = theirs(step, membrane)
        fired.append(spike)
    first = torch.stack(fired).argmax(0)
    assert torch.equal(ours.module()(x).argmax(0), first)
    assert len(first.unique()) > 2


@pytest.mark.parametrize("kind", ["linear", "convolution"])
def test_recurrent_neurons_hold_a_layer_that_arrives_one_timestep_later(kind: str):
    notes: list[str] = []
    if kind == "linear":
        recurrent = snntorch.RSynaptic(alpha=0.5, beta=0.8, linear_features=12, init_hidden=True)
        graph = trace_module(nn.Sequential(nn.Linear(20, 12), recurrent), VECTOR, T, note=notes.append)
        assert graph.node("1.recurrent").operation == Linear(12, 12, True)
    else:
        leaky = snntorch.RLeaky(beta=0.8, conv2d_channels=3, kernel_size=3, init_hidden=True)
        graph = trace_module(nn.Sequential(nn.Conv2d(1, 3, 3, padding=1), leaky), torch.rand(2, 1, 6, 6), T)
        assert graph.node("1.recurrent").parameter_count == 3 * 3 * 9 + 3
    assert Connection("1.recurrent", "1.sum", delay=1) in graph.connections
    assert isinstance(graph.node("1.sum").operation, Add)
    assert estimate(lower(graph), load_hardware("rram-32nm")).energy_j > 0
    with pytest.raises(BadInputError, match="use all_to_all=True"):
        operations(snntorch.RLeaky(beta=0.8, all_to_all=False, init_hidden=True))


NORSE = {
    "LIFCell": (norse.LIFCell(), [SynapticLIF(10.0, 1.0, 0.0, 5.0)]),
    "LIFBoxCell": (norse.LIFBoxCell(), [LIF(10.0)]),
    "IAFCell": (norse.IAFCell(), [IF()]),
    "LICell": (norse.LICell(), [SynapticLIF(10.0, 1.0, 0.0, 5.0)]),
    "LIFRefracCell": (norse.LIFRefracCell(), [SynapticLIF(10.0, 1.0, 0.0, 5.0)]),
    "LSNNCell": (norse.LSNNCell(), [ALIF(10.0)]),
    "LIFRecurrentCell": (
        norse.LIFRecurrentCell(12, 7), [Linear(12, 7), Add(), SynapticLIF(10.0, 1.0, 0.0, 5.0), Linear(7, 7)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", NORSE)
def test_neurons_of_norse(kind: str):
    module, expected = NORSE[kind]
    notes: list[str] = []
    net = norse.SequentialState(nn.Linear(20, 12), module)
    graph = trace_module(net, VECTOR, T, note=notes.append)
    found = [node.operation for node in graph.nodes[2:-1]]
    assert [type(one) for one in found] == [type(one) for one in expected]
    for one, other in zip(found, expected, strict=True):
        if isinstance(one, Neuron):
            assert one.tau == pytest.approx(other.tau)
            assert getattr(one, "tau_synapse", 0) == pytest.approx(getattr(other, "tau_synapse", 0))
        else:
            assert one == other
    assert bool(notes) == (kind in ("LICell", "LIFRefracCell", "LSNNCell"))
    assert graph.parameter_count == sum(parameter.numel() for parameter in net.parameters())


def test_a_class_without_a_price_is_named_with_its_library():
    with pytest.raises(BadInputError, match="layer '1' is a Alpha of snnTorch, which has no price; known: Lap"):
        operations(snntorch.Alpha(alpha=0.9, beta=0.8, init_hidden=True))
    with pytest.raises(BadInputError, match="LIFAdExCell of Norse, which has no price"):
        trace_module(norse.SequentialState(nn.Linear(20, 12), norse.LIFAdExCell()), VECTOR, T)


def test_values_that_change_no_price_are_told():
    _, notes = operations(snntorch.Leaky(beta=torch.linspace(0.5, 0.9, 12), init_hidden=True))
    assert notes == ["layer '1' has different beta among its neurons; the price is the same"]
    (found,), notes = operations(neuron.IFNode(v_reset=None))
    assert found == IF(1.0, 0.0)
    assert "subtracts at reset" in notes[0]


def test_the_users_module_is_left_as_it_was():
    net = nn.Sequential(nn.Linear(20, 12), snntorch.Leaky(beta=0.8, init_hidden=True))
    held = copy.deepcopy(net.state_dict())
    trace_module(net, VECTOR, T)
    assert all(torch.equal(value, net.state_dict()[name]) for name, value in held.items())


@pytest.mark.slow
def test_the_command_prices_such_a_file_and_says_what_it_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "net.py").write_text(
        "import snntorch, torch\n"
        "def net():\n"
        "    beta = torch.linspace(0.5, 0.9, 10)\n"
        "    return torch.nn.Sequential(torch.nn.Linear(784, 10), snntorch.Leaky(beta=beta, init_hidden=True))\n"
    )
    arguments = ["--input", "784", "--timesteps", "4", "--hardware", "rram-32nm"]
    assert run_command(["estimate", f"{tmp_path}/net.py:net", *arguments]) == 0
    said = capsys.readouterr().out
    assert "7850" in said.replace(",", "")
    assert "layer '1' has different beta" in said


def test_neurons_of_sinabs_where_it_is_installed():
    layers = pytest.importorskip("sinabs.layers")
    for module, kind in [
        (layers.IAFSqueeze(batch_size=4), IF),
        (layers.LIFSqueeze(tau_mem=10.0, batch_size=4), PLIF),
        (layers.LIFSqueeze(tau_mem=10.0, tau_syn=5.0, batch_size=4), SynapticLIF),
        (layers.ExpLeakSqueeze(tau_mem=10.0, batch_size=4), LIF),
    ]:
        (found,), notes = operations(module)
        assert type(found) is kind
        assert notes
        assert found.tau == pytest.approx(10.0) or kind is IF


@torch.no_grad()
def test_weights_of_other_libraries_are_taken_and_the_answers_compared():
    loop = Loop()
    loop.hidden = snntorch.Leaky(beta=0.75, reset_mechanism="zero")
    box = norse.SequentialState(nn.Linear(20, 12), norse.LIFBoxCell(), nn.Linear(12, 5))
    for module in (loop, box):
        found = traced_network(module, VECTOR, T)
        assert found.alike == 1.0
        assert found.difference < 1e-5
        assert float(found.network(8 * VECTOR).std()) > 0
        torch.testing.assert_close(found.network.state_dict()[next(iter(found.network.state_dict()))], _first(module))
    synaptic = norse.SequentialState(nn.Linear(20, 12), norse.LIFCell(), nn.Linear(12, 5))
    assert traced_network(synaptic, VECTOR.repeat(8, 1), T).alike < 1, "its current arrives a timestep later than ours"


def _first(module: nn.Module) -> torch.Tensor:
    return next(module.parameters())
