"""A network and data small enough to convert within a test."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hasnas.nas.data.samples import Split, Splits, load_splits
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

SHORTCUT = (Edge(0, 1, "conv3x3"), Edge(0, 2, "identity"), Edge(1, 2, "conv1x1"))
FEEDBACK = (Edge(0, 1, "conv3x3"), Edge(1, 2, "conv1x1"), Edge(2, 1, "conv1x1"))


def small(
    neuron: str = "lif", timesteps: int = 3, edges: tuple[Edge, ...] = SHORTCUT, tau: float = 2.0
) -> Architecture:
    """Two cells of four channels on the digits."""
    cell = Genotype(3, edges)
    macro = Macro((1, 8, 8), 10, timesteps, 4, hidden=0, votes=1, dropout=0.1, tau=tau, neuron=neuron)
    return Architecture((cell, cell), macro)


@pytest.fixture
def build() -> Any:
    """Makes small architectures."""
    return small


@pytest.fixture
def feedback() -> Architecture:
    """An architecture with a feedback connection."""
    return small(edges=FEEDBACK)


@pytest.fixture(scope="session")
def few() -> Splits:
    """Some of the digits."""
    splits = load_splits("digits", None, validation_share=0.2, seed=0)

    def cut(split: Split, count: int) -> Split:
        return split.take(torch.arange(count))

    parts = cut(splits.train, 64), cut(splits.validation, 40), cut(splits.test, 10)
    return Splits(*parts, splits.normalisation, splits.classes)
