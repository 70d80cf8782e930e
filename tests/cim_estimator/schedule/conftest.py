"""Small dataflow graphs that several tests read."""

from __future__ import annotations

import pytest

from hasnas.cim_estimator.schedule import Actor, Channel, DataflowGraph

# Source, target, tokens: clusters of LeNet on MNIST as the DFSynthesizer tutorial binds them; rates equal the tokens.
LENET = (
    (0, 1, 2), (0, 2, 2), (1, 0, 2), (1, 5, 2), (2, 1, 3), (2, 5, 3), (3, 1, 1), (3, 5, 1), (4, 0, 2), (4, 1, 2),
    (5, 3, 3), (5, 1, 3), (7, 0, 1),
)  # fmt: skip


@pytest.fixture
def lenet() -> DataflowGraph:
    actors = tuple(Actor(str(number), 16.0) for number in (0, 1, 2, 3, 4, 5, 7))
    channels = tuple(Channel(f"{a}_{b}", str(a), str(b), tokens, tokens, tokens) for a, b, tokens in LENET)
    return DataflowGraph(actors, channels, "LeNet")


@pytest.fixture
def sample_rate_converter() -> DataflowGraph:
    """From 44.1 to 48 kHz, the standard example of many rates; published repetition vector 147 147 98 28 32 160."""
    rates = ((1, 1), (2, 3), (2, 7), (8, 7), (5, 1))
    actors = tuple(Actor(name, time) for name, time in zip("abcdef", (5.0, 2.0, 3.0, 1.0, 4.0, 6.0), strict=True))
    channels = tuple(Channel(f"c{n}", "abcdef"[n], "abcdef"[n + 1], *rate) for n, rate in enumerate(rates))
    return DataflowGraph(actors, channels).one_firing_at_a_time()
