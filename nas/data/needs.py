"""What a task only names: samples, files and folders that a process on another machine must be given."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from hasnas.datasets.choices import View

SplitsKey = tuple[str, Path | None, float, int, View]
"""The arguments of `hasnas.nas.data.samples.load_splits`."""


@dataclass(frozen=True)
class DataReference:
    """Which samples to use; small enough to send to a worker.

    Args:
        dataset: name of the dataset.
        root: folder that holds the datasets' files, `None` for the default one.
        validation_share: part of the train split held out.
        seed: seed of that draw.
        framing: how event recordings become frames, or static samples spikes; None takes the dataset's own way.
    """

    dataset: str
    root: str | None
    validation_share: float
    seed: int
    framing: View = None

    @property
    def key(self) -> SplitsKey:
        """As `load_splits` is asked for them."""
        root = None if self.root is None else Path(self.root)
        return self.dataset, root, self.validation_share, self.seed, self.framing


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
