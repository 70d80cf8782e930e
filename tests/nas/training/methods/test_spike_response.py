"""Spike responses against direct loops."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.methods.soft_lif import start_weights
from hasnas.nas.training.methods.spike_response import (
    SpikeResponse,
    SpikeResponseSettings,
    alpha_kernel,
    causal_convolution,
    membrane_kernel,
    retrain,
    spike_response_network,
)
from hasnas.search_spaces.graph import Node
from hasnas.search_spaces.layers import IF, LIF
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.neurons.modules import neuron_module
from tests.lively import enliven

ALPHA, NARROW = SpikeResponseSettings(response="alpha"), SpikeResponseSettings(width=0.25)


def layer(operation: LIF | IF, chosen: SpikeResponseSettings) -> SpikeResponse:
    """One layer of neurons."""
    return SpikeResponse(Node("lif", operation, (5,)), neuron_module(operation), chosen)


def random_currents(timesteps: int, scale: float = 2.0) -> torch.Tensor:
    """Double precision, so that no spike hangs on rounding."""
    generator = torch.Generator().manual_seed(timesteps)
    return scale * torch.randn(timesteps, 5, generator=generator, dtype=torch.float64)


@settings(max_examples=30, deadline=None)
@given(
    x=st.lists(st.integers(-50, 50), min_size=1, max_size=12),
    kernel=st.lists(st.integers(-9, 9), min_size=12, max_size=12),
)
def test_convolution_is_exact_on_whole_numbers(x: list[int], kernel: list[int]):
    found = causal_convolution(torch.tensor(x, dtype=torch.float64), torch.tensor(kernel, dtype=torch.float64))
    direct = [sum(kernel[t - s] * x[s] for s in range(t + 1)) for t in range(len(x))]
    assert found.tolist() == direct


@pytest.mark.parametrize("timesteps", [1, 2, 17])
def test_alpha_neurons_spike_as_a_direct_loop(timesteps: int):
    x, theta = random_currents(timesteps), 1.0
    response = alpha_kernel(timesteps, ALPHA.time_constant)
    refractory = -ALPHA.refractory_scale * theta * alpha_kernel(timesteps, ALPHA.refractory_time)
    spikes = torch.zeros_like(x)
    for neuron in range(5):
        for t in range(timesteps):
            u = sum(float(response[t - s] * x[s, neuron]) for s in range(t + 1))
            u += sum(float(refractory[t - s] * spikes[s, neuron]) for s in range(t))
            spikes[t, neuron] = u >= theta
    assert torch.equal(layer(LIF(2.0, theta), ALPHA).multi_step_forward(x), spikes)
    assert timesteps < 17 or spikes.sum() > 5


@pytest.mark.parametrize("operation", [LIF(1.5, 0.7), IF(0.7)])
def test_membrane_response_is_the_graphs_neuron(operation: LIF | IF):
    x = random_currents(9).float()
    assert torch.equal(
        layer(operation, SpikeResponseSettings()).multi_step_forward(x), neuron_module(operation).multi_step_forward(x)
    )


@pytest.mark.parametrize("operation", [LIF(1.5, 50.0), IF(50.0)])
def test_below_threshold_the_kernel_is_the_membrane(operation: LIF | IF):
    x, node = random_currents(9), neuron_module(operation)
    node.store_v_seq = True
    node.multi_step_forward(x)
    torch.testing.assert_close(causal_convolution(x, membrane_kernel(9, operation)), node.v_seq)


@pytest.mark.parametrize("chosen", [SpikeResponseSettings(width=0.5, height=2.0), ALPHA])
def test_gradient_is_the_correlation_with_the_response(chosen: SpikeResponseSettings):
    operation, timesteps = LIF(2.0, 1.0), 7
    neurons = layer(operation, chosen)
    x = random_currents(timesteps).requires_grad_()
    weight = random_currents(timesteps + 1)[:timesteps]
    (neurons.multi_step_forward(x) * weight).sum().backward()
    kernel = membrane_kernel(timesteps, operation)
    if chosen.response == "alpha":
        kernel = alpha_kernel(timesteps, chosen.time_constant)
    find = neurons._deployed if chosen.response == "membrane" else neurons._alpha
    _, potential = find(x.detach())
    error = weight * chosen.height / chosen.width * torch.exp(-(potential - 1.0).abs() / chosen.width)
    direct = torch.zeros_like(error)
    for s in range(timesteps):
        for t in range(s, timesteps):
            direct[s] += kernel[t - s] * error[t]
    torch.testing.assert_close(x.grad, direct)


def test_network_spikes_as_the_deployed_one(build):
    graph = build(timesteps=4).expand()
    network, deployed = spike_response_network(graph), build_network(graph, seed=2)
    start_weights(network, seed=2)
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 3
    network.load_state_dict(enliven(deployed, inputs=x).state_dict())
    assert network.state_dict().keys() == deployed.state_dict().keys()
    assert torch.equal(network.eval()(x), deployed.eval()(x))


def test_refuses(build, feedback):
    with pytest.raises(BadInputError, match="feedback"):
        spike_response_network(feedback.expand())
    with pytest.raises(BadInputError, match="no fixed response"):
        spike_response_network(build("plif").expand())
    chosen = build()
    with pytest.raises(BadInputError, match="has membranes of 4 bits"):
        spike_response_network(replace(chosen, macro=replace(chosen.macro, membrane_bits=4)).expand())
    with pytest.raises(BadInputError, match="did you mean 'alpha'"):
        SpikeResponseSettings(response="alfa")
    with pytest.raises(BadInputError, match=r"spike_response\.width"):
        SpikeResponseSettings(width=0)


@pytest.mark.parametrize("response", ["membrane", "alpha"])
def test_training_learns_and_hands_over_the_graphs_network(build, few, tmp_path, response: str):
    chosen = build(timesteps=4).to_json()
    how = SpikeResponseSettings(response=response)
    trained = RetrainSection(epochs=3, batch_size=16)
    result = retrain(chosen, few, trained, 0, tmp_path, spike_response=how)
    assert result.history[-1].loss < result.history[0].loss
    assert result.merit == evaluate(result.network(chosen), few.validation)


def test_the_settings_of_a_run_say_the_density(build, few, tmp_path):
    chosen, told = build(timesteps=2).to_json(), RetrainSection(epochs=1).chosen({"spike_response.width": 0.25})
    found = retrain(chosen, few, told, 0, tmp_path / "told")
    same = retrain(chosen, few, RetrainSection(epochs=1), 0, tmp_path / "same", spike_response=NARROW)
    usual = retrain(chosen, few, RetrainSection(epochs=1), 0, tmp_path / "usual")
    assert all(torch.equal(same.state_dict[name], value) for name, value in found.state_dict.items())
    assert any(not torch.equal(usual.state_dict[name], value) for name, value in found.state_dict.items())
