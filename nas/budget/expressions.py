"""Objectives that are computed from others: `"energy*latency/accuracy"`, to be kept low."""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hasnas.errors import BadInputError, one_line

LONGEST = 200
_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_FUNCTIONS: dict[str, Callable[[Any], Any]] = {"log": np.log, "sqrt": np.sqrt}
Values = Mapping[str, ArrayLike]


@dataclass(frozen=True)
class Expression:
    """A formula of named numbers.

    Args:
        tree: as Python parses it; names, numbers, `+ - * / **`, `log` and `sqrt`.

    >>> found = parse_expression("energy * latency")
    >>> found.text, found.names, float(found.value({"energy": 2.0, "latency": 0.5}))
    ('energy*latency', ('energy', 'latency'), 1.0)
    """

    tree: ast.expr

    @property
    def text(self) -> str:
        """The same, however it was spaced."""
        return ast.unparse(self.tree).replace(" ", "")

    @property
    def names(self) -> tuple[str, ...]:
        """What is named, each once."""
        return tuple(dict.fromkeys(_names(self.tree)))

    def value(self, values: Values) -> ArrayLike:
        """What it gives; infinite or NaN where it has no value.

        Args:
            values: of each name a number or `[N]`.
        """
        found: ArrayLike = _value(self.tree, values)
        return found


def parse_expression(text: str) -> Expression:
    """The expression that a text is; nothing of it is run.

    Raises:
        BadInputError: if it is none, or names nothing.
    """
    found = Expression(_tree(text))
    if not found.names:
        raise BadInputError(f"'{found.text}' names no cost; write an expression such as energy*latency/accuracy")
    return found


def _tree(text: str) -> ast.expr:
    """The expression, if it holds nothing but what an objective may."""
    wrong = BadInputError(
        f"'{one_line(text)[:60]}' is no expression of costs; combine names and numbers by + - * / **, log() and sqrt()"
    )
    try:
        tree = ast.parse(text.strip(), mode="eval").body if len(text) <= LONGEST else None
    except (SyntaxError, ValueError, RecursionError) as error:
        raise wrong from error
    if tree is None or not _allowed(tree):
        raise wrong
    return tree


def _allowed(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in _OPERATORS and _allowed(node.left) and _allowed(node.right)
    if isinstance(node, ast.UnaryOp):
        return isinstance(node.op, ast.USub) and _allowed(node.operand)
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in _FUNCTIONS
        return named and len(node.args) == 1 and not node.keywords and _allowed(node.args[0])
    if isinstance(node, ast.Constant):
        return isinstance(node.value, int | float) and not isinstance(node.value, bool) and _is_finite(node.value)
    return isinstance(node, ast.Name)


def _is_finite(number: float) -> bool:
    try:
        return math.isfinite(number)
    except OverflowError:  # a whole number beyond every float
        return False


def _names(node: ast.expr) -> list[str]:
    """The names of costs, as they come."""
    if isinstance(node, ast.BinOp):
        return _names(node.left) + _names(node.right)
    if isinstance(node, ast.UnaryOp):
        return _names(node.operand)
    if isinstance(node, ast.Call):
        return _names(node.args[0])
    return [node.id] if isinstance(node, ast.Name) else []


def _value(node: ast.expr, values: Values) -> Any:
    """What the expression gives; infinite or NaN where it has no value."""
    with np.errstate(all="ignore"):
        if isinstance(node, ast.BinOp):
            return _OPERATORS[type(node.op)](_value(node.left, values), _value(node.right, values))
        if isinstance(node, ast.UnaryOp):
            return -_value(node.operand, values)
        if isinstance(node, ast.Call):
            return _FUNCTIONS[node.func.id](_value(node.args[0], values))  # type: ignore[attr-defined]
        if isinstance(node, ast.Constant):
            return np.float64(node.value)  # type: ignore[arg-type]
        return values[node.id]  # type: ignore[attr-defined]
