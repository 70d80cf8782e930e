"""Small faults that a tired programmer might make, put into a Python file one at a time."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARISONS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In,
}  # fmt: skip
OPERATORS: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult, ast.FloorDiv: ast.Div, ast.Pow: ast.Mult,
    ast.Mod: ast.FloorDiv, ast.LShift: ast.RShift, ast.RShift: ast.LShift, ast.BitAnd: ast.BitOr, ast.BitOr: ast.BitAnd,
}  # fmt: skip
OPPOSITES = {"min": "max", "minimum": "maximum", "any": "all", "argmin": "argmax", "floor": "ceil", "zeros": "ones"}
OPPOSITES |= {opposite: name for name, opposite in OPPOSITES.items()}


@dataclass(frozen=True)
class Mutant:
    """One changed expression of a file.

    Attributes:
        path: of the file, relative to the root.
        line: number of the line where the expression begins.
        before, after: that line, stripped, in the sound file and in the mutant.
        kind: which mutator made it.
        source: the whole mutated file.
    """

    path: str
    line: int
    before: str
    after: str
    kind: str
    source: str


def mutants(path: str, source: str) -> list[Mutant]:
    """Every mutant of a file; annotations, decorators, f-strings and what an error says are left as they are."""
    found = []
    lines = source.split("\n")
    for node in _expressions(ast.parse(source)):
        for kind, changed in _changes(node):
            text = _spliced(source, node, ast.unparse(changed))
            after = text.split("\n")[node.lineno - 1].strip()
            found.append(Mutant(path, node.lineno, lines[node.lineno - 1].strip(), after, kind, text))
    return found


def _expressions(node: ast.AST) -> Iterator[ast.expr]:
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list", "exc"):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not isinstance(child, ast.JoinedStr):
                if isinstance(child, ast.expr):
                    yield child
                if not _is_negative(child):
                    yield from _expressions(child)


def _changes(node: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    match node:
        case ast.Compare(left, [operator], right):
            yield "comparison", ast.Compare(left, [COMPARISONS[type(operator)]()], right)
        case ast.BinOp(left, operator, right) if not (_is_text(left) or _is_text(right)):
            if type(operator) in OPERATORS:
                yield "operator", ast.BinOp(left, OPERATORS[type(operator)](), right)
            if isinstance(operator, ast.Add | ast.Sub | ast.Mult | ast.Div):
                yield "dropped term", left
            if isinstance(operator, ast.Add | ast.Mult):
                yield "dropped term", right
        case ast.BoolOp(operator, values):
            yield "boolean", ast.BoolOp(ast.Or() if isinstance(operator, ast.And) else ast.And(), values)
            yield "dropped term", values[0]
        case ast.UnaryOp(ast.Not(), operand):
            yield "boolean", operand
        case ast.UnaryOp(ast.USub(), operand):
            yield "sign", operand
        case ast.Constant(bool(value)):
            yield "boolean", ast.Constant(not value)
        case ast.Constant(int(value)):
            yield "constant", ast.Constant(value + 1)
        case ast.Constant(float(value)):
            yield "constant", ast.Constant(2 * value if value else 1.0)
        case ast.Call(ast.Name(name), arguments, keywords) if name in OPPOSITES:
            yield "opposite", ast.Call(ast.Name(OPPOSITES[name]), arguments, keywords)
        case ast.Call(ast.Attribute(owner, name), arguments, keywords) if name in OPPOSITES:
            yield "opposite", ast.Call(ast.Attribute(owner, OPPOSITES[name]), arguments, keywords)


def _is_negative(node: ast.AST) -> bool:
    """A number such as -1, which is changed as a whole: to many functions of numpy -2 means the same."""
    return isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _spliced(source: str, node: ast.expr, text: str) -> str:
    """The source with the node's text exchanged; columns of an AST count bytes."""
    lines = source.encode().split(b"\n")
    assert node.end_lineno is not None
    first, last = node.lineno - 1, node.end_lineno - 1
    head, tail = lines[first][: node.col_offset], lines[last][node.end_col_offset :]
    # As many lines as before, so that numbers below stay true.
    middle = b"(" + text.encode() + b"\n" * (last - first) + b")"
    return b"\n".join([*lines[:first], head + middle + tail, *lines[last + 1 :]]).decode()
