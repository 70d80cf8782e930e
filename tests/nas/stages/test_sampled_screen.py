"""A space too large to price it all: a sample ends when it says enough, or when the time is up."""

from pathlib import Path

import pytest

from hasnas.nas.config.loading import load_config
from hasnas.nas.stages import screen
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import price_space

YAML = """
name: big
dataset: {name: digits}
space: {name: snasnet, feedback: true, nodes: 6, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1}}
hardware: rram-32nm
"""


def setup(folder: Path, *changes: str) -> Setup:
    (folder / "big.yaml").write_text(YAML)
    return Setup(load_config(folder / "big.yaml", changes), Console(quiet=True))


@pytest.fixture(autouse=True)
def _small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "SAMPLED_CHUNK", 64)
    monkeypatch.setattr(screen, "ENOUGH", 200)
    monkeypatch.setattr(screen, "ENOUGH_FEASIBLE", 150)


@pytest.mark.parametrize(
    "changes, priced",
    [
        ([], 256),  # all fit: the first part after 200
        (["budget.energy=1 fJ", "screen.sample=700"], 700),  # none fits: the whole sample
        (["screen.sample=100"], 100),
    ],
)
def test_a_sample_ends_when_it_says_enough(changes: list[str], priced: int, tmp_path: Path):
    result = price_space(setup(tmp_path, *changes))
    assert (len(result.codes), result.complete) == (priced, False)
    assert len(result.costs.values) == len(result.connected) == priced


def test_a_sample_ends_when_the_time_is_up_but_not_before_its_first_part(tmp_path: Path):
    assert len(price_space(setup(tmp_path), seconds=0.0).codes) == 64


def test_a_small_space_is_priced_completely_whatever_the_time(tmp_path: Path):
    small = setup(tmp_path, "space.nodes=3", "space.feedback=false")
    result = price_space(small, seconds=0.0)
    assert (len(result.codes), result.complete) == (125, True)
