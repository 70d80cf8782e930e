"""E3: SIGTERM, as a batch system sends it before it takes the machine away: how soon a run has ended, and what is lost.

    python experiments/faults/preempted.py [--each 10] [--seed 0]

SIGTERM comes at a random moment of the supernet, of the search (each candidate is trained by itself, a second or so),
and of the retraining. The run must end with exit code 130 and the line that says how to go on, and the same command
again with the history of an undisturbed run. Lost are candidates that had begun and are not in the ledger.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import arguments, begin_fork, command, differences, told, traces
from kills import EVALUATIONS, begun, counted, ended, made, seconds_of

RUN = """
name: tiny
dataset: {name: digits, subset: {train: 400, test: 10}}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.0}}
hardware: rram-32nm
tracking: []
screen: {sample: 64}
export: {enabled: false}
"""
BRIEF = "supernet: {enabled: false}\nsearch: {strategy: random, evaluations: 4, batch: 4, brief_epochs: 6}\n"
CASES = {
    "search": RUN + BRIEF + "retrain: {enabled: false}\n",
    "supernet": RUN + "supernet: {epochs: 8}\nsearch: {strategy: random, evaluations: 1}\nretrain: {enabled: false}\n",
    "retrain": RUN + "supernet: {epochs: 1}\nsearch: {strategy: random, evaluations: 1}\n"
    "retrain: {top: 1, epochs: 8, batch_size: 32}\n",
}
SECONDS, LOST = 10, 1


def stopped(directory: Path, stage: str, delay_s: float) -> dict[str, Any] | None:
    """A run that gets SIGTERM a while after a stage began; None if the stage had ended by then."""
    from hasnas.nas.history.ledger import read_ledger

    process, pipe = begin_fork(counted, directory)
    while not begun(directory, stage) and process.is_alive():
        time.sleep(0.002)
    time.sleep(delay_s)
    late = begun(directory, stage, "end")
    sent = time.monotonic()
    os.kill(process.pid, signal.SIGTERM)
    process.join(60)
    seconds = time.monotonic() - sent
    code, line = pipe.recv() if pipe.poll(0) else ("killed", "")
    if late:
        return None
    evaluations = directory.parent / EVALUATIONS
    started = evaluations.stat().st_size if evaluations.exists() else 0
    lost = started - len(read_ledger(directory / "ledger.jsonl").trials)
    said = code == "130" and "go on with: hasnas search --resume" in line
    found = {"stage": stage, "delay_s": delay_s, "code": code, "line": line}
    return {**found, "seconds": seconds, "lost": lost, "told": said}


def main() -> int:
    """Stop, go on, compare; the exit code says whether the bar is met."""
    parser = arguments(__doc__, seed=True)
    parser.add_argument("--each", type=int, default=10)
    options = parser.parse_args()
    found = []
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        for stage, config in CASES.items():
            reference = made(base, config)
            code, line = command(reference)
            assert code == "0", line
            expected, whole = traces(reference), seconds_of(reference, stage)
            for number in range(1 if options.quick else options.each):
                delay_s = random.Random(f"{options.seed}/{stage}/{number}").uniform(0, whole)
                while (one := stopped(directory := made(base, config), stage, delay_s)) is None:
                    delay_s /= 2  # it was faster than the undisturbed run
                one |= {"good": one["told"] and ended(directory, expected)["good"]}
                found.append(one)
                if not one["good"] or one["lost"] > LOST or one["seconds"] > SECONDS:
                    print(one, differences(directory, expected), flush=True)
            ours = [one for one in found if one["stage"] == stage]
            longest, lost = max(one["seconds"] for one in ours), max(one["lost"] for one in ours)
            equal = sum(one["good"] for one in ours)
            print(f"| {stage} | {len(ours)} | {longest:.2f} s | {lost} | {equal} |", flush=True)
    longest, lost = max(one["seconds"] for one in found), max(one["lost"] for one in found)
    equal = sum(one["good"] for one in found) / len(found)
    figure = {"stops": len(found), "longest_s": round(longest, 3), "candidates lost at most": lost, "equal": equal}
    met = longest <= SECONDS and lost <= LOST and equal == 1
    return told("E3", figure, "ended within 10 s, at most 1 candidate lost, 100 % equal", met)


if __name__ == "__main__":
    sys.exit(main())
