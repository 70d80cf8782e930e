"""Where trainings keep their files; read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from hasnas.errors import BadInputError
from hasnas.files import read_json, sealed, write_atomic

LAST_FILE, BEST_FILE, ACTIVITY_FILE = "last.safetensors", "best.safetensors", "activity.json"
EPOCHS_FILE = "epochs.jsonl"  # a line for each epoch as it ends, for whoever watches; nothing else reads it


def retrain_directory(run_directory: Path | str, key: str, seed: int) -> Path:
    """Where a run keeps the training of an architecture: `checkpoints/retrain/<key>-<seed>`.

    >>> retrain_directory("runs/digits", "ab12", 3).as_posix()
    'runs/digits/checkpoints/retrain/ab12-3'
    """
    return Path(run_directory) / "checkpoints" / "retrain" / f"{key}-{seed}"


def write_activity(checkpoint_directory: Path | str, rates: Mapping[str, float]) -> None:
    """Keep the activity that was measured after a training, with a digest.

    >>> import tempfile
    >>> folder = tempfile.mkdtemp()
    >>> write_activity(folder, {"stem.conv": 0.1})
    >>> read_activity(folder)
    {'stem.conv': 0.1}
    """
    text = json.dumps(sealed({"rates": dict(rates)}), indent=1) + "\n"
    write_atomic(Path(checkpoint_directory) / ACTIVITY_FILE, text)


def read_activity(checkpoint_directory: Path | str) -> dict[str, float]:
    """The activity that was measured after a training; empty if it has not got that far.

    Raises:
        BadInputError: if the file is damaged.
    """
    path = Path(checkpoint_directory) / ACTIVITY_FILE
    if not path.exists():
        return {}
    found = read_json(path)
    if not isinstance(found, dict) or sealed(found) != found:
        raise BadInputError(f"{path} is damaged (its digest does not match); resume the run, which measures it again")
    return {name: float(rate) for name, rate in found["rates"].items()}
