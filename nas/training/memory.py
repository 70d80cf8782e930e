"""Batches for which there is memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

from hasnas.errors import OF_MEMORY
from hasnas.nas.data.samples import Split, batches

Value = TypeVar("Value")


def in_batches(split: Split, size: int, function: Callable[[Tensor, Tensor], Value]) -> list[Value]:
    """What a function says of each batch; where memory ends, batches of half the size follow, down to one sample.

    Args:
        split: the samples.
        size: samples at a time.
        function: of inputs and targets as `batches` gives them; its values must not depend on how samples are grouped.
    """
    found: list[Value] = []
    done = 0
    while done < len(split):
        part = split.take(torch.arange(done, min(done + size, len(split))))
        try:
            found += [function(inputs, targets) for inputs, targets in batches(part, size)]
        except (MemoryError, RuntimeError) as error:
            if size == 1 or not tells_of_memory(error):
                raise
            size = min(size, len(part)) // 2 or 1
            continue
        done += len(part)
    return found


def tells_of_memory(error: BaseException) -> bool:
    """Whether torch or Python raised an error for want of memory, the processor's or a GPU's.

    >>> tells_of_memory(RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."))
    True
    """
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return any(text in str(error).lower() for text in (*OF_MEMORY, "out of memory"))
