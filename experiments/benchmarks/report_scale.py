"""The report of a run with very many trials: how large the page is, how long it takes to write and to open.

A page is open when Chromium has drawn its explorer: the time from the start of the navigation to the second frame after
it, in a new browser each time. On a busy machine that is mostly waiting; what the page itself takes is told as seconds
of the processor over all of Chromium's processes, less those of an empty page. The trials are those of `ledger_scale`.

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

EMPTY = "<!DOCTYPE html><title>empty</title><script>performance.mark('explorer drawn')</script>"
DRAWN = "performance.getEntriesByName('explorer drawn')[0]?.startTime ?? 0"


def opening(page: Path, profile: Path) -> tuple[float, float]:
    """Seconds until a new browser has drawn a page, and seconds of the processor that the browser took."""
    with chromium(profile) as browser:
        browser.open(page)
        while not (drawn := float(browser.evaluate(DRAWN))):
            time.sleep(0.05)
        return drawn / 1e3, browser.processor_seconds()


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
            empty = Path(folder) / "empty.html"
            empty.write_text(EMPTY)
            profiles = [Path(folder) / f"profile{turn}" for turn in range(2 * options.repeats)]
            blank = median(opening(empty, profile)[1] for profile in profiles[::2])
            found = [opening(page, profile) for profile in profiles[1::2]]
            seconds, used = (sorted(column) for column in zip(*found, strict=True))
            print(
                f"{count:>7,} trials: {page.stat().st_size / 1e6:.2f} MB, written in {written:.1f} s, open in "
                f"{median(seconds):.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}, {len(found)} times), of the "
                f"processor {median(used) - blank:.2f} s; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores",
                flush=True,
            )


if __name__ == "__main__":
    main()
