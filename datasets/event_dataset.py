"""What all event-camera datasets share: a list of clips, a parser, and frames in the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np

from hasnas.errors import BadInputError

from .cache import Allocate, Array, cached_arrays, fingerprint_of
from .choices import SUBSET_SEED, Subset
from .event_files import read_bytes
from .events import Events
from .frames import LARGEST_COUNT, Framing, frames
from .official import check_count, check_labels
from .source import DatasetCard, Samples, Split, check_split, stratified_split

UNMENTIONED = ("largest_count", LARGEST_COUNT)  # in fingerprints, as frames made before it could be chosen are the same


@dataclass(frozen=True)
class Clip:
    """One labelled sample: a recording, or the part of it between two times.

    Args:
        path: the file.
        label: class index.
        span_us: (start, end) in microseconds, None for the whole recording.
    """

    path: Path
    label: int
    span_us: tuple[int, int] | None = None


@dataclass(frozen=True)
class EventDataset:
    """A dataset of event-camera recordings, given as frames `[N, T, 2, H, W]`.

    Args:
        recorded: the card, without the number of frames.
        list_clips: finds the clips of a split under a data root.
        parse: turns a file's bytes into events; takes the bytes, the sensor's (height, width) and the path.
        framing: how recordings become frames.
        subset: how many recordings of each split are read.
    """

    recorded: DatasetCard
    list_clips: Callable[[DatasetCard, Split, Path | None], Sequence[Clip]]
    parse: Callable[[bytes, tuple[int, int], Path], Events]
    framing: Framing = Framing()
    subset: Subset = Subset()

    def limited(self, subset: Subset) -> EventDataset:
        """The same dataset with fewer recordings; an incomplete copy may hold enough of them."""
        splits = {**self.recorded.splits, **{name: n for name, n in vars(subset).items() if n is not None}}
        return replace(self, recorded=replace(self.recorded, splits=splits), subset=subset)

    def _clips(self, split: Split, root: Path | None) -> Sequence[Clip]:
        """The recordings of a split, or those of them that were chosen."""
        clips, wanted = self.list_clips(self.recorded, split, root), self.subset.of(split)
        if wanted is None or wanted == len(clips):
            return clips
        if wanted > len(clips):
            raise BadInputError(f"dataset.subset.{split} is {wanted}, but there are {len(clips)} recordings; lower it")
        labels = np.array([clip.label for clip in clips], np.int64)
        return [clips[index] for index in stratified_split(labels, wanted / len(clips), SUBSET_SEED)[1]]

    @property
    def card(self) -> DatasetCard:
        """What the dataset is, with the number of frames chosen."""
        return replace(self.recorded, timesteps=self.framing.timesteps, largest_count=self.framing.largest_count)

    def framed(self, framing: Framing) -> EventDataset:
        """The same dataset with other frames."""
        return replace(self, framing=framing)

    def recordings(self, split: Split, root: Path | None = None) -> Iterator[tuple[Events, int]]:
        """The checked events and the label of each clip, one after the other, for work on events themselves.

        Raises:
            BadInputError: if files are missing or damaged, or hold events this sensor cannot have sent.
        """
        check_split(split)
        yield from self._read(self._clips(split, root))

    def load(self, split: Split, root: Path | None = None) -> Samples:
        """The frames of a split as uint8 counts `[N, T, 2, H, W]`, made once and cached."""
        check_split(split)
        clips = self._clips(split, root)
        check_count(self.recorded, split, len(clips), clips[0].path.parent if clips else "no recordings")

        def build(allocate: Allocate) -> tuple[Array, Array]:
            inputs = allocate((len(clips), self.framing.timesteps, *self.recorded.input_shape), np.uint8)
            for index, (events, _) in enumerate(self._read(clips)):
                inputs[index] = frames(events, self.framing)
            return inputs, np.array([clip.label for clip in clips], np.int64)

        framing = {key: value for key, value in vars(self.framing).items() if (key, value) != UNMENTIONED}
        options = {**framing, "clips": [(clip.label, clip.span_us) for clip in clips]}
        fingerprint = fingerprint_of({clip.path for clip in clips}, options)
        inputs, labels = cached_arrays(self.recorded.name, fingerprint, build)
        return Samples(inputs, check_labels(labels, self.recorded.classes, self.recorded.name))

    def _read(self, clips: Sequence[Clip]) -> Iterator[tuple[Events, int]]:
        for path, parts in groupby(clips, key=lambda clip: clip.path):  # a file with many clips is parsed once
            events = self._parse(path)
            for clip in parts:
                yield (events.between(*clip.span_us) if clip.span_us else events), clip.label

    def _parse(self, path: Path) -> Events:
        _, height, width = self.recorded.input_shape
        events = self.parse(read_bytes(path), (height, width), path)
        return (events.sorted() if self.framing.unsorted == "sort" else events).checked(path)
