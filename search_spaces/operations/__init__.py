"""What an edge of a cell may do: one class a kind in one file, listed here; plug-ins announce theirs.

A new kind is a file with a subclass of `CellOperation` and a line in `OPERATIONS`. Expansion, prices (of graphs and of
whole populations), features, mean-field scores, supernets and exports read the class.
"""

from __future__ import annotations

from functools import lru_cache

from hasnas.errors import BadInputError, nearest
from hasnas.registry import Registry

from .base import CellOperation as CellOperation
from .base import FieldRule as FieldRule
from .base import PlainOperation as PlainOperation
from .base import WindowOperation as WindowOperation

NONE = "none"
IDENTITY = "identity"
_HERE = "hasnas.search_spaces.operations"
OPERATIONS: Registry[type[CellOperation]] = Registry(
    "kind of operation",
    {
        "none": f"{_HERE}.nothing:Nothing",
        "identity": f"{_HERE}.identity:Identity",
        "conv": f"{_HERE}.convolution:Convolution",
        "avg_pool": f"{_HERE}.average_pool:AveragePool",
        "max_pool": f"{_HERE}.maximum_pool:MaximumPool",
        "depthwise_separable": f"{_HERE}.depthwise_separable:DepthwiseSeparable",
        "conv1d": f"{_HERE}.line_convolution:LineConvolution",
        "avg_pool1d": f"{_HERE}.line_average_pool:LineAveragePool",
        "max_pool1d": f"{_HERE}.line_maximum_pool:LineMaximumPool",
        "depthwise_separable1d": f"{_HERE}.line_depthwise_separable:LineDepthwiseSeparable",
    },
    "hasnas.operations",
)


def listed_operations() -> list[str]:
    """Names of the operations that every kind lists."""
    return [name for kind in OPERATIONS.names() for name in OPERATIONS.get(kind).listed]


@lru_cache(maxsize=4096)
def operation_named(name: str) -> CellOperation:
    """The operation called `name`.

    Names say all about an operation, so that architectures can be read without the space that they were found in.

    Raises:
        BadInputError: if no kind has such a name; the nearest listed one is named.

    >>> operation_named("conv3x3").parameters(128)
    147712
    >>> operation_named("conv7x7_t0.8")
    Convolution(name='conv7x7_t0.8', kernel_size=7, threshold=0.8)
    """
    for kinds in (OPERATIONS.builtin_names, OPERATIONS.names()):
        for kind in kinds:
            operation = OPERATIONS.get(kind).read(name)
            if operation is not None:
                return operation
    raise BadInputError(f"unknown operation '{name}'{nearest(name, listed_operations())}")


def operation_like(kind: str, kernel_size: int, threshold: float | None = None) -> CellOperation:
    """The operation of a kind and a size, under the name that says so.

    Raises:
        BadInputError: if the kind is unknown, or kernel size or threshold have no name.

    >>> operation_like("max_pool", 5).name
    'maxpool5x5'
    """
    return OPERATIONS.get(kind).like(kernel_size, threshold)
