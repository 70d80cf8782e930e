"""What a supernet shares: the layers of all options under the names they have in deployed networks. No NNI needed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from hasnas.errors import BadInputError, nearest
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.space import Codes, SearchSpace, check_codes

PathSampler = Callable[[np.random.Generator], Sequence[int]]
"""Draws the codes of one architecture from the feasible region, by the given generator alone."""

Options = Mapping[str, Sequence[str]]
"""Label of a gene -> the choices that are allowed; a gene that is left out keeps all of its choices."""

_DRAWS = (64, 4096)


@dataclass(frozen=True)
class SupernetReport:
    """How much a supernet shrinks when options that no feasible architecture uses are left out.

    Args:
        options_before: choices of all genes together.
        options_after: those that are kept.
        parameters_before: trainable parameters of a supernet with all choices.
        parameters_after: trainable parameters of the supernet as built.
    """

    options_before: int
    options_after: int
    parameters_before: int
    parameters_after: int

    def __str__(self) -> str:
        return (
            f"{self.options_after} of {self.options_before} options, "
            f"{self.parameters_after:,} of {self.parameters_before:,} parameters"
        )


def live_options(space: SearchSpace, codes: Codes) -> dict[str, tuple[str, ...]]:
    """The choices that are alive in at least one of the given architectures.

    Args:
        space: the search space.
        codes: the feasible architectures, `[N, genes]`; dead choices count as the first one (none).

    Returns:
        Label of each gene -> its choices in the space's order, as `build_supernet` takes them.

    Raises:
        BadInputError: if `codes` holds no connected architecture.

    >>> from hasnas.search_spaces.macro import Macro
    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> live_options(SNASNetSpace(Macro()), np.array([[0, 0, 1, 0, 0, 0], [4, 0, 1, 0, 0, 0]]))["cell/0_1"]
    ('none',)
    """
    canonical, connected = space.canonical(codes)
    alive = canonical[connected]
    if not len(alive):
        raise BadInputError("no connected architecture is among the feasible ones; loosen the budget")
    used = [set(np.unique(column).tolist()) for column in alive.T]
    return {
        gene.label: tuple(name for code, name in enumerate(gene.choices) if code in used[index])
        for index, gene in enumerate(space.genes)
    }


def allowed_codes(space: SearchSpace, options: Options | None) -> tuple[tuple[int, ...], ...]:
    """For each gene the codes that the options leave.

    Raises:
        BadInputError: for an unknown label or choice, or a gene without any choice.
    """
    options = options or {}
    labels = [gene.label for gene in space.genes]
    for label in options:
        if label not in labels:
            raise BadInputError(f"options name an unknown gene '{label}'{nearest(label, labels)}")
    allowed = []
    for gene in space.genes:
        names = options.get(gene.label, gene.choices)
        for name in names:
            if name not in gene.choices:
                raise BadInputError(f"gene '{gene.label}' has no choice '{name}'{nearest(name, gene.choices)}")
        if not names:
            raise BadInputError(f"options leave gene '{gene.label}' without a choice; keep at least one")
        allowed.append(tuple(code for code, name in enumerate(gene.choices) if name in names))
    return tuple(allowed)


def shared_layers(space: SearchSpace, options: Options | None = None) -> dict[str, Node]:
    """Every layer with parameters that some architecture made of the allowed options deploys.

    Layers are read off expanded architectures, so that macro and cells are described in one place only. Architectures
    are drawn until each option has been seen alive; options that never are (feedback where T is 1) have no layers.

    Args:
        space: the search space.
        options: the allowed choices, by default all.

    Returns:
        Name -> node, in the order of the names.

    Raises:
        BadInputError: for unknown options, or if they allow no connected architecture.
    """
    allowed = allowed_codes(space, options)
    missing = {(gene, code) for gene, codes in enumerate(allowed) for code in codes}
    layers: dict[str, Node] = {}
    rng = np.random.default_rng(0)
    for option in sorted(missing):
        if option not in missing:
            continue
        row = _architecture_with(space, allowed, option, missing, rng)
        if row is not None:
            missing -= set(enumerate(row))
            layers.update(_layers_with_parameters(space.decode(row).expand()))
    if not layers:
        raise BadInputError("the options allow no connected architecture; keep more of them")
    return dict(sorted(layers.items()))


def supernet_report(space: SearchSpace, options: Options | None = None) -> SupernetReport:
    """Size of the supernet of a space with and without the options that are left out.

    Args:
        space: the search space.
        options: the allowed choices, by default all.

    >>> from hasnas.search_spaces.macro import Macro
    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> space = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))
    >>> report = supernet_report(space, {"cell/0_1": ("none", "conv1x1")})
    >>> report.options_before, report.options_after
    (30, 27)
    """
    return SupernetReport(
        options_before=sum(len(gene.choices) for gene in space.genes),
        options_after=sum(len(codes) for codes in allowed_codes(space, options)),
        parameters_before=_parameter_count(shared_layers(space).values()),
        parameters_after=_parameter_count(shared_layers(space, options).values()),
    )


def inherit(supernet_state: Mapping[str, Tensor], architecture: Architecture) -> SpikingNetwork:
    """The deployed network of an architecture with a copy of the supernet's weights.

    Args:
        supernet_state: the state dict of a supernet.
        architecture: the path to take.

    Returns:
        A network whose outputs equal those of the supernet on this path; changing it leaves the supernet alone.

    Raises:
        BadInputError: if the architecture is not connected or the supernet lacks one of its layers.
    """
    network = network_without_weights(architecture.expand())
    names = network.state_dict().keys()
    lacking = [name for name in names if name not in supernet_state]
    if lacking:
        raise BadInputError(
            f"the supernet has no '{lacking[0]}'; the architecture uses an option that was left out of it"
        )
    network.load_state_dict({name: supernet_state[name].detach().clone() for name in names}, assign=True)
    return network


def network_without_weights(graph: LayerGraph) -> SpikingNetwork:
    """The network of a graph whose parameters hold no memory yet; drawing none, it leaves torch's generator alone."""
    with torch.device("meta"):
        return SpikingNetwork(graph)


def canonical_codes(space: SearchSpace, codes: Sequence[int]) -> tuple[int, ...]:
    """One architecture's codes with dead choices set to 0."""
    canonical, _ = space.canonical(np.array([check_codes(space, codes)], np.int16))
    return tuple(int(code) for code in canonical[0])


def _architecture_with(
    space: SearchSpace,
    allowed: tuple[tuple[int, ...], ...],
    option: tuple[int, int],
    missing: set[tuple[int, int]],
    rng: np.random.Generator,
) -> tuple[int, ...] | None:
    """A connected architecture in which the option is alive, of several the one with most options still missing."""
    gene, code = option
    for count in _DRAWS:
        drawn = np.stack([rng.choice(np.array(codes, np.int16), count) for codes in allowed], axis=1)
        drawn[:, gene] = code
        canonical, connected = space.canonical(drawn)
        rows = [tuple(row) for row in canonical[connected & (canonical[:, gene] == code)].tolist()]
        if rows:
            return max(rows, key=lambda row: len(missing & set(enumerate(row))))
    return None


def _layers_with_parameters(graph: LayerGraph) -> dict[str, Node]:
    return {node.name: node for node in graph.nodes if node.parameter_count}


def _parameter_count(nodes: Iterable[Node]) -> int:
    return sum(node.parameter_count for node in nodes)
