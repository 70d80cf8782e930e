"""The seam of search strategies: ask for candidates, tell what they scored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hasnas.errors import BadInputError
from hasnas.nas.config.plugins import STRATEGIES

if TYPE_CHECKING:
    from hasnas.nas.config.sections import SearchSection
    from hasnas.search_spaces.space import Codes, SearchSpace

CodesOfOne = tuple[int, ...]

# Evolution proposes neighbours again and again; pricing one takes milliseconds, remembering it microseconds.
REMEMBERED = 1 << 17


class Strategy(Protocol):
    """Proposes candidates: a deterministic function of the problem, its seed, and what it was told, in that order.

    That makes a resumed run a replay: asked again and told again, it proposes again what it proposed before.

    A class with `needs_batches = True` has to be told of all that it proposed before it is asked again, and is not for
    asynchronous searches. All others may be told in any order, and asked while some of what they proposed is not told.
    """

    def ask(self, count: int) -> list[CodesOfOne]:
        """Up to `count` candidates, each feasible, canonical, and never proposed before; fewer mean the end."""
        ...

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """What a candidate scored.

        Args:
            codes: as proposed; also of one that it did not propose, where a ledger that was begun on another machine is
                gone on with. Such a one may be proposed again, and is then passed over.
            value: larger is better; `None` or NaN if its evaluation failed.
            costs: field of each priced cost of `hasnas.nas.budget.costs` -> value.
        """
        ...


@dataclass(frozen=True, eq=False)
class CostObjective:
    """A cost to keep low beside the value; one of which more is better is kept low as its inverse.

    Args:
        name: key of the told costs.
        predicted: canonical codes `[N, genes]` -> cost known before evaluation, positive, `[N]`; None for one that only
            an evaluation tells.
        limit: largest cost of interest.
        burden: a told cost -> what is to be kept low.
    """

    name: str
    predicted: Callable[[Codes], NDArray[np.float64]] | None = None
    limit: float = math.inf
    burden: Callable[[float], ArrayLike] = float

    def known(self, codes: Codes) -> NDArray[np.float64]:
        """What it is before evaluation, `[N]`.

        Raises:
            BadInputError: if only an evaluation tells.
        """
        if self.predicted is None:
            raise BadInputError(f"'{self.name}' is not known before a network runs; choose another objective")
        return self.predicted(codes)

    def of(self, costs: Mapping[str, float]) -> float:
        """What is to be kept low, of told costs; NaN where it is unknown."""
        return float(np.asarray(self.burden(float(costs.get(self.name, math.nan)))))

    def excess(self, price: float) -> float:
        """By how much of the limit a cost is above it; not positive where it keeps to it.

        >>> CostObjective("energy_j", limit=2.0).excess(3.0), CostObjective("energy_j").excess(3.0)
        (0.5, -1.0)
        """
        return price / self.limit - 1


@dataclass(frozen=True)
class Told:
    """What a candidate reached, all of it finite.

    Args:
        value: larger is better.
        prices: of the objectives, to be kept low.
        excess: over each finite limit of objectives and limits; above 0 where one is broken.
    """

    value: float
    prices: tuple[float, ...]
    excess: tuple[float, ...]


def no_samples() -> None:
    """None: scores take the data for natural images."""


@dataclass(frozen=True)
class SearchProblem:
    """What a strategy searches.

    Args:
        space: what may be proposed.
        feasible: canonical, connected codes `[N, genes]` -> which of them keep to the budget, `[N]`.
        settings: the `search` section of the config.
        seed: source of all randomness of the strategy.
        objectives: costs to keep low beside the value; strategies for one objective look at the value alone.
        limits: costs that only an evaluation tells and that have to keep to their limits, beside the objectives; those
            that are known before it are part of `feasible`.
        targets: costs known before evaluation by which a strategy may size a candidate's chip, each with its limit.
        best: the largest value there can be; 1 for shares, 0 for errors with their sign turned.
        worst: value below which a candidate is of no interest beside its costs; without it the lowest told so far.
        samples: gives some unlabelled samples `[B, C, H, W]` or `[T, B, C, H, W]` for strategies that begin with a
            training-free score, or None where the data are not at hand.
    """

    space: SearchSpace
    feasible: Callable[[Codes], NDArray[np.bool_]]
    settings: SearchSection
    seed: int
    objectives: tuple[CostObjective, ...] = ()
    limits: tuple[CostObjective, ...] = ()
    targets: tuple[CostObjective, ...] = ()
    best: float = 1.0
    worst: float | None = None
    samples: Callable[[], Any] = no_samples

    def told(self, value: float | None, costs: Mapping[str, float]) -> Told | None:
        """What a candidate was told to reach; None where it failed or anything of it is unknown."""
        prices = tuple(one.of(costs) for one in self.objectives)
        limited = [one for one in (*self.objectives, *self.limits) if math.isfinite(one.limit)]
        excess = tuple(one.excess(one.of(costs)) for one in limited)
        if value is None or not np.isfinite([value, *prices, *excess]).all():
            return None
        return Told(float(value), prices, excess)

    _known: dict[CodesOfOne, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def admissible(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Canonical codes `[N, genes]`, and which are connected and keep to the budget; verdicts are remembered."""
        canonical, connected = self.space.canonical(codes)
        rows = [tuple(row) if alive else () for row, alive in zip(canonical.tolist(), connected, strict=True)]
        if len(self._known) > REMEMBERED:
            self._known.clear()
        asked = list(dict.fromkeys(row for row in rows if row and row not in self._known))
        if asked:
            verdicts = self.feasible(np.array(asked, canonical.dtype))
            self._known.update(zip(asked, verdicts.tolist(), strict=True))
        return canonical, np.array([bool(row) and self._known[row] for row in rows], bool)


def create_strategy(name: str, problem: SearchProblem) -> Strategy:
    """The strategy called `name`, ready to be asked.

    Raises:
        BadInputError: if there is none, naming the nearest known one, or if it is not for asynchronous searches.
    """
    kind = STRATEGIES.get(name)
    if problem.settings.asynchronous and getattr(kind, "needs_batches", False):
        raise BadInputError(
            f"search.asynchronous: strategy '{name}' has to be told of a whole batch before it proposes the next; "
            "remove asynchronous, or choose another strategy"
        )
    return kind(problem)
