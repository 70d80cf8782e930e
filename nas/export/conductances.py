"""The conductance of every memory cell of a network, crossbar by crossbar, as a chip without errors stores it.

A layer's matrix has a wordline for each input of a column (of a convolution: input channel, then kernel row, then
kernel column) and a bitline for each output. It is cut into crossbars of the device's rows and columns, its weights
into slices of the device's cell bits, and stands as cells that add (`positive`) and cells that are subtracted
(`negative`; where the device has offset columns, the one reference column of each crossbar).

- `conductances.npz`: `<layer>/g<group>/s<slice>/r<row>c<column>/positive` and `/negative`, siemens, `[wordlines,
  bitlines]`, with r and c the crossbar's place in the layer; `<layer>/weight_per_siemens` gives the weight that a
  siemens of each slice stands for.
- `conductances.csv`: the same as text, a line for each wordline of each crossbar.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, cast, get_args

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec
from hasnas.cim_estimator.nonideal import Conductances, NonidealSpec, to_conductances
from hasnas.cim_estimator.nonideal.spec import SignedScheme
from hasnas.nas.training.crossbar_forms import form_of
from hasnas.search_spaces.layers import Conv2d, Linear

from .deploy import Deployed
from .target import NotExpressibleError

NPZ_FILE, CSV_FILE = "conductances.npz", "conductances.csv"


def conductance_files(deployed: Deployed, device: NonidealSpec) -> dict[str, bytes]:
    """Both files.

    Args:
        deployed: the network.
        device: cells and arrays; its errors play no part.

    Raises:
        BadInputError: if a weight is not a finite number.
    """
    arrays: dict[str, NDArray[Any]] = {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["layer", "group", "slice", "sign", "crossbar_row", "crossbar_column", "wordline", "siemens ..."])
    for layer, cells in _layers(deployed, device):
        arrays[f"{layer}/weight_per_siemens"] = cells.weight_per_siemens
        for sign, width in _widths(device).items():
            for group, slice_, row, column, part in _crossbars(getattr(cells, sign), device.rows, width):
                arrays[f"{layer}/g{group}/s{slice_}/r{row}c{column}/{sign}"] = part
                for wordline, values in enumerate(part):
                    siemens = [format(float(value), ".6g") for value in values]
                    writer.writerow([layer, group, slice_, sign, row, column, wordline, *siemens])
    return {NPZ_FILE: _npz(arrays), CSV_FILE: text.getvalue().encode()}


def device_of(chip: HardwareSpec) -> NonidealSpec:
    """The cells and arrays of a chip, without errors.

    Raises:
        NotExpressibleError: if the chip's description has no cells, or does not say how they hold signs.
    """
    if not isinstance(chip, GeneralHardware):
        raise NotExpressibleError(
            f"chip '{chip.name}' does not describe its memory cells; set nonideal.device, or choose a chip that does"
        )
    device, signed = chip.device, chip.crossbar.signed
    if signed not in get_args(SignedScheme):
        raise NotExpressibleError(
            f"crossbar.signed of chip '{chip.name}' is {signed}, so that its cells hold no signs; set nonideal.device"
        )
    return NonidealSpec(
        name=chip.name,
        on_resistance_ohm=device.on_resistance_ohm,
        off_resistance_ohm=device.on_resistance_ohm * device.on_off_ratio,
        cell_bits=device.cell_bits,
        weight_bits=chip.precision.weight_bits,
        signed=cast(SignedScheme, signed),
        rows=chip.crossbar.rows,
        columns=chip.crossbar.columns,
    )


def _layers(deployed: Deployed, device: NonidealSpec) -> Iterator[tuple[str, Conductances]]:
    """Layers that lie on crossbars; batch norms and votes that became layers are digital."""
    network = deployed.network()
    for node in deployed.graph.nodes:
        as_trained = deployed.origins.get(node.name, (node,))[0].operation
        if isinstance(node.operation, Conv2d | Linear) and isinstance(as_trained, Conv2d | Linear):
            yield node.name, to_conductances(form_of(node.name, network.get_submodule(node.name)).matrix(), device)


def _widths(device: NonidealSpec) -> dict[str, int]:
    """Bitlines of a crossbar by what they are for; with offset columns one of them is the reference."""
    if device.signed == "differential":
        return {"positive": device.columns, "negative": device.columns}
    return {"positive": device.columns - 1, "negative": 1}


def _crossbars(
    cells: NDArray[Any], height: int, width: int
) -> Iterator[tuple[int, int, int, int, NDArray[np.floating[Any]]]]:
    """Group, slice, place and cells of each crossbar of `[groups, slices, inputs, outputs]`."""
    for group, slices in enumerate(cells):
        for number, matrix in enumerate(slices):
            for row, top in enumerate(range(0, matrix.shape[0], height)):
                for column, left in enumerate(range(0, matrix.shape[1], width)):
                    yield group, number, row, column, matrix[top : top + height, left : left + width]


def _npz(arrays: dict[str, NDArray[Any]]) -> bytes:
    """An archive of arrays; equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
