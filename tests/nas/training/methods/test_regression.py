"""Every training method on targets that are values, and what needs classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Normalisation, Split, Splits
from hasnas.nas.training.evaluation import evaluate
from hasnas.nas.training.methods import TRAINING_METHODS
from hasnas.nas.training.methods.readout import read_out
from hasnas.search_spaces.network import build_network

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sums() -> Splits:
    """How bright the two halves of an image are, in units of ten thousand."""
    inputs = torch.rand(160, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    targets = torch.stack([inputs[..., :4].mean((1, 2, 3)), inputs[..., 4:].mean((1, 2, 3))], dim=1)
    targets, unit = (targets - targets.mean(0)) / targets.std(0), torch.full((2,), 1e4)
    inputs = (inputs - inputs.mean()) / inputs.std()
    parts = (Split(inputs[rows], targets[rows], unit) for rows in (slice(0, 128), slice(128, 150), slice(150, 160)))
    return Splits(*parts, Normalisation((0.5,), (0.29,)), classes=2)


@pytest.mark.parametrize("method", TRAINING_METHODS.names())
def test_methods_learn_values(method: str, sums: Splits, build: Any, tmp_path: Path):
    architecture = build(neuron="if", timesteps=4).to_json()
    architecture["macro"] = {**architecture["macro"], "classes": 2, "dropout": 0.0}
    settings = RetrainSection(method=method, epochs=8, batch_size=16, learning_rate=0.02)
    result = TRAINING_METHODS.get(method)(architecture, sums, settings, 0, tmp_path)
    assert evaluate(result.network(architecture), sums.validation) == pytest.approx(result.merit)
    guess = 1e4 * float(sums.validation.targets.abs().mean())
    assert -result.merit < 0.95 * guess, "better than always saying the mean"


def test_a_readout_needs_classes(sums: Splits, build: Any):
    network = build_network(build().expand(), seed=0)
    with pytest.raises(BadInputError, match="it needs classes"):
        read_out(network, sums.validation, timesteps=2)
