"""The feasible region: what the budget leaves of a space, to draw from and to ask about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.joint import JointSpace, sample_on_few_chips
from hasnas.search_spaces.space import Codes, SearchSpace

from .budget import Budget
from .pricer import Pricer

DRAWS = 4096
PATIENCE = 256
CHIPS = 64  # of a joint space that they are placed on


@dataclass(frozen=True, eq=False)
class FeasibleRegion:
    """Connected architectures within the budget.

    Args:
        space: the space.
        admits: canonical, connected codes `[N, genes]` -> which of them are inside.
        codes: distinct canonical codes known to be inside, `[M, genes]`, at least one.
        complete: whether `codes` are all there are.
    """

    space: SearchSpace
    admits: Callable[[Codes], NDArray[np.bool_]]
    codes: Codes
    complete: bool

    def draw(self, rng: np.random.Generator) -> tuple[int, ...]:
        """The codes of one architecture, each known one as likely as the others."""
        return tuple(int(code) for code in self.codes[rng.integers(len(self.codes))])


def admission(pricer: Pricer, budget: Budget) -> Callable[[Codes], NDArray[np.bool_]]:
    """The test whether canonical, connected codes keep to a budget."""

    def admits(codes: Codes) -> NDArray[np.bool_]:
        return budget.check(pricer.costs(codes)).feasible

    return admits


def of_networks(region: FeasibleRegion) -> FeasibleRegion:
    """The networks of a region of a joint space that are inside on some known chip; any other region itself."""
    space = region.space
    if not isinstance(space, JointSpace):
        return region
    networks = np.unique(space.network(region.codes), axis=0)
    known = {tuple(row) for row in networks.tolist()}

    def admits(codes: Codes) -> NDArray[np.bool_]:
        return np.array([tuple(row) in known for row in codes.tolist()], bool)

    return FeasibleRegion(space.inner, admits, networks, region.complete)


def draw_inside(
    space: SearchSpace, admits: Callable[[Codes], NDArray[np.bool_]], rng: np.random.Generator, count: int
) -> Codes:
    """Up to `count` distinct canonical codes inside, found by drawing; fewer where drawing finds no more.

    Args:
        space: the space.
        admits: see `FeasibleRegion`.
        rng: source of the draws.
        count: how many are wanted.

    Returns:
        Codes `[n, genes]` in the order they were found, n <= count.
    """
    found: dict[tuple[int, ...], None] = {}
    barren = 0
    while len(found) < count and barren < PATIENCE:
        before = len(found)
        codes, connected = space.canonical(sample_on_few_chips(space, rng, DRAWS, CHIPS))
        inside = codes[connected]
        inside = inside[admits(inside)] if len(inside) else inside
        found.update(dict.fromkeys(tuple(row) for row in inside.tolist()))
        barren = 0 if len(found) > before else barren + 1
    rows = list(found)[:count]
    return np.array(rows, np.int16).reshape(len(rows), len(space.genes))
