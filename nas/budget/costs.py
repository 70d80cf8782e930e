"""The table of costs and objectives: what a budget may limit, a search may look for, and every view shows.

A cost is one entry. To add one, decorate the function that computes it, or announce a `Cost` under the entry point
group `hasnas.costs`; then `budget:`, `search.objectives`, the front, the ledger and the views know it. What is only
known once a network ran stands in `measured`, what is computed from others in `expressions`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hasnas.cim_estimator import Totals
from hasnas.cim_estimator.hardware.units import format_quantity, parse_quantity
from hasnas.cim_estimator.report.units import UNITS
from hasnas.errors import BadInputError
from hasnas.registry import Registry

from .expressions import parse_expression

FloatArray = NDArray[np.float64]
PLAIN_UNITS = ("1", "bit")  # a number alone cannot be mistaken


@dataclass(frozen=True)
class Cost:
    """One thing that a network costs, or gives, on a chip.

    Args:
        name: what people call it in a config.
        field: its key in ledgers, tables and JSON, with the SI unit.
        unit: SI unit of its values as `parse_quantity` takes it, `"1"` for a count.
        of: totals of candidates -> its values, one for each, finite and not negative; None if only a run tells it.
        example: a limit as people write it, for messages.
        label: what it is, in a few words.
        more_is_better: whether a limit on it is a least value, and a search keeps it high.
        whole: whether it is a count.
        curve_unit: unit in which a network on a chip gives handy numbers, for curves; empty for a count.
        measured: metrics and priced costs of one network, by their keys -> its value, NaN if they do not tell it; for
            what the totals do not tell, and for expressions.
        best: the largest value there can be, where more is better and there is one, as of shares.
        parts: the costs that it is computed from, if it is an expression.

    >>> ENERGY.parse("2 uJ"), ENERGY.show(2.34e-6), ENERGY.write(2e-6), ENERGY.curve
    (2e-06, '2.34 uJ', '2 uJ', ('energy (nJ)', 1000000000.0))
    """

    name: str
    field: str
    unit: str
    of: Callable[[Totals], ArrayLike] | None
    example: str
    label: str
    more_is_better: bool = False
    whole: bool = False
    curve_unit: str = ""
    measured: Callable[[Mapping[str, float]], float] | None = None
    best: float = math.inf
    parts: tuple[Cost, ...] = ()

    @property
    def priced(self) -> bool:
        """Whether it is known before a network runs."""
        return self.of is not None

    def value(self, known: Mapping[str, float]) -> float:
        """What metrics and costs of a network, by their keys, tell of it; NaN if nothing.

        >>> ENERGY.value({"energy_j": 2e-6}), cost_called("edp/accuracy").value({"energy_j": 2e-6})
        (2e-06, nan)
        """
        found = known.get(self.field, math.nan)
        return found if self.measured is None or not math.isnan(found) else self.measured(known)

    def parse(self, value: Any) -> float:
        """A limit in SI units.

        Args:
            value: text with a unit; a plain number is accepted for counts and bits.

        Raises:
            BadInputError: if the unit is missing or wrong, or the value is not positive and finite.

        >>> PARAMETERS.parse(4e6)
        4000000.0
        >>> ENERGY.parse(2)
        Traceback (most recent call last):
            ...
        hasnas.errors.BadInputError: give a number with a unit, e.g. '2 uJ'
        """
        if isinstance(value, bool) or (self.unit not in PLAIN_UNITS and _is_plain(value)):
            raise BadInputError(f"give a number with a unit, e.g. {self.example}")
        number = parse_quantity(value, self.unit)
        if not (math.isfinite(number) and number > 0):
            raise BadInputError(f"a limit is positive and finite, e.g. {self.example}")
        if self.whole and number != int(number):
            raise BadInputError(f"a count is a whole number, e.g. {self.example}")
        if number >= self.best:
            raise BadInputError(f"it is a share, and a limit is below {self.best:g}, e.g. {self.example}")
        return number

    def show(self, value: float) -> str:
        """A value as people read it, with the prefix that fits.

        >>> PARAMETERS.show(17179620), PEAK_MEMORY.show(5e5)
        ('17,179,620', '500 kbit')
        """
        if self.whole:
            return f"{value:,.0f}" if math.isfinite(value) else str(value)
        return format_quantity(value, self.unit)

    def write(self, value: float) -> str | int:
        """A value as a config holds it, with every digit; `parse` reads the same number back."""
        return int(value) if self.whole else format_quantity(value, self.unit, digits=None)

    def show_limit(self, limit: float) -> str:
        """A limit as people read it.

        >>> ENERGY.show_limit(2e-6), THROUGHPUT.show_limit(50)
        ('2 uJ', 'at least 50 Hz')
        """
        return ("at least " if self.more_is_better else "") + self.show(limit)

    def burden(self, values: ArrayLike) -> FloatArray:
        """The values so that less is better: themselves, what they are the inverse of, or what a share lacks.

        >>> ENERGY.burden([2.0]).tolist(), THROUGHPUT.burden([2.0, 0.0]).tolist()
        ([2.0], [0.5, inf])
        """
        array = np.asarray(values, float)
        if not self.more_is_better:
            return array
        if math.isfinite(self.best):
            return self.best - array
        return np.divide(1.0, array, out=np.full(array.shape, np.inf), where=array != 0)

    @property
    def curve(self) -> tuple[str, float]:
        """Its name on a curve, and what to multiply SI values by."""
        if not self.curve_unit:
            return self.name, 1.0
        return f"{self.name} ({self.curve_unit})", parse_quantity(f"1 {self.unit}", self.curve_unit)


PARAMETERS = Cost(
    "parameters", "parameters", UNITS["parameters"], lambda totals: totals.parameters, "4e6", "parameters", whole=True
)
MEMORY = Cost(
    "memory",
    "memory_bits",
    UNITS["memory_bits"],
    lambda totals: totals.memory_bits,
    "'500 kbit'",
    "stored bits, membranes included",
    curve_unit="kbit",
)
AREA = Cost(
    "area", "area_m2", UNITS["area_m2"], lambda totals: totals.area_m2, "'0.5 mm^2'", "chip area", curve_unit="mm2"
)
LATENCY = Cost(
    "latency",
    "latency_s",
    UNITS["latency_s"],
    lambda totals: totals.latency_s,
    "'3 ms'",
    "time per sample",
    curve_unit="us",
)
ENERGY = Cost(
    "energy",
    "energy_j",
    UNITS["energy_j"],
    lambda totals: totals.energy_j,
    "'2 uJ'",
    "energy per sample",
    curve_unit="nJ",
)
PEAK_MEMORY = Cost(
    "peak_memory",
    "peak_memory_bits",
    UNITS["memory_bits"],
    lambda totals: totals.peak_memory_bits,
    "'800 kbit'",
    "stored bits and the largest live buffer",
    curve_unit="kbit",
)
EDP = Cost(
    "edp", "energy_delay_js", "J*s", lambda totals: totals.energy_j * totals.latency_s, "'6 nJ*s'",
    "energy-delay product of a sample", curve_unit="pJ*s",
)  # fmt: skip
THROUGHPUT = Cost(
    "throughput", "throughput_hz", "Hz", lambda totals: _inverse(totals.interval_s), "'50 Hz'",
    "samples per second in a stream", more_is_better=True, curve_unit="Hz",
)  # fmt: skip
TIMESTEPS = Cost("timesteps", "timesteps", "1", lambda totals: totals.timesteps, "4", "timesteps", whole=True)

# What every run prices, whether its budget limits it or not; others are priced where a config names them.
STANDARD = (PARAMETERS, MEMORY, AREA, LATENCY, ENERGY)
_BUILTIN = {cost.name: cost for cost in (*STANDARD, PEAK_MEMORY, EDP, THROUGHPUT, TIMESTEPS)}

# Only known once a network ran; see `measured`.
_MEASURED = ("accuracy", "error", "score", "device_accuracy", "device_error", "training_time", "mapped_energy",
            "mapped_latency", "lifetime", "temperature", "simulated_energy", "simulated_latency",
            "simulated_accuracy")  # fmt: skip

COSTS: Registry[Cost] = Registry(
    "cost",
    {
        **{name: f"hasnas.nas.budget.costs:{name.upper()}" for name in _BUILTIN},
        **{name: f"hasnas.nas.budget.measured:{name.upper()}" for name in _MEASURED},
    },
    "hasnas.costs",
)


def register_cost(
    name: str, field: str, unit: str, example: str, label: str, more_is_better: bool = False, whole: bool = False
) -> Callable[[Callable[[Totals], ArrayLike]], Cost]:
    """Decorator that adds a cost: the function says what candidates cost by their totals; see `Cost` for the rest.

    Raises:
        HasnasError: if the name or the field is taken.

    For example, after which a budget may say `energy_area: 1 nJ*mm2`::

        @register_cost("energy_area", "energy_area_jm2", "J*m2", "'1 nJ*mm2'", "energy times area")
        def energy_area(totals):
            return totals.energy_j * totals.area_m2
    """
    taken = next((cost for cost in every_cost() if cost.field == field), None)
    if taken is not None:
        raise BadInputError(f"the field '{field}' is that of the cost '{taken.name}'; choose another field")

    def add(of: Callable[[Totals], ArrayLike]) -> Cost:
        cost = Cost(name, field, unit, of, example, label, more_is_better, whole, "" if unit == "1" else unit)
        return COSTS.register(name)(cost)

    return add


def cost_called(name: str) -> Cost:
    """The cost of a name, or that of an expression of names such as `"energy*latency/accuracy"`.

    Raises:
        BadInputError: if there is none; the nearest known one is named.

    >>> cost_called("enrgy")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: unknown cost 'enrgy'; did you mean 'energy'? Known: accuracy, area, ...
    """
    if name in _BUILTIN:
        return _BUILTIN[name]
    return COSTS.get(name) if name.isidentifier() else _computed(parse_expression(name).text)


@lru_cache(maxsize=1024)
def _computed(name: str) -> Cost:
    """The cost that an expression describes, in SI units; known before a network runs where all its names are."""
    expression = parse_expression(name)
    parts = tuple(map(cost_called, expression.names))

    def of(totals: Totals) -> ArrayLike:
        return expression.value({part.name: np.asarray(part.of(totals), float) for part in parts if part.of})

    def measured(known: Mapping[str, float]) -> float:
        return float(np.asarray(expression.value({part.name: np.float64(part.value(known)) for part in parts})))

    before = of if all(part.priced for part in parts) else None
    return Cost(name, name, "1", before, "1e-9", f"{name}, in SI units", measured=measured, parts=parts)


def cost_of(name: str) -> Cost:
    """The cost of a name or a field.

    >>> cost_of("energy_j") is cost_of("energy")
    True
    """
    return next((cost for cost in every_cost() if name in (cost.name, cost.field)), None) or cost_called(name)


def every_cost() -> tuple[Cost, ...]:
    """Every cost that has a name: the standard ones, the other ones that come with hasnas, those of plug-ins."""
    return (*_BUILTIN.values(), *(cost_called(name) for name in COSTS.names() if name not in _BUILTIN))


def known_costs() -> tuple[Cost, ...]:
    """Those of them that are known before a network runs."""
    return tuple(cost for cost in every_cost() if cost.priced)


def standard_and(names: Iterable[str]) -> tuple[Cost, ...]:
    """The standard costs, and behind them those that are named beside them, expressions behind their parts.

    >>> [cost.name for cost in standard_and(["edp", "energy", "edp", "throughput/accuracy"])][4:]
    ['energy', 'edp', 'throughput', 'throughput/accuracy']
    """
    named = [part for name in names for part in (*_priced_parts(cost_called(name)), cost_called(name))]
    return tuple(dict.fromkeys([*STANDARD, *named]))


def costs_of_fields(fields: Iterable[str]) -> tuple[Cost, ...]:
    """The standard costs, and behind them those whose fields are among some; fields of no known cost are left out."""
    wanted = set(fields) - {cost.field for cost in STANDARD}
    found = [cost for cost in _BUILTIN.values() if cost.field in wanted]
    if len(found) < len(wanted):  # the others are of plug-ins, which are only loaded where they are needed
        found = [cost for cost in every_cost() if cost.field in wanted]
    expressions = sorted(field for field in wanted if not field.isidentifier())
    return (*STANDARD, *found, *map(cost_called, expressions))


def with_measured(
    costs: Iterable[Cost], priced: Mapping[str, float], metrics: Mapping[str, float]
) -> dict[str, float]:
    """The priced costs of one network and, behind them, what its run tells of the others; what it does not is left out.

    Args:
        costs: all that are wanted.
        priced: field -> value.
        metrics: what was measured, by its key.

    >>> with_measured([ENERGY, cost_called("accuracy")], {"energy_j": 1e-6}, {"validation_accuracy": 0.9})
    {'energy_j': 1e-06, 'accuracy': 0.9}
    """
    known = {**metrics, **priced}
    told = {cost.field: cost.value(known) for cost in costs if not cost.priced}
    return {**priced, **{field: value for field, value in told.items() if not math.isnan(value)}}


def _priced_parts(cost: Cost) -> list[Cost]:
    return [part for part in cost.parts if part.priced]


@dataclass(frozen=True, eq=False)
class Costs:
    """What N candidates cost.

    Args:
        costs: the C columns.
        values: in SI units, `[N, C]`; NaN where unknown.

    >>> table = Costs((ENERGY, AREA), np.array([[2e-6, 1e-6], [3e-6, 2e-6]]))
    >>> table["energy"].tolist(), table.row(1), len(table.rows(table["energy"] < 2.5e-6))
    ([2e-06, 3e-06], {'energy_j': 3e-06, 'area_m2': 2e-06}, 1)
    """

    costs: tuple[Cost, ...]
    values: FloatArray

    @staticmethod
    def of(totals: Totals, costs: tuple[Cost, ...], count: int = 1) -> Costs:
        """Those of the costs of `count` candidates that the estimator tells."""
        priced = [(cost, cost.of) for cost in costs if cost.of is not None]
        columns = [np.broadcast_to(np.asarray(of(totals), float), (count,)) for _, of in priced]
        return Costs(tuple(cost for cost, _ in priced), np.stack(columns, axis=-1))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, name: str) -> FloatArray:
        """One cost of all candidates, `[N]`, by its name or its field.

        Raises:
            BadInputError: if the table does not hold it.
        """
        for column, cost in enumerate(self.costs):
            if name in (cost.name, cost.field):
                return self.values[:, column]
        raise BadInputError(f"the costs lack '{name}'; name it in the budget or in search.objectives")

    def row(self, index: int) -> dict[str, float]:
        """One candidate's costs as a trial holds them: field -> value."""
        return {cost.field: float(value) for cost, value in zip(self.costs, self.values[index], strict=True)}

    def rows(self, which: NDArray[Any]) -> Costs:
        """The costs of some candidates, by mask or by number."""
        return Costs(self.costs, self.values[which])


def _inverse(values: ArrayLike) -> FloatArray:
    array = np.asarray(values, float)
    return np.divide(1.0, array, out=np.zeros(array.shape), where=array > 0)


def _is_plain(value: Any) -> bool:
    """Whether a value is a number without a unit."""
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True
