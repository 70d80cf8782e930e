import csv
import io
from dataclasses import replace
from pathlib import Path

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.history.trial import Trial
from hasnas.nas.tracking.tables import pareto_csv, write_pareto


def test_the_front_of_each_stage_is_listed_best_first(history: list[Trial]):
    rows = list(csv.DictReader(io.StringIO(pareto_csv(history))))
    assert [(row["stage"], row["id"]) for row in rows] == [
        ("search", "3"),
        ("search", "1"),
        ("search", "0"),
        ("retrain", "4"),
    ]
    assert rows[0]["key"] == history[3].key
    assert float(rows[0]["energy_j"]) == history[3].costs["energy_j"]
    assert rows[0]["test_accuracy"] == ""
    assert float(rows[3]["test_accuracy"]) == history[4].metrics["test_accuracy"]


def test_errors_have_columns_of_their_own_and_the_least_comes_first(errors: list[Trial]):
    rows = list(csv.DictReader(io.StringIO(pareto_csv(errors))))
    assert [(row["stage"], row["id"]) for row in rows] == [("search", "0"), ("retrain", "4")]
    assert float(rows[1]["test_mean_absolute_error"]) == 0.94
    assert not any("accuracy" in name for name in rows[0])


def test_chip_and_training_have_columns_where_they_are_searched(history: list[Trial]):
    chosen = [replace(one, hardware={"adc.bits": one.id}, training={"method": "soft_lif"}) for one in history]
    rows = list(csv.DictReader(io.StringIO(pareto_csv(chosen))))
    assert [row["hardware/adc.bits"] for row in rows] == [row["id"] for row in rows]
    assert {row["training/method"] for row in rows} == {"soft_lif"}
    assert not any("/" in name for name in next(csv.reader(io.StringIO(pareto_csv(history)))))


def test_choices_from_a_file_of_the_users_are_no_formulas_for_a_spreadsheet(history: list[Trial]):
    chosen = [replace(one, training={"method": '=HYPERLINK("x")'}) for one in history]
    rows = list(csv.DictReader(io.StringIO(pareto_csv(chosen))))
    assert {row["training/method"] for row in rows} == {"'=HYPERLINK(\"x\")"}


def test_a_run_without_trials_has_a_header(tmp_path: Path):
    assert len(pareto_csv([]).splitlines()) == 1
    with pytest.raises(BadInputError, match=r"holds no run \(no config.yaml\)"):
        write_pareto(tmp_path)


def test_the_file_is_written(run: Path, history: list[Trial]):
    assert write_pareto(run).read_text() == pareto_csv(history)


def test_a_retrained_network_has_a_row_for_each_seed(seeds: list[Trial]):
    rows = [row for row in csv.DictReader(io.StringIO(pareto_csv(seeds))) if row["stage"] == "retrain"]
    assert [(row["id"], row["seed"], row["test_accuracy"]) for row in rows] == [("4", "3", "0.94"), ("5", "4", "0.9")]
