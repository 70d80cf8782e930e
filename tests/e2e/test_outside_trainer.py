"""A supernet trainer of another package, announced by an entry point and named in the YAML."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hasnas.nas.history.ledger import read_ledger

pytestmark = pytest.mark.slow

PLUGIN = '''
import numpy as np

from hasnas.nas.supernet.settings import TrainedSupernet, TrainingProgress
from hasnas.search_spaces.network import build_network


class Untrained:
    """Shares weights as they are drawn, and proposes the last architecture that it may choose."""

    def train(self, space, sampler, data, *, settings, seed, options=None, loss="smooth_l1", choosing=None,
              checkpoint_directory=None, progress=None):
        rng, weights = np.random.default_rng(seed), {}
        for _ in range(40):
            weights.update(build_network(space.decode(sampler(rng)).expand(), seed).state_dict())
        progress(TrainingProgress(1, 1, 1, 1, 0.5))
        return TrainedSupernet(weights, codes=tuple(int(code) for code in choosing.codes[-1]))
'''


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """A package as pip installs it, and its metadata beside it."""
    (tmp_path / "drawn.py").write_text(PLUGIN)
    metadata = tmp_path / "drawn-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: drawn\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[hasnas.supernet_trainers]\nuntrained = drawn:Untrained\n")
    return tmp_path


def search(config: Path, plugin: Path, *overrides: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join([str(plugin), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "hasnas", "search", str(config), *overrides, "--run-dir", str(plugin / "run")]
    return subprocess.run(command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False)


def test_a_trainer_of_a_plug_in_can_be_chosen(tiny_config: Path, plugin: Path) -> None:
    small = ["space.nodes=3", "space.operations=[none, identity, conv3x3]", "retrain.enabled=false"]
    brief = ["search.evaluations=2", "search.strategy=random", "supernet.strategy=untrained"]
    done = search(tiny_config, plugin, *small, *brief)
    assert done.returncode == 0, done.stderr
    ledger = read_ledger(plugin / "run" / "ledger.jsonl")
    first = next(trial for trial in ledger.trials if trial.stage == "search")
    assert f"supernet: untrained proposes {first.key}, searched first" in done.stderr + done.stdout
    assert 0 <= first.metrics["validation_accuracy"] <= 1


def test_the_nearest_trainer_is_named(tiny_config: Path, plugin: Path) -> None:
    done = search(tiny_config, plugin, "supernet.strategy=untraned")
    assert done.returncode == 2
    told = "unknown supernet.strategy 'untraned'; did you mean 'untrained'? Known: darts, gumbel_darts, proxyless, "
    assert told + "random_one_shot, untrained" in done.stderr
