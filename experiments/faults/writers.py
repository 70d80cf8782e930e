"""E10: eight processes write 10,000 records to one ledger at the same time; none is lost, doubled or torn.

    python experiments/faults/writers.py [--records 10000] [--writers 8]

One process at a time holds a ledger; each writer takes it, appends a few records, lets it go, and tries again until it
has written its share. A reader reads it all the while and must never see anything but whole records.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from common import arguments, told

from hasnas.errors import BadInputError
from hasnas.nas.history.ledger import Ledger, read_ledger

AT_A_TIME = 25


def write(path: Path, writer: int, count: int, refused: Any) -> None:
    """One writer: its records, a few whenever it gets the ledger."""
    done = 0
    while done < count:
        try:
            with Ledger(path) as ledger:
                for number in range(done, min(done + AT_A_TIME, count)):
                    ledger.append({"kind": "event", "event": "record", "writer": writer, "number": number})
                    done += 1
        except BadInputError as error:
            if "is being written by another process" not in str(error):
                raise
            with refused.get_lock():
                refused.value += 1
            time.sleep(0.001)


def main() -> int:
    """Write and count; the exit code says whether the bar is met."""
    parser = arguments(__doc__)
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--writers", type=int, default=8)
    options = parser.parse_args()
    share = (200 if options.quick else options.records) // options.writers
    refused = multiprocessing.Value("i", 0)
    with tempfile.TemporaryDirectory() as place:
        path, seen, torn = Path(place, "ledger.jsonl"), 0, 0
        Ledger(path).close()
        begun = time.perf_counter()
        writers = [
            multiprocessing.Process(target=write, args=(path, number, share, refused))
            for number in range(options.writers)
        ]
        for process in writers:
            process.start()
        while any(process.is_alive() for process in writers):
            contents = read_ledger(path)
            # The last line may be half written at this very moment; a line within may not be damaged.
            torn += contents.damage is not None and "is damaged" in contents.damage
            torn += len(contents.records) < seen
            seen = len(contents.records)
            time.sleep(0.2)
        seconds = time.perf_counter() - begun
        ended = [process.exitcode for process in writers]
        contents = read_ledger(path)
        found = Counter((record["writer"], record["number"]) for record in contents.records)
        torn += contents.damage is not None or len(list(path.parent.iterdir())) > 1
    wanted = share * options.writers
    lost, doubled = wanted - len(found), sum(found.values()) - len(found)
    figure = {"records": wanted, "writers": options.writers, "lost": lost, "doubled": doubled, "torn": torn}
    figure |= {"turned away": refused.value, "seconds": round(seconds, 1)}
    return told("E10", figure, "0 lost, 0 doubled, 0 torn", not (lost or doubled or torn or any(ended)))


if __name__ == "__main__":
    sys.exit(main())
