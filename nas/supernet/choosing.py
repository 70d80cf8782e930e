"""From probabilities of choices to architectures. No NNI needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.operations import NONE
from hasnas.search_spaces.space import Codes, SearchSpace

from .mixture import gene_label, require_mixable
from .settings import Probabilities


def log_probabilities(space: SearchSpace, probabilities: Probabilities, codes: Codes) -> NDArray[np.float64]:
    """Logarithm of the product of the choices' probabilities, for each of some architectures.

    Args:
        space: what the codes mean.
        probabilities: of the choices that were not left out; those that were have none.
        codes: `[N, genes]`.

    Returns:
        Shape `[N]`; minus infinity where a choice was left out.
    """
    total = np.zeros(len(codes))
    with np.errstate(divide="ignore"):
        for column, gene in zip(np.asarray(codes).T, space.genes, strict=True):
            row = probabilities[gene.label]
            total += np.log([row.get(name, 0.0) for name in gene.choices])[column]
    return total


def most_probable(
    space: SearchSpace,
    probabilities: Probabilities,
    codes: Codes,
    admits: Callable[[Codes], NDArray[np.bool_]],
) -> tuple[int, ...]:
    """The architecture to deploy: each gene's most probable choice, if that is connected and inside the region.

    Otherwise the architecture of the region with the largest product of probabilities.

    Args:
        space: what the codes mean.
        probabilities: of the choices.
        codes: canonical codes of the region, `[M, genes]`.
        admits: canonical, connected codes -> which of them are inside.

    Returns:
        Canonical codes.
    """
    best = [max(probabilities[gene.label].items(), key=lambda item: item[1])[0] for gene in space.genes]
    drawn = np.array([[gene.choices.index(name) for gene, name in zip(space.genes, best, strict=True)]], np.int16)
    canonical, connected = space.canonical(drawn)
    if connected[0] and bool(admits(canonical)[0]):
        return tuple(int(code) for code in canonical[0])
    chosen = codes[int(np.argmax(log_probabilities(space, probabilities, codes)))]
    return tuple(int(code) for code in chosen)


def reached_sources(space: SearchSpace, codes: Sequence[int]) -> dict[str, bool]:
    """Label of each gene -> whether the input arrives at its edge's source, in one architecture.

    >>> from hasnas.search_spaces.macro import Macro
    >>> from hasnas.search_spaces.snasnet import CellSpace
    >>> reached_sources(CellSpace(Macro(), nodes=3), (0, 1, 3))
    {'cell/0_1': True, 'cell/0_2': True, 'cell/1_2': False}
    """
    cells = require_mixable(space)
    names = {gene.label: gene.choices[code] for gene, code in zip(space.genes, codes, strict=True)}
    found: dict[str, bool] = {}
    for number in range(1, (1 if cells.shared else cells.cells) + 1):
        reached = {0}
        for low, high in sorted(cells.pairs, key=lambda pair: (pair[0], pair[1])):
            label = gene_label(cells, number, low, high)
            found[label] = low in reached
            if found[label] and names[label] != NONE:
                reached.add(high)
    return found
