"""Runs whose networks are trained with many options, from the YAML on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hasnas.errors import BadInputError, HasnasError
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.run import start_run
from hasnas.nas.stages.forecast import dry_run
from hasnas.nas.training.devices import has_bfloat16
from hasnas.nas.training.folders import BEST_FILE, LAST_FILE, retrain_directory

pytestmark = pytest.mark.slow

QUICK = ["supernet.enabled=false", "search.enabled=false", "export.enabled=false", "retrain.top=1", "retrain.epochs=2"]
OPTIONS = [
    "retrain.ema_decay=0.9",
    "retrain.patience=2",
    f"retrain.precision={'bfloat16' if has_bfloat16(gpu=False) else 'float32'}",
    "retrain.recomputed_parts=3",
    "retrain.batch_norm=threshold",
    "retrain.augmentation={mixup: 0.2, cutmix: 1.0, operations: 1, shift: 1}",
    "retrain.surrogate={family: triangle, width: auto}",
    "retrain.regularisation={rate_weight: 0.1, count: operations}",
    "retrain.noise.device=rram-typical",
]


def trained(directory: Path) -> dict[str, object]:
    """What is stored with the weights of a run's only network."""
    (trial,) = [item for item in read_ledger(directory / "ledger.jsonl").trials if item.stage == "retrain"]
    assert trial.state != "failed", trial.message
    assert 0 <= trial.metrics["test_accuracy"] <= 1
    return load_checkpoint(retrain_directory(directory, trial.key, trial.seed) / BEST_FILE)[1]


def test_digits_with_many_options(tiny_config: Path, tmp_path: Path) -> None:
    meta = trained(start_run(tiny_config, [*QUICK, *OPTIONS], run_directory=tmp_path / "run"))
    settings = meta["settings"]
    assert settings["noise"] == {"device": "rram-typical"}
    assert settings["augmentation"]["cutmix"] == 1.0
    assert meta["surrogate_widths"]


def test_a_users_recordings(tiny_config: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    inputs = rng.poisson(0.3, (60, 2, 2, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "mine.npz", inputs=inputs, targets=np.arange(60) % 3)
    own = ["dataset.name=arrays", f"dataset.root={tmp_path / 'mine.npz'}", "budget.parameters=100000"]
    recipe = ["retrain.augmentation={flip: 0.5, shift: 1, drop_events: 0.3, mixup: 0.2}", "retrain.batch_size=8"]
    trained(start_run(tiny_config, [*QUICK, *own, *recipe], run_directory=tmp_path / "run"))
    with pytest.raises(BadInputError, match=r"has 2 frames a sample, but the network 3 timesteps; set space\.macro"):
        dry_run(tiny_config, [*own, "space.macro.timesteps=3"])


@pytest.mark.parametrize(
    "override, message",
    [
        ("retrain.surrogate.family=arctanh", "did you mean 'arctan'"),
        ("retrain.surrogate.width=wide", "retrain.surrogate.width"),
        ("retrain.augmentation.mixop=1", "did you mean 'mixup'"),
        ("retrain.augmentation.flip=2", "retrain.augmentation.flip is 2"),
        ("retrain.noise.device=rram-typcal", "did you mean 'rram-typical'"),
        ("retrain.regularisation.count=energy", "retrain.regularisation.count is 'energy'"),
        ("retrain.patience=0", "retrain.patience is 0"),
        ("retrain.precision=bf16", "retrain.precision is 'bf16'"),
        ("retrain.devices=0", "retrain.devices is 0"),
        ("dataset.framing={by: count}", "'dataset.framing.frames' is missing"),
        ("dataset.framing={frames: 4, by: pixels}", "dataset.framing.by is 'pixels'"),
        ("dataset.name=digitz", "did you mean 'digits'"),
    ],
)
def test_wrong_options_are_said_in_one_line(tiny_config: Path, override: str, message: str) -> None:
    with pytest.raises(BadInputError) as error:
        load_config(tiny_config, [override])
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_training_that_diverges_ends_the_run_with_its_reason(tiny_config: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "mine.npz", inputs=rng.random((60, 1, 8, 8), np.float32), targets=np.arange(60) % 3)
    own = ["dataset.name=arrays", f"dataset.root={tmp_path / 'mine.npz'}", "budget.parameters=100000"]
    growing = ["retrain.learning_rate=10", "retrain.weight_decay=1", "retrain.batch_size=8", "retrain.epochs=12"]
    with pytest.raises(HasnasError, match=r"^no network could be trained; \w+: TrainingDivergedError: .* in '\w+"):
        start_run(tiny_config, [*QUICK, *own, *growing, "retrain.warmup_epochs=0"], run_directory=tmp_path / "run")
    (trial,) = read_ledger(tmp_path / "run" / "ledger.jsonl").trials
    last = retrain_directory(tmp_path / "run", trial.key, trial.seed) / LAST_FILE
    assert f"is in {last}" in trial.message
    tensors, meta = load_checkpoint(last)
    assert f"the state after epoch {len(meta['history'])} " in trial.message
    assert all(bool(tensor.isfinite().all()) for tensor in tensors.values())


def test_unusable_data_are_refused_before_a_directory_is_made(tiny_config: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "mine.npz", inputs=np.full((60, 1, 8, 8), np.nan, np.float32), targets=np.arange(60) % 3)
    own = ["dataset.name=arrays", f"dataset.root={tmp_path / 'mine.npz'}"]
    with pytest.raises(BadInputError, match="NaN or infinity, first in sample 0"):
        start_run(tiny_config, [*QUICK, *own], run_directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()
