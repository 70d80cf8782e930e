"""Genes as NNI's variables."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.random import RandomState

from hasnas.search_spaces.space import STEP, Gene, moved

from .environment import require_nni

require_nni()

from nni.mutable import Categorical, Sample  # noqa: E402
from nni.mutable.utils import label  # noqa: E402


class Stepping(Categorical[str]):
    """NNI's variable for a gene with an order: while `near` is set, it is drawn a small step away from that choice."""

    near: str | None = None

    def random(self, memo: Sample | None = None, random_state: RandomState | None = None) -> str:
        """See `Categorical.random`."""
        if self.near is None or random_state is None:
            return str(super().random(memo, random_state))
        place, most = np.array(self.values.index(self.near)), np.array(len(self.values) - 1)
        step = np.array(random_state.geometric(STEP) * random_state.choice((-1, 1)))
        return str(self.values[int(moved(place, step, most))])


def categorical(gene: Gene, allowed: Sequence[str]) -> Categorical:
    """NNI's variable for a gene, under the gene's own label.

    >>> categorical(Gene("cell/0_1", ("none", "conv3x3")), ["conv3x3"])
    Categorical(['conv3x3'], label='cell/0_1')
    """
    kind = Stepping if gene.has_order else Categorical
    return kind(list(allowed), label=label(gene.label.split("/")))
