"""What symbolic tracing does not see: tensors that are written in place, or kept from one call for the next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from torch import fx, nn

from hasnas.errors import BadInputError

AUGMENTED = frozenset({"iadd", "isub", "imul", "imatmul", "itruediv", "ifloordiv", "iand", "ior", "ixor", "setitem"})
OWN = frozenset(vars(nn.Module()))  # torch's own attributes of a module
KEEPERS = (list, dict, set, deque)


def check_writes(graph: fx.Graph, root: nn.Module, describe: Callable[[fx.Node], str]) -> None:
    """Refuse calls that write into a tensor which is read again by its old name: a trace knows results only.

    Args:
        graph: the calls, dead ones included.
        root: holds the layers.
        describe: names a call.

    Raises:
        BadInputError: naming the call.
    """
    place = {node: number for number, node in enumerate(graph.nodes)}
    for node in graph.nodes:
        if not _writes(node, root):
            continue
        written = node.args[0] if node.args else None
        later = isinstance(written, fx.Node) and any(place[user] > place[node] for user in written.users)
        if isinstance(written, fx.Node) and written.op == "placeholder":
            raise BadInputError(f"{describe(node)} writes into the sample itself; use the call that does not write")
        if later or not node.users:
            raise BadInputError(
                f"{describe(node)} writes into a tensor in place, and what it wrote is read by the tensor's old name; "
                "use what the call returns, or the call that does not write"
            )


def _writes(node: fx.Node, root: nn.Module) -> bool:
    if node.op == "call_module":
        return bool(getattr(root.get_submodule(str(node.target)), "inplace", False))
    if node.op not in ("call_function", "call_method"):
        return False
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    is_operator = getattr(node.target, "__module__", "") == "_operator"
    told = bool(node.kwargs.get("inplace")) or node.kwargs.get("out") is not None
    return told or (name.endswith("_") and not name.endswith("__")) or (is_operator and name in AUGMENTED)


@contextmanager
def as_before(root: nn.Module) -> Iterator[None]:
    """Afterwards all modules hold what they held: a forward may keep what it computes in attributes and lists."""
    held = [(vars(module), _copied(vars(module))) for module in root.modules()]
    try:
        yield
    finally:
        for values, before in held:
            for name in values.keys() - before.keys() - OWN:
                del values[name]
            for name, (value, content) in before.items():
                values[name] = value
                if content is not None:
                    value.clear()
                    (value.extend if isinstance(value, list | deque) else value.update)(content)


def _copied(values: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Attributes with copies of the lists, mappings and the like among them; torch's own are only kept."""
    keepers = {name for name, value in values.items() if isinstance(value, KEEPERS) and name not in OWN}
    return {name: (value, copy(value) if name in keepers else None) for name, value in values.items()}


def kept_by(root: nn.Module) -> list[str]:
    """Attributes that hold results of a traced call, `MODULE.NAME`."""
    return [
        f"{type(module).__name__}.{name}"
        for module in root.modules()
        for name, value in vars(module).items()
        if name not in OWN and _holds_symbol(value)
    ]


def _holds_symbol(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_symbol, value.values()))
    if isinstance(value, (tuple, *KEEPERS)):
        return any(map(_holds_symbol, value))
    return isinstance(value, fx.Proxy)


def reads_of_others(graph: fx.Graph) -> bool:
    """Whether calls take results of another trace."""
    return any(source.graph is not graph for node in graph.nodes for source in node.all_input_nodes)
