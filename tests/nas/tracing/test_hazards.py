"""Modules whose calls do not say all that they compute are refused; what only looks unusual is taken as what it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import snntorch
import torch
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from hasnas.errors import BadInputError
from hasnas.nas.commands.python_source import load_module, read_network
from hasnas.nas.tracing.trace import trace_module

X = torch.rand(2, 20, generator=torch.Generator().manual_seed(0))
Forward = Callable[[Any, Tensor], Any]


class Net(nn.Module):
    """Two square layers and neurons, and a forward of one's own."""

    def __init__(self, compute: Forward) -> None:
        super().__init__()
        self.a, self.b, self.fire, self.again = nn.Linear(20, 20), nn.Linear(20, 20), neuron.LIFNode(), neuron.LIFNode()
        self.compute = compute
        self.last: Any = None
        self.record: list[Any] = []
        self._queue: deque[Any] = deque(maxlen=1)

    def forward(self, x: Tensor) -> Any:
        return self.compute(self, x)


def dropped(net: Net, x: Tensor) -> Tensor:
    y = net.b(net.a(x))
    y.relu_()
    return net.fire(y)


def another_name(net: Net, x: Tensor) -> Tensor:
    y = shortcut = net.a(x)
    y += net.b(x)
    return net.fire(y) + shortcut


def into_the_sample(net: Net, x: Tensor) -> Tensor:
    x += net.b(net.a(x))
    return net.fire(x)


def remembering(net: Net, x: Tensor) -> Tensor:
    y = net.b(net.a(x))
    net.last = net.fire(y if net.last is None else y + net.last)
    return net.last


def remembering_in_private(net: Net, x: Tensor) -> Tensor:
    y = net.b(net.a(x))
    net._queue.append(net.fire(y + net._queue[0] if net._queue else y))
    return net._queue[0]


def whole_numbers(net: Net, x: Tensor) -> Tensor:
    return net.fire(net.b(net.a(x)).to(torch.int32).float())


def twice(net: Net, x: Tensor) -> Tensor:
    return net.again(net.b(net.fire(net.b(net.a(x)))))


@pytest.mark.parametrize(
    "compute, message",
    [
        (dropped, "function 'relu_' writes into a tensor in place"),
        (another_name, "function 'iadd' writes into a tensor in place"),
        (into_the_sample, "'iadd' writes into the sample itself"),
        (remembering, "Net.last keeps a tensor of one call for the next"),
        (remembering_in_private, "Net._queue keeps a tensor of one call for the next"),
        (whole_numbers, "'to' makes values of the type int32"),
        (twice, "'b' is used twice in one pass"),  # as often as there are timesteps, but not once in each
    ],
)
def test_what_a_trace_does_not_see_is_refused(compute: Forward, message: str):
    module = Net(compute)
    for _ in range(2):  # nothing of the first attempt stays in the module
        with pytest.raises(BadInputError, match=message):
            trace_module(module, X, timesteps=2)
    assert module.last is None
    assert not module._queue


def sound(net: Net, x: Tensor) -> Tensor:
    y = net.a(x) if x.dim() == 2 and x.ndim == 2 else x
    y += net.b(x)
    net.record.append(y)
    return net.fire(y)


def test_additions_in_place_and_records_are_taken():
    module = Net(sound)
    graph = trace_module(module, X, timesteps=2)
    assert graph == trace_module(Net(lambda net, x: net.fire(net.a(x) + net.b(x))), X, timesteps=2)
    assert not module.record


@pytest.mark.parametrize(
    "module, message",
    [
        (nn.Sequential(nn.Linear(20, 13), layer.VotingLayer(4)), r"values of shape \(13,\) are no groups of 4"),
        (nn.Sequential(nn.Linear(20, 12), neuron.LIFNode(v_threshold=float("nan"))), r"thresholds that are no numbers"),
        (nn.Linear(20, 0), "no values at all"),
    ],
)
def test_layers_that_compute_nothing_are_refused(module: nn.Module, message: str):
    with pytest.raises(BadInputError, match=message):
        trace_module(module, X, timesteps=2)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"learn_threshold": True}, "learns threshold, 1 more values than are counted"),
        ({"inhibition": True}, "only its strongest neuron"),
        ({"graded_spikes_factor": 2.0}, "multiplies its spikes by 2"),
        ({"beta": 1.5}, "beta = 1.5, which is no leak"),
    ],
)
def test_what_neurons_of_snntorch_do_beyond_their_price_is_told(options: dict[str, Any], message: str):
    notes: list[str] = []
    leaky = snntorch.Leaky(**({"beta": 0.5, "init_hidden": True} | options))
    trace_module(nn.Sequential(nn.Linear(20, 12), leaky), X, 2, note=notes.append)
    assert any(message in note for note in notes)


MODULES = """
import snntorch, torch
from torch import nn
from spikingjelly.activation_based.neuron import LIFNode

def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 12), nn.BatchNorm1d(12), LIFNode(v_threshold=0.1), nn.Linear(12, 5))

def double(): return plain().double()
def spread(): return nn.DataParallel(plain())
def told():
    return nn.Sequential(*plain()[:2], snntorch.Leaky(beta=0.5, threshold=0.1, reset_mechanism="zero", output=True,
                                                      init_hidden=True))
def meta(): return plain().to("meta")
def broken():
    net = plain()
    net[3].bias.data[2] = float("nan")
    return net
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("modules") / "net.py"
    path.write_text(MODULES)
    return path


@pytest.mark.parametrize("factory", ["plain", "double", "spread", "told"])
def test_other_types_and_wrappings_are_the_same_network(source: Path, factory: str):
    found = read_network(Path(f"{source}:{factory}"), (20,), timesteps=4)
    assert found.alike == 1.0
    assert not any("alike" in note for note in found.notes), "the network answers its input"
    assert found.network.graph.parameter_count == 20 * 12 + 12 + 24 + (0 if factory == "told" else 12 * 5 + 5)


@pytest.mark.parametrize("factory, message", [("meta", "has no values"), ("broken", "'3.bias' holds values that are")])
def test_modules_without_sound_weights_are_refused(source: Path, factory: str, message: str):
    with pytest.raises(BadInputError, match=message):
        load_module(Path(f"{source}:{factory}"))
