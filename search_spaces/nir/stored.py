"""What a NIR file promises, before anything of it is read: it stays within itself, and within memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError

# A node of NIR is a group with up to ten values, and one that is a graph nests two groups deeper: networks of ten
# thousand nodes, fifteen deep. Looking through so many parts takes seconds.
MOST_GROUPS, MOST_DEPTH = 100_000, 32
# Bytes that come of one stored byte, where more than MOST_BYTES are promised. Trained weights hardly shrink; with 19 of
# 20 of them zero, float32 deflates 13 to 1 (zlib, level 4). Deflate can promise 1,000 to 1, which no network needs.
MOST_UNPACKED = 20
MOST_BYTES = 256 << 20  # what any machine that trains networks has room for


def check_stored(path: Path | str) -> None:
    """Refuse HDF5 files that lead elsewhere, run in circles, or unpack to far more than they hold.

    Raises:
        BadInputError: in one line; files that are no HDF5 are left to who reads them.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            _check(file, Path(path).stat().st_size)
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}; export it anew") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return


def _check(file: Any, size: int) -> None:
    import h5py

    waiting, seen, promised = [("", file, 0)], 0, 0
    while waiting:
        place, group, depth = waiting.pop()
        for name in group:
            seen += 1
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                raise BadInputError(f"'{place}/{name}' is a link to another place")
            item = group[name]
            if isinstance(item, h5py.Group):
                waiting.append((f"{place}/{name}", item, depth + 1))
            elif isinstance(item, h5py.Dataset):
                if item.external or item.is_virtual:
                    raise BadInputError(f"the values of '{place}/{name}' lie in other files")
                promised += item.size * item.dtype.itemsize
        if depth > MOST_DEPTH or seen > MOST_GROUPS:
            raise BadInputError(f"it has more than {MOST_GROUPS} parts, or groups within groups {MOST_DEPTH} times")
        if promised > max(MOST_BYTES, MOST_UNPACKED * size):
            raise BadInputError(f"its arrays unpack to {promised / 1e9:.1f} GB or more, {promised // size} times that")


def unknown_node(path: Path | str) -> str:
    """What is wrong with the first node of a file whose type is missing or that nir does not know; else nothing."""
    import h5py
    import nir

    try:
        with h5py.File(path, "r") as file:
            nodes = file["node/nodes"]
            for name in nodes:
                if "type" not in nodes[name]:
                    return f"node '{name}' does not say its type"
                kind = nodes[name]["type"][()]
                kind = kind.decode() if isinstance(kind, bytes) else str(kind)
                if not hasattr(nir, kind):
                    return f"node '{name}' is of the type '{kind}', which the package nir does not know"
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError):
        return ""
    return ""
