"""`hasnas merge`: runs of several seeds in one comparison."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import dump_config
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.ledger import Ledger
from hasnas.nas.history.trial import Trial

Make = Callable[..., Path]


@pytest.fixture
def make(config: RunConfig, tmp_path: Path, history: list[Trial]) -> Make:
    """Runs whose candidates have these accuracies and energies; the last one is retrained, with the same accuracy."""

    def made(seed: int, *values: tuple[float, float], name: str = "run", **changes: object) -> Path:
        directory = tmp_path / f"{name}-{seed}"
        directory.mkdir()
        (directory / "config.yaml").write_text(dump_config(config.model_copy(update={"seed": seed, **changes})))
        with Ledger(directory / "ledger.jsonl") as ledger:
            for number, (accuracy, energy_j) in enumerate([*values, values[-1]]):
                like = history[-1] if number == len(values) else history[0]
                metrics = {name: accuracy if name.endswith("accuracy") else 0.1 for name in like.metrics}
                costs = {**like.costs, "energy_j": energy_j}
                ledger.append(replace(like, id=number, seed=seed, metrics=metrics, costs=costs).to_record())
        return directory

    return made


def test_medians_spread_and_the_front_of_all(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make(7, (0.9, 8e-7)), make(2, (0.5, 3e-7), (0.6, 9e-7)), make(5, (0.8, 8e-7))]
    out = tmp_path / "merged" / "new"
    assert run_command(["merge", *map(str, runs), "-o", str(out)]) == 0
    told = capsys.readouterr().out
    assert "returned test" in told
    assert "80.00%" in told
    tree = json.loads((out / "merged.json").read_text())
    assert [(one["seed"], one["best accuracy"]) for one in tree["seeds"]] == [(2, 0.6), (5, 0.8), (7, 0.9)]
    accuracy = {"median": 0.8, "least": 0.6, "greatest": 0.9, "deviation": pytest.approx(0.15275252), "runs": 3}
    assert tree["figures"]["best accuracy"] == accuracy
    assert tree["figures"]["returned test"] == accuracy
    assert [(one["seed"], one["accuracy"]) for one in tree["front"]] == [(2, 0.5), (7, 0.9)]
    rows = list(csv.DictReader((out / "front.csv").open()))
    found = [(row["seed"], float(row["accuracy"]), float(row["energy"])) for row in rows]
    assert found == [("2", 0.5, 3e-7), ("7", 0.9, 8e-7)]
    assert len(list(csv.DictReader((out / "seeds.csv").open()))) == 3
    assert (out / "fronts.png").read_bytes().startswith(b"\x89PNG")


def test_where_runs_were_made_does_not_count(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    runs = [make(1, (0.9, 8e-7)), make(2, (0.5, 3e-7), device="cpu")]
    assert run_command(["merge", *map(str, runs), "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["seeds"]) == 2


def test_runs_that_differ_by_more_are_refused(
    make: Make, config: RunConfig, capsys: pytest.CaptureFixture[str]
) -> None:
    first = make(1, (0.9, 8e-7))
    other = make(2, (0.5, 3e-7), search=config.search.model_copy(update={"evaluations": 7}))
    assert run_command(["merge", str(first), str(other)]) == 2
    assert f"{other} has search.evaluations = 7, {first} has" in capsys.readouterr().err
    again = make(1, (0.5, 3e-7), name="again")
    assert run_command(["merge", str(first), str(again)]) == 2
    assert "have the same seed 1; leave one out" in capsys.readouterr().err


def test_a_run_that_has_trained_nothing_yet_hides_no_figure_of_the_others(
    make: Make, errors: list[Trial], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = [make(1, (0.9, 8e-7)), make(2, (0.5, 3e-7))]
    for run, trials in zip(runs, ([replace(errors[0], metrics={})], errors), strict=True):
        (run / "ledger.jsonl").unlink()
        with Ledger(run / "ledger.jsonl") as ledger:
            for trial in trials:
                ledger.append(trial.to_record())
    assert run_command(["merge", *map(str, runs), "--objectives", "area,energy", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)["figures"]
    assert (figures["returned test"]["median"], figures["returned test"]["runs"]) == (0.94, 1)
