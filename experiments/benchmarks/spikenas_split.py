"""The architectures of SpikeNAS-Bench on which scores were developed: some 3,100, whole canonical classes, by a seed.

Cells that differ only in dead edges, identity edges or node numbers are one class, so that no cell of the remaining
architectures was seen under another number. Run as a script it prints the ids; `spikenas_development_ids.txt` holds
them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.scoring.graph_features import canonical_classes
from hasnas.search_spaces import Macro
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace, codes_of_id

ARCHITECTURES = 15_625
SEED = 20261121
BLOCK = 5
IDS = Path(__file__).with_name("spikenas_development_ids.txt")


def development_ids() -> NDArray[np.int64]:
    """Ids of one class, drawn at random, out of every five of about equal size.

    Classes hold 1 to 400 architectures; drawn without regard to size, one large class more or less would decide the
    make-up of the set.
    """
    codes = np.array([codes_of_id(number) for number in range(ARCHITECTURES)])
    classes = np.unique(canonical_classes(SpikeNASBenchSpace(Macro()), codes), return_inverse=True)[1]
    sizes = np.bincount(classes)
    # Classes are ordered by size and first member, so that the draw does not depend on how they are hashed.
    first = np.full(len(sizes), ARCHITECTURES)
    np.minimum.at(first, classes, np.arange(ARCHITECTURES))
    ordered = np.lexsort([first, sizes])
    rng = np.random.default_rng(SEED)
    chosen = [rng.choice(ordered[start : start + BLOCK]) for start in range(0, len(ordered), BLOCK)]
    return np.flatnonzero(np.isin(classes, chosen))


def read_development_ids() -> NDArray[np.int64]:
    """The committed ids."""
    return np.loadtxt(IDS, dtype=np.int64)


if __name__ == "__main__":
    print("\n".join(str(number) for number in development_ids()))
