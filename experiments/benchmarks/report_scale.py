"""The report of a run with very many trials: how large the page is, how long it takes to write and to open.

A page is open when Chromium has drawn its explorer: the time from the start of the navigation to the second frame after
it, in a new browser each time. The trials are those of `ledger_scale`.

    python -m hasnas.experiments.benchmarks.report_scale --trials 10000 --repeats 5
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from statistics import median

from hasnas.experiments.benchmarks.ledger_scale import write_run
from hasnas.nas.tracking.report import write_report
from tests.chromium import chromium

DRAWN = "performance.getEntriesByName('explorer drawn')[0]?.startTime ?? 0"


def opening_ms(page: Path, profile: Path) -> float:
    """Milliseconds until a new browser has drawn a page."""
    with chromium(profile) as browser:
        browser.open(page)
        while not (drawn := float(browser.evaluate(DRAWN))):
            time.sleep(0.05)
        return drawn


def main() -> None:
    """Print a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, nargs="+", default=[10_000])
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    for count in options.trials:
        with tempfile.TemporaryDirectory() as folder:
            run = Path(folder) / "run"
            write_run(run, count)
            begun = time.perf_counter()
            page = write_report(run)
            written = time.perf_counter() - begun
            found = sorted(opening_ms(page, Path(folder) / f"profile{turn}") for turn in range(options.repeats))
            print(
                f"{count:>7,} trials: {page.stat().st_size / 1e6:.2f} MB, written in {written:.1f} s, open in "
                f"{median(found) / 1e3:.2f} s ({found[0] / 1e3:.2f} to {found[-1] / 1e3:.2f}, {len(found)} times); "
                f"load {os.getloadavg()[0]:.1f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
