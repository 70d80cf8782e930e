"""A ledger of very many trials: time and memory to open it, to ask its status, and to make all of its trials.

Each figure is of a process of its own: the time from its first line to its last, and the most memory that it had.
The trials are architectures of the digits' space with costs and accuracies that are drawn around each other, so that
a front of many costs has about as many members as that of a real search.

    python -m hasnas.experiments.benchmarks.ledger_scale --trials 100000 1000000 --repeats 3
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

import numpy as np

from hasnas.nas.config.loading import config_identity, dump_config, load_config
from hasnas.nas.history.layout import CONFIG_FILE, LEDGER_FILE
from hasnas.nas.history.records import encode_line
from hasnas.nas.history.trial import Trial
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import sample

CONFIG = Path(__file__).parent.parent / "digits.yaml"
ARCHITECTURES, CHUNK = 2000, 100_000
COSTS = {"parameters": 3000.0, "memory_bits": 45e3, "area_m2": 3e-6, "latency_s": 15e-6, "energy_j": 80e-9}


def write_run(directory: Path, count: int) -> None:
    """A run directory with a config and a ledger of `count` searched trials."""
    directory.mkdir(parents=True)
    config = load_config(CONFIG)
    (directory / CONFIG_FILE).write_text(dump_config(config))
    details = {"identity": config_identity(config), "contents": {}}
    start = {"kind": "event", "event": "start", "stage": "run", "details": details, "time": 0.0, "host": "here"}
    generator = np.random.default_rng(0)
    space = SNASNetSpace(config.space.macro.macro((1, 8, 8), 10, static=True), feedback=False)
    codes = sample(space, generator, ARCHITECTURES)
    made = [space.decode(tuple(row.tolist())) for row in codes]
    sizes = generator.lognormal(0.0, 0.3, ARCHITECTURES)
    with (directory / LEDGER_FILE).open("wb") as file:
        file.write(encode_line(start))
        for first in range(0, count, CHUNK):
            size = min(CHUNK, count - first)
            rows = generator.integers(0, ARCHITECTURES, size)
            noise = generator.lognormal(0.0, 0.05, (size, len(COSTS)))
            accuracies = np.clip(0.8 + 0.05 * np.log(sizes[rows]) + generator.normal(0, 0.05, size), 0.05, 0.99)
            for offset, row in enumerate(rows.tolist()):
                accuracy, number = float(accuracies[offset]), first + offset
                costs = {
                    name: float(value * sizes[row] * noise[offset, column])
                    for column, (name, value) in enumerate(COSTS.items())
                }
                verdict = {"energy": costs["energy_j"] / 120e-9} if costs["energy_j"] > 120e-9 else {}
                layers = ("stem.lif", "cell1.0.lif", "cell2.0.lif", "head.lif")
                rates = {f"firing_rate/{layer}": accuracy / 4 for layer in layers}
                trial = Trial(number, "search", made[row].key, tuple(codes[row].tolist()), made[row].to_json(), 0,
                              "infeasible" if verdict else "done",
                              {"validation_accuracy": accuracy, "firing_rate": accuracy / 4, **rates},
                              {"accuracy": accuracy, **costs}, verdict, time=float(number), host="here")  # fmt: skip
                file.write(encode_line(trial.to_record()))


OPEN = "from hasnas.nas.history.ledger import Ledger; ledger = Ledger(path); assert ledger.damage is None"
TASKS = {
    "open": OPEN,
    "open, all trials": f"{OPEN}; from hasnas.nas.history.trial import Trial; "
    "trials = list(map(Trial.from_record, ledger.records.of_kind('trial')))",
    "status": "from pathlib import Path; from hasnas.nas.tracking.status import run_status; "
    "from hasnas.nas.tracking.status_text import describe_status; "
    "text = describe_status(run_status(Path(path).parent)); assert 'trials:' in text",
}
SCRIPT = """
import json, resource, sys, time
path, begun = sys.argv[1], time.perf_counter()
{task}
spent = time.perf_counter() - begun
print(json.dumps([spent, time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


def measure(task: str, ledger: Path) -> list[float]:
    """Seconds on the clock, seconds of the processor, and MiB at most, of one process."""
    command = [sys.executable, "-c", SCRIPT.format(task=TASKS[task]), str(ledger)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return list(json.loads(done.stdout))


def main() -> None:
    """Print a line for each size and task."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[100_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--directory", type=Path, help="keeps the ledgers; by default they are written anew")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        for count in options.trials:
            run = (options.directory or Path(temporary)) / f"trials-{count}"
            if not run.exists():
                write_run(run, count)
            size = (run / LEDGER_FILE).stat().st_size
            for task in options.tasks:
                found = [measure(task, run / LEDGER_FILE) for _ in range(options.repeats)]
                wall, used, memory = (sorted(column) for column in zip(*found, strict=True))
                print(
                    f"{count:>9,} trials, {size / 1e6:,.0f} MB, {task:<17} {median(wall):6.2f} s "
                    f"({wall[0]:.2f} to {wall[-1]:.2f}), processor {median(used):.2f} s, {median(memory):,.0f} MiB",
                    flush=True,
                )


if __name__ == "__main__":
    main()
