"""What every supernet trainer must do, whatever it trains with."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.plugins import DIFFERENTIABLE, SUPERNET_TRAINERS
from hasnas.nas.config.sections import PenaltySection, SupernetSection
from hasnas.nas.data.samples import Split
from hasnas.nas.supernet.cost_table import fit_cost_table
from hasnas.nas.supernet.settings import (
    Choosing,
    ProgressCallback,
    SupernetTrainer,
    TrainedSupernet,
    TrainingProgress,
)
from hasnas.nas.supernet.sharing import inherit, shared_layers
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes

from .suite import Suite

SPACE = CellSpace(Macro((1, 8, 8), classes=3, timesteps=3, channels=3, hidden=6, votes=2, dropout=0.25))
PATHS = ((3, 0, 1, 0, 2, 0), (2, 3, 0, 2, 0, 3), (0, 0, 3, 0, 0, 0), (3, 1, 0, 4, 2, 3))
OPTIONS = {
    gene.label: tuple(gene.choices[code] for code in sorted({path[index] for path in PATHS}))
    for index, gene in enumerate(SPACE.genes)
}
SETTINGS = SupernetSection(
    strategy="darts",
    epochs=3,
    batch_size=8,
    learning_rate=0.02,
    weight_decay=0.01,
    architecture_learning_rate=0.05,
    penalty=PenaltySection(weight=0.5),
)


class KilledError(Exception):
    """Stands for the end of the process."""


def draw(rng: np.random.Generator) -> tuple[int, ...]:
    """The path of a step."""
    return PATHS[rng.integers(len(PATHS))]


def samples(seed: int = 0, count: int = 20) -> Split:
    """Noise in three classes."""
    generator = torch.Generator().manual_seed(seed)
    return Split(torch.rand(count, 1, 8, 8, generator=generator), torch.arange(count) % 3)


def known(codes: Codes) -> np.ndarray:
    """Which candidates may be chosen."""
    return np.array([tuple(row) in PATHS for row in codes.tolist()])


CODES = np.array(PATHS, np.int16)
TABLE = fit_cost_table(SPACE, CODES, (CODES == 3).sum(1) + 1.0, "energy_j")
CHOOSING = Choosing(samples(1, 11), CODES, known, table=TABLE)


def same(first: TrainedSupernet, second: TrainedSupernet) -> bool:
    """Whether two trainings ended with the same bits and choices."""
    equal = first.weights.keys() == second.weights.keys()
    equal = equal and all(torch.equal(first.weights[key], second.weights[key]) for key in first.weights)
    return equal and (first.probabilities, first.codes) == (second.probabilities, second.codes)


def kill_at(epoch: int, batch: int) -> ProgressCallback:
    """A callback that ends the process after a step."""

    def progress(state: TrainingProgress) -> None:
        if (state.epoch, state.batch) == (epoch, batch):
            raise KilledError

    return progress


class CheckSupernetTrainer(Suite):
    """For names in `SUPERNET_TRAINERS` (entry points `hasnas.supernet_trainers`)."""

    def build(self, name: str) -> SupernetTrainer:
        """The trainer that is tested."""
        return SUPERNET_TRAINERS.get(name)()

    def learns_choices(self, name: str) -> bool:
        """Whether the trainer learns which choices are good, and takes a penalty on costs."""
        return name in DIFFERENTIABLE

    def train(
        self,
        name: str,
        folder: Path | None = None,
        progress: ProgressCallback | None = None,
        seed: int = 1,
        choosing: Choosing | None = CHOOSING,
        settings: SupernetSection = SETTINGS,
    ) -> TrainedSupernet:
        """A training on few samples."""
        return self.build(name).train(
            SPACE,
            draw,
            samples(),
            settings=settings,
            seed=seed,
            options=OPTIONS,
            choosing=choosing,
            checkpoint_directory=folder,
            progress=progress,
        )

    def test_the_weights_are_those_of_the_allowed_options_and_serve_every_path(self, name: str) -> None:
        state = self.train(name).weights
        layers = {key.rsplit(".", 1)[0] for key in state}
        assert layers == set(shared_layers(SPACE, OPTIONS))
        assert not any(tensor.requires_grad for tensor in state.values())
        assert copy.deepcopy(state).keys() == state.keys()
        for path in PATHS:
            assert inherit(state, SPACE.decode(path)).eval()(samples().inputs).isfinite().all()

    def test_the_seed_decides_everything_and_the_process_is_left_alone(self, name: str) -> None:
        first = self.train(name)
        torch.manual_seed(123)
        before = torch.get_rng_state()
        assert same(self.train(name), first)
        assert torch.equal(torch.get_rng_state(), before)
        assert not same(self.train(name, seed=2), first)

    @pytest.mark.parametrize("epoch, batch", [(1, 2), (2, 1), (3, 3)])
    def test_an_interrupted_training_goes_on_to_the_same_bits(
        self, name: str, tmp_path: Path, epoch: int, batch: int
    ) -> None:
        undisturbed = self.train(name)
        with pytest.raises(KilledError):
            self.train(name, tmp_path, kill_at(epoch, batch))
        torch.rand(3)
        steps: list[TrainingProgress] = []
        assert same(self.train(name, tmp_path, steps.append), undisturbed)
        assert [(step.epoch, step.batch) for step in steps] == [(e, b) for e in range(epoch, 4) for b in (1, 2, 3)]
        assert same(self.train(name, tmp_path, kill_at(3, 3)), undisturbed), "a finished training is not repeated"

    def test_the_progress_counts_steps(self, name: str) -> None:
        steps: list[TrainingProgress] = []
        self.train(name, None, steps.append)
        assert [(s.epoch, s.epochs, s.batch, s.batches) for s in steps] == [
            (e, 3, b, 3) for e in (1, 2, 3) for b in (1, 2, 3)
        ]
        assert all(np.isfinite(step.loss) for step in steps)

    def test_what_is_learned_of_the_choices_is_told_and_lies_within_the_region(self, name: str) -> None:
        steps: list[TrainingProgress] = []
        trained = self.train(name, None, steps.append)
        if not self.learns_choices(name):
            assert (trained.probabilities, trained.codes) == ({}, None)
            assert not any(step.metrics for step in steps)
            return
        assert {label: tuple(row) for label, row in trained.probabilities.items()} == OPTIONS
        assert all(sum(row.values()) == pytest.approx(1) for row in trained.probabilities.values())
        assert trained.codes in PATHS
        for step in steps:
            assert bool(step.metrics) == (step.batch == step.batches)
        last = {key: value for key, value in steps[-1].metrics.items() if key.startswith("probability/cell/0_1/")}
        assert list(last.values()) == pytest.approx(list(trained.probabilities["cell/0_1"].values()))
        assert min(TABLE.predict(CODES)) * 0.5 < steps[-1].metrics["expected/energy_j"] < max(TABLE.predict(CODES)) * 2

    def test_a_training_with_another_penalty_is_another_training(self, name: str, tmp_path: Path) -> None:
        if not self.learns_choices(name):
            assert same(self.train(name, choosing=None), self.train(name))
            return
        self.train(name, tmp_path)
        with pytest.raises(BadInputError, match="of a training with another"):
            self.train(name, tmp_path, settings=SETTINGS.with_changes({"penalty": PenaltySection(weight=2.0)}))
        with pytest.raises(BadInputError, match="needs samples and architectures to choose by"):
            self.train(name, choosing=None)

    def test_feedback_is_run_or_refused_in_one_line(self, name: str) -> None:
        space = CellSpace(SPACE.macro, feedback=True, nodes=3)
        codes = np.array([[3, 3, 6]], np.int16)
        choosing = Choosing(samples(1), codes, lambda rows: np.ones(len(rows), bool))
        trainer, settings = self.build(name), SupernetSection(epochs=1, batch_size=10)

        def run() -> TrainedSupernet:
            return trainer.train(space, lambda rng: (3, 3, 6), samples(), settings=settings, seed=0, choosing=choosing)

        if self.learns_choices(name):
            told = r"set space\.feedback: false or supernet\.strategy: random_one_shot"
            with pytest.raises(BadInputError, match=told):
                run()
        else:
            assert run().weights
