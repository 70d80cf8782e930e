"""Budgets: what a network may cost, which candidates keep to it, and by how much the others do not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .costs import STANDARD, Cost, Costs, cost_called

_ABOVE_ONE = np.nextafter(1.0, 2.0)


@dataclass(frozen=True)
class Verdict:
    """One candidate against a budget.

    Args:
        ratios: cost over limit for each limit there is (limit over value where more is better); infinite where the
            cost is unknown.

    >>> Verdict({"energy": 1.5, "area": 0.5}).describe()
    'breaks energy by 1.5x'
    """

    ratios: Mapping[str, float]

    @property
    def feasible(self) -> bool:
        """Whether every limit is kept."""
        return not self.violations

    @property
    def violations(self) -> dict[str, float]:
        """Limit -> cost over limit, for the limits that are broken."""
        return {name: ratio for name, ratio in self.ratios.items() if not ratio <= 1}

    def describe(self) -> str:
        """`"fits"`, or the broken limits, the worst first."""
        worst_first = sorted(self.violations.items(), key=lambda item: -item[1])
        listing = ", ".join(f"{name} by {ratio:.4g}x" for name, ratio in worst_first)
        return f"breaks {listing}" if listing else "fits"


@dataclass(frozen=True, eq=False)
class Verdicts:
    """N candidates against a budget.

    Args:
        feasible: whether every limit is kept, `[N]`.
        ratio: see `Verdict`, `[N, C]`; NaN where there is no limit, infinite where there is one and the cost is not a
            number.
        names: of the C costs.
    """

    feasible: NDArray[np.bool_]
    ratio: NDArray[np.float64]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.feasible)

    def __getitem__(self, index: int) -> Verdict:
        row = zip(self.names, self.ratio[index].tolist(), strict=True)
        return Verdict({name: ratio for name, ratio in row if not math.isnan(ratio)})

    def rows(self, which: NDArray[Any]) -> Verdicts:
        """Those of some candidates, by mask or by number."""
        return Verdicts(self.feasible[which], self.ratio[which], self.names)

    @property
    def rejected_share(self) -> dict[str, float]:
        """Limit -> share of the candidates that break it, for the limits there are."""
        columns = [(name, self.ratio[:, column]) for column, name in enumerate(self.names)]
        return {name: float((ratio > 1).mean()) for name, ratio in columns if not np.isnan(ratio).all()}


@dataclass(frozen=True)
class Budget:
    """Limits by the names of costs, in SI units. A cost equal to its limit fits.

    Args:
        limits: cost -> largest value, or least where more is better; the standard costs come first.

    Raises:
        BadInputError: if a cost is unknown, or a limit is not positive and finite.

    >>> budget = Budget.from_text({"energy": "2 uJ", "throughput": "50 Hz", "area": None})
    >>> budget.limits, budget.describe()
    ({'energy': 2e-06, 'throughput': 50.0}, 'energy 2 uJ, throughput at least 50 Hz')
    >>> budget.verdict({"energy_j": 3e-6, "throughput_hz": 25.0}).describe()
    'breaks throughput by 2x, energy by 1.5x'
    """

    limits: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, limit in self.limits.items():
            if not (math.isfinite(limit) and limit > 0):
                raise BadInputError(f"budget.{name} is {limit}; a limit is positive and finite")
        first = [cost.name for cost in STANDARD if cost.name in self.limits]
        named = {cost_called(name).name: limit for name, limit in self.limits.items()}
        object.__setattr__(self, "limits", {name: named[name] for name in dict.fromkeys([*first, *named])})

    @staticmethod
    def from_text(limits: Mapping[str, Any]) -> Budget:
        """A budget from texts with units, `None` for no limit; `Cost.parse` says what may stand there."""
        given = {name: value for name, value in limits.items() if value is not None}
        return Budget({name: cost_called(name).parse(value) for name, value in given.items()})

    def to_text(self) -> dict[str, str | int]:
        """The limits as a config holds them; `from_text` reads the same numbers back.

        >>> Budget({"parameters": 4e4, "area": 5e-7}).to_text()
        {'parameters': 40000, 'area': '0.5 mm2'}
        """
        return {cost.name: cost.write(limit) for cost, limit in self._limited()}

    @property
    def known_before(self) -> Budget:
        """The limits on what is known before a network is trained."""
        return Budget({cost.name: limit for cost, limit in self._limited() if cost.priced})

    def check(self, costs: Costs) -> Verdicts:
        """Which candidates keep to every limit on what is known before they run.

        Raises:
            BadInputError: if the table lacks a cost that has a limit.
        """
        limited = list(self.known_before._limited())
        names = tuple(dict.fromkeys([*(cost.name for cost in costs.costs), *(cost.name for cost, _ in limited)]))
        ratio = np.full((len(costs), len(names)), np.nan)
        for cost, limit in limited:
            ratio[:, names.index(cost.name)] = _ratio(cost, limit, costs[cost.name])
        return Verdicts(np.logical_not((ratio > 1).any(axis=1)), ratio, names)

    def verdict(self, costs: Mapping[str, float]) -> Verdict:
        """One candidate against the limits.

        Args:
            costs: field -> value, as a trial holds them; those without a limit may be absent, and so may what only a
                run tells, which then breaks its limit.

        Raises:
            BadInputError: if a cost that has a limit is absent.
        """
        ratios = {}
        for cost, limit in self._limited():
            if cost.priced and cost.field not in costs:
                raise BadInputError(f"the costs lack '{cost.field}', which the budget limits; estimate it")
            value = costs.get(cost.field, math.nan)
            ratios[cost.name] = float(_ratio(cost, limit, np.array([value], float))[0])
        return Verdict(ratios)

    def nearest_miss(self, costs: Costs) -> str:
        """For each limit how near the best candidate comes, and which limits stop the candidate that is nearest.

        >>> from .costs import ENERGY
        >>> Budget({"energy": 2e-6}).nearest_miss(Costs((ENERGY,), np.array([[5e-6], [3e-6]])))
        'energy: least 3 uJ, limit 2 uJ (1.5x); the nearest candidate breaks energy by 1.5x'
        """
        verdicts = self.check(costs)
        limited = list(self.known_before._limited())
        if not len(verdicts) or not limited:
            return "there is no candidate to compare" if limited else "the budget has no limit"
        parts = []
        for cost, limit in limited:
            ratio = float(verdicts.ratio[:, verdicts.names.index(cost.name)].min())
            best = limit / ratio if cost.more_is_better else limit * ratio
            found = f"{'most' if cost.more_is_better else 'least'} {cost.show(best)}"
            how_far = "fits" if ratio <= 1 else f"{ratio:.4g}x"
            parts.append(f"{cost.name}: {found}, limit {cost.show(limit)} ({how_far})")
        nearest_one = verdicts[int(np.argmin(np.nanmax(verdicts.ratio, axis=1)))]
        return "; ".join([*parts, f"the nearest candidate {nearest_one.describe()}"])

    def describe(self) -> str:
        """The limits as one line."""
        return describe_limits(self.limits)

    def _limited(self) -> Iterable[tuple[Cost, float]]:
        return ((cost_called(name), limit) for name, limit in self.limits.items())


def describe_limits(limits: Mapping[str, float]) -> str:
    """Limits by the names of costs as one line.

    >>> describe_limits({"parameters": 1000, "energy": 2e-6}), describe_limits({})
    ('parameters 1,000, energy 2 uJ', 'no limit')
    """
    return ", ".join(f"{name} {cost_called(name).show_limit(value)}" for name, value in limits.items()) or "no limit"


def _ratio(cost: Cost, limit: float, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """By how much values break a limit, `[N]`: above 1 exactly where they break it."""
    broken = values < limit if cost.more_is_better else values > limit
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotient = limit / values if cost.more_is_better else values / limit
    # A cost beyond its limit by one rounding error still breaks it.
    quotient = np.where(broken, np.maximum(quotient, _ABOVE_ONE), np.minimum(quotient, 1.0))
    return np.where(np.isnan(values), np.inf, quotient)
