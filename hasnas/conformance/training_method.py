"""What every way to train a returned network does: repeat exactly, go on where it stopped, leave test samples alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hasnas.nas.config.training import RetrainSection
from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.training.methods import TRAINING_METHODS
from hasnas.nas.training.retrain import RetrainResult
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

from .suite import Suite

EPOCHS = 2
TRAIN, VALIDATION, TEST = 64, 40, 10


class StoppedError(Exception):
    """Stands for a crash between two epochs."""


class CheckTrainingMethod(Suite):
    """For names in `TRAINING_METHODS` (entry points `hasnas.training_methods`)."""

    def build(self, name: str) -> Callable[..., RetrainResult]:
        """The method that is tested, called like `hasnas.nas.training.retrain.retrain`."""
        return TRAINING_METHODS.get(name)

    def architecture(self) -> dict[str, Any]:
        """What is trained, in JSON form: two cells without feedback, for images `[1, 8, 8]` of ten classes."""
        cell = Genotype(3, (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1")))
        macro = Macro((1, 8, 8), classes=10, timesteps=4, channels=8, hidden=0, votes=1, dropout=0.1, threshold=0.5)
        return Architecture((cell, cell), macro).to_json()

    @pytest.fixture(scope="class")
    def splits(self) -> Splits:
        """Some of the digits."""
        whole = load_splits("digits", None, validation_share=0.2, seed=0)
        parts = (whole.train, TRAIN), (whole.validation, VALIDATION), (whole.test, TEST)
        train, validation, test = (split.take(torch.arange(count)) for split, count in parts)
        return replace(whole, train=train, validation=validation, test=test)

    @pytest.fixture(autouse=True)
    def _one_thread(self) -> Iterator[None]:
        """Bit-equality is promised for equal numbers of threads."""
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        yield
        torch.set_num_threads(before)

    def train(
        self,
        name: str,
        splits: Splits,
        directory: Path,
        seed: int = 3,
        progress: Callable[[int, Mapping[str, float]], None] | None = None,
    ) -> RetrainResult:
        """A training on few samples."""
        settings = RetrainSection(epochs=EPOCHS, batch_size=16, method=name)
        return self.build(name)(self.architecture(), splits, settings, seed, directory, progress)

    def test_the_seed_decides_and_the_process_is_left_alone(self, name: str, splits: Splits, tmp_path: Path) -> None:
        first = self.train(name, splits, tmp_path / "first")
        torch.manual_seed(123)
        before = torch.get_rng_state()
        assert same(self.train(name, splits, tmp_path / "again"), first)
        assert torch.equal(torch.get_rng_state(), before)
        assert not same(self.train(name, splits, tmp_path / "other", seed=4), first)

    def test_the_result_is_a_spiking_network_that_is_stored(self, name: str, splits: Splits, tmp_path: Path) -> None:
        result = self.train(name, splits, tmp_path)
        network = result.network(self.architecture())
        answers = network(splits.validation.inputs)
        assert answers.shape == (VALIDATION, 10)
        assert answers.isfinite().all()
        assert answers.std(0).max() > 0
        stored, _ = load_checkpoint(result.checkpoint)
        assert stored.keys() == result.state_dict.keys()
        assert all(torch.equal(stored[key], value) for key, value in result.state_dict.items())

    def test_epochs_are_reported_in_order(self, name: str, splits: Splits, tmp_path: Path) -> None:
        epochs: list[int] = []
        result = self.train(name, splits, tmp_path, progress=lambda epoch, metrics: epochs.append(epoch))
        assert epochs == list(range(1, len(epochs) + 1))
        assert [record.epoch for record in result.history] == epochs
        assert result.best_epoch in epochs

    def test_an_interrupted_training_goes_on_to_the_same_bits(self, name: str, splits: Splits, tmp_path: Path) -> None:
        def stop(epoch: int, metrics: Mapping[str, float]) -> None:
            if epoch == 1:
                raise StoppedError

        undisturbed = self.train(name, splits, tmp_path / "undisturbed")
        with pytest.raises(StoppedError):
            self.train(name, splits, tmp_path / "stopped", progress=stop)
        torch.rand(3)
        assert same(self.train(name, splits, tmp_path / "stopped"), undisturbed)

    def test_test_samples_are_not_looked_at(self, name: str, splits: Splits, tmp_path: Path) -> None:
        hidden = replace(splits, test=Split(torch.full_like(splits.test.inputs, torch.nan), splits.test.targets))
        assert same(self.train(name, hidden, tmp_path / "a"), self.train(name, splits, tmp_path / "b"))


def same(first: RetrainResult, second: RetrainResult) -> bool:
    """Whether two trainings ended with the same bits and history."""
    weights, others = first.state_dict, second.state_dict
    equal = weights.keys() == others.keys() and all(torch.equal(weights[key], others[key]) for key in weights)
    return equal and (first.history, first.best_epoch) == (second.history, second.best_epoch)
