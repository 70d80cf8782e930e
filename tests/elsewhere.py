"""A device that is not the CPU, on a machine without one: values are computed here, but every tensor says that it lies
on torch's `meta` device, and a computation with a tensor of the CPU beside it is refused as a GPU would refuse it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

ELSEWHERE = torch.device("meta")


class Elsewhere(Tensor):
    """A tensor that says it lies elsewhere; its values are in `here`."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor) -> Elsewhere:
        shape = {"strides": here.stride(), "storage_offset": here.storage_offset(), "dtype": here.dtype}
        found = Tensor._make_wrapper_subclass(cls, here.shape, **shape, device=ELSEWHERE, requires_grad=False)
        found.here = here
        return found

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(function, args, kwargs or {})


class _Placement(TorchDispatchMode):
    """Tensors that are made with a device are made there."""

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _compute(function, args, kwargs or {})


class _Numbers(TorchFunctionMode):
    """Torch gives `meta` tensors that are made of numbers no values; here they have them."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        known = dict(kwargs or {})
        if function in (torch.tensor, torch.as_tensor) and known.get("device") == ELSEWHERE:
            return function(*args, **{**known, "device": "cpu"}).to(ELSEWHERE)
        return function(*args, **known)


def _compute(function: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
    there = [isinstance(tensor, Elsewhere) for tensor in tensors]
    wanted = kwargs.get("device")
    copies = function in (torch.ops.aten.copy_.default, torch.ops.aten._to_copy.default)
    # As on a GPU, one number of the CPU may stand beside tensors of any device.
    strangers = [tensor for tensor, away in zip(tensors, there, strict=True) if not away and tensor.dim()]
    if any(there) and strangers and not copies:
        raise RuntimeError(f"{function}: a tensor of shape {tuple(strangers[0].shape)} is on the CPU, others elsewhere")
    away = any(there) if wanted is None else torch.device(wanted) == ELSEWHERE
    if function is torch.ops.aten.copy_.default:
        away = there[0]
    plain_args, plain = tree_map(_here, args), tree_map(_here, kwargs)
    if "device" in plain:
        plain["device"] = torch.device("cpu")
    result = function(*plain_args, **plain)
    if not away:
        return result
    known = {id(_here(tensor)): tensor for tensor in tensors}  # what was changed in place is the same tensor
    return tree_map(lambda one: known.get(id(one), Elsewhere(one)) if isinstance(one, Tensor) else one, result)


def _here(value: Any) -> Any:
    return value.here if isinstance(value, Elsewhere) else value


@contextmanager
def device_elsewhere() -> Iterator[torch.device]:
    """While the context lasts, the device it gives holds values."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    try:
        with _Placement(), _Numbers():
            yield ELSEWHERE
    finally:
        torch.__future__.set_swap_module_params_on_conversion(before)
