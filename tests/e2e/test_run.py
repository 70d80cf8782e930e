"""Whole runs: what they leave behind, and that nothing about how they ran changes what they find."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, estimate, load_hardware
from hasnas.errors import BadInputError, NothingFitsError
from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.ledger import equal_ledgers, read_ledger
from hasnas.nas.run import resume_run, start_run
from hasnas.nas.tracking.status import list_runs, run_status
from hasnas.nas.tracking.status_text import describe_runs, describe_status
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.lowering import lower

pytestmark = pytest.mark.slow

HASNAS = [sys.executable, "-m", "hasnas"]


@pytest.fixture(scope="module")
def seeds_config(tiny_config: Path) -> Path:
    """The tiny run with two trainings of each chosen network."""
    path = tiny_config.with_name("seeds.yaml")
    path.write_text(tiny_config.read_text().replace("retrain: {", "retrain: {seeds: 2, "))
    return path


@pytest.fixture(scope="module")
def straight(seeds_config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run with one worker."""
    views = ["tracking=[tensorboard, report]"]
    return start_run(seeds_config, views, run_directory=tmp_path_factory.mktemp("runs") / "straight")


def trials(directory: Path, stage: str) -> list[dict]:
    records = read_ledger(directory / "ledger.jsonl").records
    return [record for record in records if record["kind"] == "trial" and record["stage"] == stage]


def test_a_run_leaves_everything_behind(straight: Path) -> None:
    for name in ("config.yaml", "ledger.jsonl", "screen.npz", "pareto.csv", "report.html"):
        assert (straight / name).stat().st_size > 0, name
    assert list((straight / "tensorboard").rglob("events.out.tfevents.*"))
    for trial in trials(straight, "retrain"):
        folder = straight / "export" / trial["key"]
        for name in ("architecture.json", "weights.safetensors", "network.nir"):
            assert (folder / name).stat().st_size > 0, name


def test_the_search_used_its_evaluations_on_distinct_feasible_networks(straight: Path) -> None:
    searched = trials(straight, "search")
    assert [trial["id"] for trial in searched] == list(range(6))
    assert len({trial["key"] for trial in searched}) == 6
    assert all(trial["costs"]["parameters"] <= 1900 and not trial["verdict"] for trial in searched)
    assert all(0 <= trial["metrics"]["validation_accuracy"] <= 1 for trial in searched)


def test_returned_networks_fit_and_carry_measured_costs(straight: Path) -> None:
    searched = {trial["key"]: trial for trial in trials(straight, "search")}
    returned = trials(straight, "retrain")
    assert [trial["seed"] for trial in returned] == [3, 4, 3, 4]
    assert returned[0]["key"] == returned[1]["key"] != returned[2]["key"] == returned[3]["key"]
    assert len({json.dumps(trial["metrics"], sort_keys=True) for trial in returned}) == 4
    for trial in returned:
        before = searched[trial["key"]]["costs"]
        assert trial["state"] == "done"
        assert not trial["verdict"]
        assert trial["costs"]["parameters"] == before["parameters"]
        assert trial["costs"]["energy_j"] <= before["energy_j"], "dense activity is an upper bound"
        assert 0 <= trial["metrics"]["test_accuracy"] <= 1


def test_the_ledger_holds_the_rates_from_which_a_price_was_computed(straight: Path) -> None:
    chip = load_config(straight / "config.yaml").hardware
    for trial in trials(straight, "retrain"):
        found = {name: rate for name, rate in trial["metrics"].items() if name.startswith("input_rate/")}
        rates = {name.removeprefix("input_rate/"): rate for name, rate in found.items()}
        workload = lower(Architecture.from_json(trial["architecture"]).expand(), rates)
        assert not np.isnan(workload.input_rate).any()
        report = estimate(workload, load_hardware(chip.reference, chip.overrides), Activity.measured())
        assert float(report.energy_j) == pytest.approx(trial["costs"]["energy_j"], rel=1e-12)


def test_the_screen_holds_a_verdict_for_the_whole_space(straight: Path) -> None:
    with np.load(straight / "screen.npz", allow_pickle=False) as screen:
        assert screen["codes"].shape == (15_625, 6)
        assert screen["complete"]
        broken = screen["cost_over_limit"][:, 0] > 1
        np.testing.assert_array_equal(screen["feasible"], screen["connected"] & ~broken)
        assert screen["connected"].sum() == 15_284
        assert 0 < screen["feasible"].sum() < 15_284


def test_two_workers_write_the_same_history(seeds_config: Path, straight: Path, tmp_path: Path) -> None:
    start_run(seeds_config, run_directory=tmp_path / "two", workers=2)
    assert equal_ledgers(straight / "ledger.jsonl", tmp_path / "two" / "ledger.jsonl")


def test_another_seed_writes_another_history(tiny_config: Path, straight: Path, tmp_path: Path) -> None:
    small = ["seed=4", "search.strategy=random", "retrain.enabled=false", "supernet.epochs=1", "search.evaluations=4"]
    other = start_run(tiny_config, small, run_directory=tmp_path / "other")
    assert not equal_ledgers(straight / "ledger.jsonl", other / "ledger.jsonl")
    assert len(trials(other, "search")) == 4
    assert not (other / "export").exists()


def kill_in(stage: str, command: list[str], directory: Path) -> None:
    """Run a command until a stage has begun, and kill it."""
    process = subprocess.Popen([*HASNAS, *command], start_new_session=True, stderr=subprocess.PIPE)
    ledger, begun = directory / "ledger.jsonl", f'"stage":"{stage}"'.encode()
    while process.poll() is None:
        if ledger.exists() and begun in ledger.read_bytes():
            time.sleep(0.3)
            os.killpg(process.pid, signal.SIGKILL)
            break
        time.sleep(0.01)
    _, errors = process.communicate()
    assert process.returncode == -signal.SIGKILL, errors.decode()


def test_a_run_killed_in_every_stage_resumes_to_the_same_history(
    seeds_config: Path, straight: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "killed"
    kill_in("supernet", ["search", str(seeds_config), "--run-dir", str(directory)], directory)
    for stage in ("search", "retrain"):
        kill_in(stage, ["search", "--resume", str(directory)], directory)
    resume_run(directory)
    assert equal_ledgers(straight / "ledger.jsonl", directory / "ledger.jsonl")


def test_a_ledger_torn_between_seeds_is_mended_from_its_last_good_record(
    straight: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "torn"
    subprocess.run(["cp", "-r", str(straight), str(copy)], check=True)
    ledger = copy / "ledger.jsonl"
    last = trials(copy, "retrain")[-1]
    lines = ledger.read_bytes().splitlines(keepends=True)
    torn = next(n for n, line in enumerate(lines) if f'"id":{last["id"]},'.encode() in line)
    ledger.write_bytes(b"".join(lines[:torn]) + lines[torn][:-50])
    shutil.rmtree(copy / "checkpoints" / "retrain" / f"{last['key']}-{last['seed']}")
    assert [trial["seed"] for trial in trials(copy, "retrain")] == [3, 4, 3]
    resume_run(copy, changes=["tracking=[]"])
    assert "records before it are good" in capfd.readouterr().err
    assert equal_ledgers(straight / "ledger.jsonl", ledger)
    assert list(copy.glob("ledger.damaged-*.jsonl"))


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_damaged_weights_are_made_again(straight: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "damaged"
    subprocess.run(["cp", "-r", str(straight), str(copy)], check=True)
    key = trials(copy, "retrain")[1]["key"]
    damaged = [copy / "checkpoints" / "supernet-weights.safetensors"]
    damaged += [copy / "checkpoints" / "retrain" / f"{key}-4" / "best.safetensors"]
    for path in damaged:
        damage(path)
    resume_run(copy, changes=["tracking=[]"])
    told = capfd.readouterr().err
    assert "going on from the last checkpoint" in told
    assert f"making the weights of {key}, seed 4 again" in told
    for path in [*damaged, copy / "export" / key / "weights.safetensors"]:
        assert path.read_bytes() == (straight / path.relative_to(copy)).read_bytes(), path
    assert equal_ledgers(straight / "ledger.jsonl", copy / "ledger.jsonl")


def test_a_run_whose_config_was_changed_is_refused(straight: Path, tmp_path: Path) -> None:
    copy = tmp_path / "changed"
    subprocess.run(["cp", "-r", str(straight), str(copy)], check=True)
    text = (copy / "config.yaml").read_text()
    (copy / "config.yaml").write_text(text.replace("evaluations: 6", "evaluations: 7"))
    with pytest.raises(BadInputError, match="was changed after the run had started"):
        resume_run(copy)


def test_a_finished_run_that_is_started_again_writes_nothing(straight: Path) -> None:
    def files() -> dict[Path, tuple[int, int]]:
        found = [(path, path.stat()) for path in straight.rglob("*") if path.is_file()]
        return {path: (stat.st_ino, stat.st_mtime_ns) for path, stat in found}

    before = files()
    resume_run(straight)
    assert files() == before
    page = straight / "report.html"
    page.unlink()
    resume_run(straight)
    assert page.exists()
    assert {path: found for path, found in files().items() if path != page} == {
        path: found for path, found in before.items() if path != page
    }


def test_nothing_fits(tiny_config: Path, tmp_path: Path) -> None:
    with pytest.raises(NothingFitsError, match=r"parameters: least .*limit 10 .*loosen"):
        start_run(tiny_config, ["budget.parameters=10"], run_directory=tmp_path / "none")
    assert not trials(tmp_path / "none", "search")


def test_exit_code_when_nothing_fits(tiny_config: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = ["search", str(tiny_config), "budget.energy=1 pJ", "--run-dir", str(tmp_path / "none")]
    assert run_command(command) == 3
    told = capfd.readouterr().err
    assert "Traceback" not in told
    assert "energy: least" in told


def test_a_directory_of_another_config_is_refused(tiny_config: Path, straight: Path) -> None:
    with pytest.raises(BadInputError, match="belongs to a run with another config"):
        start_run(tiny_config, ["seed=99"], run_directory=straight)


def test_a_directory_that_cannot_be_made_is_refused(tiny_config: Path) -> None:
    with pytest.raises(BadInputError, match="cannot be written"):
        start_run(tiny_config, run_directory=tiny_config / "inside-a-file")


def test_a_directory_with_other_files_is_refused(tiny_config: Path, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("important")
    with pytest.raises(BadInputError, match="holds other files"):
        start_run(tiny_config, run_directory=tmp_path)


def test_stages_can_be_switched_off(tiny_config: Path, tmp_path: Path) -> None:
    off = [
        "screen.enabled=false",
        "supernet.enabled=false",
        "search.enabled=false",
        "retrain.top=1",
        "export.enabled=false",
    ]
    directory = start_run(tiny_config, off, run_directory=tmp_path / "off")
    assert not (directory / "screen.npz").exists()
    assert len(trials(directory, "retrain")) == 1


def test_a_search_without_a_supernet_trains_each_candidate_briefly(tiny_config: Path, tmp_path: Path) -> None:
    brief = ["supernet.enabled=false", "search.strategy=random", "search.evaluations=2", "search.brief_epochs=1"]
    directory = start_run(tiny_config, [*brief, "retrain.enabled=false"], run_directory=tmp_path / "brief")
    assert len(trials(directory, "search")) == 2


def test_status_tells_the_whole_story(straight: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["status", str(straight), "--json"]) == 0
    status = json.loads(capsys.readouterr().out)
    assert {"stages", "trials", "feasible_share", "front", "returned"} <= status.keys()
    assert len(status["returned"]) == 2
    assert all("test_accuracy" in network for network in status["returned"])


def test_what_is_shown_of_a_network_is_mean_and_deviation_over_seeds(straight: Path) -> None:
    status = run_status(straight)
    best = status["returned"][0]
    own = [trial for trial in trials(straight, "retrain") if trial["key"] == best["key"]]
    found = [trial["metrics"]["test_accuracy"] for trial in own]
    shown = f"{statistics.mean(found):.2%} ± {statistics.stdev(found):.2%}"
    assert best["test_accuracy"] == pytest.approx(statistics.mean(found))
    text = describe_status(status)
    assert "returned, retrained from seeds 3 to 4 (mean ± standard deviation)" in text
    assert shown in text
    assert f"{shown} (2 seeds)" in describe_runs(list_runs(straight.parent))
    assert shown in (straight / "report.html").read_text()


def test_the_card_tells_which_seed_it_is_and_what_every_one_reached(straight: Path) -> None:
    for network in run_status(straight)["returned"]:
        card = json.loads((straight / "export" / network["key"] / "card.json").read_text())
        own = [trial for trial in trials(straight, "retrain") if trial["key"] == network["key"]]
        best = max(own, key=lambda trial: (trial["metrics"]["validation_accuracy"], -trial["id"]))
        assert (card["seed"], card["trainings"]["chosen_seed"]) == (best["seed"], best["seed"])
        assert card["metrics"] == best["metrics"]
        assert card["trainings"] == network["trainings"]


def test_a_returned_network_is_tried_on_imperfect_chips(straight: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command(["estimate", str(straight), "--nonideal", "rram-typical", "--chips", "3", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["chips"] == 3
    assert 0 <= report["worst"] <= report["mean"] <= 1
    assert report["key"] in {trial["key"] for trial in trials(straight, "retrain")}


def test_accuracy_on_chips_can_be_what_the_search_looks_for(tiny_config: Path, tmp_path: Path) -> None:
    wanted = ["nonideal.device=rram-typical", "nonideal.chips=2", "search.evaluations=4", "retrain.top=1"]
    wanted += ["supernet.epochs=1", "retrain.epochs=1"]
    directory = start_run(tiny_config, wanted, run_directory=tmp_path / "chips")
    for trial in trials(directory, "search") + trials(directory, "retrain"):
        assert 0 <= trial["metrics"]["device_accuracy_worst"] <= trial["metrics"]["device_accuracy"] <= 1
