import base64
import gzip
import json
import random
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from hasnas.errors import BadInputError
from hasnas.nas.commands.report import write_page
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.returned import RetrainedNetwork
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.history.rung import RungRecord
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking import TrackedRun
from hasnas.nas.tracking.figures import MOST_SHAPES, progress, to_svg
from hasnas.nas.tracking.report import ReportData, collect, render_report, write_report
from hasnas.nas.tracking.report.candidates import candidates
from hasnas.nas.tracking.report.tracked import ReportTracker
from hasnas.nas.training.folders import retrain_directory, write_activity

VOID = {"meta", "br", "input"}
EVIL = "</script><script>alert(1)</script>"


class Checker(HTMLParser):
    """Notes what is on a page, and complains if an element is not closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.scripts: list[str] = []
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
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.text += data


def read(html: str) -> Checker:
    checker = Checker()
    checker.feed(html)
    assert checker.open == []
    return checker


def hostile(data: ReportData) -> ReportData:
    """The same run whose every name is markup."""
    trial = data.trials[0]
    cells = [{**cell, "edges": [[0, 3, EVIL]]} for cell in trial.architecture["cells"]]
    architecture = {**trial.architecture, "cells": cells}
    failed = replace(trial, id=99, state="failed", key=EVIL, message=EVIL, architecture=architecture)
    network = RetrainedNetwork((replace(data.returned[0].trial, key=f'"{EVIL}'),))
    returned = replace(data.returned[0], network=network, note=EVIL)
    status = {**data.status, "name": EVIL, "dataset": EVIL, "hardware": EVIL}
    return ReportData(status, [failed, *data.trials], [returned], EVIL)


def unpacked(page: Checker) -> dict[str, Any]:
    """What the page's script draws."""
    return dict(json.loads(gzip.decompress(base64.b64decode(page.scripts[0]))))


def random_cell(draw: random.Random) -> dict[str, Any]:
    """A cell of five nodes, all of them joined."""
    operations = ("conv3x3", "conv1x1", "identity", "avgpool3x3", "zero")
    return {"nodes": 5, "edges": [[i, j, draw.choice(operations)] for i in range(5) for j in range(i + 1, 5)]}


@pytest.mark.slow
def test_the_report_shows_the_returned_network_and_is_equal_for_equal_runs(run: Path, history: list[Trial]):
    html = write_report(run).read_text()
    assert render_report(collect(run), interactive=True) == html
    page = read(html)
    winner = history[4]
    assert winner.key in page.text
    assert "94.00%" in page.text
    assert "500 nJ" in page.text
    assert "of 1 uJ" in page.text
    macro = winner.architecture["macro"]
    assert f"{macro['timesteps']} timesteps, {macro['channels']} channels in the first cell, LIF neurons" in page.text
    assert "cell1.3.lif" in page.text or "head.lif" in page.text
    assert page.links == [f"export/{winner.key}/card.json"]
    assert "dense activity, as none was measured" in page.text
    assert "successive halving" not in page.text


@pytest.mark.slow
def test_the_report_shows_the_rungs(run: Path):
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(RungRecord(0, 0, "key", 2, 1.0, 0.125, "done", {"validation_accuracy": 0.375}).to_record())
    text = read(write_report(run).read_text()).text
    assert "Rungs of successive halving" in text
    assert "37.50%" in text.split("Rungs of")[1].split("imperfect")[0]


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
@pytest.mark.parametrize("interactive", [True, False], ids=["bokeh", "matplotlib"])
def test_what_comes_from_files_cannot_become_markup(run: Path, interactive: bool):
    html = render_report(hostile(collect(run)), interactive=interactive)
    page = read(html)
    assert page.text.count(EVIL) >= 7
    assert ("pip install 'hasnas[report]'" in page.text) != interactive
    assert len(page.scripts) == 3 * interactive  # data, Bokeh's, ours
    assert "alert(1)" not in "".join(page.scripts)
    policy = html.split("Content-Security-Policy")[1].split(">")[0]
    assert policy.count("sha256-") == 2 * interactive
    if interactive:
        columns = unpacked(page)["columns"]
        assert columns["trials"]["key"][0] == EVIL
        assert columns["operations"][0] == EVIL


def test_columns_hold_every_trial(run: Path, history: list[Trial]):
    columns = candidates(collect(run))
    by_name = {axis["name"]: axis for axis in columns["axes"]}
    assert by_name["energy"]["values"] == [0.4, 0.6, 2.0, 0.9, 0.5]
    assert (by_name["energy"]["unit"], by_name["energy"]["limit"]) == ("uJ", 1.0)
    assert by_name["test accuracy"]["values"] == [None] * 4 + [0.94]
    assert [columns["axes"][place]["name"] for place in columns["start"]] == ["energy", "validation accuracy"]
    states = [columns["verdicts"][place] for place in columns["trials"]["verdict"]]
    assert states == [("fits", ())] * 2 + [("over budget", ("energy",))] + [("fits", ())] * 2
    first = columns["cells"][columns["trials"]["cells"][0][0]]
    drawn = [[*first[at : at + 2], columns["operations"][first[at + 2]]] for at in range(1, len(first), 3)]
    assert (first[0], drawn) == (4, history[0].architecture["cells"][0]["edges"])


@pytest.mark.slow
def test_ten_thousand_trials_are_a_small_page(run: Path, history: list[Trial]):
    draw = random.Random(0)
    trials = [
        replace(
            history[0],
            id=number,
            key=f"{draw.getrandbits(64):016x}",
            architecture={**history[0].architecture, "cells": [random_cell(draw), random_cell(draw)]},
            metrics={"validation_accuracy": draw.random(), "firing_rate": draw.random()},
            costs={name: value * draw.random() for name, value in history[0].costs.items()},
        )
        for number in range(10_000)
    ]
    data = replace(collect(run), trials=[*trials, history[4]])
    assert len(render_report(data, interactive=True).encode()) < 5e6
    few = to_svg(progress(trials[: MOST_SHAPES + 1]))
    assert "<image" in few  # the points are a picture, so that more of them do not make it larger


def test_a_damaged_ledger_is_one_line(run: Path):
    ledger = run / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-9])
    with pytest.raises(BadInputError, match=r"line 6 of the ledger .* hasnas search --resume [^\n]*$"):
        write_report(run)


@pytest.mark.slow
def test_the_command_sets_runs_beside_each_other_and_draws_for_papers(run: Path, history: list[Trial], tmp_path: Path):
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["nonideal"] = {"device": "rram-typical", "chips": 8}
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    metrics = {**history[4].metrics, "device_accuracy": 0.9, "device_accuracy_std": 0.02, "device_accuracy_worst": 0.8}
    with Ledger(run / "ledger.jsonl") as ledger:
        ledger.append(replace(history[4], id=5, key="noisy", metrics=metrics).to_record())
    other = tmp_path / "other"
    shutil.copytree(run, other)
    page, folder = tmp_path / "page.html", tmp_path / "paper" / "figures"
    written = write_page([run, other], page, folder)
    assert [path.name for path in written.figures] == [
        f"{name}.{form}" for name in ("front", "progress", "costs", "chips", "fronts") for form in ("pdf", "svg")
    ]
    assert all(path.read_bytes()[:5] in (b"%PDF-", b"<?xml") for path in written.figures)
    assert written.missing == ()
    found = read(page.read_text())
    assert found.links[0] == f"small/export/{collect(run).returned[0].trial.key}/card.json"
    assert "Beside other runs" in found.text
    assert f"hasnas report {run} {other} -o report.html" in found.text
    assert "8 chips whose devices are rram-typical" in found.text
    assert "95.00%90.00% ± 2.00%80.00%" in found.text


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
def test_a_run_that_was_stopped_has_a_report_once_there_is_something_to_tell(run: Path):
    config = load_run_config(run)
    ReportTracker(TrackedRun(run, config)).close()
    assert not (run / "report.html").exists()
    with pytest.raises(BadInputError):
        ReportTracker(TrackedRun(run / "absent", config, collect(run).trials)).close()
    tracker = ReportTracker(TrackedRun(run, config))
    tracker.on_trial(collect(run).trials[0])
    tracker.close()
    assert "<h1" in (run / "report.html").read_text()
