"""E8: no memory for a candidate: what becomes of it, of the others, and of the run; and batches that are halved.

    python experiments/faults/memory.py

A search in which each candidate is trained by itself gets just so much address space (RLIMIT_AS) that some of them
cannot be trained, and then enough. On this processor want of memory is the machine's fault and no property of a
network: the run stops at the first such candidate, in one line, and the same command goes on. An evaluation for which a
batch is too large halves it, which changes no result.
"""

from __future__ import annotations

import resource
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import arguments, conversation, differences, forked, told, traces
from kills import made

RUN = """
name: tiny
dataset: {name: digits, subset: {train: 600, test: 60}}
space: {name: snasnet, macro: {channels: 32, timesteps: 8, hidden: 0, votes: 1, final_pool: 2, dropout: 0.0}}
hardware: rram-32nm
tracking: []
screen: {sample: 64}
supernet: {enabled: false}
search: {strategy: random, evaluations: 4, batch: 4, brief_epochs: 1}
retrain: {enabled: false, batch_size: 512}
export: {enabled: false}
"""
ROOM_MB = (40, 120, 250, 400)


def address_space() -> int:
    """Bytes that this process has mapped."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def within(directory: Path, room_mb: int) -> dict[str, Any]:
    """The search with so much more address space: exit code, last line, and what the ledger holds afterwards."""
    from hasnas.nas.history.ledger import read_ledger

    limit = address_space() + room_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    code, said = conversation(directory)
    path = directory / "ledger.jsonl"
    trials = read_ledger(path).trials if path.exists() else []
    failed = sum(one.state == "failed" for one in trials)
    found = {"room_mb": room_mb, "code": code, "line": said.strip().splitlines()[-1]}
    return {**found, "trials": len(trials), "bad": failed}


def halved(room_mb: int) -> dict[str, Any]:
    """An accuracy with all samples in one batch: with enough memory, and with so little that batches are halved."""
    import torch

    from hasnas.nas.data.samples import Split
    from hasnas.nas.training.evaluation import evaluate, measure_activity
    from hasnas.search_spaces import Architecture
    from hasnas.search_spaces.cells import Edge, Genotype
    from hasnas.search_spaces.macro import Macro
    from hasnas.search_spaces.network import SpikingNetwork

    torch.manual_seed(0)
    cell = Genotype(4, (Edge(0, 3, "conv3x3"), Edge(3, 1, "conv3x3")))
    graph = Architecture((cell, cell), Macro((1, 16, 16), channels=16, timesteps=4, hidden=0)).expand()
    network, split = SpikingNetwork(graph), Split(torch.rand(2048, 1, 16, 16), torch.arange(2048) % 10)
    expected = evaluate(network, split, 256), measure_activity(network, split, 256)
    limit = address_space() + room_mb * 1_000_000
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    found = evaluate(network, split, 2048), measure_activity(network, split, 2048)
    near = all(abs(found[1][name] - rate) < 1e-4 for name, rate in expected[1].items())
    return {"room_mb": room_mb, "equal": found[0] == expected[0] and near}


def main() -> int:
    """Starve, go on, compare; the exit code says whether the bar is met."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        reference = made(base, RUN)
        code, line = conversation(reference)
        assert code == "0", line
        expected, stopped, marked, good = traces(reference), 0, 0, 0
        rooms = ROOM_MB[1:2] if options.quick else ROOM_MB
        for room_mb in rooms:
            directory = made(base, RUN)
            one = forked(within, directory, room_mb) or {"code": "died", "bad": 0, "line": ""}
            stopped, marked = stopped + (one["code"] != "0"), marked + one["bad"]
            again = forked(conversation, directory)
            told_so = one["code"] in ("0", "1") and not one["bad"]
            good += told_so and again[0] == "0" and not differences(directory, expected)
            print({**one, "again": again and again[0]}, flush=True)
        parts = [forked(halved, room_mb) for room_mb in (150, 300)]
    print(parts, flush=True)
    right = [one is not None and one["equal"] for one in parts]
    figure = {"runs": len(rooms), "stopped for want of memory": stopped, "ended well after it": good / len(rooms)}
    figure |= {"halved evaluations equal": sum(right) / len(right), "candidates marked failed": marked}
    bar = "100 % ended well, others unaffected, halved evaluations equal (marked failed on a GPU only: a difference)"
    return told("E8", figure, bar, good == len(rooms) and all(right))


if __name__ == "__main__":
    sys.exit(main())
