"""What every training-free score does, on spaces of each kind."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hasnas.nas.scoring import SCORES, Score, ScoringTask
from hasnas.search_spaces import Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import SearchSpace, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

from .suite import Suite

MACRO = Macro((3, 8, 8), classes=3, timesteps=3, channels=4, hidden=8, votes=1)
SPACES: dict[str, SearchSpace] = {
    "thresholds": SpikeNASBenchSpace(MACRO),
    "feedback": SNASNetSpace(MACRO, feedback=True),
    "blocks": AutoSNNSpace(MACRO, cells=3),
    "own cells": CellSpace(MACRO, shared=False, cells=3, operations=("none", "identity", "conv5x5", "maxpool3x3")),
}
INPUTS = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
TARGETS = torch.arange(4) % 3


def task(space: str) -> ScoringTask:
    """Images and classes for a space."""
    return ScoringTask(SPACES[space], INPUTS, TARGETS, seed=1)


def codes_of(space: str, count: int = 6) -> np.ndarray:
    """Drawn candidates of a space."""
    return sample(SPACES[space], np.random.default_rng(4), count)


@pytest.mark.parametrize("space", SPACES)
class CheckScore(Suite):
    """For names in `SCORES` (entry points `hasnas.scores`)."""

    def build(self, name: str) -> Score:
        """The score that is tested."""
        return SCORES.get(name)()

    def test_path_test_first(self, name: str, space: str) -> None:
        codes = codes_of(space)
        result = self.build(name)(task(space), codes)
        connected = SPACES[space].canonical(codes)[1]
        assert result.total.shape == (len(codes),)
        assert (result.total[~connected] == -np.inf).all()
        assert not np.isnan(result.total[connected]).any()
        assert result.components
        assert all(len(part) == len(codes) for part in result.components.values())

    def test_dead_edges_do_not_count(self, name: str, space: str) -> None:
        codes = codes_of(space, 4)
        canonical = SPACES[space].canonical(codes)[0]
        score = self.build(name)
        before, after = score(task(space), codes).total, score(task(space), canonical).total
        np.testing.assert_allclose(before, after)

    def test_a_population_is_its_members(self, name: str, space: str) -> None:
        codes = codes_of(space, 4)
        score = self.build(name)
        together = score(task(space), codes).total
        alone = [float(score(task(space), row[None]).total[0]) for row in codes]
        np.testing.assert_allclose(together, alone, rtol=1e-3, atol=1e-3)
