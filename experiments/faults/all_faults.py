"""E1 to E14, one after another, each as a process of its own: a line a fault, and the bar that it has to meet.

    python experiments/faults/all_faults.py [--quick] [--only E3,E7]
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from common import arguments

SCRIPTS = {
    "E1": "kills",
    "E2": "disk",
    "E3": "preempted",
    "E4": "flips",
    "E5": "newest",
    "E6": "not_numbers",
    "E7": "infeasible",
    "E8": "memory",
    "E9": "workers",
    "E10": "writers",
    "E11": "pickles",
    "E12": "archives",
    "E13": "fuzz",
    "E14": "same",
}


def main() -> int:
    """Run them; the number of bars that are not met."""
    parser = arguments(__doc__)
    parser.add_argument("--only", default=",".join(SCRIPTS))
    options = parser.parse_args()
    missed = 0
    for fault in options.only.split(","):
        script = Path(__file__).with_name(f"{SCRIPTS[fault]}.py")
        command = [sys.executable, str(script), *(["--quick"] if options.quick else [])]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        line = (done.stdout.strip().splitlines() or [""])[-1]
        missed += done.returncode != 0
        answered = line.startswith('{"fault"')
        print(line if answered else json.dumps({"fault": fault, "met": False, "said": line}), flush=True)
    return missed


if __name__ == "__main__":
    sys.exit(main())
