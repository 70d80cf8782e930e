"""`hasnas compare`: several runs side by side, and their fronts in one table."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.cli import run_command
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.stored_run import read_run
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.compare import compare_runs


@pytest.fixture
def make(run: Path, tmp_path: Path, history: list[Trial]) -> Callable[..., Path]:
    """Runs with the config of `run`, whose candidates have these accuracies and energies."""

    def made(name: str, *values: tuple[float, float]) -> Path:
        directory = tmp_path / name
        directory.mkdir()
        shutil.copy(run / "config.yaml", directory)
        with Ledger(directory / "ledger.jsonl") as ledger:
            for number, (accuracy, energy_j) in enumerate(values):
                costs = {**history[0].costs, "energy_j": energy_j}
                trial = replace(history[0], id=number, metrics={"validation_accuracy": accuracy}, costs=costs)
                ledger.append(trial.to_record())
        return directory

    return made


def test_fronts_of_two_runs(make: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    first = make("first", (0.9, 8e-7), (0.5, 3e-7), (0.4, 5e-7))
    second = make("second", (0.8, 4e-7), (0.5, 3e-7))
    assert run_command(["compare", str(first), str(second), "--json", "--reference", "accuracy=0,energy=1 uJ"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert [axis["name"] for axis in tree["objectives"]] == ["accuracy", "energy"]
    assert tree["reference"] == {"accuracy": 0.0, "energy": 1e-6}
    assert [(one["run"], one["candidates"], len(one["front"])) for one in tree["runs"]] == [
        ("first", 3, 2),
        ("second", 2, 2),
    ]
    assert tree["runs"][0]["hypervolume"] == pytest.approx(0.9 * 2e-7 + 0.5 * 5e-7)
    assert tree["runs"][1]["hypervolume"] == pytest.approx(0.8 * 6e-7 + 0.5 * 1e-7)
    assert [one["runs"] for one in tree["joint_front"]] == [["first", "second"], ["second"], ["first"]]
    assert tree["dominates"] == {"first": {"first": 0, "second": 0}, "second": {"first": 0, "second": 0}}
    box = 0.9 * 7e-7
    assert tree["attainment"][0]["share"] == pytest.approx((0.9 * 2e-7 + 0.8 * 4e-7 + 0.5 * 1e-7) / box)
    assert tree["attainment"][1]["share"] == pytest.approx((0.8 * 2e-7 + 0.5 * 5e-7) / box)


def test_the_table_says_who_is_ahead_where(make: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make("first", (0.9, 8e-7), (0.5, 3e-7))), str(make("second", (0.8, 4e-7), (0.8, 9e-7)))]
    assert run_command(["compare", *runs]) == 0
    text = capsys.readouterr().out
    assert "to the reference point (accuracy 46.00%, energy 850 nJ)" in text
    ahead = text[text.index("AHEAD") :].splitlines()
    assert [line.split() for line in ahead[1:]] == [
        ["first", "300", "nJ", "300", "nJ", "50.00%"],
        ["second", "400", "nJ", "400", "nJ", "80.00%"],
        ["first", "800", "nJ", "800", "nJ", "90.00%"],
    ]


def test_runs_stand_side_by_side(
    make: Callable[..., Path], history: list[Trial], capsys: pytest.CaptureFixture[str]
) -> None:
    first, second = make("first", (0.9, 8e-7)), make("second", (0.8, 4e-7))
    config = second / "config.yaml"
    config.write_text(config.read_text().replace("seed: 3", "seed: 4").replace("energy: 1 uJ", "energy: 2 uJ"))
    with Ledger(first / "ledger.jsonl") as ledger:
        for event, time in (("stage_begin", 10.0), ("stage_end", 12.5)):
            ledger.append({"kind": "event", "event": event, "stage": "search", "details": {}, "time": time})
        ledger.append(history[-1].to_record())
    assert run_command(["compare", str(first), str(second), "--json"]) == 0
    tree = json.loads(capsys.readouterr().out)
    assert tree["settings"] == {
        "seed": {"first": 3, "second": 4},
        "budget.energy": {"first": "1 uJ", "second": "2 uJ"},
    }
    assert [run["budget"]["energy"] for run in tree["runs"]] == [1e-6, 2e-6]
    assert [run["seconds"]["total"] for run in tree["runs"]] == [2.5, 0.0]
    assert [[one["key"] for one in run["returned"]] for run in tree["runs"]] == [[history[-1].key], []]
    assert run_command(["compare", str(first), str(second)]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert rows[0] == ["first", "second"]
    for row in (["seed", "3", "4"], ["ITS", "TEST", "94.00%"], ["TIME,", "SEARCH", "2.5", "s"]):
        assert row in rows
    assert not any(row[:1] == ["space.name"] for row in rows)


def test_the_fronts_are_drawn(make: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [str(make("first", (0.9, 8e-7), (0.5, 3e-7))), str(make("second", (0.8, 4e-7)))]
    drawing = tmp_path / "front.png"
    assert run_command(["compare", *runs, "--objectives", "accuracy,energy,area", "--plot", str(drawing)]) == 0
    assert drawing.read_bytes().startswith(b"\x89PNG")
    assert "first" in capsys.readouterr().out


def test_retrained_networks_are_compared_by_what_they_reach_on_test_samples(run: Path) -> None:
    found = compare_runs([read_run(run)], ["test_accuracy", "energy"])
    assert [trial.stage for trial in found.trials[0]] == ["retrain"]
    assert found.comparison.points[0].tolist() == [[0.94, 5e-7]]


def test_networks_of_a_run_that_searched_nothing_are_compared_too(
    make: Callable[..., Path], history: list[Trial]
) -> None:
    drawn, nothing = read_run(make("drawn")), read_run(make("nothing", (0.9, 8e-7)))
    with Ledger(drawn.directory / "ledger.jsonl") as ledger:
        ledger.append(replace(history[4], id=0).to_record())
    found = compare_runs([read_run(drawn.directory)], ["test_accuracy", "energy"])
    assert found.comparison.points[0].tolist() == [[0.94, 5e-7]]
    with pytest.raises(BadInputError, match="nothing has returned no network yet; go on"):
        compare_runs([nothing], ["test_accuracy", "energy"])


def test_candidates_over_the_budget_are_left_out(run: Path) -> None:
    found = compare_runs([read_run(run)], ["accuracy", "energy"])
    assert [trial.id for trial in found.trials[0]] == [0, 1, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--objectives", "accuracy,enrgy"], "unknown 'enrgy'; did you mean 'energy'?"),
        (["--objectives", "energy"], "a front needs at least two"),
        (["--objectives", "energy,energy"], "name each once"),
        (["--objectives", "score,energy"], "not by a score"),
        (["--objectives", "device_accuracy,energy"], "no candidate within its budget that has device_accuracy, energy"),
        (["--reference", "energy=1 uJ"], "--reference lacks accuracy"),
        (["--reference", "accuracy=0,energy=1"], "--reference energy: give a number with a unit"),
        (["--reference", "accuracy=x,energy=1 uJ"], "'x' is no number"),
        (["--reference", "accuracy=nan,energy=1 uJ"], "'nan' is no number"),
        (["--reference", "accuracy"], "write NAME=VALUE"),
        (["--reference", "accuracy=0,enery=1 uJ"], "'enery' is not compared; did you mean 'energy'"),
    ],
)
def test_bad_input_is_one_line(
    run: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["compare", str(run), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line


def test_runs_that_cannot_be_compared_are_refused(make: Callable[..., Path], tmp_path: Path) -> None:
    one, empty = make("one", (0.9, 8e-7)), make("empty")
    other = make("other", (0.9, 8e-7))
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("name: digits", "name: mnist"))
    for runs, message in (
        ([one, one], "given twice"),
        ([one, tmp_path / "absent"], "holds no run"),
        ([one, empty], "empty holds no candidate"),
        ([one, other], "other is on mnist"),
    ):
        with pytest.raises(BadInputError, match=message):
            compare_runs([*map(read_run, runs)])
