"""Additions of a traced module: those that only lead into each other are one sum of many values."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

ADDITIONS = frozenset({operator.add, operator.iadd, torch.add, "add", "add_"})


def add(*terms: Any) -> Any:
    """The sum of all terms, which a merged addition calls."""
    return sum(terms[1:], start=terms[0])


def is_sum(node: fx.Node) -> bool:
    """Whether a call adds values."""
    return node.op in ("call_function", "call_method") and (node.target is add or node.target in ADDITIONS)


def merge_sums(graph: fx.Graph) -> None:
    """Make one call of additions whose result only the next addition reads: `a + b + c` adds three values at once."""
    for node in list(graph.nodes):
        if not is_sum(node) or node.kwargs:
            continue
        inner = [term for term in node.args if _leads_only_into(term, node)]
        if not inner:
            continue
        terms = [part for term in node.args for part in (term.args if term in inner else (term,))]
        with graph.inserting_before(node):
            merged = graph.call_function(add, tuple(terms))
        merged.meta.update(node.meta)
        node.replace_all_uses_with(merged)
        for done in (node, *inner):
            graph.erase_node(done)


def _leads_only_into(term: Any, node: fx.Node) -> bool:
    if not isinstance(term, fx.Node) or not is_sum(term) or term.kwargs:
        return False
    alone = set(term.users) == {node} and node.args.count(term) == 1
    return alone and term.meta["stepped"] == node.meta["stepped"]
