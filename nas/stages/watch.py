"""Epochs of trainings as they end, whichever process trains: read from the file that each training appends to."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hasnas.nas.training.folders import EPOCHS_FILE

from .progress import ticking

POLL_EVERY_S = 0.5
OnEpoch = Callable[[int, int, dict[str, float]], None]


@dataclass
class _Source:
    path: Path
    read: int = 0


class EpochWatch:
    """Reports the epochs of trainings, each once and in order.

    Args:
        folders: of the trainings.
        on_epoch: told the index of a training, the number of its epoch from 1, and its metrics.
    """

    def __init__(self, folders: Sequence[Path], on_epoch: OnEpoch) -> None:
        self._sources = [_Source(folder / EPOCHS_FILE) for folder in folders]
        self._on_epoch = on_epoch
        self._lock = threading.Lock()

    def poll(self) -> None:
        """Report what is new; half a line is left for the next time, an unreadable one is passed over."""
        with self._lock:
            for index, source in enumerate(self._sources):
                try:
                    with source.path.open("rb") as file:
                        file.seek(source.read)
                        content = file.read()
                except OSError:
                    continue
                whole = content[: content.rfind(b"\n") + 1]
                source.read += len(whole)
                for line in whole.splitlines():
                    self._report(index, line)

    def _report(self, index: int, line: bytes) -> None:
        try:
            record = json.loads(line)
            epoch, metrics = int(record["epoch"]), {name: float(value) for name, value in record["metrics"].items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        self._on_epoch(index, epoch, metrics)

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Look twice a second while the block runs, and once at its end."""
        with ticking(self.poll, POLL_EVERY_S):
            yield
        self.poll()


def forget(folders: Sequence[Path]) -> None:
    """Remove what earlier starts noted: a training that goes on reports its former epochs again."""
    for folder in folders:
        (folder / EPOCHS_FILE).unlink(missing_ok=True)
