"""The operation table: one row tells all about what an edge of a cell may do."""

from __future__ import annotations

from dataclasses import dataclass

from hasnas.errors import BadInputError, nearest

NONE = "none"
IDENTITY = "identity"


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
    """The row of the table called `name`.

    Raises:
        BadInputError: if there is none; the nearest known one is named.

    >>> operation_named("conv3x3").parameters(128)
    147712
    """
    if name not in OPERATIONS:
        raise BadInputError(f"unknown operation '{name}'{nearest(name, OPERATIONS)}")
    return OPERATIONS[name]
