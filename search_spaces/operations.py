"""The operation table: one row tells all about what an edge of a cell may do."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hasnas.errors import BadInputError, nearest

NONE = "none"
IDENTITY = "identity"
LARGEST_KERNEL = 31
_PREFIXES = {"conv": "conv", "avg_pool": "avgpool", "max_pool": "maxpool"}
_NAME = re.compile(r"(conv|avgpool|maxpool)(\d{1,2})x\2(?:_t(\d{1,4}\.\d{1,9}))?", re.ASCII)


@dataclass(frozen=True)
class CellOperation:
    """What one edge of a cell does to the value of its source node; it keeps the map size and the channels.

    Args:
        name: name in genotypes and files.
        kind: `"none"`, `"identity"`, `"conv"` (LIF, then convolution, then batch norm), `"avg_pool"` or `"max_pool"`.
        kernel_size: side of the window, 0 where there is none.
        threshold: firing threshold of the LIF before a convolution; `None` takes the macro's.

    >>> OPERATIONS["conv3x3"].padding
    1
    """

    name: str
    kind: str
    kernel_size: int = 0
    threshold: float | None = None

    @property
    def padding(self) -> int:
        """Zeros added on each side, so that the map keeps its size."""
        return self.kernel_size // 2

    @property
    def is_conv(self) -> bool:
        """Whether the edge carries weights, and thus spikes through a LIF."""
        return self.kind == "conv"

    def parameters(self, channels: int) -> int:
        """Trainable parameters on `channels` -> `channels`: the kernel (no bias) and two per channel of batch norm."""
        return channels * channels * self.kernel_size**2 + 2 * channels if self.is_conv else 0


OPERATIONS: dict[str, CellOperation] = {
    operation.name: operation
    for operation in (
        CellOperation(NONE, "none"),
        CellOperation(IDENTITY, "identity"),
        CellOperation("conv1x1", "conv", 1),
        CellOperation("conv3x3", "conv", 3),
        CellOperation("conv5x5", "conv", 5),
        CellOperation("avgpool3x3", "avg_pool", 3),
        CellOperation("maxpool3x3", "max_pool", 3),
        CellOperation("conv3x3_t0.5", "conv", 3, threshold=0.5),
        CellOperation("conv3x3_t1.0", "conv", 3, threshold=1.0),
        CellOperation("conv3x3_t1.5", "conv", 3, threshold=1.5),
    )
}


def operation_named(name: str) -> CellOperation:
    """The operation called `name`: a row of the table, or one that follows the table's way of naming.

    Other odd kernel sizes up to 31 and other thresholds need no row: names say all about an operation, so that
    architectures can be read without the space that they were found in.

    Raises:
        BadInputError: if there is none; the nearest one of the table is named.

    >>> operation_named("conv3x3").parameters(128)
    147712
    >>> operation_named("conv7x7_t0.8")
    CellOperation(name='conv7x7_t0.8', kind='conv', kernel_size=7, threshold=0.8)
    """
    if name in OPERATIONS:
        return OPERATIONS[name]
    operation = _read_name(name)
    if operation is None:
        raise BadInputError(f"unknown operation '{name}'{nearest(name, OPERATIONS)}")
    return operation


def operation_like(kind: str, kernel_size: int, threshold: float | None = None) -> CellOperation:
    """The convolution or pool of a given size, under the name that says so.

    Raises:
        BadInputError: if the kind is unknown, or kernel size or threshold have no name.

    >>> operation_like("max_pool", 5).name
    'maxpool5x5'
    """
    if kind not in _PREFIXES:
        raise BadInputError(f"unknown kind '{kind}'{nearest(str(kind), _PREFIXES)}")
    suffix = "" if threshold is None else f"_t{float(threshold)!r}"
    operation = _read_name(f"{_PREFIXES[kind]}{kernel_size}x{kernel_size}{suffix}")
    if operation is not None:
        return operation
    if threshold is not None and kind != "conv":
        raise BadInputError(f"a threshold on '{kind}', which has no neurons; remove it")
    if _read_name(f"{_PREFIXES[kind]}{kernel_size}x{kernel_size}") is None:
        smallest = 1 if kind == "conv" else 3
        raise BadInputError(f"kernel_size is {kernel_size!r}; give an odd number from {smallest} to {LARGEST_KERNEL}")
    raise BadInputError(f"threshold is {threshold!r}; give a number from 0.001 to 1000")


def _read_name(name: str) -> CellOperation | None:
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    kind = next(kind for kind, prefix in _PREFIXES.items() if prefix == match[1])
    size, threshold = int(match[2]), None if match[3] is None else float(match[3])
    fits = size % 2 == 1 and (1 if kind == "conv" else 3) <= size <= LARGEST_KERNEL
    plain = threshold is None or (kind == "conv" and 0.001 <= threshold <= 1000)
    own = CellOperation(name, kind, size, threshold)
    spelt = f"{match[1]}{size}x{size}" + ("" if threshold is None else f"_t{threshold!r}")
    return own if fits and plain and spelt == name else None
