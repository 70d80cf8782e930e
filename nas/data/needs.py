"""What a task only names: samples, files and folders that a process on another machine must be given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hasnas.datasets.choices import View

SplitsKey = tuple[str, Path | None, float, int, View]
"""The arguments of `hasnas.nas.data.samples.load_splits`."""


@dataclass(frozen=True)
class Needs:
    """What a task reads beside itself, and where it leaves what it makes.

    Args:
        samples: that it computes on; None if there are none.
        files: that it reads.
        folder: that it goes on from and leaves its checkpoints in; None if it leaves none.
        processes: that share its work, each with a processor and a device of its own.
    """

    samples: SplitsKey | None = None
    files: tuple[str, ...] = ()
    folder: str | None = None
    processes: int = 1


@runtime_checkable
class Travels(Protocol):
    """A task that says what it needs; others need nothing but themselves."""

    @property
    def needs(self) -> Needs:
        """What it names."""
        ...
