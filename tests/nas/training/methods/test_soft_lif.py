"""Networks of rates, and the spiking networks with their weights."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.methods import TRAINING_METHODS
from hasnas.nas.training.methods.rates import spike_count
from hasnas.nas.training.methods.readout import fan_out, read_out
from hasnas.nas.training.methods.soft_lif import SoftLIFSettings, has_rates, retrain, soft_lif_network, start_weights
from hasnas.search_spaces.graph import Node
from hasnas.search_spaces.layers import Conv2d, Linear
from hasnas.search_spaces.network import build_network
from tests.lively import enliven

SETTINGS = RetrainSection(epochs=2, batch_size=32)


def test_methods_are_called_alike():
    assert TRAINING_METHODS.names() == ["soft_lif", "spike_response", "surrogate", "threshold_balance"]
    wanted = list(inspect.signature(TRAINING_METHODS.get("surrogate")).parameters)
    for name in TRAINING_METHODS.names():
        parameters = inspect.signature(TRAINING_METHODS.get(name)).parameters.values()
        assert [item.name for item in parameters if item.kind is not item.KEYWORD_ONLY] == wanted
        assert all(item.default is None for item in parameters if item.kind is item.KEYWORD_ONLY)


@pytest.mark.parametrize("neuron", ["lif", "plif", "if"])
def test_same_names_and_first_weights_as_the_spiking_network(build, neuron: str):
    graph = build(neuron).expand()
    rates, spiking = soft_lif_network(graph), build_network(graph, seed=3)
    start_weights(rates, seed=3)
    ours, theirs = rates.state_dict(), spiking.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_learned_time_constants_get_gradients(build):
    rates = soft_lif_network(build("plif").expand())
    start_weights(rates, seed=0)
    rates(torch.rand(4, 1, 8, 8) * 3).square().sum().backward()
    assert all(p.grad != 0 for name, p in rates.named_parameters() if name.endswith(".w"))


def test_noise_in_training_only(build):
    graph, x = build().expand(), torch.rand(4, 1, 8, 8) * 4
    noisy = soft_lif_network(graph, SoftLIFSettings(noise=0.1))
    start_weights(noisy, seed=0)
    noisy.eval()
    assert torch.equal(noisy(x), noisy(x))
    module = noisy._modules_by_node["cell1.0.lif"].train()
    current = torch.tensor([-1.0, 3.0]).repeat(1000, 1)
    spread = (module.multi_step_forward(current) - module.rate(current)).std(0)
    assert spread[0] == 0
    assert 0.08 < float(spread[1]) < 0.12


def test_counts_of_the_first_neurons_follow_the_closed_form(build):
    network = build_network(build(timesteps=40, tau=5.0).expand(), seed=0).eval()
    values = network.run(torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 9)
    counts = spike_count(values["stem.norm"].double(), 40, 5.0, 1.0)
    agree = values["cell1.0.lif"].sum(0) == counts
    assert counts.max() > 3
    assert agree.double().mean() > 0.98


def test_sequences_are_averaged(build):
    chosen = build()
    moving = replace(chosen, macro=replace(chosen.macro, static_input=False))
    rates = soft_lif_network(moving.expand()).eval()
    x = torch.rand(3, 4, 1, 8, 8)
    torch.testing.assert_close(rates.run(x)["input"], x.mean(0, keepdim=True))


def test_refuses_networks_without_rates(build, feedback):
    with pytest.raises(BadInputError, match="feedback"):
        soft_lif_network(feedback.expand())
    with pytest.raises(BadInputError, match="ALIF"):
        soft_lif_network(build("alif").expand())
    chosen = build()
    short = replace(chosen, macro=replace(chosen.macro, membrane_bits=4)).expand()
    assert not has_rates(short)
    with pytest.raises(BadInputError, match=r"membranes of 4 bits, .* set membrane_bits to 0, or train by surrogate"):
        soft_lif_network(short)
    with pytest.raises(BadInputError, match=r"soft_lif\.noise"):
        SoftLIFSettings(noise=-1)


def test_training_hands_over_the_spiking_network(build, few, tmp_path):
    chosen, seen = build().to_json(), []
    result = retrain(chosen, few, SETTINGS, 0, tmp_path, lambda epoch, _: seen.append(epoch))
    assert seen == [1, 2]
    assert result.merit == evaluate(result.network(chosen), few.validation)
    again = retrain(chosen, few, SETTINGS, 0, tmp_path)
    assert all(torch.equal(again.state_dict[name], value) for name, value in result.state_dict.items())
    with pytest.raises(BadInputError, match="another method"):
        retrain(chosen, few, SETTINGS, 0, tmp_path, soft_lif=SoftLIFSettings(gamma=0.1))


def test_interrupted_training_ends_the_same(build, few, tmp_path):
    def stop(epoch: int, _: object) -> None:
        raise InterruptedError

    chosen = build().to_json()
    with pytest.raises(InterruptedError):
        retrain(chosen, few, SETTINGS, 0, tmp_path / "a", stop)
    resumed = retrain(chosen, few, SETTINGS, 0, tmp_path / "a")
    straight = retrain(chosen, few, SETTINGS, 0, tmp_path / "b")
    assert resumed.history == straight.history
    assert all(torch.equal(resumed.state_dict[name], value) for name, value in straight.state_dict.items())


def test_fan_out_counts_products():
    conv = Node("conv", Conv2d(2, 6, 3, stride=2, padding=1, groups=2), (6, 3, 3))
    x = torch.zeros(1, 2, 5, 6)
    kernel = torch.ones(6, 1, 3, 3)
    for row, column in ((0, 0), (2, 3), (4, 5)):
        x.zero_()[0, 0, row, column] = 1
        reached = torch.nn.functional.conv2d(x, kernel, stride=2, padding=1, groups=2).sum()
        assert fan_out(conv, (2, 5, 6))[row, column] == reached
    assert fan_out(Node("fc", Linear(4, 7), (7,)), (4,)).tolist() == [7]


def test_readout_agrees_with_the_network(build, few):
    network = enliven(build_network(build().expand(), seed=1), inputs=few.validation.inputs)
    reading = read_out(network, few.validation, timesteps=5, batch_size=16)
    assert reading.accuracy[2] == pytest.approx(evaluate(network, few.validation))
    assert (reading.synaptic_operations[1:] >= reading.synaptic_operations[:-1]).all()
    values = network.run(few.validation.inputs)
    by_hand = 0.0
    for node in network.graph.nodes:
        if isinstance(node.operation, Conv2d) and node.name != "stem.conv":
            spikes = values[network.graph.inputs(node.name)[0].source].flatten(0, 1)
            kernel = torch.ones_like(network.get_submodule(node.name).weight)
            by_hand += float(torch.nn.functional.conv2d(spikes, kernel, padding=node.operation.padding).sum())
        elif isinstance(node.operation, Linear):
            by_hand += float((values[network.graph.inputs(node.name)[0].source] != 0).sum()) * 10
    assert reading.synaptic_operations[2] == pytest.approx(by_hand / len(few.validation))
    assert reading.input_multiply_accumulates == pytest.approx(4 * (22 * 22))
    assert reading.ratio(3) == reading.synaptic_operations[2] / reading.multiply_accumulates
