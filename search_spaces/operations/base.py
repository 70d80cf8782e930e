"""What a kind of operation says about itself: one class a kind; everything else derives from it."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Literal, Self

from hasnas.errors import BadInputError
from hasnas.search_spaces.layers import Operation, Sides, pair, parameter_count, sides_of

LARGEST_KERNEL = 31
LEAST_THRESHOLD, MOST_THRESHOLD = 0.001, 1000


@dataclass(frozen=True)
class FieldRule:
    """How a mean-field score follows values along an edge.

    Args:
        does: `"carry"` (the value itself arrives), `"mean"` or `"maximum"` (of each window), `"convolve"` (random
            weights, then batch norm: a new value, as alike between places and timesteps as the spikes it comes from).
        rate_per_variance: of `"convolve"`, firing rate of its input over the variance of its result before the norm.
    """

    does: Literal["carry", "mean", "maximum", "convolve"]
    rate_per_variance: float = 1.0


@dataclass(frozen=True)
class CellOperation(ABC):
    """What one edge of a cell does to the value of its source node; it keeps the map size and the channels.

    A subclass is a kind. Its layers say shapes, parameters, prices, weights and the exported form; the class attributes
    say what cannot be read off the layers.

    Args:
        name: name in genotypes and files.
        kernel_size: side of the window, its length along a line; 0 where there is none.
        threshold: firing threshold of the neurons that the operation reads; `None` takes the macro's.

    Attributes:
        kind: the kind's name in the registry and in space files.
        code: number of the kind in features and hashes of cells, different for each kind; 0 is for the identity.
        spiking: whether the edge reads the spikes of a layer of neurons instead of the node's value.
        field_rule: how mean-field scores follow it; `None` where that is not known, and such scores refuse it.
        own_column: whether features by position have a column for the kind. The first four kinds have none, so that
            what was learned about them stays as it is.
        listed: names that lists and suggestions show.
    """

    name: str
    kernel_size: int = 0
    threshold: float | None = None

    kind: ClassVar[str]
    code: ClassVar[int]
    spiking: ClassVar[bool] = False
    field_rule: ClassVar[FieldRule | None] = None
    own_column: ClassVar[bool] = True
    listed: ClassVar[tuple[str, ...]]

    @abstractmethod
    def layers(self, channels: int) -> tuple[tuple[str, Operation], ...]:
        """Names and layers, each of which reads the one before, on maps of so many channels; none carries the value."""

    @classmethod
    @abstractmethod
    def read(cls, name: str) -> Self | None:
        """The operation of this kind that a name stands for, if it is one of them."""

    @classmethod
    def like(cls, kernel_size: int, threshold: float | None = None) -> Self:
        """The operation of this kind of a given size.

        Raises:
            BadInputError: if the kind has no sizes, or none such.
        """
        raise BadInputError(f"operations of kind '{cls.kind}' have no sizes; give the name '{cls.listed[0]}' alone")

    @property
    def window(self) -> Sides:
        """Sides of the window as layers take them."""
        return self.kernel_size

    @property
    def padding(self) -> Sides:
        """Zeros added on each side, so that the map keeps its size."""
        height, width = pair(self.window)
        return sides_of((height // 2, width // 2))

    @property
    def places(self) -> int:
        """Places of the window."""
        height, width = pair(self.window)
        return height * width

    def parameters(self, channels: int) -> int:
        """Trainable parameters on `channels` -> `channels`."""
        return sum(parameter_count(layer) for _, layer in self.layers(channels))


class WindowOperation(CellOperation):
    """An operation on windows, square ones or those along a line.

    Names are `<prefix>3x3` or `<prefix>1x3`, or `<prefix>3x3_t0.5` with a threshold of its own.

    Attributes:
        prefix: of the names.
        smallest: side of the smallest window, odd.
        along_line: whether windows have a single row.
    """

    prefix: ClassVar[str]
    smallest: ClassVar[int] = 3
    along_line: ClassVar[bool] = False

    @property
    def window(self) -> Sides:
        """See `CellOperation`."""
        return (1, self.kernel_size) if self.along_line else self.kernel_size

    @classmethod
    def read(cls, name: str) -> Self | None:
        """See `CellOperation`: odd windows up to 31 need no row of a table, nor do thresholds from 0.001 to 1000."""
        match = re.fullmatch(rf"{cls.prefix}(\d{{1,2}})x(\d{{1,2}})(?:_t(\d{{1,4}}\.\d{{1,9}}))?", name, re.ASCII)
        if match is None:
            return None
        size, threshold = int(match[2]), None if match[3] is None else float(match[3])
        fits = size % 2 == 1 and cls.smallest <= size <= LARGEST_KERNEL
        plain = threshold is None or (cls.spiking and LEAST_THRESHOLD <= threshold <= MOST_THRESHOLD)
        return cls(name, size, threshold) if fits and plain and cls._spelt(size, threshold) == name else None

    @classmethod
    def like(cls, kernel_size: int, threshold: float | None = None) -> Self:
        """See `CellOperation`."""
        operation = cls.read(cls._spelt(kernel_size, threshold))
        if operation is not None:
            return operation
        if threshold is not None and not cls.spiking:
            raise BadInputError(f"a threshold on '{cls.kind}', which has no neurons; remove it")
        if cls.read(cls._spelt(kernel_size, None)) is None:
            raise BadInputError(
                f"kernel_size is {kernel_size!r}; give an odd number from {cls.smallest} to {LARGEST_KERNEL}"
            )
        raise BadInputError(f"threshold is {threshold!r}; give a number from {LEAST_THRESHOLD} to {MOST_THRESHOLD}")

    @classmethod
    def _spelt(cls, size: int, threshold: float | None) -> str:
        own = "" if threshold is None else f"_t{float(threshold)!r}"
        return f"{cls.prefix}{1 if cls.along_line else size}x{size}{own}"


class PlainOperation(CellOperation):
    """An operation without numbers: the only one of its kind."""

    @classmethod
    def read(cls, name: str) -> Self | None:
        """See `CellOperation`."""
        return cls(name) if name in cls.listed else None
