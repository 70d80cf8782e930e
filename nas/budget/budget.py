"""Budgets: what a network may cost, which candidates keep to it, and by how much the others do not."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hasnas.cim_estimator.hardware.units import format_quantity, parse_quantity
from hasnas.errors import BadInputError, nearest

LIMITS = ("parameters", "memory", "area", "latency", "energy")
COST_FIELDS = {
    "parameters": "parameters",
    "memory": "memory_bits",
    "area": "area_m2",
    "latency": "latency_s",
    "energy": "energy_j",
}
UNITS = {"parameters": "1", "memory": "bit", "area": "m2", "latency": "s", "energy": "J"}
_ABOVE_ONE = np.nextafter(1.0, 2.0)
_EXAMPLES = {"parameters": "4e6", "memory": "'500 kbit'", "area": "'0.5 mm^2'", "latency": "'3 ms'", "energy": "'2 uJ'"}


def parse_limit(name: str, value: Any) -> float:
    """A limit in SI units (counts and bits as they are).

    Args:
        name: one of `LIMITS`.
        value: text with a unit; a plain number is accepted for `parameters` and for `memory` (bits).

    Raises:
        BadInputError: if the name is unknown, the unit is missing or wrong, or the value is not positive and finite.

    >>> parse_limit("energy", "2 uJ"), parse_limit("parameters", 4e6)
    (2e-06, 4000000.0)
    >>> parse_limit("energy", 2)
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: give a number with a unit, e.g. '2 uJ'
    """
    if name not in LIMITS:
        raise BadInputError(f"unknown limit '{name}'{nearest(name, LIMITS)}")
    if isinstance(value, bool) or (name not in ("parameters", "memory") and _is_plain(value)):
        raise BadInputError(f"give a number with a unit, e.g. {_EXAMPLES[name]}")
    number = parse_quantity(value, UNITS[name])
    if not (math.isfinite(number) and number > 0):
        raise BadInputError(f"a limit is positive and finite, e.g. {_EXAMPLES[name]}")
    if name == "parameters" and number != int(number):
        raise BadInputError(f"a count is a whole number, e.g. {_EXAMPLES[name]}")
    return number


def format_cost(name: str, value: float) -> str:
    """A cost as people read it, with the prefix that fits.

    >>> format_cost("energy", 2.34e-6), format_cost("area", 5e-7), format_cost("parameters", 17179620)
    ('2.34 uJ', '0.5 mm2', '17,179,620')
    """
    if name == "parameters":
        return f"{value:,.0f}" if math.isfinite(value) else str(value)
    return format_quantity(value, UNITS[name])


@dataclass(frozen=True)
class Verdict:
    """One candidate against a budget.

    Args:
        ratios: cost over limit for each limit there is; infinite where the cost is unknown.

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
        ratio: cost over limit, `[N, 5]` in the order of `LIMITS`; NaN where there is no limit, infinite where there is
            one and the cost is not a number.
    """

    feasible: NDArray[np.bool_]
    ratio: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.feasible)

    def __getitem__(self, index: int) -> Verdict:
        row = self.ratio[index]
        return Verdict({name: float(row[column]) for column, name in enumerate(LIMITS) if not np.isnan(row[column])})

    @property
    def rejected_share(self) -> dict[str, float]:
        """Limit -> share of the candidates that break it, for the limits there are."""
        broken = self.ratio > 1
        limited = ~np.isnan(self.ratio)
        columns = [column for column in range(len(LIMITS)) if limited[:, column].any()]
        return {LIMITS[column]: float(broken[:, column].mean()) for column in columns}


@dataclass(frozen=True)
class Budget:
    """Limits in SI units; `None` is no limit. A cost equal to its limit fits.

    Raises:
        BadInputError: if a limit is not positive and finite.

    >>> budget = Budget(energy_j=2e-6)
    >>> costs = {"energy_j": np.array([1e-6, 3e-6])}
    >>> budget.check(costs).feasible.tolist(), budget.check(costs)[1].describe()
    ([True, False], 'breaks energy by 1.5x')
    """

    parameters: float | None = None
    memory_bits: float | None = None
    area_m2: float | None = None
    latency_s: float | None = None
    energy_j: float | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            limit = getattr(self, item.name)
            if limit is not None and not (math.isfinite(limit) and limit > 0):
                raise BadInputError(f"budget.{item.name} is {limit}; a limit is positive and finite")

    @staticmethod
    def from_text(limits: Mapping[str, Any]) -> Budget:
        """A budget from texts with units, `None` for no limit.

        >>> Budget.from_text({"area": "0.5 mm^2", "latency": None}).area_m2
        5e-07
        """
        given = {name: value for name, value in limits.items() if value is not None}
        values = {name: parse_limit(name, value) for name, value in given.items()}
        return Budget(*(values.get(name) for name in LIMITS))

    @property
    def limits(self) -> dict[str, float]:
        """Limit name -> value in SI units, for the limits there are."""
        values = {name: getattr(self, COST_FIELDS[name]) for name in LIMITS}
        return {name: value for name, value in values.items() if value is not None}

    def check(self, costs: Mapping[str, ArrayLike]) -> Verdicts:
        """Which candidates keep to every limit.

        Args:
            costs: field of `COST_FIELDS` -> values `[N]`; fields without a limit may be absent.

        Raises:
            BadInputError: if a cost that has a limit is absent.
        """
        arrays = self._limited(costs)
        count = len(next(iter(arrays.values()))) if arrays else _length(costs)
        ratio = np.full((count, len(LIMITS)), np.nan)
        for name, array in arrays.items():
            limit = self.limits[name]
            quotient = np.where(np.isnan(array), np.inf, array / limit)
            # A cost above its limit by one rounding error still breaks it.
            ratio[:, LIMITS.index(name)] = np.where(array > limit, np.maximum(quotient, _ABOVE_ONE), quotient)
        feasible = np.logical_not((ratio > 1).any(axis=1))
        return Verdicts(feasible, ratio)

    def verdict(self, costs: Mapping[str, float]) -> Verdict:
        """One candidate against the limits; `costs` as in `check`, with plain numbers."""
        return self.check({field: [float(value)] for field, value in costs.items()})[0]

    def nearest_miss(self, costs: Mapping[str, ArrayLike]) -> str:
        """For each limit how near the cheapest candidate comes, and which limits stop the candidate that is nearest.

        Args:
            costs: as in `check`, at least one candidate.

        >>> Budget(energy_j=2e-6).nearest_miss({"energy_j": [5e-6, 3e-6]})
        'energy: least 3 uJ, limit 2 uJ (1.5x); the nearest candidate breaks energy by 1.5x'
        """
        verdicts = self.check(costs)
        if not len(verdicts) or not self.limits:
            return "there is no candidate to compare" if self.limits else "the budget has no limit"
        parts = []
        for name, limit in self.limits.items():
            ratio = float(verdicts.ratio[:, LIMITS.index(name)].min())
            least, how_far = format_cost(name, ratio * limit), "fits" if ratio <= 1 else f"{ratio:.4g}x"
            parts.append(f"{name}: least {least}, limit {format_cost(name, limit)} ({how_far})")
        nearest_one = verdicts[int(np.argmin(np.nanmax(verdicts.ratio, axis=1)))]
        return "; ".join([*parts, f"the nearest candidate {nearest_one.describe()}"])

    def describe(self) -> str:
        """The limits as one line.

        >>> Budget(parameters=1000, energy_j=2e-6).describe()
        'parameters 1,000, energy 2 uJ'
        """
        return ", ".join(f"{name} {format_cost(name, value)}" for name, value in self.limits.items()) or "no limit"

    def _limited(self, costs: Mapping[str, ArrayLike]) -> dict[str, NDArray[np.float64]]:
        absent = [name for name in self.limits if COST_FIELDS[name] not in costs]
        if absent:
            raise BadInputError(f"the costs lack '{COST_FIELDS[absent[0]]}', which the budget limits; estimate it")
        return {name: np.asarray(costs[COST_FIELDS[name]], float).reshape(-1) for name in self.limits}


def _is_plain(value: Any) -> bool:
    """Whether a value is a number without a unit."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _length(costs: Mapping[str, ArrayLike]) -> int:
    return np.size(next(iter(costs.values()))) if costs else 0
