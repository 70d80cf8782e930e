"""All operations of all edges at once, weighed: the network that differentiable one-shot training runs. No NNI needed.

The value of a node is

    v_n = sum over s < n of sum over operations k of w_sn[k] * f_k(v_s)

in the deployed macro, with the deployed names; `none` adds nothing. With weights of 0 and 1 it is the deployed network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hasnas.errors import BadInputError
from hasnas.search_spaces.cells import Edge, Genotype, live_edges
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import Add
from hasnas.search_spaces.macro import expand
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.operations import IDENTITY, NONE
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import SearchSpace

from .sharing import Options, allowed_codes

Weights = Mapping[str, Tensor]
"""Label of a gene -> weights of its allowed choices, in the space's order."""

Term = tuple[str, int] | None
"""Label of a gene and number of the choice among the allowed ones; None for a connection that carries nothing."""

_EDGE_LAYER = re.compile(r"cell(\d+)\.(\d+)_(\d+)\.([^.]+)\.[^.]+")
_SUM = re.compile(r"cell(\d+)\.(\d+)\.sum")


@dataclass(frozen=True)
class _EveryOperation(Genotype):
    """A cell that carries several operations on each edge, all of them alive."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "edges", tuple(sorted(self.edges)))

    def canonical(self, timesteps: int | None = None) -> Genotype:
        """The cell itself: its edges were chosen alive."""
        return self


@dataclass(frozen=True)
class Mixture:
    """The layers of a mixture.

    Args:
        graph: the union of all networks; every node of a cell has a sum.
        terms: name of a sum -> what weighs each of its inputs, in their order.
    """

    graph: LayerGraph
    terms: Mapping[str, tuple[Term, ...]]


def mixture(space: SearchSpace, options: Options | None = None) -> Mixture:
    """The mixture of a space of cells.

    Args:
        space: a cell space without feedback.
        options: label of a gene -> allowed choices, by default all.

    Raises:
        BadInputError: for a space whose choices are not operations of forward edges, or options that connect nothing.
    """
    cell_space = require_mixable(space)
    allowed = {
        gene.label: [gene.choices[code] for code in codes]
        for gene, codes in zip(space.genes, allowed_codes(space, options), strict=True)
    }
    cells = tuple(_cell(cell_space, number, allowed) for number in range(1, cell_space.cells + 1))
    drawn = expand(cells, cell_space.macro)
    graph = LayerGraph(drawn.nodes, tuple(dict.fromkeys(drawn.connections)), drawn.timesteps)
    sums = [node.name for node in graph.nodes if isinstance(node.operation, Add) and _SUM.fullmatch(node.name)]
    terms = {
        name: tuple(_term(cell_space, allowed, name, link.source) for link in graph.inputs(name)) for name in sums
    }
    return Mixture(graph, terms)


def require_mixable(space: SearchSpace) -> CellSpace:
    """The space, if each of its genes is the operation of one forward edge.

    Raises:
        BadInputError: if not.

    >>> from hasnas.search_spaces.macro import Macro
    >>> require_mixable(CellSpace(Macro(), feedback=True))
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: darts, gumbel_darts and proxyless mix forward edges only, and a pair with feedback is \
one choice over both directions; set space.feedback: false or supernet.strategy: random_one_shot
    """
    name = getattr(space, "name", type(space).__name__)
    if not isinstance(space, CellSpace):
        raise BadInputError(
            f"darts, gumbel_darts and proxyless need one gene for each edge, and those of space '{name}' are others; "
            "choose a space of cells, e.g. snasnet, or supernet.strategy: random_one_shot"
        )
    if space.feedback:
        raise BadInputError(
            "darts, gumbel_darts and proxyless mix forward edges only, and a pair with feedback is one choice over "
            "both directions; set space.feedback: false or supernet.strategy: random_one_shot"
        )
    return space


def gene_label(space: CellSpace, cell: int, low: int, high: int) -> str:
    """The label of the gene that decides about an edge of a cell, counted from 1."""
    owner = 0 if space.shared else cell - 1
    return space.genes[owner * len(space.pairs) + space.pairs.index((low, high))].label


def _cell(space: CellSpace, number: int, allowed: Mapping[str, list[str]]) -> Genotype:
    drawn = np.zeros((1, space.nodes, space.nodes), bool)
    names: dict[tuple[int, int], list[str]] = {}
    for low, high in space.pairs:
        names[low, high] = [name for name in allowed[gene_label(space, number, low, high)] if name != NONE]
        drawn[0, low, high] = bool(names[low, high])
    alive = live_edges(space.nodes, drawn)[0]
    pairs = [pair for pair in space.pairs if alive[pair]]
    if not pairs:
        raise BadInputError("the options allow no connected architecture; keep more of them")
    edges = [Edge(*pair, name) for pair in pairs for name in names[pair]]
    # A node with one input has no sum of its own. Two identities, weighed or not, see to it that each has one.
    for target in {high for _, high in pairs}:
        source = min(low for low, high in pairs if high == target)
        edges += [Edge(source, target, IDENTITY)] * 2
    return _EveryOperation(space.nodes, tuple(edges))


def _term(space: CellSpace, allowed: Mapping[str, list[str]], target: str, source: str) -> Term:
    own = _SUM.fullmatch(target)
    if own is None:
        raise BadInputError(f"layer '{target}' is no node of a cell")
    cell, high = int(own[1]), int(own[2])
    edge, value = _EDGE_LAYER.fullmatch(source), _SUM.fullmatch(source)
    if edge is not None and (int(edge[1]), int(edge[3])) == (cell, high):
        low, name = int(edge[2]), next(item for item in space.operations if item.replace(".", "_") == edge[4])
    else:
        low = int(value[2]) if value is not None and int(value[1]) == cell else 0
        name = IDENTITY
    label = gene_label(space, cell, low, high)
    return (label, allowed[label].index(name)) if name in allowed[label] else None


class MixtureNetwork(SpikingNetwork):
    """The module of a mixture: it takes the weights of the choices beside the samples.

    Args:
        layers: what `mixture` gives.
    """

    def __init__(self, layers: Mixture) -> None:
        super().__init__(layers.graph)
        self._terms = layers.terms
        self._weights: Weights = {}

    def forward(self, x: Tensor, weights: Weights | None = None) -> Tensor:
        """Mean over time of the output, `[B, classes]`."""
        self._weights = weights or {}
        try:
            return super().forward(x)
        finally:
            self._weights = {}

    def _evaluate(self, node: Node, arriving: list[Tensor]) -> Tensor:
        if node.name not in self._terms:
            return super()._evaluate(node, arriving)
        weighed = [
            self._weights[term[0]][term[1]] * value
            for term, value in zip(self._terms[node.name], arriving, strict=True)
            if term is not None
        ]
        return sum(weighed[1:], start=weighed[0]) if weighed else torch.zeros_like(arriving[0])


def mixture_network(space: SearchSpace, options: Options | None = None) -> MixtureNetwork:
    """The mixture of a space, whose parameters hold no memory yet."""
    layers = mixture(space, options)
    with torch.device("meta"):
        return MixtureNetwork(layers)
