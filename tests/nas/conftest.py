"""What the tests of the command line stand in."""

from pathlib import Path

import pytest

from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro

CONFIG = """
name: small
dataset: {name: digits}
space: {macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1}}
hardware: spikesim-65nm-rram
"""
LAYERS = """
timesteps: 5
layers:
  - {kind: conv, in_channels: 3, out_channels: 64, kernel_size: 3, in_size: 32, out_size: 32}
  - {kind: linear, in_channels: 64, out_channels: 10}
"""


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a config, a layer list and an architecture."""
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(CONFIG)
    Path("layers.yaml").write_text(LAYERS)
    cell = Genotype(4, (Edge(0, 3, "conv3x3"), Edge(0, 1, "identity"), Edge(1, 3, "conv1x1")))
    Architecture((cell, cell), Macro((1, 8, 8), timesteps=2, channels=4, hidden=0, votes=1)).save("cell.json")
    return tmp_path
