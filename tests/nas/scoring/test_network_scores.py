"""Scores of networks against their definitions, written out the long way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.scoring import NETWORK_SCORES, SCORES, ScoringTask
from hasnas.nas.scoring.forward_scores import (
    NoiseSensitivity,
    hamming_kernel,
    readers,
    spikes_together,
    stepped_norms,
)
from hasnas.nas.scoring.network_scores import Synflow
from hasnas.search_spaces import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

pytestmark = pytest.mark.slow

MACRO = Macro((3, 12, 12), classes=3, timesteps=3, channels=6, hidden=12, votes=1, dropout=0.5)
SPACE = SpikeNASBenchSpace(MACRO)
INPUTS = torch.randn(6, 3, 12, 12, generator=torch.Generator().manual_seed(0))
TASK = ScoringTask(SPACE, INPUTS, torch.arange(6) % 3, seed=0)
CHAIN, DEEP, SINGLE = (3, 0, 0, 0, 2, 0), (2, 0, 1, 2, 0, 3), (0, 0, 4, 0, 0, 0)


@pytest.mark.parametrize("normalised", [False, True])
def test_kernel_as_published_with_two_products(normalised: bool) -> None:
    x = (torch.rand(5, 300, generator=torch.Generator().manual_seed(1)) < 0.2).double().numpy()
    rates, neurons = x.mean(axis=1), x.shape[1]
    distance = x @ (1 - x).T + (1 - x) @ x.T
    expected = np.add.outer(rates, rates) - 2 * np.outer(rates, rates)
    scale = 0.5 / (expected * neurons + 1e-3) if normalised else 0.5 / (expected + 1e-3)
    found = hamming_kernel(torch.tensor(x, dtype=torch.float32), normalised)
    np.testing.assert_allclose(found, neurons - scale * distance)


@pytest.mark.parametrize("name", ["sahd", "sahd_sum", "sahd_normalised", "sahd_normalised_sum"])
def test_sahd_over_all_calls(name: str) -> None:
    """Layers of neurons that two convolutions read are called twice in the published code."""
    codes = (2, 2, 0, 0, 3, 3)
    still = SpikeNASBenchSpace(replace(MACRO, dropout=0.0))
    with torch.no_grad():
        values = stepped_norms(build_network(still.decode(codes).expand(), 0).train(), len(INPUTS)).run(INPUTS)
    calls = {"cell1.0.lif_t0_5": 2, "cell1.1.lif_t1_0": 1, "cell1.2.lif_t1_0": 1, "reduction1.lif": 1,
             "cell2.0.lif_t0_5": 2, "cell2.1.lif_t1_0": 1, "cell2.2.lif_t1_0": 1, "head.lif": 1,
             "head.hidden_lif": 1}  # fmt: skip
    kernels = [
        hamming_kernel(step.flatten(1), "normalised" in name)
        for layer, count in calls.items()
        for step in values[layer]
        for _ in range(count)
    ]
    total = np.sum(kernels, axis=0) if name.endswith("sum") else np.mean(kernels, axis=0)
    result = SCORES.get(name)(arithmetic="float32")(TASK, np.array([codes]))
    assert result.total[0] == pytest.approx(np.linalg.slogdet(total)[1], abs=1e-6)
    assert result.components["sum"][0] == pytest.approx(result.components["mean"][0] + 6 * np.log(len(kernels)))


def test_neurons_count_as_often_as_they_are_read() -> None:
    graph = SPACE.decode((2, 2, 0, 0, 3, 3)).expand()
    counted = readers(graph)
    assert counted["cell1.0.lif_t0_5"] == 2
    assert counted["cell1.1.lif_t1_0"] == counted["head.lif"] == counted["head.hidden_lif"] == 1


def test_synflow_is_the_flow_through_every_layer_of_a_chain() -> None:
    """In a linear chain each layer carries the whole output once, so the sum is the output times the layers."""
    network = build_network(SPACE.decode(SINGLE).expand(), 0)
    weights = {name: p.detach().abs().double() for name, p in network.named_parameters()}
    value = torch.ones(1, 3, 12, 12, dtype=torch.float64)
    pool = torch.nn.functional.avg_pool2d
    value = torch.conv2d(value, weights["stem.conv.weight"], padding=1)
    value = torch.conv2d(value, weights["cell1.0_3.conv3x3_t1_5.conv.weight"], padding=1)
    value = pool(torch.conv2d(value, weights["reduction1.conv.weight"], padding=1), 2)
    value = pool(torch.conv2d(value, weights["cell2.0_3.conv3x3_t1_5.conv.weight"], padding=1), 2)
    value = weights["head.classifier.weight"] @ (weights["head.hidden.weight"] @ value.flatten())
    found = Synflow()(TASK, np.array([SINGLE])).total[0]
    assert found == pytest.approx(float(torch.log(6 * value.sum())), rel=1e-9)


def test_scores_repeat_themselves_and_follow_the_seed() -> None:
    codes = np.array([DEEP])
    for name in NETWORK_SCORES:
        score = SCORES.get(name)()
        again = score(TASK, codes).total
        np.testing.assert_array_equal(score(TASK, codes).total, again)
        if name != "sahd_normalised":
            other = score(ScoringTask(SPACE, INPUTS, TASK.targets, seed=1), codes).total
            assert not np.array_equal(other, again), name


@pytest.mark.parametrize("name", ["snip", "zico"])
def test_losses_of_values(name: str) -> None:
    values = torch.randn(6, 3, generator=torch.Generator().manual_seed(2))
    found = SCORES.get(name)()(ScoringTask(SPACE, INPUTS, values, seed=0), np.array([DEEP])).total
    assert np.isfinite(found).all()
    network = build_network(SpikeNASBenchSpace(replace(MACRO, dropout=0.0)).decode(DEEP).expand(), 0).train()
    if name == "snip":
        torch.nn.functional.smooth_l1_loss(network(INPUTS), values).backward()
        weights = [m.weight for m in network.modules() if isinstance(m, torch.nn.Conv2d)]
        assert found[0] == pytest.approx(sum(float((w.detach() * w.grad).abs().sum()) for w in weights), rel=1e-4)


def test_deeper_cells_are_more_sensitive_to_noise() -> None:
    flips = SCORES.get("noise_sensitivity")()(TASK, np.array([SINGLE, DEEP])).total
    assert flips[1] > flips[0]


def test_balance_of_one_layer_of_neurons_per_cell() -> None:
    result = SCORES.get("measured_balance")()(TASK, np.array([CHAIN, (1, 0, 0, 0, 1, 0)]))
    assert -5 < result.total[0] < 0
    assert result.total[1] == -np.inf, "without a convolution there is nothing to balance"


@pytest.mark.parametrize("name", NETWORK_SCORES)
def test_networks_need_a_batch(name: str) -> None:
    with pytest.raises(BadInputError, match="give a batch of inputs"):
        SCORES.get(name)()(ScoringTask(SPACE), np.array([CHAIN]))


def still(codes: tuple[int, ...]) -> torch.nn.Module:
    """The network that a score builds: weights of seed 0, batch norm by the batch, no dropout."""
    return build_network(SpikeNASBenchSpace(replace(MACRO, dropout=0.0)).decode(codes).expand(), 0).train()


def test_zico_of_two_halves_of_a_batch() -> None:
    halves = []
    for rows in (slice(0, 3), slice(3, 6)):
        network = still(DEEP)
        torch.nn.functional.cross_entropy(network(INPUTS[rows]), TASK.targets[rows]).backward()
        halves.append([m.weight.grad.double() for m in network.modules() if isinstance(m, torch.nn.Conv2d)])
    total = 0.0
    for one, two in zip(*halves, strict=True):
        values = torch.stack([one, two])
        mean, spread = values.abs().mean(0), values.std(0, unbiased=False)
        total += float(torch.log((mean / spread)[spread > 0].sum()))
    assert SCORES.get("zico")()(TASK, np.array([DEEP])).total[0] == pytest.approx(total, rel=1e-3)


def test_the_jacobian_score_is_of_correlations_between_samples() -> None:
    inputs = INPUTS.clone().requires_grad_()
    still(DEEP)(inputs).sum().backward()
    correlation = np.corrcoef(inputs.grad.flatten(1).double().numpy())
    eigenvalues = np.maximum(np.linalg.eigvalsh(correlation), 0) + 1e-5
    expected = -np.sum(np.log(eigenvalues) + 1 / eigenvalues)
    name = next(name for name in NETWORK_SCORES if "jacob" in name)
    assert SCORES.get(name)()(TASK, np.array([DEEP])).total[0] == pytest.approx(expected, rel=1e-3)


@torch.no_grad()
def test_flips_are_spikes_that_noise_of_a_tenth_makes_or_takes() -> None:
    score = NoiseSensitivity(shared=False)
    clean, noisy = score.batches(TASK)
    assert torch.equal(clean, INPUTS)
    assert float((noisy - clean).std() / INPUTS.std()) == pytest.approx(0.1, rel=0.05)
    runs = [stepped_norms(still(DEEP), len(INPUTS)).run(batch)["reduction1.lif"] for batch in (clean, noisy)]
    flips = float((runs[0] != runs[1]).float().mean())
    active = float(((runs[0] + runs[1]) > 0).float().mean())
    found = score(TASK, np.array([DEEP]))
    assert 0 < flips < 0.5
    assert found.total[0] == pytest.approx(flips, rel=1e-6)
    assert found.components["relative"][0] == pytest.approx(flips / active, rel=1e-6)


@torch.no_grad()
def test_balance_counts_a_layer_as_often_as_it_is_read() -> None:
    codes = (2, 2, 0, 0, 3, 3)
    values = stepped_norms(still(codes), len(INPUTS)).run(INPUTS)
    layers = [name for name in values if name.startswith("cell") and ".lif" in name]
    logs = [np.log(float(values[name].mean())) for name in layers for _ in range(1 + name.endswith("0.lif_t0_5"))]
    assert len(logs) == 8
    found = SCORES.get("measured_balance")(shared=False)(TASK, np.array([codes]))
    assert found.total[0] == pytest.approx(-np.std(logs), rel=1e-4)
    assert found.components["mean_rate"][0] == pytest.approx(np.exp(np.mean(logs)), rel=1e-4)


def test_targets_are_asked_for_where_there_is_a_loss() -> None:
    without = ScoringTask(SPACE, INPUTS, None, seed=0)
    assert np.isfinite(SCORES.get("sahd")()(without, np.array([CHAIN])).total).all()
    for name in ("snip", "zico"):
        with pytest.raises(BadInputError, match="give a batch of inputs and targets"):
            SCORES.get(name)()(without, np.array([CHAIN]))


@pytest.mark.parametrize("samples, neurons", [(8, 64), (8, 63), (6, 64), (16, 200)])
def test_spikes_together_are_counted_alike_in_every_type(samples: int, neurons: int) -> None:
    spikes = (torch.rand(samples, neurons, generator=torch.Generator().manual_seed(2)) < 0.3).numpy()
    expected = [[int((one & two).sum()) for two in spikes] for one in spikes]
    for kind in (torch.uint8, torch.float32):
        assert spikes_together(torch.tensor(spikes).to(kind)).tolist() == expected


def test_the_jacobian_score_of_sequences_is_of_samples_too() -> None:
    frames = Macro((2, 8, 8), classes=3, timesteps=3, channels=4, hidden=0, votes=1, static_input=False, dropout=0.0)
    space = SpikeNASBenchSpace(frames)
    inputs = torch.randn(3, 5, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    moving = inputs.clone().requires_grad_()
    build_network(space.decode(CHAIN).expand(), 0).train()(moving).sum().backward()
    correlation = np.corrcoef(moving.grad.transpose(0, 1).flatten(1).double().numpy())
    eigenvalues = np.maximum(np.linalg.eigvalsh(correlation), 0) + 1e-5
    name = next(name for name in NETWORK_SCORES if "jacob" in name)
    found = SCORES.get(name)()(ScoringTask(space, inputs, torch.arange(5) % 3, seed=0), np.array([CHAIN])).total[0]
    assert found == pytest.approx(-np.sum(np.log(eigenvalues) + 1 / eigenvalues), rel=1e-3)
