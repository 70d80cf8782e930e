"""Scaling weights in place of thresholds, and the route from rectified linear units to spikes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.methods.rescaling import current_groups, scale_currents, scale_spikes
from hasnas.nas.training.methods.soft_lif import start_weights
from hasnas.nas.training.methods.threshold_balance import (
    ThresholdBalanceSettings,
    balance_thresholds,
    firing_current,
    percentile,
    rectified_network,
    retrain,
)
from hasnas.search_spaces.network import build_network

SETTINGS = RetrainSection(epochs=2, batch_size=32)


def sample(count: int = 8) -> torch.Tensor:
    """Random images."""
    return torch.rand(count, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 4


def test_groups_follow_shortcuts(build):
    groups = current_groups(build().expand())
    first = next(group for group in groups if "cell1.0.lif" in group.neurons)
    assert "stem.norm" in first.producers
    assert "cell1.1_2.conv1x1.norm" in first.producers
    assert first.readers == ("reduction1.norm_in",)
    assert sum(len(group.neurons) for group in groups) == 6


@pytest.mark.parametrize("neuron", ["lif", "if"])
def test_scaling_leaves_rectified_units_as_they_are(build, neuron: str):
    network = rectified_network(build(neuron).expand())
    start_weights(network, seed=0)
    network(sample())
    network.eval()
    before = network(sample())
    for number, group in enumerate(current_groups(network.graph)):
        scale_currents(network, group, 0.4 + number)
        for name in group.neurons:
            scale_spikes(network, name, 1 / (0.4 + number))
    torch.testing.assert_close(network(sample()), before, rtol=1e-3, atol=1e-4)


def test_strongest_currents_fire_at_every_timestep(build):
    network = build_network(build("if", timesteps=16).expand(), seed=0)
    settings = ThresholdBalanceSettings(percentile=100, factor=1.0)
    found = balance_thresholds(network, sample(), settings)
    values = network.run(sample())
    for group in current_groups(network.graph):
        shares = []
        for name in group.neurons:
            node = network.graph.node(name)
            peak = float(values[network.graph.inputs(name)[0].source].max())
            assert found[name] > 0
            shares.append(peak / firing_current(node))
        assert max(shares) == pytest.approx(1, rel=0.25)


def test_neurons_fire_after_balancing_a_quiet_network(build):
    network = build_network(build("if", timesteps=6).expand(), seed=0)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("norm.weight") or name.endswith("norm_in.weight"):
                parameter.mul_(1e-3)
    assert max(rate for name, rate in network.eval().activity(sample()).items() if name.endswith("lif")) == 0
    balance_thresholds(network, sample(), ThresholdBalanceSettings())
    rates = {name: rate for name, rate in network.activity(sample()).items() if name.endswith("lif")}
    assert min(rates.values()) > 0


def test_percentile_of_values():
    values = torch.arange(1.0, 101.0)
    assert percentile(values, 100) == 100
    assert percentile(values, 99) == 99
    assert percentile(values, 0.1) == 1


def test_refuses(build, feedback, few):
    with pytest.raises(BadInputError, match="feeds back"):
        current_groups(feedback.expand())
    chosen = build()
    with pytest.raises(BadInputError, match="has membranes of 4 bits"):
        rectified_network(replace(chosen, macro=replace(chosen.macro, membrane_bits=4)).expand())
    with pytest.raises(BadInputError, match=r"threshold_balance\.percentile"):
        ThresholdBalanceSettings(percentile=0)
    silent = build_network(build().expand(), seed=0)
    with torch.no_grad():
        for parameter in silent.parameters():
            parameter.zero_()
    with pytest.raises(BadInputError, match="no current reaches"):
        balance_thresholds(silent, sample())


def test_route_from_units_to_spikes(build, few, tmp_path):
    chosen, seen = build("if", timesteps=4).to_json(), []
    settings = ThresholdBalanceSettings(calibration_samples=32, fine_tuning_epochs=1)

    def run():
        return retrain(chosen, few, SETTINGS, 0, tmp_path, lambda n, _: seen.append(n), threshold_balance=settings)

    result = run()
    assert seen == [1, 2, 3]
    assert [record.epoch for record in result.history] == [1, 2, 3]
    assert result.best_epoch == 3
    assert result.merit == evaluate(result.network(chosen), few.validation)
    again = run()
    assert all(torch.equal(again.state_dict[name], value) for name, value in result.state_dict.items())


def test_the_settings_of_a_run_say_how_to_convert(build, few, tmp_path):
    chosen = build("if", timesteps=2).to_json()
    told = SETTINGS.chosen({"threshold_balance.fine_tuning_epochs": 0, "threshold_balance.factor": 0.25})
    other = ThresholdBalanceSettings(factor=0.25, fine_tuning_epochs=0)
    found = retrain(chosen, few, told, 0, tmp_path / "told")
    same = retrain(chosen, few, SETTINGS, 0, tmp_path / "same", threshold_balance=other)
    usual = retrain(chosen, few, told.chosen({"threshold_balance.factor": 0.7}), 0, tmp_path / "usual")
    assert all(torch.equal(same.state_dict[name], value) for name, value in found.state_dict.items())
    assert any(not torch.equal(usual.state_dict[name], value) for name, value in found.state_dict.items())


def test_without_fine_tuning_the_converted_network(build, few, tmp_path):
    chosen = build("if").to_json()
    settings = ThresholdBalanceSettings(calibration_samples=32, fine_tuning_epochs=0)
    result = retrain(chosen, few, SETTINGS, 0, tmp_path, threshold_balance=settings)
    assert len(result.history) == 2
    assert result.merit == evaluate(result.network(chosen), few.validation)
