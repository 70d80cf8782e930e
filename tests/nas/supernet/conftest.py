"""Small spaces that every test of the engine may use."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hasnas.nas.supernet.nni.environment import require_nni
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import Codes, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

# Before any test file imports NNI.
require_nni()

MACRO = Macro((1, 8, 8), classes=3, timesteps=3, channels=4, hidden=6, votes=2, dropout=0.25)


@pytest.fixture(params=["forward", "feedback", "benchmark", "own cells"])
def space(request: pytest.FixtureRequest) -> CellSpace:
    """Each kind of cell space."""
    return {
        "forward": SNASNetSpace(MACRO),
        "feedback": SNASNetSpace(MACRO, feedback=True),
        "benchmark": SpikeNASBenchSpace(MACRO),
        "own cells": CellSpace(MACRO, feedback=True, shared=False, nodes=3),
    }[request.param]


@pytest.fixture
def feedback_space() -> CellSpace:
    """SNASNet's space with feedback."""
    return SNASNetSpace(MACRO, feedback=True)


@pytest.fixture
def connected() -> Callable[[CellSpace, int, int], Codes]:
    """Some connected architectures of a space, in canonical form: space, count, seed -> codes."""

    def draw(space: CellSpace, count: int, seed: int) -> Codes:
        codes, keep = space.canonical(sample(space, np.random.default_rng(seed), 20 * count))
        return codes[keep][:count]

    return draw
