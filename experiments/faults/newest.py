"""E5: the newest checkpoint cannot be read: a run that was killed goes on from the one before it, and says so.

    python experiments/faults/newest.py [--each 5] [--seed 0]

A run is killed in the middle of the supernet's training, or of a retraining, when there are two checkpoints. Then the
newest is damaged (a bit, an end that is cut off, nothing left, gone, another file), and the command given again.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import arguments, begin_fork, command, conversation, differences, forked, told, traces
from kills import made
from preempted import CASES

Damage = Callable[[Path, random.Random], object]


def flipped(path: Path, rng: random.Random) -> None:
    """One bit is another."""
    content = bytearray(path.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))


def truncated(path: Path, rng: random.Random) -> None:
    """The end is missing."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.randrange(1, len(content))])


DAMAGES: dict[str, Damage] = {
    "a flipped bit": flipped,
    "truncated": truncated,
    "empty": lambda path, rng: path.write_bytes(b""),
    "gone": lambda path, rng: path.unlink(),
    "another file": lambda path, rng: path.write_text("version https://git-lfs.github.com/spec/v1"),
}
STAGES = {"supernet": "checkpoints/supernet.safetensors", "retrain": "checkpoints/retrain/*/last.safetensors"}


def killed_with_two(base: Path, stage: str) -> tuple[Path, Path]:
    """A run that was killed when a checkpoint of the stage had one before it; and that checkpoint."""
    directory = made(base, CASES[stage])
    process, _ = begin_fork(command, directory)
    while not (found := list(directory.glob(STAGES[stage].replace(".safe", ".previous.safe")))):
        time.sleep(0.002)
        assert process.is_alive(), f"{stage} ended without a second checkpoint"
    process.kill()
    process.join()
    return directory, found[0].with_name(found[0].name.replace(".previous", ""))


def main() -> int:
    """Damage, go on, compare; the exit code says whether the bar is met."""
    parser = arguments(__doc__, seed=True)
    parser.add_argument("--each", type=int, default=5)
    options = parser.parse_args()
    good = cases = 0
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        for stage in STAGES:
            reference = made(base, CASES[stage])
            code, line = command(reference)
            assert code == "0", line
            expected = traces(reference)
            killed, newest = killed_with_two(base, stage)
            for name, damage in DAMAGES.items():
                for number in range(1 if options.quick or name in ("empty", "gone", "another file") else options.each):
                    directory = Path(tempfile.mkdtemp(dir=base), "run")
                    shutil.copytree(killed, directory)
                    shutil.copy(killed.parent / "tiny.yaml", directory.parent)
                    damage(directory / newest.relative_to(killed), random.Random(f"{options.seed}/{number}"))
                    code, said = forked(conversation, directory)
                    different = differences(directory, expected)
                    right = code == "0" and "going on from the previous checkpoint" in said and not different
                    cases, good = cases + 1, good + right
                    if not right:
                        print(f"{stage}, {name} {number}: exit code {code}, {different}, {said[-300:]}", flush=True)
    figure = {"cases": cases, "fell back with a message, equal in the end": good / cases}
    return told("E5", figure, "100 %", good == cases)


if __name__ == "__main__":
    sys.exit(main())
