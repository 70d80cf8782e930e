"""The seam of search spaces: genes with named choices that decode to architectures, and what every space can do."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.registry import Registry

from .architecture import Architecture
from .macro import Macro

Codes = NDArray[np.int16]
ENUMERABLE = 10**9


@dataclass(frozen=True)
class Gene:
    """One decision of a space."""

    label: str
    choices: tuple[str, ...]


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
    """Each gene drawn anew with the given probability; at least one changes to another choice."""
    old = np.asarray(codes)
    new = np.where(rng.random(len(old)) < probability, sample(space, rng, 1)[0], old)
    if (new == old).all():
        free = np.flatnonzero(radices(space) > 1)
        gene = int(rng.choice(free))
        shift = int(rng.integers(1, radices(space)[gene]))
        new[gene] = (old[gene] + shift) % radices(space)[gene]
    return tuple(int(code) for code in new)


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
