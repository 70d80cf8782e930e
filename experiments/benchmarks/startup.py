"""What commands take that run no network, in processor seconds, and which large packages they import for it.

    python experiments/benchmarks/startup.py RUN

Each command is a process of its own, as its user types it: the median of five, least and most; a first start, which may
compile, is not counted. RUN is a finished run; nothing is written into it but by `report`.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PACKAGES = ("torch", "nni", "pytorch_lightning", "sklearn", "scipy", "numba", "tensorboard", "bokeh", "numpy")
TOLD = (
    "import sys; from hasnas.nas.cli import run_command; run_command(sys.argv[2:]); "
    "print('IMPORTED', *(name for name in sys.argv[1].split(',') if name in sys.modules), file=sys.stderr)"
)
NOTHING_FITS = "budget={energy: 1 fJ}"


def processor_s(command: list[str], starts: int, run: Path) -> list[float]:
    """Seconds of a command in user and system mode, of each start but the first; what it made of a run is removed."""
    found: list[float] = []
    for _ in range(starts + 1):
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        subprocess.run(command, capture_output=True, check=False)
        shutil.rmtree(run, ignore_errors=True)
        found.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)
    return found[1:]


def main() -> None:
    """A line of a table for each command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--starts", type=int, default=5)
    options = parser.parse_args()
    run = str(options.run)
    config = str(Path(__file__).parent.parent / "digits.yaml")
    with tempfile.TemporaryDirectory() as place:
        commands = {
            "--help": ["--help"],
            "ls": ["ls", str(options.run.parent)],
            "status": ["status", run],
            "show": ["show", run, "0"],
            "compare": ["compare", run, run],
            "report": ["report", run, "-o", f"{place}/report.html"],
            "hardware": ["hardware"],
            "validate": ["validate", config],
            "search, nothing fits": ["search", config, NOTHING_FITS, "--run-dir", f"{place}/run"],
            "search --dry-run, nothing fits": ["search", config, NOTHING_FITS, "--dry-run"],
        }
        for name, arguments in commands.items():
            seconds = processor_s([sys.executable, "-m", "hasnas", *arguments], options.starts, Path(place) / "run")
            command = [sys.executable, "-c", TOLD, ",".join(PACKAGES), *arguments]
            told = subprocess.run(command, capture_output=True, text=True, check=False).stderr.splitlines()[-1]
            imported = ", ".join(told.split()[1:]) or "none"
            spread = f"{statistics.median(seconds):.2f} ({min(seconds):.2f} to {max(seconds):.2f})"
            print(f"| `hasnas {name}` | {spread} | {imported} |", flush=True)


if __name__ == "__main__":
    main()
