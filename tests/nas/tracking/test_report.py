from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from hasnas.errors import BadInputError
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.returned import RetrainedNetwork
from hasnas.nas.history.rung import RungRecord
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import write_views
from hasnas.nas.tracking.report import render_report, write_report
from hasnas.nas.tracking.report_data import ReportData, collect
from hasnas.nas.training.folders import retrain_directory, write_activity

VOID = {"meta", "br"}


class Checker(HTMLParser):
    """Notes what is on a page, and complains if an element is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [
            str(value) for name, value in attrs if name in ("href", "src") and not str(value).startswith("#")
        ]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def read(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    return checker


@pytest.mark.slow
def test_the_report_shows_the_returned_network(run: Path, history: list[Trial]):
    page = read(write_report(run).read_text())
    winner = history[4]
    assert winner.key in page.text
    assert "94.00%" in page.text
    assert "500 nJ" in page.text
    assert "of 1 uJ" in page.text
    macro = winner.architecture["macro"]
    assert f"{macro['timesteps']} timesteps, {macro['channels']} channels in the first cell, LIF neurons" in page.text
    assert "cell1.3.lif" in page.text or "head.lif" in page.text
    assert page.links == [f"export/{winner.key}/card.json"]
    assert "script" not in page.tags
    assert "dense activity, as none was measured" in page.text


@pytest.mark.slow
def test_the_report_shows_the_rungs(run: Path):
    assert "successive halving" not in read(write_report(run).read_text()).text
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(RungRecord(0, 0, "key", 2, 1.0, 0.125, "done", {"validation_accuracy": 0.375}).to_record())
    text = read(write_report(run).read_text()).text
    assert "Rungs of successive halving" in text
    assert "37.50%" in text.split("Rungs of")[1].split("Pareto")[0]


@pytest.mark.slow
def test_the_report_shows_mean_and_deviation_over_seeds(run: Path, seeds: list[Trial]):
    with Ledger(run / "ledger.jsonl") as ledger:
        for trial in seeds[5:]:
            ledger.append(trial.to_record())
    text = read(write_report(run).read_text()).text
    assert text.count("92.00% ± 2.83%") == 2  # the winner's card, and the table
    assert f"network {seeds[4].key}, 2 of 3 seeds" in text
    assert "The training of seed 3, which is the exported one." in text
    assert "Trainings (3)" in text
    assert "MemoryError" in text


def test_measured_activity_is_used_where_there_is_some(run: Path, history: list[Trial]):
    folder = retrain_directory(run, history[4].key, history[4].seed)
    folder.mkdir(parents=True)
    dense = collect(run).returned[0].costs
    write_activity(folder, {"stem.conv": 0.1, "head.classifier": 0.05})
    network = collect(run).returned[0]
    assert "the activity measured on validation samples" in network.note
    assert network.costs is not None
    assert dense is not None
    assert network.costs["energy_j"] < dense["energy_j"]


@pytest.mark.slow
def test_equal_runs_give_equal_pages(run: Path):
    assert render_report(collect(run)) == render_report(collect(run))


@pytest.mark.slow
def test_what_comes_from_files_cannot_become_markup(run: Path):
    evil = "<script>alert(1)</script>"
    data = collect(run)
    trial = replace(data.trials[0], state="failed", key=evil, message=evil, architecture={})
    network = RetrainedNetwork((replace(data.returned[0].trial, key=f'"{evil}'),))
    returned = replace(data.returned[0], network=network, note=evil)
    status = {**data.status, "name": evil, "dataset": evil, "hardware": evil, "damage": evil}
    page = read(render_report(ReportData(status, [trial, *data.trials], [returned], evil)))
    assert "script" not in page.tags
    assert page.text.count("<script>") >= 7


def test_a_run_that_has_found_nothing_yet(run: Path):
    data = collect(run)
    empty = ReportData({**data.status, "front": [], "returned": []}, [], [], data.config)
    assert "No network has been retrained" in read(render_report(empty)).text


@pytest.mark.slow
def test_hardware_that_is_gone_is_said_in_the_report(run: Path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["hardware"] = {"path": f"{run}/gone.yaml"}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert "could not be computed: " in read(write_report(run).read_text()).text


@pytest.mark.slow
def test_views_are_written_together(run: Path, tmp_path: Path):
    assert [path.name for path in write_views(run)] == ["pareto.csv", "report.html"]
    with pytest.raises(BadInputError):
        write_views(tmp_path / "absent")
