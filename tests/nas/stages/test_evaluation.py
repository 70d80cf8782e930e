"""Evaluation with inherited weights: a function of the candidate alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.nas.data.needs import DataReference
from hasnas.nas.history.checkpoint import load_checkpoint, save_checkpoint
from hasnas.nas.history.worth import RATE_PREFIX
from hasnas.nas.stages.evaluation import InheritedTask, evaluate_inherited, splits_of
from hasnas.search_spaces import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.snasnet import SNASNetSpace

SPACE = SNASNetSpace(Macro((1, 8, 8), classes=10, timesteps=2, channels=4, hidden=0, votes=1, dropout=0.5))
DATA = DataReference("digits", None, 0.3, seed=0)
ONE, OTHER = (0, 0, 3, 0, 0, 0), (2, 0, 3, 0, 2, 0)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    """The weights of a network that holds the layers of both candidates."""
    path = tmp_path / "weights.safetensors"
    save_checkpoint(path, build_network(SPACE.decode(OTHER).expand(), seed=1).state_dict(), {})
    return path


def task(codes: tuple[int, ...], weights: Path, calibration_batches: int = 2) -> InheritedTask:
    return InheritedTask(SPACE.decode(codes).to_json(), DATA, str(weights), calibration_batches, 128, seed=0)


@pytest.mark.slow
def test_the_order_of_candidates_does_not_matter(weights: Path) -> None:
    alone = evaluate_inherited(task(ONE, weights))
    evaluate_inherited(task(OTHER, weights))
    assert evaluate_inherited(task(ONE, weights)) == alone


def test_the_shared_weights_are_left_alone(weights: Path) -> None:
    before, _ = load_checkpoint(weights)
    evaluate_inherited(task(OTHER, weights))
    after, _ = load_checkpoint(weights)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def test_batch_norm_takes_the_path_s_own_statistics(weights: Path) -> None:
    few, many = evaluate_inherited(task(OTHER, weights, 1)), evaluate_inherited(task(OTHER, weights, 4))
    assert few != many, "the calibration batches must matter"


def test_rates_of_every_neuron_layer_are_reported(weights: Path) -> None:
    metrics = evaluate_inherited(task(ONE, weights))
    layers = {name.removeprefix(RATE_PREFIX) for name in metrics if name.startswith(RATE_PREFIX)}
    assert layers == {"cell1.0.lif", "reduction1.lif", "cell2.0.lif", "head.lif"}
    assert all(0 < metrics[RATE_PREFIX + name] < 1 for name in layers)
    assert metrics["firing_rate"] == pytest.approx(np.mean([metrics[RATE_PREFIX + name] for name in layers]))


def test_a_layer_that_the_supernet_lacks_is_named(weights: Path) -> None:
    with pytest.raises(BadInputError, match=r"cell1\.1_3\.conv3x3"):
        evaluate_inherited(task((1, 0, 3, 0, 3, 0), weights))


def test_splits_of_a_seed_are_the_same_everywhere() -> None:
    splits_of.cache_clear()
    first = splits_of(DATA)
    splits_of.cache_clear()
    assert np.array_equal(first.validation.inputs, splits_of(DATA).validation.inputs)
