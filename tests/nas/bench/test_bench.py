"""Searches on a whole table whose accuracies follow a rule, so that it is known what they should find."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.bench.bench import bench_spikenas
from hasnas.nas.bench.campaign import Objective, play
from hasnas.nas.bench.costs import mean_field_rates, measured_rates, operations_and_costs
from hasnas.nas.bench.distinct import DistinctSpace
from hasnas.nas.bench.table import MACRO, RATE_PAIRS, BenchmarkTable, read_table
from hasnas.nas.cli import run_command
from hasnas.nas.scoring.counters import Counts
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace, codes_of_id

SPACE = SpikeNASBenchSpace(MACRO)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All 15,625 architectures: accuracy by depth, thresholds and luck; disconnected ones at chance."""
    rng = np.random.default_rng(0)
    ids = np.arange(15_625)
    codes = np.array([codes_of_id(int(number)) for number in ids], np.int8)
    counts = Counts(SPACE, codes)
    pruned = SPACE.canonical(codes)[0]
    accuracy = 82 + 1.5 * counts.depth + 0.5 * (pruned == 2).sum(axis=1) - 0.3 * (pruned == 4).sum(axis=1)
    accuracy = np.where(counts.connected, accuracy, 10.0)
    luck = 0.2 * counts.connected
    history = np.full((len(ids), 3), np.nan)
    history[:, 1] = accuracy + luck * rng.standard_normal(len(ids))
    file = tmp_path_factory.mktemp("bench") / "table.npz"
    np.savez(
        file,
        arch_id=ids,
        edge_ops=codes,
        epochs=np.full(len(ids), 2),
        val_acc=history,
        test_acc=accuracy + luck * rng.standard_normal(len(ids)),
        firing_rate=np.full((len(ids), 16), 0.1) + 0.05 * rng.random((len(ids), 16)),
    )
    return file


@pytest.fixture(scope="module")
def table(path: Path) -> BenchmarkTable:
    return read_table(path)


@pytest.mark.slow
def test_distinct_cells(table: BenchmarkTable) -> None:
    objective = Objective(table)
    assert len(objective.test) == len(objective.members) == 5424
    assert sum(len(rows) for rows in objective.members) == 15_625 - 341
    rows = objective.members[100]
    assert objective.test[100] == pytest.approx(table.test[rows].mean())
    forms, connected = objective.space.canonical(table.codes)
    again, _ = objective.space.canonical(forms)
    np.testing.assert_array_equal(again, forms)
    np.testing.assert_array_equal(connected, SPACE.canonical(table.codes)[1])
    np.testing.assert_array_equal(SPACE.canonical(forms)[0], forms)


def test_operations_by_hand(table: BenchmarkTable) -> None:
    codes = np.array([[0, 0, 2, 0, 0, 0]])
    rates = np.full((1, 16), -1.0)
    rates[0, RATE_PAIRS.index((0, 3))], rates[0, 6 + RATE_PAIRS.index((0, 3))] = 0.2, 0.1
    rates[0, 12:15] = 0.1, 0.1, 0.5
    total = operations_and_costs(SPACE, codes, measured_rates(rates))["synaptic_operations"][0]
    conv = 9 * 128 * 128 * 32 * 32
    pooled = 1 - 0.9**4
    stem = 9 * 3 * 128 * 32 * 32
    reduction, hidden, classifier = 2 * conv * 5 * 0.1, 256 * 64 * 1024 * 5 * pooled, 1024 * 100 * 5 * 0.5
    assert total == pytest.approx(conv * 5 * (0.2 + 0.1) + reduction + hidden + classifier + stem)


def test_energy_follows_the_rates() -> None:
    codes, hardware = np.array([[2, 0, 3, 0, 4, 0]]), load_hardware("rram-32nm")
    low, high = (
        operations_and_costs(SPACE, codes, measured_rates(np.full((1, 16), rate)), hardware) for rate in (0.05, 0.2)
    )
    assert high["energy_j"] > low["energy_j"]
    assert high["area_m2"] == low["area_m2"]
    before = operations_and_costs(SPACE, codes, mean_field_rates(SPACE, codes), hardware)
    assert 0.5 < float(before["energy_j"][0] / high["energy_j"][0]) < 2


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy", ["random", "random_raw", "random_cells", "random_repeated_cells", "nsga2", "optuna", "predictor"]
)
def test_searches_report_every_field(strategy: str, path: Path) -> None:
    report = bench_spikenas(path, strategy, evaluations=30, seeds=2)
    for name in ("test_accuracy", "regret", "hypervolume"):
        assert set(report[name]) == {"mean", "std"}
        assert np.isfinite(list(report[name].values())).all()
    assert (report["strategy"], report["evaluations"], report["seeds"]) == (strategy, 30, 2)
    assert report["feasible_share"] == 1.0, "of returned designs"
    assert 0 < report["evaluated_feasible_share"] <= 1
    assert 0 < report["hypervolume"]["mean"] <= 1.05
    assert [entry["evaluations"] for entry in report["over_time"]] == [10, 20, 30]
    assert report["over_time"][-1]["test_accuracy"] == report["test_accuracy"]
    assert report["regret"]["mean"] >= 0


@pytest.mark.slow
def test_searches_are_the_same_again(path: Path) -> None:
    first, second = (bench_spikenas(path, "predictor", 25, 1, first_seed=3) for _ in range(2))
    assert {**first, "cpu_s": 0} == {**second, "cpu_s": 0}


@pytest.mark.slow
def test_evolution_has_a_short_name(path: Path) -> None:
    short, full = (bench_spikenas(path, name, 25, 1) for name in ("evolution", "regularized_evolution"))
    assert {**short, "cpu_s": 0, "strategy": ""} == {**full, "cpu_s": 0, "strategy": ""}


@pytest.mark.slow
def test_the_predictor_beats_random_search(table: BenchmarkTable) -> None:
    objective = Objective(table)
    guided, blind = (
        np.mean([play(objective, name, 60, seed).test_accuracy(60) for seed in range(2)])
        for name in ("predictor", "random")
    )
    assert guided > blind


@pytest.mark.slow
@pytest.mark.parametrize(
    "strategy", ["random", "random_raw", "nsga2", "nsga3", "optuna", "predictor", "regularized_evolution"]
)
def test_nothing_beyond_the_limit_is_returned(strategy: str, table: BenchmarkTable) -> None:
    objective = Objective(table, feasible_share=0.1)
    assert objective.feasible.mean() == pytest.approx(0.1, abs=1e-3)
    played = play(objective, strategy, 40, seed=1)
    rows = played.rows[played.fits]
    assert (objective.costs["synaptic_operations"][objective.cell_of_row[rows]] <= objective.limit).all()
    assert played.fits[played.designs(40)].all()
    assert played.pick(40) in rows
    assert 0 < played.relative_volume(40) <= 1.0 + 1e-9


def test_an_oracle_evaluates_only_what_fits(table: BenchmarkTable) -> None:
    played = play(Objective(table, feasible_share=0.1), "random", 30, seed=0, known_costs=True)
    assert played.fits.all()


def test_yardsticks_draw_cells_uniformly(table: BenchmarkTable) -> None:
    objective = Objective(table, feasible_share=0.1)
    fair = play(objective, "random_cells", 600, seed=0, known_costs=True)
    assert sorted(fair.cells) == np.flatnonzero(objective.feasible).tolist(), "every cell that fits, once"
    blind = play(objective, "random_repeated_cells", 600, seed=0)
    assert blind.fits.mean() == pytest.approx(0.1, abs=0.05)
    assert len(np.unique(blind.cells)) < 600


def test_a_search_that_found_nothing(table: BenchmarkTable) -> None:
    objective = Objective(table, feasible_share=1e-3)
    played = play(objective, "random_raw", 3, seed=0)
    assert played.pick(3) == -1
    assert (played.test_accuracy(3), played.relative_volume(3)) == (0.0, 0.0)


def test_bad_requests_are_refused(path: Path, table: BenchmarkTable) -> None:
    with pytest.raises(BadInputError, match="did you mean 'predictor'"):
        bench_spikenas(path, "predicter")
    with pytest.raises(BadInputError, match="seeds is 0"):
        bench_spikenas(path, "random", seeds=0)
    with pytest.raises(BadInputError, match="feasible share"):
        Objective(table, feasible_share=0.0)
    with pytest.raises(BadInputError, match="unknown cost 'energy_j'"):
        Objective(table, "energy_j")


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["random_raw", "random", "predictor"])
def test_a_part_of_the_benchmark_is_searched_as_what_it_is(strategy: str, path: Path, tmp_path: Path) -> None:
    with np.load(path) as archive:
        columns = dict(archive.items())
    kept = np.r_[700:760, 9_000:9_100, 12_600:12_640]  # runs of consecutive numbers, trained on something harder
    harder = {name: columns[name] - 30 * (columns[name] > 30) for name in ("val_acc", "test_acc")}
    part = {name: values[kept] for name, values in {**columns, **harder}.items()}
    np.savez(tmp_path / "part.npz", **part)
    report = bench_spikenas(tmp_path / "part.npz", strategy, evaluations=12, seeds=1)
    assert part["test_acc"][part["test_acc"] > 10].min() <= report["test_accuracy"]["mean"] <= part["test_acc"].max()
    assert 0 < report["hypervolume"]["mean"] <= 1.05
    if strategy == "predictor":
        assert report["regret"]["mean"] < 1, "0.5 points for each low threshold, 1.5 for each convolution in depth"
    assert Objective(read_table(tmp_path / "part.npz")).worst_error > 40


def test_the_distinct_space_keeps_its_genes() -> None:
    assert DistinctSpace(MACRO).genes == SPACE.genes


@pytest.mark.slow
def test_the_command_line_prints_what_the_functions_return(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    search = ["bench", "spikenas", "--data", str(path), "--strategy", "random", "--evaluations", "10", "--seeds", "2"]
    assert run_command([*search, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"strategy", "evaluations", "seeds", "test_accuracy", "regret", "hypervolume"} <= found.keys()
    assert run_command(search) == 0
    assert f"{found['test_accuracy']['mean']:.4f}" in capsys.readouterr().out
    assert run_command(["bench", "proxies", "--data", "absent.npz"]) == 2
    assert "cannot read absent.npz" in capsys.readouterr().err


@pytest.mark.slow
def test_budgets_on_the_command_line(path: Path, table: BenchmarkTable, capsys: pytest.CaptureFixture[str]) -> None:
    search = ["bench", "spikenas", "--data", str(path), "--strategy", "random", "--evaluations", "12", "--seeds", "2"]
    reports = []
    limit = Objective(table, feasible_share=0.1).limit
    for budget in ("10%", f"{limit:.17g}"):
        assert run_command([*search, "--budget", budget, "--json"]) == 0
        reports.append({**json.loads(capsys.readouterr().out), "cpu_s": 0})
    assert reports[0] == reports[1], "a level is a limit"
    assert reports[0]["limit"] == limit
    assert reports[0]["feasible_share"] == 1.0
    assert run_command([*search, "--budget", "50%", "--cost", "energy", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["cost"] == "energy_j"
    assert report["cells_within_limit"] == pytest.approx(5424 / 2, abs=1)
    given = f"{1e6 * report['limit'] * (1 + 1e-9):.17g} uJ"
    assert run_command([*search, "--budget", given, "--cost", "energy", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cells_within_limit"] == report["cells_within_limit"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--strategy", "nsga4"], "unknown search strategy 'nsga4'; did you mean 'nsga3'"),
        (["--budget", "lots"], "budget 'lots': give a level such as '50%'"),
        (["--budget", "0%"], "budget '0%': a level lies above 0%"),
        (["--budget", "nan%"], "budget 'nan%': a level lies above 0%"),
        (["--budget", "150%"], "budget '150%': a level lies above 0%"),
        (["--budget", "-3"], "budget '-3': give a level"),
        (["--budget", "5 uJ"], "budget '5 uJ': give a level"),
        (["--budget", "1000"], "no cell keeps to a synaptic_operations of 1000; the cheapest has"),
        (["--budget", "5", "--cost", "energy"], "budget '5': give a number with a unit"),
        (["--budget", "5 ms", "--cost", "energy"], "budget '5 ms': '5 ms' has the unit 'ms'"),
        (["--cost", "enery"], "unknown cost 'enery'; did you mean 'energy'"),
    ],
)
def test_wrong_options_give_one_line(
    options: list[str], message: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_command(["bench", "spikenas", "--data", str(path), "--evaluations", "5", *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert message in printed.err
    assert printed.err.strip().count("\n") == 0
