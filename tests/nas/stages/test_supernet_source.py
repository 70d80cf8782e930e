"""A trained supernet taken to another budget and chip."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.checkpoint import save_checkpoint
from hasnas.nas.history.layout import SUPERNET_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.run import start_run
from hasnas.nas.stages.supernet_source import source_weights
from hasnas.nas.supernet.sharing import shared_layers
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace

CONFIG = """
name: small
dataset: {name: digits, subset: {train: 100, test: 20}}
space: {name: snasnet, macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
screen: {sample: 200}
supernet: {epochs: 1}
search: {strategy: random, evaluations: 6, calibration_batches: 1}
retrain: {enabled: false}
"""


@pytest.mark.slow
def test_the_same_weights_within_another_budget_on_another_chip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("matplotlib.figure.Figure.draw", lambda *_: None)  # pictures would take most of the time
    Path("small.yaml").write_text(CONFIG)
    first = start_run("small.yaml", run_directory="first")
    taken = ["supernet.from=first", "hardware=rram-22nm", "budget.parameters=600"]
    second = start_run("small.yaml", taken, run_directory="second")
    assert (second / SUPERNET_FILE).exists()
    found = [{one.key: one for one in read_ledger(run / "ledger.jsonl").trials} for run in (first, second)]
    common = found[0].keys() & found[1].keys()
    assert common
    for key in common:
        one, other = found[0][key], found[1][key]
        assert one.metrics == other.metrics
        assert one.costs["area_m2"] > other.costs["area_m2"]
    for change, told in (
        ("seed=1", "another seed"),
        ("dataset.subset.train=90", "another dataset"),
        ("space.macro.channels=4", "another space.macro.channels"),
        ("supernet.epochs=2", "was trained with 1"),
        ("supernet.from=absent", "holds no run"),
    ):
        with pytest.raises(BadInputError, match=told):
            start_run("small.yaml", [*taken, change], run_directory="third")
    assert not Path("third").exists()
    Path("first").rename("gone")
    assert load_config("second/config.yaml").supernet.epochs == 1, "a run can be looked at without its supernet's run"


def test_an_option_that_the_other_budget_left_out_is_refused(tmp_path: Path):
    space = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))
    kept = {"cell/0_1": ("none", "conv1x1")}
    names = shared_layers(space, kept)
    (tmp_path / "checkpoints").mkdir()
    save_checkpoint(tmp_path / SUPERNET_FILE, {f"{name}.weight": torch.ones(1) for name in names}, {})
    assert source_weights(str(tmp_path), space, kept).keys() == {f"{name}.weight" for name in names}
    with pytest.raises(BadInputError, match=r"has no .cell1\.0_1\.conv3x3\.conv."):
        source_weights(str(tmp_path), space, None)
