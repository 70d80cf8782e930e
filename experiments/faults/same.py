"""E14: one seed, one history: one worker and two, and a run that was stopped again and again, write the same ledger.

    python experiments/faults/same.py [--seeds 3]

For searches by inherited weights, by brief trainings and by a score of running networks: the command with one worker,
with two, and with one that gets SIGTERM half a second after each start until it has ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from common import arguments, begin_fork, command, differences, forked, told, traces
from kills import made

RUN = """
name: tiny
seed: SEED
dataset: {name: digits, subset: {train: 120, test: 10}}
space: {name: snasnet, macro: {channels: 2, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.1}}
hardware: rram-32nm
tracking: []
screen: {sample: 64}
retrain: {top: 1, epochs: 2, batch_size: 32}
export: {enabled: false}
"""
SEARCHES = {
    "inherited weights": "supernet: {epochs: 2, batch_size: 32}\n"
    "search: {strategy: regularized_evolution, evaluations: 8, batch: 4, population: 4, sample: 2}\n",
    "brief trainings": "supernet: {enabled: false}\n"
    "search: {strategy: nsga2, evaluations: 6, batch: 3, population: 3, sample: 2}\n",
    "a score": "search: {strategy: random, score: sahd, evaluations: 12, batch: 4}\n",
}
STARTS = 40


def interrupted(directory: Path) -> str:
    """The command, stopped and given again until it ends: its last exit code; where it ended badly, what it said."""
    pause_s = 0.5
    for _ in range(STARTS):
        process, pipe = begin_fork(command, directory)
        process.join(pause_s)
        if process.is_alive():
            os.kill(process.pid, signal.SIGTERM)
        process.join()
        code = "killed"  # before the run had begun
        with contextlib.suppress(EOFError):
            code, line = pipe.recv() if pipe.poll() else (code, "")
        if code not in ("130", "killed"):
            return "0" if code == "0" else f"{code}: {line}"
        pause_s *= 1.3  # or a stage that makes no checkpoint would never end
    return "never"


def main() -> int:
    """Run and compare; the exit code says whether the bar is met."""
    parser = arguments(__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    options = parser.parse_args()
    equal = tried = 0
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        for name, search in list(SEARCHES.items())[-1 if options.quick else 0 :]:
            for seed in range(1 if options.quick else options.seeds):
                config = RUN.replace("SEED", str(seed)) + search
                straight = made(base, config)
                begun = time.perf_counter()
                code, line = command(straight)
                assert code == "0", line
                expected, seconds = traces(straight), time.perf_counter() - begun
                for how in ("two workers", "stopped"):
                    directory = made(base, config)
                    if how == "stopped":
                        code = interrupted(directory)
                    else:
                        code = forked(command, directory, "--workers", "2", seconds=600)[0]
                    different = differences(directory, expected)
                    tried, equal = tried + 1, equal + (code == "0" and not different)
                    print(f"| {name} | {seed} | {how} | {code} | {different} | {seconds:.1f} s |", flush=True)
    return told("E14", {"histories": tried, "identical": equal / tried}, "100 %", equal == tried)


if __name__ == "__main__":
    sys.exit(main())
