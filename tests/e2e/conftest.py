"""A run small enough for a test: real data, real training, a few seconds."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

CONFIG = """
name: tiny
seed: 3
dataset: {name: digits, validation_share: 0.3}
space:
  name: snasnet
  macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.1}
hardware: rram-32nm
budget: {parameters: 1900}
supernet: {epochs: 2, batch_size: 256, learning_rate: 0.02}
search: {evaluations: 6, batch: 2, population: 3, sample: 2, calibration_batches: 1}
retrain: {top: 2, epochs: 2, batch_size: 256}
tracking: []
"""


@pytest.fixture(scope="session")
def tiny_config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The YAML of a tiny run that shows nothing: its views take longer than itself."""
    path = tmp_path_factory.mktemp("config") / "tiny.yaml"
    path.write_text(textwrap.dedent(CONFIG))
    return path


@pytest.fixture(scope="session")
def viewed_config(tiny_config: Path) -> Path:
    """The same run with its views."""
    path = tiny_config.with_name("viewed.yaml")
    path.write_text(tiny_config.read_text().replace("tracking: []\n", ""))
    return path
