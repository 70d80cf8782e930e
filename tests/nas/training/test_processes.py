from dataclasses import replace
from pathlib import Path

import pytest
import torch

from hasnas.nas.data import Splits
from hasnas.nas.training.loop import EpochBatches, TrainingDivergedError
from hasnas.nas.training.retrain import retrain
from hasnas.nas.training.settings import AugmentationSettings, RetrainSettings

SETTINGS = RetrainSettings(epochs=2, batch_size=32, devices=2, ema_decay=0.9)


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "RANK", "SLURM_PROCID"):
        monkeypatch.delenv(name, raising=False)


def test_processes_share_every_batch(few: Splits):
    settings = replace(SETTINGS, augmentation=AugmentationSettings(mixup=0.3, shift=1))

    def walk(settings: RetrainSettings, process: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        def seeded(purpose: str) -> torch.Generator:
            return torch.Generator().manual_seed(len(purpose))

        return list(EpochBatches(few, settings, seeded, lambda: process))

    whole = walk(replace(settings, devices=1), 0)
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
    alone = retrain(architecture, few, replace(SETTINGS, devices=1), 0, tmp_path / "alone")
    assert abs(first.history[0].loss - alone.history[0].loss) < 0.3


def test_what_a_process_raises_arrives(architecture, few: Splits, tmp_path: Path):
    few.train.inputs[:] = float("nan")
    with pytest.raises(TrainingDivergedError, match="epoch 1, step 1, first in 'input'"):
        retrain(architecture, few, SETTINGS, 0, tmp_path)
