"""The seam of search spaces: genes with named choices that decode to architectures, and what every space can do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.registry import Registry

from .architecture import Architecture
from .macro import Macro

Codes = NDArray[np.int16]
ENUMERABLE = 10**9
GeneKind = Literal["categorical", "ordered", "numeric"]
Scale = Literal["linear", "log"]
STEP = 0.7  # chance that a small step goes to the next choice and not farther


@dataclass(frozen=True)
class Gene:
    """One decision of a space.

    Args:
        label: its name, unique in the space.
        choices: what it may be, as people read it.
        kind: `categorical`, `ordered` (neighbours are alike) or `numeric` (their distance is that of `values`).
        values: the number behind each choice, in SI units; needed for a numeric gene.
        scale: on which the distances of a numeric gene count.

    Raises:
        BadInputError: if kind, scale and values do not fit together.

    >>> Gene("adc.bits", ("4", "5", "8"), "ordered").coordinates.tolist()
    [0.0, 0.5, 1.0]
    >>> Gene("clock_hz", ("10", "100", "1000"), "numeric", (10.0, 100.0, 1000.0), "log").coordinates.round(9).tolist()
    [0.0, 0.5, 1.0]
    """

    label: str
    choices: tuple[str, ...]
    kind: GeneKind = "categorical"
    values: tuple[float, ...] | None = None
    scale: Scale = "linear"

    def __post_init__(self) -> None:
        if self.kind not in get_args(GeneKind) or self.scale not in get_args(Scale):
            raise BadInputError(f"gene '{self.label}' is {self.kind} on a {self.scale} scale; there is no such gene")
        if (self.values is None and self.kind == "numeric") or len(self.values or self.choices) != len(self.choices):
            raise BadInputError(f"gene '{self.label}' is {self.kind}; give one value for each of its choices")
        if self.kind == "numeric" and self.scale == "log" and min(self.values or ()) <= 0:
            raise BadInputError(f"gene '{self.label}' is on a log scale; give positive values only")

    @property
    def has_order(self) -> bool:
        """Whether neighbouring choices are alike."""
        return self.kind != "categorical"

    @property
    def coordinates(self) -> NDArray[np.float64]:
        """Where each choice of an ordered or numeric gene lies between 0 and 1, `[choices]`.

        Raises:
            BadInputError: for a categorical gene, whose choices have no distances.
        """
        if not self.has_order:
            raise BadInputError(f"gene '{self.label}' is categorical: its choices have no order")
        places = np.arange(len(self.choices), dtype=float)
        if self.kind == "numeric":
            places = np.array(self.values, float)
            places = np.log(places) if self.scale == "log" else places
        span = float(np.ptp(places))
        return (places - places.min()) / span if span else np.zeros(len(places))


class SearchSpace(Protocol):
    """What may be searched. Codes are integers, one for each gene: the index of its choice."""

    @property
    def genes(self) -> tuple[Gene, ...]:
        """The decisions, in the order of the codes."""

    @property
    def macro(self) -> Macro:
        """What surrounds the cells."""

    @property
    def cells(self) -> int:
        """Number of cells of an architecture."""

    def decode(self, codes: Sequence[int]) -> Architecture:
        """The architecture with these choices."""

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """The codes of an architecture.

        Raises:
            BadInputError: if it is not of this space.
        """

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Codes `[N, genes]` with dead choices set to 0, and which of the N architectures are connected."""


@dataclass(frozen=True)
class KeptSpace:
    """A space without some of its choices.

    Args:
        space: with the choices that are left.
        left_out: name of an operation, or `field=value` of the macro -> why it is gone.
    """

    space: SearchSpace
    left_out: Mapping[str, str] = field(default_factory=dict)

    def describe(self) -> str:
        """What was left out, in one line; empty if nothing was."""
        return "; ".join(f"{name} ({why})" for name, why in self.left_out.items())


SPACES: Registry[type] = Registry(
    "search space",
    {
        "autosnn": "hasnas.search_spaces.autosnn:AutoSNNSpace",
        "hasnas": "hasnas.search_spaces.hasnas:HASNASSpace",
        "snasnet": "hasnas.search_spaces.snasnet:SNASNetSpace",
        "spikenas_bench": "hasnas.search_spaces.spikenas_bench:SpikeNASBenchSpace",
    },
    "hasnas.search_spaces",
)


def space_size(space: SearchSpace) -> int:
    """Number of architectures as drawn (an exact integer, however large)."""
    size = 1
    for gene in space.genes:
        size *= len(gene.choices)
    return size


def radices(space: SearchSpace) -> NDArray[np.int64]:
    """Number of choices of each gene."""
    return np.array([len(gene.choices) for gene in space.genes], np.int64)


def contains(space: SearchSpace, architecture: Architecture) -> bool:
    """Whether an architecture can be drawn in the space."""
    try:
        space.encode(architecture)
    except BadInputError:
        return False
    return True


def check_codes(space: SearchSpace, codes: Sequence[int]) -> tuple[int, ...]:
    """The codes as plain integers.

    Raises:
        BadInputError: if their number or one of their values does not fit the genes.
    """
    plain = tuple(int(code) for code in codes)
    if len(plain) != len(space.genes):
        raise BadInputError(f"{len(plain)} codes for {len(space.genes)} genes; give one for each gene")
    for code, gene in zip(plain, space.genes, strict=True):
        if not 0 <= code < len(gene.choices):
            raise BadInputError(f"code {code} of gene '{gene.label}' is not one of its {len(gene.choices)} choices")
    return plain


def sample(space: SearchSpace, rng: np.random.Generator, count: int) -> Codes:
    """Codes drawn uniformly over drawn architectures, `[count, genes]`, connected or not."""
    return rng.integers(0, radices(space), size=(count, len(space.genes))).astype(np.int16)


def mutate(space: SearchSpace, codes: Sequence[int], rng: np.random.Generator, probability: float) -> tuple[int, ...]:
    """Each gene changed with the given probability; at least one changes to another choice.

    A categorical gene is drawn anew, one that has an order mostly steps to a neighbour.
    """
    old = np.asarray(codes)
    new = np.where(rng.random(len(old)) < probability, _drawn_near(space, old, rng), old)
    if (new == old).all():
        free = np.flatnonzero(radices(space) > 1)
        gene = int(rng.choice(free))
        shift = int(rng.integers(1, radices(space)[gene]))
        ordered = space.genes[gene].has_order
        new[gene] = _drawn_near(space, old, rng)[gene] if ordered else (old[gene] + shift) % radices(space)[gene]
    return tuple(int(code) for code in new)


def _drawn_near(space: SearchSpace, old: NDArray[Any], rng: np.random.Generator) -> NDArray[Any]:
    """Codes with categorical genes drawn anew, and the others a small step away from the old ones, where they can."""
    new = sample(space, rng, 1)[0]
    has_order = np.array([gene.has_order for gene in space.genes], bool)
    if not has_order.any():
        return new
    step = rng.geometric(STEP, len(old)) * rng.choice((-1, 1), len(old))
    return np.where(has_order, moved(old, step, radices(space) - 1), new)


def moved(old: NDArray[Any], step: NDArray[Any], most: NDArray[Any]) -> NDArray[Any]:
    """Codes that many choices away, the other way where there is no room, and as far as there is any.

    >>> moved(np.array([1, 0, 2]), np.array([1, -1, 9]), np.array([3, 3, 3])).tolist()
    [2, 1, 0]
    """
    step = np.where((old + step < 0) | (old + step > most), -step, step)
    return np.clip(old + step, 0, most)


def crossover(first: Sequence[int], second: Sequence[int], rng: np.random.Generator) -> tuple[int, ...]:
    """Each gene from one of two parents, with equal chances."""
    mask = rng.random(len(first)) < 0.5
    return tuple(int(code) for code in np.where(mask, first, second))


def codes_at(space: SearchSpace, indices: NDArray[np.int64]) -> Codes:
    """The codes with the given numbers, first gene varying slowest, `[N, genes]`.

    Raises:
        BadInputError: if the space is so large that its architectures have no 64-bit numbers.
    """
    if space_size(space) > np.iinfo(np.int64).max:
        raise too_large(space)
    remaining = np.asarray(indices, np.int64)
    columns: list[NDArray[np.int64]] = []
    for radix in radices(space)[::-1]:
        remaining, code = np.divmod(remaining, radix)
        columns.append(code)
    return np.stack(columns[::-1], axis=-1).astype(np.int16)


def numbered(codes: Codes, sizes: Sequence[int]) -> list[tuple[tuple[int, ...], NDArray[np.int64]]]:
    """The distinct rows of codes `[N, genes]`, each with the places where it stands, ascending.

    Args:
        codes: one row a candidate.
        sizes: number of choices of each gene.

    >>> [(row, places.tolist()) for row, places in numbered(np.array([[1, 0], [0, 2], [1, 0]]), (2, 3))]
    [((0, 2), [1]), ((1, 0), [0, 2])]
    """
    distinct, which = distinct_rows(codes, sizes)
    order = np.argsort(which, kind="stable")
    ends = np.cumsum(np.bincount(which, minlength=len(distinct)))[:-1]
    rows = [tuple(row) for row in distinct.tolist()]
    return list(zip(rows, np.split(order, ends), strict=True)) if rows else []


def distinct_rows(codes: Codes, sizes: Sequence[int]) -> tuple[Codes, NDArray[np.int64]]:
    """The distinct rows of codes `[N, genes]`, ascending, and which of them each row is, `[N]`.

    Args:
        codes: one row a candidate.
        sizes: number of choices of each gene.
    """
    array = np.asarray(codes)
    if math.prod(sizes) > np.iinfo(np.int64).max:
        _, first, which = np.unique(array, axis=0, return_index=True, return_inverse=True)
    else:
        keys = np.zeros(len(array), np.int64)
        for column, size in zip(array.T, sizes, strict=True):
            keys = keys * size + column
        _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return array[first], which.reshape(-1)


def all_codes(space: SearchSpace, chunk: int = 65_536) -> Iterator[Codes]:
    """Every drawn architecture, in chunks `[n, genes]`.

    Raises:
        BadInputError: if there are more than `ENUMERABLE`.
    """
    size = space_size(space)
    if size > ENUMERABLE:
        raise too_large(space)
    return (codes_at(space, np.arange(start, min(start + chunk, size))) for start in range(0, size, chunk))


def too_large(space: SearchSpace) -> BadInputError:
    """What to say to somebody who wants to enumerate a space that is too large for it."""
    return BadInputError(
        f"the space has {size_text(space_size(space))} architectures, too many to enumerate (at most {ENUMERABLE:,}); "
        "draw samples from it, or make it smaller"
    )


def size_text(size: int) -> str:
    """A size for people, however large.

    >>> size_text(15_625), size_text(9**200)
    ('15,625', 'about 10^190')
    """
    if size < 10**15:
        return f"{size:,}"
    return f"about 10^{int(math.log10(size))}"
