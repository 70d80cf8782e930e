"""The calls that a module makes, found by symbolic tracing, and their shapes, found by running them."""

from __future__ import annotations

import operator
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import spikingjelly
import torch
from torch import Tensor, fx, nn

from hasnas.errors import BadInputError
from hasnas.search_spaces.network import SpikingNetwork, share_active
from hasnas.search_spaces.pooling import OverlappingAvgPool2d

from . import elsewhere
from .hazards import as_before, check_writes, kept_by, reads_of_others
from .layers import Shape, has_state
from .sums import merge_sums

from spikingjelly.activation_based import base, layer  # isort: skip  # only after hasnas has silenced its import


class LayerRunError(BadInputError):
    """A module cannot be run on the example; `reached` counts the steps that could."""

    def __init__(self, message: str, reached: int) -> None:
        super().__init__(message)
        self.reached = reached


class Shares(NamedTuple):
    """Which share of a layer's inputs and of its result is not zero in one evaluation."""

    inputs: float
    result: float


class Holder(nn.Module):
    """Holds a module, so that the module itself may be a layer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net(x)


class _Symbol(fx.Proxy):
    """A value whose `a += b` is told from `a = a + b`: the first changes what other names of a hold."""

    def __iadd__(self, other: Any) -> fx.Proxy:
        return self.tracer.create_proxy("call_function", operator.iadd, (self, other), {})


class _Sample(_Symbol):
    """The input, whose sizes are those of the example, so that a module may loop over its timesteps."""

    def __init__(self, node: fx.Node, tracer: fx.Tracer, example: Tensor) -> None:
        super().__init__(node, tracer)
        self.example = example

    def __len__(self) -> int:
        return len(self.example)

    @property
    def shape(self) -> torch.Size:
        return self.example.shape

    @property
    def ndim(self) -> int:
        return self.example.ndim

    def dim(self) -> int:
        return self.example.ndim

    def size(self, dim: int | None = None) -> Any:
        return self.example.shape if dim is None else self.example.size(dim)


class _Tracer(fx.Tracer):
    """Enters everything but layers; what lies in a container that steps through time is marked as stepped."""

    stepped = 0

    def __init__(self, example: Tensor) -> None:
        super().__init__()
        self.example = example

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Sample(node, self, self.example) if node.op == "placeholder" else _Symbol(node, self)

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        plain = isinstance(m, nn.Sequential) and not isinstance(m, base.StepModule)
        return not plain and _is_layer(m)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if not _is_time_container(m):
            return super().call_module(m, forward, args, kwargs)
        steps = getattr(m, "step_mode", "m") == "m"
        self.stepped += steps
        result = super().call_module(m, lambda x: nn.Sequential.forward(m, x), args, kwargs)  # type: ignore[arg-type]
        self.stepped -= steps
        return result

    def create_node(
        self,
        kind: str,
        target: Any,
        args: Any,
        kwargs: Any,
        name: str | None = None,
        type_expr: Any | None = None,
    ) -> fx.Node:
        node = super().create_node(kind, target, args, kwargs, name, type_expr)
        node.meta.update(scope=self.scope.module_path, stepped=self.stepped > 0)
        return node


def _is_time_container(module: nn.Module) -> bool:
    return isinstance(module, layer.SeqToANNContainer | layer.MultiStepContainer | layer.StepModeContainer)


def _is_layer(module: nn.Module) -> bool:
    if _is_time_container(module):
        return False
    if has_state(module) or isinstance(module, nn.Conv1d | nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
        return True
    if isinstance(module, OverlappingAvgPool2d | SpikingNetwork) or elsewhere.is_leaf(module):
        return True
    home = type(module).__module__
    return home.startswith(("torch.nn", "spikingjelly.activation_based.layer", "spikingjelly.activation_based.neuron"))


class ShapeInterpreter(fx.Interpreter):
    """Runs the traced graph on an example; keeps shapes, and if asked which share of inputs and results is not zero."""

    def __init__(self, holder: nn.Module, graph: fx.Graph, shares: dict[fx.Node, list[Shares]] | None) -> None:
        super().__init__(holder, graph=graph)
        self.extra_traceback = False
        self.shapes: dict[fx.Node, Shape | None] = {}
        self.several: set[fx.Node] = set()  # calls with several results
        self.shares = shares

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        taken = [arg for arg in args if isinstance(arg, Tensor)]
        before = share_active(taken) if self.shares is not None and taken else 0.0  # the call may write into its inputs
        try:
            call = getattr(self, n.op)
            stepped = n.meta["stepped"] and n.op.startswith("call")
            result = _step(call, n.target, args, kwargs) if stepped else call(n.target, args, kwargs)
        except Exception as error:  # whatever torch, SpikingJelly or a user's layer raises
            shapes = [list(arg.shape) for arg in args if isinstance(arg, Tensor)]
            message = f"{describe(n)} cannot run on {shapes or 'its input'}: {_first_line(error)}"
            raise LayerRunError(message, reached=len(self.shapes)) from error
        first = result
        if isinstance(result, tuple) and result and n.op.startswith("call"):
            self.several.add(n)
            first = result[0]  # of neurons that return their states, too
        if isinstance(first, Tensor) and n.op.startswith("call") and not first.is_floating_point():
            kind = str(first.dtype).removeprefix("torch.")
            raise BadInputError(f"{describe(n)} makes values of the type {kind}, which has no price; keep floats")
        self.shapes[n] = tuple(first.shape) if isinstance(first, Tensor) else None
        if self.shares is not None and taken and isinstance(first, Tensor):
            self.shares.setdefault(n, []).append(Shares(before, share_active([first])))
        return result


def _step(call: Callable[..., Any], target: Any, args: Any, kwargs: Any) -> Any:
    """Call once for each timestep of the tensors among the arguments."""
    steps = [len(arg) for arg in args if isinstance(arg, Tensor)]
    if not steps:
        return call(target, args, kwargs)
    taken = [tuple(arg[step] if isinstance(arg, Tensor) else arg for arg in args) for step in range(steps[0])]
    results = [call(target, one, kwargs) for one in taken]
    return torch.stack(results) if isinstance(results[0], Tensor) else results[0]


def trace_symbols(holder: Holder, example: Tensor) -> fx.Graph:
    """The calls of a module, those of layers as one each, sums merged, without those that lead nowhere.

    Sizes of the input are those of the example.

    Raises:
        BadInputError: naming the line, if the forward depends on the values of tensors, or the attribute or call that
            hides what is computed.
    """
    with as_before(holder):
        traced = _traced(holder, example)
        kept = kept_by(holder)
        if kept and _remembers(holder, example):
            raise BadInputError(
                f"{kept[0]} keeps a tensor of one call for the next, which is no layer; use neurons of a library, or "
                "loop over the timesteps in the forward"
            )
    check_writes(traced, holder, describe)
    for node in reversed(traced.nodes):
        if not node.users and node.op not in ("placeholder", "output"):
            traced.erase_node(node)
    merge_sums(traced)
    return traced


def _traced(holder: Holder, example: Tensor) -> fx.Graph:
    try:
        return _Tracer(example).trace(holder)
    except Exception as error:  # torch.fx, or the user's own forward when it meets a symbol instead of a tensor
        reason = _first_line(error).split(". ")[0]
        raise BadInputError(
            f"{_place(error)}the forward of {type(holder.net).__name__} cannot be traced ({reason}); write it without "
            "branches and loops over tensors; of a module that loops over timesteps, give what runs a single one"
        ) from error


def _remembers(holder: Holder, example: Tensor) -> bool:
    """Whether a second call would read what the first one kept."""
    try:
        return reads_of_others(_Tracer(example).trace(holder))
    except Exception:  # the first call went well, so the second met something of it
        return True


@contextmanager
def at_rest(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and neurons at rest; afterwards the modes as before, neurons at rest again."""
    modes = {child: child.training for child in module.modules()}
    _reset(module)
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes.items():
            child.training = mode
        _reset(module)


def _reset(module: nn.Module) -> None:
    for child in module.modules():
        if has_state(child) and not elsewhere.is_neuron(child):  # of other libraries a copy is run
            child.reset()  # type: ignore[operator]


def stripped(target: str) -> str:
    """A place in the holder as the place in the module it holds.

    >>> stripped("net.block1.conv"), stripped("net")
    ('block1.conv', '')
    """
    return target.removeprefix("net").removeprefix(".")


def prefixed(scope: str, name: str) -> str:
    """A name inside a part of the module.

    >>> prefixed("net.block1", "add")
    'block1.add'
    """
    inside = stripped(scope)
    return f"{inside}.{name}" if inside else name


def describe(node: fx.Node) -> str:
    """What a node is and where, for messages."""
    if node.op == "call_module":
        return f"layer '{stripped(str(node.target)) or node.target}'"
    if str(node.target).startswith("_tensor_constant"):
        return "a tensor that the forward makes"
    if node.op == "get_attr":
        return f"tensor '{stripped(str(node.target))}'"
    inside = stripped(node.meta.get("scope", ""))
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", node.name)
    return f"function '{name}'" + (f" in '{inside}'" if inside else "")


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].rstrip(".") if lines else type(error).__name__


def _place(error: BaseException) -> str:
    """`file:line: ` of the last frame in the user's own code, if there is any."""
    libraries = [Path(package.__file__ or "").parent for package in (torch, spikingjelly)]
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if frame.filename != __file__ and not any(library in Path(frame.filename).parents for library in libraries)
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
