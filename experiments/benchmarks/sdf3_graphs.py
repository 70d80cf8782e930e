"""Example graphs of SDF3: repetition vector, throughput and buffers beside what SDF3's own tool says.

`python -m hasnas.experiments.benchmarks.sdf3_graphs FOLDER --tool sdf3analysis-sdf [--buffers modem samplerate]`

The folder holds graphs as XML, e.g. `sdf/testbench` of SDF3's sources (GPL, not part of this product), of which the
tool is built. SDF3 counts two tokens of room for each loop from an actor to itself, we none; that is taken off.
"""

from __future__ import annotations

import argparse
import re
import subprocess
from pathlib import Path

from hasnas.cim_estimator.schedule import guarantee, read_sdf3, trade_off

DIGITS = 1e-5  # SDF3 prints six


def ask(tool: Path, graph: Path, algorithm: str) -> str:
    """What SDF3 prints."""
    command = [str(tool), "--graph", str(graph), "--algo", algorithm]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True).stdout


def same(one: float, other: float) -> bool:
    """Equal to the digits that SDF3 prints."""
    return abs(one - other) <= DIGITS * abs(other)


def row(tool: Path, path: Path, buffers: bool) -> str:
    """One graph as a row of the table."""
    graph = read_sdf3(path)
    ours = guarantee(graph)
    firings = re.findall(r"\[(\S+)\] = (\d+)", ask(tool, path, "repetition_vector"))
    counts = {name: int(count) for name, count in firings}
    told = re.search(r"thr\(\S+\) = (\S+)", ask(tool, path, "throughput"))
    theirs = float(told.group(1)) if told else 0.0
    text = "-"
    if buffers:
        loops = 2 * sum(channel.source == channel.target for channel in graph.channels)
        points = re.findall(r"thr='(\S+)' sz='(\d+)'", ask(tool, path, "buffersize"))
        found = trade_off(graph)
        agrees = len(found) == len(points) and all(
            one.total == int(size) - loops and same(one.throughput, float(rate))
            for one, (rate, size) in zip(found, points, strict=True)
        )
        text = f"{', '.join(str(one.total) for one in found)}: {'equal' if agrees else 'DIFFERENT'}"
    equal = "equal" if counts == ours.repetition_vector else "DIFFERENT"
    as_fast = "equal" if same(ours.throughput, theirs) else "DIFFERENT"
    return (
        f"| {path.stem} | {len(graph.actors)} | {sum(counts.values()):,} | {equal} "
        f"| {ours.throughput:.6g} | {theirs:.6g} | {as_fast} | {text} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tool", type=Path, required=True)
    parser.add_argument("--buffers", nargs="*", default=[])
    arguments = parser.parse_args()
    print("| graph | actors | firings | repetition vector | throughput | SDF3's | | least buffers by throughput |")
    print("|" + "---|" * 8)
    for path in sorted(arguments.folder.glob("*.xml")):
        print(row(arguments.tool, path, path.stem in arguments.buffers), flush=True)


if __name__ == "__main__":
    main()
