"""Closed forms of the firing of a LIF neuron against the neuron itself."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.training.methods.rates import (
    corrected_spikes,
    firing_interval,
    firing_rate,
    membrane_time_constant,
    soft_rate,
    spike_count,
)
from hasnas.search_spaces.layers import IF, LIF
from hasnas.search_spaces.neurons.modules import neuron_module

inputs = st.lists(st.floats(-5, 50), min_size=1, max_size=8)
taus = st.floats(1.05, 50)
thresholds = st.floats(0.1, 3)
times = st.integers(1, 120)


def tensor(values: list[float]) -> torch.Tensor:
    """Double precision, where rounding decides nothing."""
    return torch.tensor(values, dtype=torch.float64)


@settings(max_examples=60, deadline=None)
@given(values=inputs, timesteps=times, tau=taus, threshold=thresholds)
def test_count_of_the_discrete_neuron(values: list[float], timesteps: int, tau: float, threshold: float):
    x = tensor(values)
    interval = firing_interval(x, tau, threshold)
    borderline = (interval.isfinite() & ((interval - interval.round()).abs() < 1e-9)) | ((x - threshold).abs() < 1e-9)
    assume(not borderline.any())
    node = neuron_module(LIF(tau, threshold))
    spikes = node.multi_step_forward(x.expand(timesteps, -1))
    assert torch.equal(spikes.sum(0), spike_count(x, timesteps, tau, threshold))


@settings(max_examples=60, deadline=None)
@given(values=inputs, timesteps=times, threshold=thresholds)
def test_count_without_leak(values: list[float], timesteps: int, threshold: float):
    x = tensor(values)
    interval = firing_interval(x, math.inf, threshold)
    assume(not (interval.isfinite() & ((interval - interval.round()).abs() < 1e-9)).any())
    node = neuron_module(IF(threshold))
    spikes = node.multi_step_forward(x.expand(timesteps, -1))
    assert torch.equal(spikes.sum(0), spike_count(x, timesteps, math.inf, threshold))


@pytest.mark.slow
@settings(max_examples=80, deadline=None)
@given(values=inputs, timesteps=times, tau=taus, threshold=thresholds)
def test_corrected_count_is_within_one_spike_of_the_rate(
    values: list[float], timesteps: int, tau: float, threshold: float
):
    x = tensor(values)
    # At the threshold itself the membrane arrives by rounding alone.
    assume(not ((x - threshold).abs() < 1e-9).any())
    count = corrected_spikes(x.expand(timesteps, -1), tau, threshold).sum(0)
    assert ((count - timesteps * firing_rate(x, tau, threshold)).abs() <= 1 + 1e-9).all()


def test_uncorrected_count_is_not():
    x = tensor([1.1])
    count = spike_count(x, 100, 4 / 3, 1.0)
    assert abs(float(count - 100 * firing_rate(x, 4 / 3, 1.0))) > 1


def test_corrected_neuron_takes_changing_currents():
    spikes = corrected_spikes(tensor([9.0, 1e-3, 9.0]).unsqueeze(1), 2.0, 1.0)
    assert spikes.flatten().tolist() == [1.0, 1.0, 1.0]
    assert corrected_spikes(tensor([1.0] * 9).unsqueeze(1), 2.0, 1.0).sum() == 0


@settings(max_examples=60, deadline=None)
@given(x=st.floats(-1e30, 1e30), tau=st.one_of(taus, st.just(math.inf)), gamma=st.floats(1e-4, 1))
def test_soft_rate_and_its_slope_are_finite(x: float, tau: float, gamma: float):
    current = torch.tensor([x], dtype=torch.float32, requires_grad=True)
    rate = soft_rate(current, membrane_time_constant(tau), 1.0, gamma, 0.5)
    rate.sum().backward()
    assert 0 <= float(rate) <= 1
    assert math.isfinite(float(current.grad))
    assert float(current.grad) >= 0


@pytest.mark.parametrize("tau", [1.3, 8.0, math.inf])
def test_soft_rate_tends_to_the_rate(tau: float):
    x = torch.linspace(0.05, 30, 400, dtype=torch.float64)
    soft = soft_rate(x, membrane_time_constant(tau), 1.0, 1e-5, 0.5)
    exact = firing_rate(x, tau, 1.0, 0.5)
    torch.testing.assert_close(soft[x > 1.01], exact[x > 1.01], atol=1e-4, rtol=1e-3)
    # Below threshold the softened rate falls off as gamma / distance only.
    assert (soft - exact)[x < 0.9].abs().max() < 1e-3


def test_soft_rate_equals_the_published_formula():
    x = torch.linspace(0.8, 4, 50, dtype=torch.float64)
    gamma, constant = 0.03, membrane_time_constant(8.0)
    rho = gamma * torch.log1p(torch.exp((x - 1) / gamma))
    published = 1 / (2.0 + constant * torch.log1p(1 / rho))
    torch.testing.assert_close(soft_rate(x, constant, 1.0, gamma, 2.0), published)


def test_refuses_what_has_no_meaning():
    with pytest.raises(BadInputError, match="tau is 1"):
        membrane_time_constant(1.0)
    with pytest.raises(BadInputError, match="gamma is 0"):
        soft_rate(torch.ones(1), 2.0, 1.0, 0, 0.5)
