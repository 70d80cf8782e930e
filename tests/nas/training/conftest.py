"""A network and data small enough to train within a test."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.training.processes import Progress
from hasnas.nas.training.retrain import RetrainResult
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro


@pytest.fixture(autouse=True)
def _one_thread():
    """Bit-equality is promised for equal numbers of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def architecture() -> dict[str, Any]:
    """Two cells with a convolution and a shortcut, and dropout before the classifier."""
    cell = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1")))
    macro = Macro((1, 8, 8), classes=10, timesteps=2, channels=4, hidden=0, votes=2, dropout=0.2)
    return Architecture((cell, cell), macro).to_json()


@pytest.fixture(scope="session")
def digits() -> Splits:
    """The digits, all of them."""
    return load_splits("digits", None, validation_share=0.2, seed=0)


@pytest.fixture
def few(digits: Splits) -> Splits:
    """Some of the digits, a copy that a test may spoil."""

    def cut(split: Split, count: int) -> Split:
        return split.take(torch.arange(count))

    parts = cut(digits.train, 97), cut(digits.validation, 40), cut(digits.test, 40)
    return Splits(*parts, digits.normalisation, digits.classes)


class StoppedError(Exception):
    """Stands for a crash between two epochs."""


def stop_after(epoch: int) -> Progress:
    """What is told of epochs, and stops after one."""

    def progress(number: int, metrics: object) -> None:
        if number == epoch:
            raise StoppedError

    return progress


def assert_equal(first: RetrainResult, second: RetrainResult) -> None:
    """Two trainings that went the same way, to the same weights."""
    assert first.history == second.history
    assert first.best_epoch == second.best_epoch
    assert first.state_dict.keys() == second.state_dict.keys()
    for name, value in first.state_dict.items():
        assert torch.equal(value, second.state_dict[name]), name
