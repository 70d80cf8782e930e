"""Spiking statistics against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import norm

from hasnas.errors import BadInputError
from hasnas.nas.scoring.spiking_statistics import RATE_FLOOR, spike_correlation, spike_statistics
from hasnas.search_spaces.neurons import neuron_of
from hasnas.search_spaces.neurons.modules import neuron_module


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_memoryless_neurons_fire_where_the_input_exceeds_the_threshold(share: float) -> None:
    ratio = np.array([0.5, 1.0, 1.5, 2.0])
    rate = spike_statistics(ratio, share, tau=1.0, timesteps=5).rate
    np.testing.assert_allclose(rate, norm.sf(ratio), rtol=0.04)


def test_fixed_input_fires_every_few_timesteps() -> None:
    # tau 4/3: x (1 - 4^-k) reaches 1 in k = 1 timestep from 4/3 on, in 2 from 16/15 on, in 3 from 64/63 on, ...
    bounds = 1 / (1 - 0.25 ** np.arange(1, 6))
    share = norm.sf(bounds)
    every = np.array([5, 2, 1, 1, 1]) / 5
    expected = share[0] * every[0] + np.sum(np.diff(share) * every[1:])
    rate = spike_statistics(1.0, 1.0, tau=4 / 3, timesteps=5).rate
    np.testing.assert_allclose(rate, expected, rtol=0.03)


def test_mean_moves_the_threshold_of_a_memoryless_neuron() -> None:
    ratio, mean = np.array([1.0, 1.0, 2.0]), np.array([0.0, 1.0, 1.5])
    rate = spike_statistics(ratio, 0.5, tau=1.0, timesteps=4, mean=mean).rate
    np.testing.assert_allclose(rate, norm.sf(ratio - mean), rtol=0.05)


def test_static_share_of_memoryless_neurons() -> None:
    assert spike_statistics(1.0, 1.0, tau=1.0, timesteps=5).static_share == pytest.approx(1.0, abs=1e-6)
    assert spike_statistics(1.0, 0.0, tau=1.0, timesteps=5).static_share == pytest.approx(0.0, abs=0.02)
    between = spike_statistics(1.0, 0.5, tau=1.0, timesteps=5).static_share
    assert between == pytest.approx(float(spike_correlation(norm.sf(1.0), 0.5)), abs=0.02)


def test_rate_falls_with_the_threshold_and_stays_above_the_floor() -> None:
    rate = spike_statistics(np.linspace(0.1, 20, 50), 0.3, tau=2.0, timesteps=6).rate
    assert (np.diff(rate) <= 1e-12).all()
    assert rate[-1] == pytest.approx(RATE_FLOOR)


@pytest.mark.slow
@pytest.mark.parametrize("neuron, tau", [("lif", 4 / 3), ("plif", 4 / 3), ("if", 2.0), ("alif", 4 / 3)])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("mean", [0.0, 0.5])
@torch.no_grad()
def test_rates_of_every_neuron_equal_those_of_its_module(neuron: str, tau: float, share: float, mean: float) -> None:
    generator = torch.Generator().manual_seed(0)
    fixed, fresh = torch.randn(1, 20_000, generator=generator), torch.randn(5, 20_000, generator=generator)
    inputs = mean + share**0.5 * fixed + (1 - share) ** 0.5 * fresh
    spikes = neuron_module(neuron_of(neuron, tau, 1.0)).multi_step_forward(inputs / 0.8)
    found = spike_statistics(0.8, share, tau, timesteps=5, mean=mean or None, neuron=neuron)
    measured = float(spikes.mean())
    assert found.rate.item() == pytest.approx(measured, rel=0.08)
    steps = spikes.mean(1)
    static = (5 * float(spikes.mean(0).var() / (steps * (1 - steps)).mean()) - 1) / 4
    assert found.static_share.item() == pytest.approx(min(max(static, 0.0), 1.0), abs=0.03)


@pytest.mark.parametrize("neuron, bits", [("lif", 3), ("if", 4), ("alif", 2), ("lif", 16)])
@torch.no_grad()
def test_rates_know_the_bits_of_membranes(neuron: str, bits: int) -> None:
    inputs = torch.randn(5, 20_000, generator=torch.Generator().manual_seed(0))
    spikes = neuron_module(neuron_of(neuron, 2.0, 1.0, bits)).multi_step_forward(inputs / 0.8)
    found = spike_statistics(0.8, 0.0, 2.0, timesteps=5, neuron=neuron, membrane_bits=bits)
    assert found.rate.item() == pytest.approx(float(spikes.mean()), rel=0.08)
    exact = spike_statistics(0.8, 0.0, 2.0, timesteps=5, neuron=neuron)
    assert (abs(found.rate / exact.rate - 1) > 0.01) == (bits < 16)


def test_integrators_follow_fixed_inputs_in_whole_periods() -> None:
    # An input x reaches 1 after ceil(1 / x) timesteps: 5, 2, 1, 1, 1 spikes within 5 timesteps.
    bounds = 1 / np.arange(1, 6)
    inside = np.diff(norm.sf(np.concatenate([[np.inf], bounds])))
    expected = np.sum(inside * np.array([5, 2, 1, 1, 1])) / 5
    rate = spike_statistics(1.0, 1.0, tau=2.0, timesteps=5, neuron="if").rate
    np.testing.assert_allclose(rate, expected, rtol=0.03)


def test_an_adaptive_threshold_lowers_the_rate_and_no_leak_raises_it() -> None:
    ratio = np.array([0.4, 1.0, 2.0])
    rates = [spike_statistics(ratio, 0.6, 2.0, 6, neuron=name).rate for name in ("alif", "lif", "if")]
    assert (rates[0] < rates[1]).all()
    assert (rates[1] < rates[2]).all()
    np.testing.assert_array_equal(spike_statistics(ratio, 0.6, 2.0, 6, neuron="plif").rate, rates[1])


def test_unknown_neurons_are_refused() -> None:
    with pytest.raises(BadInputError, match="unknown neuron 'alfi'; did you mean 'alif'"):
        spike_statistics(1.0, 0.5, 2.0, 5, neuron="alfi")


def test_spike_correlation_between_its_limits() -> None:
    rate = np.array([0.5, 0.2, 0.05])
    np.testing.assert_array_equal(spike_correlation(rate, 0.0), 0.0)
    r = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(spike_correlation(0.5, r), 2 / np.pi * np.arcsin(r), atol=0.01)
    assert (spike_correlation(rate, 0.6) < 0.6).all(), "a threshold never makes values more alike"
    assert (np.diff(spike_correlation(rate, 0.6)) < 0).all(), "rare spikes coincide less"
