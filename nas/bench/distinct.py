"""The benchmark's space with one form for each distinct cell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.scoring.graph_features import canonical_classes
from hasnas.search_spaces.space import Codes
from hasnas.search_spaces.spikenas_bench import RADIX, SpikeNASBenchSpace

PLACES = RADIX ** np.arange(6)


@dataclass(frozen=True)
class DistinctSpace(SpikeNASBenchSpace):
    """Cells that differ only in dead edges, identities or node numbers have the same canonical codes: 5,424 cells.

    >>> from hasnas.nas.bench.table import MACRO
    >>> space = DistinctSpace(MACRO)
    >>> space.canonical(np.array([[0, 2, 1, 0, 0, 3], [2, 0, 1, 0, 3, 4]]))[0].tolist()
    [[2, 0, 1, 0, 3, 0], [2, 0, 1, 0, 3, 0]]
    """

    name: ClassVar[str] = "spikenas_bench_distinct"

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Codes of the lowest-numbered form without dead edges, and which architectures are connected."""
        numbers = np.atleast_2d(np.asarray(codes)) @ PLACES
        forms, connected = self._forms
        return forms[numbers].astype(np.int16), connected[numbers]

    @cached_property
    def _forms(self) -> tuple[Codes, NDArray[np.bool_]]:
        """The canonical form of every benchmark number."""
        plain = SpikeNASBenchSpace(self.macro)
        codes = np.arange(RADIX**6)[:, None] // PLACES % RADIX
        pruned, connected = plain.canonical(codes.astype(np.int16))
        classes = np.unique(canonical_classes(plain, pruned), return_inverse=True)[1]
        first = np.full(classes.max() + 1, RADIX**6)
        np.minimum.at(first, classes, pruned @ PLACES)
        forms = codes[first[classes]]
        return np.where(connected[:, None], forms, pruned).astype(np.int16), connected
