from __future__ import annotations

import logging
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SupernetSection
from hasnas.nas.data.samples import Split
from hasnas.nas.supernet.nni.oneshot import CHECKPOINT_NAME, RandomOneShotTrainer
from hasnas.nas.supernet.settings import ProgressCallback, TrainingProgress
from hasnas.nas.supernet.sharing import inherit
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace

pytestmark = pytest.mark.slow

PATHS = ((3, 0, 1, 0, 2, 0), (2, 3, 0, 0, 0, 3), (0, 0, 3, 0, 0, 0), (3, 1, 0, 7, 2, 3))
SETTINGS = SupernetSection(epochs=3, batch_size=8, learning_rate=0.02, weight_decay=0.01)


class KilledError(Exception):
    """Stands for the end of the process."""


def draw(rng: np.random.Generator) -> tuple[int, ...]:
    return PATHS[rng.integers(len(PATHS))]


def samples(count: int = 20) -> Split:
    """Images whose class is the brightest third of their rows."""
    generator = torch.Generator().manual_seed(0)
    targets = torch.arange(count) % 3
    inputs = torch.rand(count, 1, 8, 8, generator=generator)
    for index, target in enumerate(targets.tolist()):
        inputs[index, 0, 3 * target : 3 * target + 2] += 3.0
    return Split(inputs, targets)


def train(
    space: CellSpace,
    folder: Path | None = None,
    progress: ProgressCallback | None = None,
    settings: SupernetSection = SETTINGS,
    seed: int = 1,
) -> dict[str, Tensor]:
    trained = RandomOneShotTrainer().train(
        space, draw, samples(), settings=settings, seed=seed, checkpoint_directory=folder, progress=progress
    )
    return trained.weights


def kill_at(epoch: int, batch: int) -> ProgressCallback:
    def progress(state: TrainingProgress) -> None:
        if (state.epoch, state.batch) == (epoch, batch):
            raise KilledError

    return progress


def test_a_damaged_checkpoint_falls_back_to_the_one_before(
    feedback_space: CellSpace, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    with pytest.raises(KilledError):
        train(feedback_space, tmp_path, kill_at(3, 2))
    path = tmp_path / CHECKPOINT_NAME
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        steps: list[TrainingProgress] = []
        state = train(feedback_space, tmp_path, steps.append)
    undisturbed = train(feedback_space)
    assert all(torch.equal(state[name], undisturbed[name]) for name in undisturbed)
    assert steps[0].epoch == 2
    assert "going on from the previous checkpoint" in caplog.text


@pytest.mark.parametrize("change", ["seed", "settings", "space"])
def test_a_checkpoint_of_another_training_is_refused(feedback_space: CellSpace, tmp_path: Path, change: str):
    train(feedback_space, tmp_path, settings=SupernetSection(epochs=1, batch_size=8))
    with pytest.raises(BadInputError, match=r"supernet\.safetensors is of a training with another"):
        train(
            CellSpace(feedback_space.macro) if change == "space" else feedback_space,
            tmp_path,
            settings=SupernetSection(epochs=2 if change == "settings" else 1, batch_size=8),
            seed=2 if change == "seed" else 1,
        )


def test_training_teaches_every_path(feedback_space: CellSpace):
    losses: list[float] = []
    settings = SupernetSection(epochs=25, batch_size=10, learning_rate=0.03)
    state = train(feedback_space, None, lambda step: losses.append(step.loss), settings)
    assert np.mean(losses[-8:]) < 0.7 * np.mean(losses[:8])
    # A layer that no path uses keeps its first weights, one that a path uses does not.
    fresh = train(feedback_space, settings=SupernetSection(epochs=1, batch_size=20, learning_rate=1e-12))
    assert torch.equal(state["cell1.1_3.conv3x3.conv.weight"], fresh["cell1.1_3.conv3x3.conv.weight"])
    assert not torch.allclose(state["cell1.2_1.conv3x3.conv.weight"], fresh["cell1.2_1.conv3x3.conv.weight"])
    for path in PATHS:
        assert inherit(state, feedback_space.decode(path))(samples().inputs).shape == (20, 3)


def test_the_terminal_and_the_working_directory_stay_clean(
    feedback_space: CellSpace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    train(feedback_space, settings=SupernetSection(epochs=1, batch_size=8))
    with pytest.raises(KilledError):
        train(feedback_space, None, kill_at(1, 1))
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_an_interrupt_stays_one(feedback_space: CellSpace):
    def interrupt(state: TrainingProgress) -> None:
        raise KeyboardInterrupt

    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(feedback_space, None, interrupt)
    assert signal.getsignal(signal.SIGINT) is handler


def test_sequences_are_taken_as_they_are():
    from dataclasses import replace

    from hasnas.search_spaces.macro import Macro

    macro = replace(Macro((2, 8, 8), classes=3, timesteps=3, channels=2, hidden=0, votes=1), static_input=False)
    split = Split(torch.rand(6, 3, 2, 8, 8), torch.arange(6) % 3)
    trained = RandomOneShotTrainer().train(
        CellSpace(macro, nodes=2), lambda rng: (3,), split, settings=SupernetSection(epochs=1, batch_size=4), seed=0
    )
    assert "cell2.0_1.conv3x3.conv.weight" in trained.weights


@pytest.mark.parametrize(
    "field, value",
    [
        ("epochs", 0),
        ("batch_size", 1),
        ("learning_rate", float("nan")),
        ("weight_decay", -1.0),
        ("architecture_learning_rate", 0.0),
        ("penalty", {"weight": -1.0}),
    ],
)
def test_settings_out_of_range_are_refused_by_name(field: str, value: float):
    with pytest.raises(BadInputError, match=rf"supernet\.{field}(\.weight)? is "):
        SupernetSection(**{field: value})


def test_what_cannot_be_trained_is_said(feedback_space: CellSpace):
    beyond = SETTINGS.model_copy(update={"epochs": 9, "learning_rate": 3e37})  # unlike with_changes, it checks nothing
    with pytest.raises(BadInputError, match=r"diverged in .* first in '\w+\..* lower"):
        train(feedback_space, settings=beyond)
    with pytest.raises(BadInputError, match="option 'conv3x3' was left out"):
        RandomOneShotTrainer().train(
            feedback_space, lambda rng: PATHS[0], samples(), settings=SETTINGS, seed=0,
            options={"cell/0_1": ("none",)},
        )  # fmt: skip


def test_one_sample_is_too_few(feedback_space: CellSpace):
    with pytest.raises(BadInputError, match="got 1 samples"):
        RandomOneShotTrainer().train(feedback_space, draw, samples(1), settings=SETTINGS, seed=0)


def test_a_last_batch_of_one_is_left_out():
    """Batch norm has no variance of one sample on maps of one pixel."""
    macro = Macro((2, 1, 1), 3, timesteps=2, channels=4, hidden=0, votes=1, final_pool=1, reductions=())
    generator = torch.Generator().manual_seed(0)
    split = Split(torch.rand(17, 2, 1, 1, generator=generator), torch.arange(17) % 3)
    seen: list[TrainingProgress] = []
    settings = SupernetSection(epochs=1, batch_size=8)
    space = CellSpace(macro)
    RandomOneShotTrainer().train(space, lambda rng: PATHS[0], split, settings=settings, seed=0, progress=seen.append)
    assert [(state.batch, state.batches) for state in seen] == [(1, 2), (2, 2)]
