"""Where trainings keep their files; read without torch."""

from __future__ import annotations

from pathlib import Path

from hasnas.files import read_json

LAST_FILE, BEST_FILE, ACTIVITY_FILE = "last.safetensors", "best.safetensors", "activity.json"
EPOCHS_FILE = "epochs.jsonl"  # a line for each epoch as it ends, for whoever watches; nothing else reads it


def retrain_directory(run_directory: Path | str, key: str, seed: int) -> Path:
    """Where a run keeps the training of an architecture: `checkpoints/retrain/<key>-<seed>`.

    >>> retrain_directory("runs/digits", "ab12", 3).as_posix()
    'runs/digits/checkpoints/retrain/ab12-3'
    """
    return Path(run_directory) / "checkpoints" / "retrain" / f"{key}-{seed}"


def read_activity(checkpoint_directory: Path | str) -> dict[str, float]:
    """The activity that was measured after a training; empty if it has not got that far.

    Raises:
        BadInputError: if the file is damaged.
    """
    path = Path(checkpoint_directory) / ACTIVITY_FILE
    return {name: float(rate) for name, rate in read_json(path).items()} if path.exists() else {}
