"""The digits demo over several seeds, beside the empty cell and cells drawn at random within the same budget.

python experiments/benchmarks/digits_seeds.py --out /tmp/digits --seeds 0 1 2 3 4

All networks of a seed share its validation split and the demo's schedule; each reads the test split once. A run that
was killed goes on, and finished ones are only read.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from hasnas.files import write_atomic
from hasnas.nas.config.loading import load_config
from hasnas.nas.history.layout import LEDGER_FILE
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.supernet import data_reference
from hasnas.nas.training.folders import retrain_directory
from hasnas.nas.training.retrain import RetrainTask, run_retrain_task
from hasnas.search_spaces import Architecture
from hasnas.search_spaces.chains import chain_cell

AT_RANDOM = ("supernet.enabled=false", "search.enabled=false", "retrain.baselines=[]", "export.enabled=false")


def search(config: Path, overrides: list[str], directory: Path, workers: int) -> None:
    """A run, or the rest of it."""
    arguments = ["search", str(config), *overrides, "--run-dir", str(directory), "--workers", str(workers)]
    subprocess.run([sys.executable, "-m", "hasnas", *arguments], check=True, stdout=subprocess.DEVNULL)


def status_of(directory: Path) -> dict[str, Any]:
    """`hasnas status --json`."""
    command = [sys.executable, "-m", "hasnas", "status", str(directory), "--json"]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def empty_cell(config: Path, seed: int, directory: Path) -> float:
    """Test accuracy of the network whose cells are one identity, trained alike."""
    path = directory / f"empty-{seed}.json"
    if not path.exists():
        setup = Setup(load_config(config, [f"seed={seed}"]), Console())
        architecture = Architecture((chain_cell(0, 4),) * setup.space.cells, setup.space.macro)
        folder = retrain_directory(directory, architecture.key, seed)
        task = RetrainTask(architecture.to_json(), data_reference(setup), setup.config.retrain, seed, str(folder))
        write_atomic(path, json.dumps(run_retrain_task(task).test_accuracy))
    return float(json.loads(path.read_text()))


def one_seed(config: Path, seed: int, cells: int, out: Path, workers: int) -> dict[str, Any]:
    """Test accuracies of everything that is compared at a seed; kept in a file."""
    path = out / f"seed-{seed}.json"
    if path.exists():
        return dict(json.loads(path.read_text()))
    demo, more = out / f"demo-{seed}", out / f"random-{seed}"
    search(config, [f"seed={seed}"], demo, workers)
    status = status_of(demo)
    trials = [trial for trial in read_ledger(demo / LEDGER_FILE).trials if trial.stage == "baseline random"]
    if cells:
        search(config, [f"seed={seed}", f"retrain.top={cells}", *AT_RANDOM], more, workers)
        trials += read_ledger(more / LEDGER_FILE).trials
    found = {
        "returned": status["returned"][0]["test_accuracy"],
        "validation": status["returned"][0]["validation_accuracy"],
        **{each["baseline"]: each.get("test_accuracy") for each in status["baselines"]},
        "empty": empty_cell(config, seed, out),
        "drawn": sorted(trial.metrics["test_accuracy"] for trial in trials if trial.state == "done"),
        "all_fit": all(network["fits"] for network in status["returned"]),
        "key": status["returned"][0]["key"],
    }
    write_atomic(path, json.dumps(found) + "\n")
    return found


def main() -> None:
    """Run all seeds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", type=Path, default=Path("experiments/digits.yaml"))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--cells", type=int, default=0, help="Random cells beside those of the run itself.")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    print("| seed | returned | plain chain | best of the demo's random | empty cell | drawn: median | drawn: range |")
    print("|---|---|---|---|---|---|---|")
    names, rows = ("returned", "chain", "random", "empty"), []
    for seed in options.seeds:
        row = one_seed(options.config, seed, options.cells, options.out, options.workers)
        row["median"] = statistics.median(row["drawn"])
        rows.append(row)
        told = " | ".join(f"{row[name]:.2%}" for name in (*names, "median"))
        print(f"| {seed} | {told} | {row['drawn'][0]:.2%} to {row['drawn'][-1]:.2%} |", flush=True)
    means = [statistics.mean(row[name] for row in rows) for name in (*names, "median")]
    print(f"| mean | {' | '.join(f'{mean:.2%}' for mean in means)} | |")
    for name in ("chain", "random", "empty", "median"):
        ahead = [100 * (row["returned"] - row[name]) for row in rows]
        spread = statistics.stdev(ahead) if len(ahead) > 1 else 0.0
        print(f"returned minus {name}: {statistics.mean(ahead):+.2f} ± {spread:.2f} points, least {min(ahead):+.2f}")
    print(f"every returned network fits: {all(row['all_fit'] for row in rows)}")


if __name__ == "__main__":
    main()
