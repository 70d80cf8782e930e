"""The section `dataset` of a run's YAML: where samples come from, and what is made of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from hasnas.datasets.choices import Choices, ImageShape, SignalShape, Subset, View
from hasnas.datasets.encoded import Coding
from hasnas.datasets.frames import LARGEST_COUNT, Framing

from .section import Section

OpenShare = Annotated[float, Field(gt=0, lt=1)]
Side2 = Annotated[
    tuple[Annotated[int, Field(ge=1, le=100_000)], Annotated[int, Field(ge=1, le=100_000)]], Field(strict=False)
]


class FramingSection(Section):
    """How event recordings become frames.

    Args:
        frames: number of frames of a sample; the network has as many timesteps.
        by: `time` for frames of equal duration, `count` for frames of equally many events.
        denoise_us: if positive, events that no neighbour supports within this time are dropped first.
        unsorted: what to do where time goes back in a recording: `refuse` it or `sort` its events.
        largest_count: events that a pixel of a frame counts at most; more stay at it. The chip reads a count with as
            many bits as that needs: 1 makes frames of spikes.
    """

    place = "dataset.framing"
    frames: Annotated[int, Field(ge=1, le=10_000)]
    by: Literal["time", "count"] = "time"
    denoise_us: Annotated[int, Field(ge=0, le=1_000_000_000)] = 0
    unsorted: Literal["refuse", "sort"] = "refuse"
    largest_count: Annotated[int, Field(ge=1, le=LARGEST_COUNT)] = LARGEST_COUNT


class EncodingSection(Section):
    """How static samples become spikes over time; without it images are shown as they are at every timestep.

    Args:
        name: `poisson` (rate), `latency` (time to first spike), `delta` (changes up and down, two channels for each),
            `population` (eight channels for each), or `direct` (the values at every timestep).
        timesteps: that a sample lasts; the network has as many.
        seed: decides the spikes of `poisson` and `population`, which are drawn once.
    """

    place = "dataset.encoding"
    name: str
    timesteps: Annotated[int, Field(ge=1, le=10_000)]
    seed: Annotated[int, Field(ge=0, le=2**31)] = 0


class SubsetSection(Section):
    """How many samples of each split are used, drawn once so that every class keeps its proportion; null for all.

    Args:
        train: samples to learn and to choose from.
        test: samples to be judged on.
    """

    place = "dataset.subset"
    train: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = None
    test: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None


class ImagesSection(Section):
    """What the images of an `image-folder` are brought to.

    Args:
        size: height and width: an image is scaled to cover them and cropped around its centre; null keeps the images'
            own, which must then be equal.
        channels: 1 for grey, 3 for colour.
    """

    place = "dataset.images"
    size: Side2 | None = None
    channels: Literal[1, 3] | None = None


class SignalSection(Section):
    """How the signals of the dataset `signal` become samples.

    Args:
        length: values of each signal: longer ones are cut, shorter ones filled with their last value; null where all
            are equally long.
        every: neighbouring values that become one, their mean.
        rows: rows that a signal is folded into like the lines of a text, so that square kernels see neighbours in time
            and those a row away; 1 leaves it a line.
        frames: parts in time, one for each timestep of the network; null shows the whole signal at every timestep.
    """

    place = "dataset.signal"
    length: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    every: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    rows: Annotated[int, Field(ge=1, le=100_000)] = 1
    frames: Annotated[int, Field(ge=1, le=10_000)] | None = None


class DatasetSection(Section):
    """Where samples come from.

    Args:
        name: a registered dataset, see `hasnas data ls`, or `tonic:<class>` for one of the package tonic.
        root: folder that holds the datasets' files, by default the shared one; for `arrays` and `image-folder` the
            file or folder itself.
        validation_share: part of the train split that chooses between candidates.
        framing: how event recordings become frames; null takes the dataset's own way.
        encoding: how static samples become spikes over time; null shows them as they are at every timestep.
        subset: how many samples are used; null for all.
        images: size and channels of an `image-folder`.
        signal: how the signals of `signal` become samples.
        sensor: height and width of the camera of an `event-folder`.
    """

    place = "dataset"
    name: str
    root: str | None = None
    validation_share: OpenShare = 0.2
    framing: FramingSection | None = None
    encoding: EncodingSection | None = None
    subset: SubsetSection | None = None
    images: ImagesSection | None = None
    signal: SignalSection | None = None
    sensor: Side2 | None = None

    @property
    def chosen_framing(self) -> View:
        """What is chosen of the dataset, as datasets take it."""
        choices = Choices(
            self._view,
            None if self.subset is None else Subset(self.subset.train, self.subset.test),
            None if self.images is None else ImageShape(self.images.size, self.images.channels),
            None if self.signal is None else SignalShape(**self.signal.model_dump()),
            self.sensor,
        )
        return choices.view if choices == Choices(choices.view) else choices

    @property
    def _view(self) -> Framing | Coding | None:
        if self.encoding is not None:
            return Coding(self.encoding.name, self.encoding.timesteps, self.encoding.seed)
        chosen = self.framing
        if chosen is None:
            return None
        return Framing(chosen.frames, chosen.by, chosen.denoise_us, chosen.unsorted, chosen.largest_count)

    @model_validator(mode="after")
    def _one_way_to_sequences(self) -> DatasetSection:
        if self.encoding is not None and self.framing is not None:
            raise ValueError("framing is for event recordings and encoding for static samples; remove one")
        return self
