"""How many small faults the tests catch: mutants drawn evenly over the folders, the tests run on each in a copy.

A mutant is caught if a test fails or takes too long. The tests that mirror its module run first, then the others about
its folder. Mutants that change nothing a test could see are listed with a reason in `equivalent_mutants.yaml` and
counted by themselves. The working tree is never written.

    python experiments/faults/mutation.py --each 32 --seed 1 --out /tmp/mutation.md
"""

from __future__ import annotations

import argparse
import importlib
import io
import multiprocessing
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from mutators import Mutant, mutants

ROOT = Path(__file__).resolve().parents[2]
# Of each folder: where its modules stand, and which tests are about them.
FOLDERS = {
    "cim_estimator": (
        ("cim_estimator",),
        ("tests/cim_estimator", "tests/golden", "tests/physics", "tests/conformance/test_cost_model.py"),
    ),
    "search_spaces": (
        ("search_spaces",),
        ("tests/search_spaces", "tests/conformance/test_search_space.py", "tests/golden", "tests/nas/export"),
    ),
    "scoring": (("nas/scoring",), ("tests/nas/scoring", "tests/golden", "tests/conformance/test_score.py")),
    "datasets": (
        ("datasets",),
        ("tests/datasets", "tests/conformance/test_dataset_source.py", "tests/conformance/test_encoding.py"),
    ),
    "budget and history": (
        ("nas/budget", "nas/history"),
        ("tests/nas/budget", "tests/nas/history", "tests/conformance/test_cost.py"),
    ),
}  # fmt: skip
# Imported once; every mutant's tests run in a fork. Nothing of ours, so that each fork imports the mutated copy.
HEAVY = (
    "numpy", "scipy.sparse.linalg", "torch", "numba", "spikingjelly.activation_based.neuron", "yaml",
    "pydantic", "typer", "matplotlib.figure", "hypothesis", "safetensors.torch", "nir", "sklearn.datasets", "h5py",
)  # fmt: skip
PASSED = (0, 5)  # what pytest exits with where all tests pass, or none were collected
SURVIVED, CAUGHT, LATE = "survived", "caught", "caught (too slow)"


@dataclass(frozen=True)
class Outcome:
    """A mutant, and what the tests made of it: one of the states above."""

    folder: str
    mutant: Mutant
    state: str


def copied_tree(target: Path) -> Path:
    """The tracked files, links as links, with compiled bytecode."""
    names = subprocess.run(["git", "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True).stdout
    for name in filter(None, names.decode().split("\0")):
        if (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    subprocess.run([sys.executable, "-m", "compileall", "-q", "."], cwd=target, check=True)
    return target


def sources(tree: Path, folder: str) -> list[str]:
    """Python files of a folder, relative to the tree."""
    found = [path.relative_to(tree) for part in FOLDERS[folder][0] for path in (tree / part).rglob("*.py")]
    return sorted(map(str, found))


def drawn(tree: Path, folder: str, count: int, rng: random.Random) -> list[Mutant]:
    """Mutants on distinct lines of a folder, each line as likely as any other."""
    lines: dict[tuple[str, int], list[Mutant]] = {}
    for path in sources(tree, folder):
        for mutant in mutants(path, (tree / path).read_text(encoding="utf-8")):
            lines.setdefault((mutant.path, mutant.line), []).append(mutant)
    return [rng.choice(lines[line]) for line in rng.sample(sorted(lines), min(count, len(lines)))]


def tests_of(tree: Path, folder: str, path: str) -> tuple[list[str], ...]:
    """Arguments of pytest for a module: mirror and doctests; the folder's fast tests, importers first; slow ones."""
    module = "hasnas." + path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
    mirror = f"tests/{Path(path).parent}/test_{Path(path).name}"
    own = [name for name in (mirror, f"hasnas/{path}") if (tree / name).exists()]
    texts: dict[str, str] = {}
    for place in FOLDERS[folder][1]:
        files = sorted((tree / place).rglob("test_*.py")) if (tree / place).is_dir() else [tree / place]
        texts |= {str(file.relative_to(tree)): file.read_text(encoding="utf-8") for file in files}
    words = (f"from {module} ", f"import {module}")
    names = sorted(texts, key=lambda name: not any(word in texts[name] for word in words))
    rest = [name for name in names if name != mirror]
    return own, ["-m", "not slow", *rest], ["-m", "slow", *rest]


def _pytest(tree: Path, arguments: Sequence[str], limit_s: int) -> None:
    """In the fork: exit with pytest's status."""
    import hypothesis
    import pytest

    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
    os.chdir(tree)
    sys.path.insert(0, str(tree))
    hypothesis.settings.register_profile("mutation", derandomize=True, database=None)
    hypothesis.settings.load_profile("mutation")
    said = io.StringIO()
    with redirect_stdout(said), redirect_stderr(said):
        status = pytest.main(["-x", "-q", "-p", "no:randomly", *arguments])
    if status and os.environ.get("SHOW"):
        sys.__stderr__.write(said.getvalue()[-3000:])
    os._exit(int(status))


def run(tree: Path, arguments: Sequence[str], limit_s: int) -> int | None:
    """Exit status of the tests, None if they took more than `limit_s` of processor time, or ten times that."""
    child = multiprocessing.get_context("fork").Process(target=_pytest, args=(tree, arguments, limit_s))
    child.start()
    child.join(10 * limit_s)
    if child.is_alive():
        child.kill()
        child.join()
    return None if child.exitcode in (-signal.SIGKILL, -signal.SIGXCPU) else child.exitcode


def judge(tree: Path, folder: str, mutant: Mutant, limit_s: int) -> Outcome:
    """Put the mutant into the copy, run its tests, take it out again."""
    file = tree / mutant.path
    kept = file.with_suffix(".sound")
    shutil.copy2(file, kept)
    try:
        file.write_text(mutant.source, encoding="utf-8")
        # No bytecode is written, and that of the sound file is for another time of change.
        os.utime(file, (time.time() + 10, time.time() + 10))
        for arguments in tests_of(tree, folder, mutant.path):
            status = run(tree, arguments, limit_s)
            if status not in PASSED:
                return Outcome(folder, mutant, LATE if status is None else CAUGHT)
        return Outcome(folder, mutant, SURVIVED)
    finally:
        shutil.move(kept, file)


def is_equivalent(mutant: Mutant, known: Sequence[dict[str, str]]) -> str | None:
    """Why nothing could see this mutant, None if something could."""
    for one in known:
        if (one["path"], one["before"], one["after"]) == (mutant.path, mutant.before, mutant.after):
            return one["why"]
    return None


def table(outcomes: Sequence[Outcome], known: Sequence[dict[str, str]]) -> str:
    """Caught and tried in each folder, then the survivors, then the equivalent ones."""
    rows = ["| folder | tried | equivalent | caught | share |", "|---|---|---|---|---|"]
    alive, same = [], []
    for folder in [*dict.fromkeys(outcome.folder for outcome in outcomes), "all"]:
        own = [outcome for outcome in outcomes if folder in (outcome.folder, "all")]
        quiet = [o for o in own if o.state == SURVIVED and is_equivalent(o.mutant, known)]
        caught = sum(outcome.state != SURVIVED for outcome in own)
        share = caught / max(len(own) - len(quiet), 1)
        rows.append(f"| {folder} | {len(own)} | {len(quiet)} | {caught} | {share:.0%} |")
    for outcome in sorted(outcomes, key=lambda outcome: (outcome.mutant.path, outcome.mutant.line)):
        if outcome.state == SURVIVED:
            mutant, why = outcome.mutant, is_equivalent(outcome.mutant, known)
            text = f"- `{mutant.path}:{mutant.line}` {mutant.kind}: `{mutant.before}` -> `{mutant.after}`"
            (same if why else alive).append(f"{text}: {why}" if why else text)
    return "\n".join([*rows, "", "Survivors:", *(alive or ["- none"]), "", "Equivalent:", *(same or ["- none"])]) + "\n"


def main() -> None:
    """Draw, judge, write the table after each mutant."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", type=int, default=32, help="mutants for each folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folders", nargs="*", choices=sorted(FOLDERS), default=list(FOLDERS))
    parser.add_argument("--limit-s", type=int, default=90, help="processor time for the tests of one mutant")
    parser.add_argument("--out", type=Path, required=True, help="where the table goes")
    options = parser.parse_args()
    known = yaml.safe_load(Path(__file__).with_name("equivalent_mutants.yaml").read_text(encoding="utf-8")) or []
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as place:
        tree = copied_tree(Path(place) / "tree")
        os.environ["PYTHONPATH"], os.environ["NUMBA_CACHE_DIR"] = str(tree), str(Path(place) / "numba")
        for name in HEAVY:
            with suppress(ImportError):
                importlib.import_module(name)
        for folder in options.folders:
            _check_sound(tree, folder, options.limit_s // 2)
        seeds = {folder: random.Random(f"{options.seed} {folder}") for folder in options.folders}
        draws = [drawn(tree, folder, options.each, rng) for folder, rng in seeds.items()]
        outcomes: list[Outcome] = []
        for turn in zip(*draws, strict=True):  # one of each folder in turn, so that every table is an even one
            for folder, mutant in zip(options.folders, turn, strict=True):
                began = time.perf_counter()
                outcomes.append(judge(tree, folder, mutant, options.limit_s))
                seconds = time.perf_counter() - began
                print(f"{seconds:4.0f} s {outcomes[-1].state}: {mutant.path}:{mutant.line} {mutant.after}", flush=True)
            options.out.write_text(table(outcomes, known), encoding="utf-8")
    print(options.out.read_text(encoding="utf-8"))


def _check_sound(tree: Path, folder: str, limit_s: int) -> None:
    parts = FOLDERS[folder][0]
    every = [place for place in FOLDERS[folder][1] if (tree / place).exists()]
    for marked, places in (("not slow", [*every, *(f"hasnas/{part}" for part in parts)]), ("slow", every)):
        if run(tree, ["-m", marked, *places], limit_s) not in PASSED:
            raise SystemExit(f"{folder}: tests ({marked}) fail without a mutant, or take {limit_s} s; mend them first")


if __name__ == "__main__":
    main()
