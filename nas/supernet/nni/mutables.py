"""Genes as NNI's variables."""

from __future__ import annotations

from collections.abc import Sequence

from hasnas.search_spaces.space import Gene

from .environment import require_nni

require_nni()

from nni.mutable import Categorical  # noqa: E402
from nni.mutable.utils import label  # noqa: E402


def categorical(gene: Gene, allowed: Sequence[str]) -> Categorical:
    """NNI's variable for a gene, under the gene's own label.

    >>> categorical(Gene("cell/0_1", ("none", "conv3x3")), ["conv3x3"])
    Categorical(['conv3x3'], label='cell/0_1')
    """
    return Categorical(list(allowed), label=label(gene.label.split("/")))
