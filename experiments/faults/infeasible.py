"""E7: limits that nothing meets: no network runs, and the nearest miss is told within a second.

    python experiments/faults/infeasible.py

For each limit that a price is known for before anything runs, the command with a limit a thousand times below what the
cheapest network of the space costs. Also the whole command in a process of its own, as its user types it, the median of
five; a first start, which may compile, is not counted. Seconds are those of the processor, as other work may share it.
"""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from common import CONFIG, arguments, conversation, forked, told

LIMITS = {"energy": "1 fJ", "area": "1 um^2", "latency": "1 ps", "memory": "1 bit", "parameters": "1"}
SECONDS = 1.0
STARTS = 5


def tried(base: Path, limit: str) -> dict[str, Any]:
    """The search with one limit: forward passes, processor seconds, exit code, and what was said."""
    import torch

    directory = base / limit / "run"
    directory.parent.mkdir()
    (directory.parent / "tiny.yaml").write_text(CONFIG + f"tracking: []\nbudget: {{{limit}: {LIMITS[limit]}}}\n")
    forwards: list[object] = []
    hook = torch.nn.modules.module.register_module_forward_hook(lambda *given: forwards.append(given))
    begun = time.process_time()
    code, said = conversation(directory)
    seconds = time.process_time() - begun
    hook.remove()
    line = (said.strip().splitlines() or [""])[-1]
    return {"limit": limit, "forwards": len(forwards), "seconds": seconds, "code": code, "line": line}


def whole_command(base: Path, starts: int) -> tuple[list[float], subprocess.CompletedProcess[str]]:
    """Processor seconds of some starts of the search with the limit of energy, and the last of them."""
    found: list[float] = []
    for number in range(starts + 1):
        options = [str(base / "energy" / "tiny.yaml"), "--run-dir", str(base / f"cold{number}")]
        before = sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2])
        command = [sys.executable, "-m", "hasnas", "search", *options]
        last = subprocess.run(command, capture_output=True, text=True, check=False)
        found.append(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]) - before)
    return found[1:], last


def main() -> int:
    """Try every limit; the exit code says whether the bar is met."""
    options = arguments(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as place:
        base = Path(place).resolve()
        (base / "warm").mkdir()
        (base / "warm" / "tiny.yaml").write_text(CONFIG + "tracking: []\n")
        conversation(base / "warm" / "run")
        found = [forked(tried, base, limit) for limit in (list(LIMITS)[:2] if options.quick else LIMITS)]
        whole, last = whole_command(base, 2 if options.quick else STARTS)
    for one in found:
        print(one, flush=True)
    print(last.stderr, end="")
    print({"whole command": last.returncode, "processor_s": [round(one, 2) for one in whole]})
    right = all(one["code"] == "3" and f"{one['limit']}: least" in one["line"] for one in found)
    forwards, longest = sum(one["forwards"] for one in found), max(one["seconds"] for one in found)
    figure = {"forwards": forwards, "longest, processor_s": round(longest, 3), "nearest miss told": right}
    processor_s = statistics.median(whole)
    figure |= {"whole command, processor_s": round(processor_s, 2)}
    met = right and forwards == 0 and max(longest, processor_s) <= SECONDS
    return told("E7", figure, "0 forwards; at most 1 s", met)


if __name__ == "__main__":
    sys.exit(main())
