import os
from multiprocessing import get_context
from pathlib import Path

import pytest
import torch

from hasnas.errors import HasnasError
from hasnas.nas.config.training import AugmentationSection, RetrainSection
from hasnas.nas.data.samples import Normalisation, Split, Splits, TargetScale
from hasnas.nas.training.loop import EpochBatches, TrainingDivergedError
from hasnas.nas.training.processes import _listen, _load_splits, _save_splits
from hasnas.nas.training.retrain import retrain

pytestmark = pytest.mark.slow

SETTINGS = RetrainSection(epochs=2, batch_size=32, devices=2, ema_decay=0.9)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def test_processes_share_every_batch(few: Splits):
    settings = SETTINGS.with_changes({"augmentation": AugmentationSection(mixup=0.3, shift=1)})

    def walk(settings: RetrainSection, process: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        def seeded(purpose: str) -> torch.Generator:
            return torch.Generator().manual_seed(len(purpose))

        return list(EpochBatches(few, settings, seeded, lambda: process))

    whole = walk(settings.with_changes({"devices": 1}), 0)
    for index, (first, second) in enumerate(zip(walk(settings, 0), walk(settings, 1), strict=True)):
        for part in (0, 1):
            assert torch.equal(torch.cat([first[part], second[part]]), whole[index][part])


def test_two_processes_train_together_and_resume(architecture, few: Splits, tmp_path: Path):
    seen: list[int] = []
    first = retrain(architecture, few, SETTINGS, 0, tmp_path / "first", lambda epoch, _: seen.append(epoch))
    assert seen == [1, 2]
    assert len(first.history) == 2
    again = retrain(architecture, few, SETTINGS, 0, tmp_path / "first")
    assert again.history == first.history
    assert all(torch.equal(value, again.state_dict[name]) for name, value in first.state_dict.items())
    alone = retrain(architecture, few, SETTINGS.with_changes({"devices": 1}), 0, tmp_path / "alone")
    assert abs(first.history[0].loss - alone.history[0].loss) < 0.3


def test_what_a_process_says_arrives():
    messages = get_context("spawn").Queue()
    heard: list[tuple[int, dict[str, float]]] = []
    messages.put((1, {"loss": 2.0}))
    messages.put(TrainingDivergedError("the loss is NaN"))

    def listen() -> None:
        while True:  # the queue passes messages on in a thread of its own, so the first call may find none
            _listen([], messages, lambda epoch, metrics: heard.append((epoch, dict(metrics))))

    with pytest.raises(TrainingDivergedError, match="the loss is NaN"):
        listen()
    assert heard == [(1, {"loss": 2.0})]


def test_a_process_that_dies_is_noticed():
    context = get_context("spawn")
    worker = context.Process(target=os._exit, args=(3,))
    worker.start()
    with pytest.raises(HasnasError, match="died with exit code 3; start it again"):
        _listen([worker], context.Queue(), None)
    worker.join()


def test_processes_get_the_units_of_targets(tmp_path: Path):
    parts = [Split(torch.rand(4, 1, 2, 2), torch.rand(4, 2), torch.tensor([5.0, 0.5]), True) for _ in range(3)]
    normalisation = Normalisation((0.0,), (1.0,), TargetScale((1.0, 2.0), (5.0, 0.5), place=True))
    _save_splits(tmp_path / "splits", Splits(*parts, normalisation, 2))
    found = _load_splits(str(tmp_path / "splits"), (normalisation, 2))
    for part, given in zip((found.train, found.validation, found.test), parts, strict=True):
        assert part.place
        assert part.unit is not None
        assert torch.equal(part.unit, torch.tensor([5.0, 0.5]))
        assert torch.equal(part.targets, given.targets)
