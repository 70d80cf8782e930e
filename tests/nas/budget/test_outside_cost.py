"""A cost from outside, added by decorator, through a whole run: limited, minimized, remembered and shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from hasnas.cim_estimator import Totals
from hasnas.errors import BadInputError
from hasnas.nas.budget.costs import COSTS, Cost, cost_called, register_cost
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.goal import front
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.run import start_run
from hasnas.nas.tracking.event_file import read_scalars
from hasnas.nas.tracking.status import run_status
from hasnas.nas.tracking.status_text import describe_status

pytestmark = pytest.mark.slow

CONFIG = """
name: outside
dataset: {name: digits}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 8, votes: 1}}
hardware: rram-32nm
budget: {footprint: 200 pJ*m2, throughput: 1 kHz, peak_memory: 1 Mbit}
search:
  {strategy: nsga2, score: depth, objectives: [score, footprint, edp, throughput], evaluations: 8, batch: 4,
   population: 4, sample: 2}
retrain: {epochs: 1, top: 1}
export: {enabled: false}
"""
SHOWN = ("footprint", "throughput", "peak_memory", "edp")


@pytest.fixture(scope="module")
def footprint() -> Iterator[Cost]:
    @register_cost("footprint", "footprint_jm2", "J*m2", "'1 pJ*m2'", "energy times area")
    def cost(totals: Totals) -> object:
        return totals.energy_j * totals.area_m2

    yield cost
    COSTS._loaded.pop("footprint")


@pytest.fixture(scope="module")
def run(footprint: Cost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("outside")
    (folder / "outside.yaml").write_text(CONFIG)
    return start_run(folder / "outside.yaml", (), folder / "run")


@pytest.mark.slow
def test_the_ledger_holds_it_and_the_front_is_over_it(run: Path) -> None:
    trials = read_ledger(run / LEDGER_FILE).trials
    searched = [trial for trial in trials if trial.stage == "search"]
    assert len(searched) == 8
    for trial in trials:
        assert trial.costs["footprint_jm2"] == pytest.approx(trial.costs["energy_j"] * trial.costs["area_m2"])
        assert trial.costs["energy_delay_js"] == pytest.approx(trial.costs["energy_j"] * trial.costs["latency_s"])
        assert trial.costs["throughput_hz"] > 0
    best = front(searched)
    assert best
    assert min(searched, key=lambda trial: trial.costs["footprint_jm2"]).costs in [trial.costs for trial in best]


def test_the_config_that_is_saved_reads_the_same_limits(run: Path) -> None:
    saved = load_config(run / "config.yaml")
    assert saved.budget.limits == {"footprint": 2e-10, "throughput": 1000.0, "peak_memory": 1e6}
    assert "throughput: 1 kHz" in (run / "config.yaml").read_text()


def test_every_view_shows_it(run: Path) -> None:
    status = run_status(run)
    text, page = describe_status(status), (run / "report.html").read_text()
    header = (run / "pareto.csv").read_text().splitlines()[0].split(",")
    curves = {tag for tag, *_ in read_scalars(run / "tensorboard" / "search")}
    for name in SHOWN:
        cost = cost_called(name)
        assert name.upper() in text
        assert f">{name}<" in page
        assert cost.field in header
        assert any(tag.startswith(f"cost/{name}") for tag in curves), name
        assert all(cost.field in network for network in status["front"])
    assert "throughput at least 1 kHz" in text
    assert status["returned"][0]["fits"]


def test_an_unknown_cost_is_refused_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(CONFIG.replace("footprint", "edp").replace("200 pJ*m2", "1 mJ*s").replace("edp, edp", "edp"))
    assert load_config(path).search.objectives == ("score", "edp", "throughput")
    for override in ("budget.througput=1 kHz", "search.objectives=[througput]"):
        with pytest.raises(BadInputError, match="did you mean 'throughput'"):
            load_config(path, [override])
