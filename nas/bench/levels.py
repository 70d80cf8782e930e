"""Limits on a cost as people name them: a level that keeps a share of the cells, or a limit of their own."""

from __future__ import annotations

import math

from hasnas.errors import BadInputError, nearest
from hasnas.nas.budget.costs import cost_of, known_costs

OPERATIONS = "synaptic_operations"
_EXAMPLES = "a level such as '50%', or a limit such as '8e8' or '150 uJ'"


def cost_field(name: str) -> str:
    """The key of a cost, from its short name or from itself.

    Raises:
        BadInputError: if it is unknown; the nearest known one is named.

    >>> cost_field("energy"), cost_field("energy_j"), cost_field("synaptic_operations")
    ('energy_j', 'energy_j', 'synaptic_operations')
    """
    if name == OPERATIONS:
        return name
    costs = [cost for cost in known_costs() if not cost.more_is_better]
    for cost in costs:
        if name in (cost.name, cost.field):
            return cost.field
    raise BadInputError(f"unknown cost '{name}'{nearest(name, [OPERATIONS, *(cost.name for cost in costs)])}")


def parse_budget(text: str, cost: str) -> tuple[float, float | None]:
    """The share of the distinct cells that a limit keeps, and the limit if it was given as such.

    Args:
        text: a level in percent, or a limit on the cost: operations as a plain number, others with their unit.
        cost: key of the cost.

    Raises:
        BadInputError: if the text is neither.

    >>> parse_budget("10%", "synaptic_operations"), parse_budget("150 uJ", "energy_j")
    ((0.1, None), (1.0, 0.00015))
    >>> parse_budget("lots", "synaptic_operations")
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: budget 'lots': give a level such as '50%', or a limit such as '8e8' or '150 uJ'
    """
    plain = text.strip()
    if plain.endswith("%"):
        share = _number(plain[:-1]) / 100
        if not 0 < share <= 1:
            raise BadInputError(f"budget '{text}': a level lies above 0% and at most at 100%")
        return share, None
    if cost == OPERATIONS:
        limit = _number(plain)
        if not (math.isfinite(limit) and limit > 0):
            raise BadInputError(f"budget '{text}': give {_EXAMPLES}")
        return 1.0, limit
    try:
        return 1.0, cost_of(cost).parse(plain)
    except BadInputError as error:
        raise BadInputError(f"budget '{text}': {error}") from error


def _number(text: str) -> float:
    """The number, NaN if it is none."""
    try:
        return float(text)
    except ValueError:
        return math.nan
