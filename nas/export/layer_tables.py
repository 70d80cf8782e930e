"""A network's layers as other cost models take them: SpikeSim's lists, NeuroSim's table.

Both know plain stacks: convolutions without groups and fully connected layers, one after another. An operation that
would change their answer is refused by name; digital layers (sums, pools, scales, neurons) are what these tools do not
count or add themselves.

Sources: SpikeSim, `SNN_train_infer_quantization_ela/ela_spikesim.py`; DNN+NeuroSim V1.3, `Inference_pytorch/NeuroSIM/
NetWork_ResNet18.csv` and its manual (a line: IFM length, IFM width, IFM channels, kernel length, kernel width, output
channels, followed by pooling, stride).
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass

import numpy as np

from hasnas.cim_estimator.workload.workload import LayerKind, Workload

from .target import NotExpressibleError


@dataclass(frozen=True)
class _Layer:
    """A layer on crossbars."""

    name: str
    is_convolution: bool
    inputs: int
    outputs: int
    kernel: int
    stride: int
    height: int
    width: int
    out_height: int
    pooled: bool


def spikesim_lists(workload: Workload) -> str:
    """Python assignments that take the place of those at the end of SpikeSim's script.

    The script knows convolutions with one kernel size on square maps; fully connected layers are named in a comment.

    Raises:
        NotExpressibleError: for grouped convolutions, several kernel sizes, maps that are not square, no convolution.
    """
    layers = _layers(workload, "SpikeSim")
    convolutions = [layer for layer in layers if layer.is_convolution]
    if not convolutions:
        raise NotExpressibleError("SpikeSim's script knows convolutions alone, and this network has none")
    kernel = convolutions[0].kernel
    for layer in convolutions:
        if layer.kernel != kernel:
            raise NotExpressibleError(
                f"layer '{layer.name}' has kernels of {layer.kernel} x {layer.kernel}, '{convolutions[0].name}' of "
                f"{kernel} x {kernel}; SpikeSim's script knows one kernel size for all"
            )
        if layer.height != layer.width:
            raise NotExpressibleError(
                f"layer '{layer.name}' has a map of {layer.height} x {layer.width}; SpikeSim's script knows square ones"
            )
    left = [layer.name for layer in layers if not layer.is_convolution]
    lines = [f"# {', '.join(layer.name for layer in convolutions)}"]
    if left:
        lines.append(f"# Not in the script's model: the fully connected {', '.join(left)}.")
    lines += [
        f"in_ch_list = {[layer.inputs for layer in convolutions]}",
        f"out_ch_list = {[layer.outputs for layer in convolutions]}",
        f"in_dim_list = {[layer.height for layer in convolutions]}",
        f"out_dim_list = {[layer.out_height for layer in convolutions]}",
        f"kernel_size = {kernel}",
        f"time_steps = {workload.timesteps}",
    ]
    return "\n".join(lines) + "\n"


def neurosim_table(workload: Workload) -> str:
    """The lines of NeuroSim's `NetWork_*.csv`, one for each layer on crossbars; a fully connected one is 1 x 1.

    Raises:
        NotExpressibleError: for grouped convolutions.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    for layer in _layers(workload, "NeuroSim"):
        pooled = int(layer.pooled)
        writer.writerow(
            [layer.height, layer.width, layer.inputs, layer.kernel, layer.kernel, layer.outputs, pooled, layer.stride]
        )
    return buffer.getvalue()


def _layers(workload: Workload, tool: str) -> list[_Layer]:
    fields = (
        "kind",
        "in_channels",
        "out_channels",
        "kernel_size",
        "stride",
        "groups",
        "in_height",
        "in_width",
        "out_height",
    )
    columns = {name: np.broadcast_to(getattr(workload, name), workload.shape) for name in fields}
    # What these tools call pooling makes the map smaller; a pool that keeps it is a layer they do not have.
    shrinks = (columns["kind"] == LayerKind.POOL) & (columns["stride"] > 1)
    found: list[_Layer] = []
    for number, name in enumerate(workload.names):
        row = {field: int(column[number]) for field, column in columns.items()}
        if not _on_crossbar(row["kind"]):
            continue
        if row["groups"] > 1:
            raise NotExpressibleError(
                f"layer '{name}' is a convolution of {row['groups']} groups; {tool} knows plain ones"
            )
        later = range(number + 1, len(workload.names))
        end = next((at for at in later if _on_crossbar(int(columns["kind"][at]))), len(workload.names))
        found.append(
            _Layer(
                name, row["kind"] == LayerKind.CONV, row["in_channels"], row["out_channels"], row["kernel_size"],
                row["stride"], row["in_height"], row["in_width"], row["out_height"],
                bool(shrinks[number + 1 : end].any()),
            )
        )  # fmt: skip
    return found


def _on_crossbar(kind: int) -> bool:
    return kind in (LayerKind.CONV, LayerKind.LINEAR)
