"""Wall time and peak memory of the demo: the sum over the process and its workers, sampled ten times a second.

python experiments/benchmarks/demo.py --out /tmp/demo --repeats 3
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psutil


def resident_bytes(process: psutil.Process) -> int:
    """Proportional memory of a process and all its children; pages that they share count once."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def run(config: str, directory: Path, workers: int) -> tuple[float, int]:
    """Seconds and peak bytes of one run."""
    shutil.rmtree(directory, ignore_errors=True)
    arguments = [
        sys.executable,
        "-m",
        "hasnas",
        "search",
        config,
        "--run-dir",
        str(directory),
        "--workers",
        str(workers),
    ]
    start, peak = time.perf_counter(), 0
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL) as process:
        watched = psutil.Process(process.pid)
        while process.poll() is None:
            peak = max(peak, resident_bytes(watched))
            time.sleep(0.1)
    if process.returncode:
        sys.exit(process.returncode)
    return time.perf_counter() - start, peak


def main() -> None:
    """Run the demo several times and print medians and extremes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="experiments/digits.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    rows = [run(options.config, options.out / "run", options.workers) for _ in range(options.repeats)]
    seconds, peaks = [row[0] for row in rows], [row[1] / 2**30 for row in rows]
    print(f"wall s: median {statistics.median(seconds):.0f}, {min(seconds):.0f} to {max(seconds):.0f}, n={len(rows)}")
    print(f"peak GiB: median {statistics.median(peaks):.2f}, {min(peaks):.2f} to {max(peaks):.2f}")


if __name__ == "__main__":
    main()
