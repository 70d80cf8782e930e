"""Genotypes: a cell's nodes, edges and operations as drawn, and what of them is alive."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError

from .operations import NONE, operation_named

MOST_NODES = 64
UNREACHABLE = np.iinfo(np.int64).max // 4


@dataclass(frozen=True, order=True)
class Edge:
    """An operation from one node's value to another's sum; a source after its target acts one timestep later."""

    source: int
    target: int
    operation: str

    @property
    def delay(self) -> int:
        """Timesteps until the result arrives: 0 forward, 1 feedback."""
        return int(self.source > self.target)


@dataclass(frozen=True)
class Genotype:
    """A cell as drawn: node 0 is its input, the last node its output, `none` edges are left out.

    The value of node n at timestep t is

        v_n(t) = sum over s < n of f_sn(v_s(t)) + sum over s > n of g_sn(v_s(t - 1)),    v(-1) = 0

    Args:
        nodes: number of nodes, at least 2.
        edges: at most one per ordered pair; sorted on construction.

    Raises:
        BadInputError: if an edge leaves the cell, is a loop, is drawn twice or names an unknown operation.

    Source: the cell of SNASNet (Kim et al., ECCV 2022); feedback as in its released code.

    >>> cell = Genotype(4, (Edge(0, 1, "conv3x3"), Edge(0, 3, "identity")))
    >>> cell.canonical().edges
    (Edge(source=0, target=3, operation='identity'),)
    """

    nodes: int
    edges: tuple[Edge, ...]

    def __post_init__(self) -> None:
        if not 2 <= self.nodes <= MOST_NODES:
            bounds = f"at least 2, an input and an output, and at most {MOST_NODES}"
            raise BadInputError(f"a cell has {self.nodes} nodes; give {bounds}")
        kept = tuple(sorted(edge for edge in self.edges if edge.operation != NONE))
        object.__setattr__(self, "edges", kept)
        for edge in kept:
            operation_named(edge.operation)
            if edge.source == edge.target or not {edge.source, edge.target} <= set(range(self.nodes)):
                raise BadInputError(f"edge {edge.source}->{edge.target} is not between two of the {self.nodes} nodes")
        pairs = [(edge.source, edge.target) for edge in kept]
        if len(set(pairs)) != len(pairs):
            twice = next(pair for pair, after in pairwise(pairs) if pair == after)
            raise BadInputError(f"edge {twice[0]}->{twice[1]} is drawn twice; keep one operation for each ordered pair")

    @property
    def has_feedback(self) -> bool:
        """Whether any edge acts one timestep later."""
        return any(edge.delay for edge in self.edges)

    @property
    def is_connected(self) -> bool:
        """Whether the output depends on the input, at this timestep or a later one."""
        return bool(self.canonical().edges)

    def canonical(self, timesteps: int | None = None) -> Genotype:
        """The edges that lie on some path from input to output, without relabelling nodes.

        Args:
            timesteps: length T of a sample; paths that need T or more delays are dead. `None` means any length.
        """
        forward = edge_array([self])
        alive = live_edges(self.nodes, forward, timesteps)[0]
        return Genotype(self.nodes, tuple(edge for edge in self.edges if alive[edge.source, edge.target]))

    @property
    def key(self) -> str:
        """A hash of the canonical form: equal for cells that compute the same edges."""
        text = json.dumps(self.canonical().to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """Plain data, read back by `from_json`."""
        return {"nodes": self.nodes, "edges": [[e.source, e.target, e.operation] for e in self.edges]}

    @staticmethod
    def from_json(data: Any) -> Genotype:
        """A genotype from plain data.

        Raises:
            BadInputError: if the data do not describe a cell.
        """
        try:
            nodes, drawn = data["nodes"], [tuple(edge) for edge in data["edges"]]
            whole = all(type(number) is int for number in (nodes, *(end for edge in drawn for end in edge[:2])))
            if not whole or not all(isinstance(name, str) for _, _, name in drawn):
                raise TypeError("a number is not whole, or a name no text")
            return Genotype(nodes, tuple(Edge(*edge) for edge in drawn))
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, BadInputError):
                raise
            raise BadInputError(
                f"a cell needs 'nodes' and 'edges' as [source, target, operation]; got {repr(data)[:80]}"
            ) from error


def edge_array(genotypes: Iterable[Genotype]) -> NDArray[np.bool_]:
    """Which ordered pairs carry an edge, shape `[N, nodes, nodes]`, source first."""
    cells = list(genotypes)
    drawn = np.zeros((len(cells), cells[0].nodes, cells[0].nodes), bool)
    for index, cell in enumerate(cells):
        for edge in cell.edges:
            drawn[index, edge.source, edge.target] = True
    return drawn


def live_edges(nodes: int, drawn: NDArray[np.bool_], timesteps: int | None = None) -> NDArray[np.bool_]:
    """Which edges lie on a path from node 0 to the last node, for many cells at once.

    Shortest distances count delays: a forward edge costs 0 timesteps, a feedback edge 1. An edge is alive if the
    distance from the input, its own delay and the distance to the output stay below `timesteps`.

    Args:
        nodes: number of nodes.
        drawn: shape `[N, nodes, nodes]`, source first.
        timesteps: T, or `None` for samples of any length.

    Returns:
        Boolean array of the shape of `drawn`.

    >>> drawn = np.zeros((1, 3, 3), bool); drawn[0, 0, 1] = drawn[0, 0, 2] = True
    >>> live_edges(3, drawn)[0, 0].tolist()
    [False, False, True]
    """
    delay = np.tril(np.ones((nodes, nodes), np.int64), -1)
    cost = np.where(drawn, delay, UNREACHABLE)
    from_input = np.full((len(drawn), nodes), UNREACHABLE)
    to_output = from_input.copy()
    from_input[:, 0] = 0
    to_output[:, -1] = 0
    for _ in range(nodes):
        from_input = np.minimum(from_input, (from_input[:, :, None] + cost).min(axis=1))
        to_output = np.minimum(to_output, (cost + to_output[:, None, :]).min(axis=2))
    total = from_input[:, :, None] + cost + to_output[:, None, :]
    return total < (UNREACHABLE if timesteps is None else timesteps)
