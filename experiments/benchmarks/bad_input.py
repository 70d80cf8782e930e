"""What users get wrong, what the command line answers, and its exit code; a Markdown table.

python experiments/benchmarks/bad_input.py experiments/digits.yaml RUN     # RUN: any finished run directory
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path


def hasnas(*arguments: str) -> tuple[int, str]:
    """Exit code and error stream of one command."""
    done = subprocess.run([sys.executable, "-m", "hasnas", *arguments], capture_output=True, text=True)
    return done.returncode, done.stderr


def damaged_copies(run: Path, folder: Path) -> dict[str, Path]:
    """Copies of a run with a truncated ledger, a flipped bit in a checkpoint, and an unreadable config."""
    copies = {
        name: folder / name for name in ("truncated-ledger", "flipped-bit", "unreadable-config", "changed-config")
    }
    for path in copies.values():
        shutil.copytree(run, path)
    ledger = copies["truncated-ledger"] / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-100])
    checkpoint = copies["flipped-bit"] / "checkpoints" / "supernet-weights.safetensors"
    data = bytearray(checkpoint.read_bytes())
    data[len(data) // 2] ^= 1
    checkpoint.write_bytes(data)
    changed = copies["changed-config"] / "config.yaml"
    changed.write_text(changed.read_text().replace("evaluations: ", "evaluations: 1"))
    (copies["unreadable-config"] / "config.yaml").write_bytes(b"\xff\xfe\x00")
    return copies


def main() -> None:
    """Print the table; exit 1 if an answer has a traceback or the wrong exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config")
    parser.add_argument("run", type=Path)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp())
    copies = damaged_copies(options.run, folder)
    (folder / "a-file").write_text("")
    search = ("search", options.config)
    cases: list[tuple[str, int, tuple[str, ...]]] = [
        ("unknown key", 2, (*search, "budget.enery=2 uJ")),
        ("unknown section", 2, (*search, "supernett.epochs=2")),
        ("wrong unit", 2, (*search, "budget.energy=2 ms")),
        ("missing unit", 2, (*search, "budget.energy=2")),
        ("negative budget", 2, (*search, "budget.area=-1 mm^2")),
        ("NaN budget", 2, (*search, "budget.latency=nan s")),
        ("unknown dataset", 2, (*search, "dataset.name=digit")),
        ("unknown space", 2, (*search, "space.name=snasnett")),
        ("unknown hardware", 2, (*search, "hardware=rram-33nm")),
        ("unwritable run directory", 2, (*search, "--run-dir", str(folder / "a-file" / "run"))),
        ("directory of another config", 2, (*search, "seed=77", "--run-dir", str(options.run))),
        ("no such config", 2, ("search", "digts.yaml")),
        ("no run to resume", 2, ("search", "--resume", str(folder))),
        ("unreadable config of a run", 2, ("search", "--resume", str(copies["unreadable-config"]))),
        ("truncated ledger", 0, ("search", "--resume", str(copies["truncated-ledger"]))),
        ("flipped bit in a checkpoint", 0, ("search", "--resume", str(copies["flipped-bit"]))),
        ("changed config of a run", 2, ("search", "--resume", str(copies["changed-config"]))),
        ("nothing fits", 3, (*search, "budget.energy=1 fJ", "--run-dir", str(folder / "none"))),
    ]
    wrong = 0
    print("| mishap | exit code | answer |\n|---|---|---|")
    for name, expected, arguments in cases:
        code, answer = hasnas(*arguments)
        lines = [line for line in answer.splitlines() if line.strip()]
        shown = next((line for line in lines if "error:" in line or "going on" in line), lines[-1] if lines else "")
        shown = shown.replace(str(folder), "DIR").replace(str(options.run), "RUN").replace("|", "/")
        wrong += code != expected or "Traceback" in answer
        print(f"| {name} | {code} | `{shown}` |")
    shutil.rmtree(folder)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
