"""Spike graphs and other named arrays in one .npz, without pickles, opened by mapping the file into memory."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError
from hasnas.files import DAMAGED_ARRAYS, write_atomic

from .spike_graph import Layers, SpikeGraph, SpikeTimes

_LOCAL_HEADER = 30  # bytes before a zip member's name


def save_graph(graph: SpikeGraph, path: Path | str) -> None:
    """Write a graph as .npz.

    Raises:
        BadInputError: if the file cannot be written.
    """
    arrays: dict[str, Any] = {
        "offsets": graph.offsets,
        "destinations": graph.destinations,
        "spikes": graph.spikes,
        "recording": np.array([graph.steps, graph.samples], np.int64),
        "step_s": np.array(graph.step_s),
    }
    if graph.times is not None:
        arrays |= {
            "time_offsets": graph.times.offsets,
            "time_samples": graph.times.samples,
            "time_steps": graph.times.steps,
        }
    if graph.strengths is not None:
        arrays["strengths"] = graph.strengths
    if graph.layers is not None:
        arrays |= {"layer_names": np.array(graph.layers.names), "layer_of": graph.layers.of}
    save_arrays(path, arrays)


def open_graph(path: Path | str) -> SpikeGraph:
    """Open a graph; its arrays stay on disk until they are read.

    Raises:
        BadInputError: if the file is not such a graph.
    """
    arrays = open_arrays(path)
    missing = {"offsets", "destinations", "spikes", "recording", "step_s"} - set(arrays)
    if missing:
        raise BadInputError(f"{path} is not a spike graph: it lacks {', '.join(sorted(missing))}; save it anew")
    times = None
    try:
        if "time_steps" in arrays:
            times = SpikeTimes(arrays["time_offsets"], arrays["time_samples"], arrays["time_steps"])
        steps, samples = map(int, arrays["recording"])
        layers = None
        if "layer_of" in arrays:
            layers = Layers(tuple(map(str, arrays["layer_names"])), arrays["layer_of"])
        kept = arrays["offsets"], arrays["destinations"], arrays["spikes"]
        return SpikeGraph(*kept, steps, samples, float(arrays["step_s"]), times, arrays.get("strengths"), layers)
    except (BadInputError, KeyError, ValueError, TypeError) as error:
        raise BadInputError(f"{path}: {error}") from error


def save_arrays(path: Path | str, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as an uncompressed .npz; the file is whole or absent."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **dict(arrays))
    write_atomic(path, buffer.getvalue())


def open_arrays(path: Path | str) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz, mapped into memory and read-only (compressed ones are read).

    Raises:
        BadInputError: if the file is missing, damaged, or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if (damaged := archive.testzip()) is not None:
                raise zipfile.BadZipFile(f"the checksum of '{damaged}' does not match")
            return {
                member.filename.removesuffix(".npy"): _open_member(Path(path), archive, member)
                for member in archive.infolist()
            }
    except OSError as error:
        raise BadInputError(f"cannot read {path}: {error.strerror or error}; check the path") from error
    except DAMAGED_ARRAYS as error:
        raise BadInputError(f"{path} is not a whole .npz file of plain arrays ({error}); save it anew") from error


def _open_member(path: Path, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(member) as file:
        version = np.lib.format.read_magic(file)
        read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
        if version not in read_header:
            raise ValueError(f"version {version} of the array format")
        shape, fortran, dtype = read_header[version](file)
        if dtype.hasobject:
            raise ValueError(f"{member.filename} holds Python objects")
        header = file.tell()
        if member.compress_type != zipfile.ZIP_STORED or 0 in shape or not shape:
            return np.frombuffer(file.read(), dtype).reshape(shape, order="F" if fortran else "C")
    with open(path, "rb") as raw:
        raw.seek(member.header_offset + _LOCAL_HEADER - 4)
        name, extra = (int.from_bytes(raw.read(2), "little") for _ in range(2))
    start = member.header_offset + _LOCAL_HEADER + name + extra + header
    return np.memmap(path, dtype, "r", start, shape, "F" if fortran else "C")
