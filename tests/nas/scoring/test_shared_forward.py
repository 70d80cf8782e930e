"""The shared forward pass against networks that run one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits, load_sample_images

from hasnas.nas.scoring import SCORES, ScoringTask
from hasnas.nas.scoring.arithmetic import ARITHMETICS, chosen, convolve, detected, error_of, pack
from hasnas.nas.scoring.forward_scores import MeasuredBalance, NoiseSensitivity, SahdMean, SahdNormalisedMean, SahdSum
from hasnas.nas.scoring.shared_forward import SharedForward, Weights, supports
from hasnas.search_spaces import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import SPACES, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

pytestmark = pytest.mark.slow

MACRO = Macro((1, 8, 8), classes=10, timesteps=4, channels=16, hidden=64, votes=2)
IMAGES = torch.tensor(load_digits().images[:16, None] / 8 - 1).float()
WIDE = Macro((3, 32, 32), classes=10, timesteps=3, channels=32, final_pool=4, hidden=64, votes=2)
HERE = [kind for kind in ARITHMETICS if error_of(kind) < 1]
LINES = ("none", "identity", "conv1x3", "conv1x7", "avgpool1x3")
FORWARD = {
    "lines": CellSpace(replace(MACRO, input_shape=(1, 1, 64), stem_stride=2), operations=LINES),
    "spikenas_bench": SpikeNASBenchSpace(MACRO),
    "snasnet": SNASNetSpace(MACRO),
    "hasnas": SPACES.get("hasnas")(MACRO),
    "autosnn": SPACES.get("autosnn")(MACRO),
}


def candidates(name: str, count: int) -> np.ndarray:
    return sample(FORWARD[name], np.random.default_rng(1), count)


@pytest.mark.parametrize("name", FORWARD)
def test_shared_scores_are_those_of_single_networks(name: str) -> None:
    images = IMAGES.reshape(-1, *FORWARD[name].macro.input_shape)
    task, codes = ScoringTask(FORWARD[name], images), candidates(name, 12)
    simple, shared = SahdMean(shared=False)(task, codes), SahdMean("float32")(task, codes)
    alive = np.isfinite(simple.total)
    assert alive.any()
    np.testing.assert_array_equal(alive, np.isfinite(shared.total))
    for part in ("mean", "sum"):
        np.testing.assert_allclose(shared.components[part][alive], simple.components[part][alive], atol=2e-3)


def photographs() -> torch.Tensor:
    """Sixteen pieces of 32 x 32 pixels of two photographs, normalised."""
    whole = [torch.tensor(image).permute(2, 0, 1).float() for image in load_sample_images().images]
    places = [(80 * row + 40, 150 * column + 20) for row in range(4) for column in range(2)]
    pieces = torch.stack([image[:, y : y + 128 : 4, x : x + 128 : 4] for image in whole for y, x in places])
    return (pieces - pieces.mean()) / pieces.std()


@pytest.mark.parametrize("name", ["spikenas_bench", "autosnn"])
def test_rounded_weights_leave_scores_where_they_are(name: str) -> None:
    task = ScoringTask(type(FORWARD[name])(WIDE), photographs())
    codes = {"spikenas_bench": [(2, 3, 1, 3, 4, 2), (4, 0, 2, 0, 3, 0)], "autosnn": [(1, 3, 0, 2, 1)]}[name]
    simple = SahdMean(shared=False)(task, np.array(codes))
    for kind in HERE:
        shared = SahdMean(kind)(task, np.array(codes))
        for part in ("mean", "sum"):
            np.testing.assert_allclose(shared.components[part], simple.components[part], atol=0.01, err_msg=kind)


@pytest.mark.parametrize("score", [SahdSum, SahdNormalisedMean, MeasuredBalance, NoiseSensitivity])
def test_every_score_of_spikes_shares(score: type) -> None:
    task, codes = ScoringTask(FORWARD["spikenas_bench"], IMAGES), candidates("spikenas_bench", 12)
    simple, shared = score(shared=False)(task, codes), score("float32")(task, codes)
    np.testing.assert_allclose(shared.total, simple.total, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("neuron", ["plif", "if", "alif"])
def test_other_neurons_run_one_by_one(neuron: str) -> None:
    space = SNASNetSpace(replace(MACRO, neuron=neuron, tau=2.0))
    codes = np.array([[3, 0, 1, 0, 2, 0]])
    assert not supports(space.decode(codes[0]).expand())
    assert np.isfinite(SahdMean()(ScoringTask(space, IMAGES), codes).total).all()


def test_feedback_and_whole_number_weights_run_one_by_one() -> None:
    space = SNASNetSpace(MACRO, feedback=True)
    codes = np.array([[3, 7, 1, 3, 3, 0], [3, 0, 3, 0, 3, 0]])
    assert [supports(replace_dropout(space, row).expand()) for row in codes] == [False, True]
    assert np.isfinite(SahdMean()(ScoringTask(space, IMAGES), codes).total).all()
    rounded = SNASNetSpace(replace(MACRO, weight_bits=8))
    assert not supports(replace_dropout(rounded, codes[1]).expand())
    short = SNASNetSpace(replace(MACRO, membrane_bits=4))
    assert not supports(replace_dropout(short, codes[1]).expand())


def replace_dropout(space: SNASNetSpace, codes: np.ndarray):
    architecture = space.decode(codes)
    return replace(architecture, macro=replace(architecture.macro, dropout=0.0))


def test_results_that_candidates_have_in_common_are_computed_once() -> None:
    space = SpikeNASBenchSpace(replace(MACRO, dropout=0.0))
    codes = [(2, 2, 0, 3, 3, 4), (2, 2, 0, 3, 3, 3), (2, 2, 0, 3, 3, 4)]
    graphs = [space.decode(one).expand() for one in codes]
    together = SharedForward(graphs, IMAGES, Weights(0))
    for index in together.order():
        together.result(together.names[index]["head.hidden_lif"])
    alone = SharedForward(graphs[:1], IMAGES, Weights(0))
    alone.result(alone.names[0]["head.hidden_lif"])
    # The stem, the edges into nodes 1 and 2 and (1, 3) of the first cell are common: 5 of its 6 convolutions.
    assert alone.computed["Conv2d"] == 2 + 2 * 5
    assert together.computed["Conv2d"] == alone.computed["Conv2d"] + 1 + 1 + 5


def test_nothing_is_kept_after_the_last_candidate() -> None:
    graphs = [FORWARD["spikenas_bench"].decode((2, 2, 0, 3, 3, 4)).expand()]
    run = SharedForward(graphs, IMAGES, Weights(0))
    for index in run.order():
        run.spikes(run.names[index]["reduction1.lif"])
        assert run._live
    assert not run._live


def test_weights_are_those_of_the_network() -> None:
    graph = FORWARD["snasnet"].decode((3, 0, 0, 0, 2, 0)).expand()
    drawn = dict(build_network(graph, seed=5).named_parameters())
    for node in graph.nodes:
        if f"{node.name}.weight" in drawn and "norm" not in node.name:
            assert torch.equal(Weights(5).weight(node.name, node.operation), drawn[f"{node.name}.weight"]), node.name


@pytest.mark.parametrize("kind", HERE)
def test_convolution_of_spikes(kind: str) -> None:
    generator = torch.Generator().manual_seed(2)
    weight = torch.randn(24, 16, 3, 3, generator=generator)
    for rate, bound in ((0.3, 1e-2), (0.01, 1e-4)):
        spikes = (torch.rand(3, 9, 9, 16, generator=generator) < rate).to(torch.uint8)
        exact = torch.conv2d(spikes.permute(0, 3, 1, 2).float(), weight, padding=1).permute(0, 2, 3, 1)
        found = sum(term * scale for term, scale in convolve(spikes, pack(weight, 1, 1, kind)))
        assert float((found - exact).norm() / exact.norm()) < bound


def test_what_is_detected_was_checked() -> None:
    assert detected() in HERE
    assert chosen(None) == detected()
    assert chosen("float32") == "float32"


def test_silent_and_broken_scores_never_come_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """A score that is not a number, and one of an all-silent network, rank behind every other."""
    task = ScoringTask(FORWARD["spikenas_bench"], IMAGES)
    codes = np.array([(4, 0, 0, 4, 0, 4), (0, 0, 2, 0, 0, 0), (0, 0, 0, 0, 0, 2), (2, 0, 0, 0, 2, 0)])
    combine = SahdMean.combine

    def broken(self: SahdMean, found: list, timesteps: int) -> dict[str, float]:
        parts = combine(self, found, timesteps)
        return {"mean": float("nan"), "sum": float("nan")} if len(found) == 9 else dict(parts)

    monkeypatch.setattr(SahdMean, "combine", broken)
    result = SahdMean("float32")(task, codes)
    assert result.total[2] == -np.inf, "not connected"
    assert result.total[0] == -np.inf, "not a number"
    assert set(result.order()[:2].tolist()) == {1, 3}


def test_disconnected_candidates_run_nothing() -> None:
    calls: list[object] = []
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *given: calls.append(given))
    try:
        for name in SCORES.names():
            task = ScoringTask(FORWARD["spikenas_bench"], IMAGES, torch.arange(16) % 10)
            assert SCORES.get(name)()(task, np.zeros((3, 6), np.int16)).total.max() == -np.inf, name
    finally:
        hook.remove()
    assert not calls
