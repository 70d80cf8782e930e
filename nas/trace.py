"""A PyTorch or SpikingJelly module as a LayerGraph: networks that were written elsewhere can be priced, too."""

from __future__ import annotations

import operator
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from typing import Any

import spikingjelly
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import LIF, Add, Connection, Flatten, Input, LayerGraph, Node, Operation, Output

from .traced_layers import Shape, operation_of

from spikingjelly.activation_based import base, layer  # isort: skip  # only after hasnas has silenced its import
from spikingjelly.activation_based.functional import reset_net  # isort: skip

ADDITIONS = frozenset({operator.add, operator.iadd, torch.add, "add", "add_"})
MEANS = frozenset({torch.mean, "mean"})
# Values keep their order; what happened is read off the shapes.
MOVEMENTS = frozenset(
    {
        *("view", "reshape", "flatten", "squeeze", "unsqueeze", "contiguous", "clone", "detach"),
        *("repeat", "expand", "float", "to"),
        *(torch.flatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.clone),
    }
)
POOLS: dict[Any, type[nn.Module]] = {
    functional.avg_pool2d: nn.AvgPool2d,
    functional.max_pool2d: nn.MaxPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
}
KNOWN_FUNCTIONS = "+, flatten, view, reshape, squeeze, unsqueeze, repeat, expand, mean(0) over time, 2-d pools"


class LayerRunError(BadInputError):
    """A module cannot be run on the example; `reached` counts the steps that could."""

    def __init__(self, message: str, reached: int) -> None:
        super().__init__(message)
        self.reached = reached


def trace_module(module: nn.Module, example: Tensor, timesteps: int, static: bool | None = None) -> LayerGraph:
    """The layers of a module, found by symbolic tracing, with shapes from one run on an example.

    Layers are called by their dotted names in the module, sums by their block's (`block1.add`); a name that is taken
    gets a number (`pool.2`). Neurons become LIF neurons (see `operation_of`). Parameters, training mode and gradients
    stay as they are; neurons are reset.

    Args:
        module: in single-step mode, for one timestep, or in multi-step mode; maps `[C, H, W]` or vectors `[F]`.
        example: `[B, ...]` for a module in single-step mode or one that repeats an image by itself, `[T, B, ...]` for
            a module in multi-step mode.
        timesteps: T of a sample.
        static: whether the input is the same at every timestep, so that layers before the first neuron run only once;
            unless given, it is for `[B, ...]`, and for `[T, B, ...]` if all frames of the example are equal.

    Raises:
        BadInputError: naming the layer or function that cannot be expressed, and what to use instead.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), layer.Flatten(), nn.Linear(8, 3))
    >>> [node.name for node in trace_module(net, torch.zeros(1, 1, 4, 4), timesteps=5).nodes]
    ['input', '0', '1', '2', 'output']
    """
    return _Run(module, example, timesteps).graph(static)


def trace_activity(module: nn.Module, example: Tensor, timesteps: int) -> dict[str, float]:
    """How busy each layer is on the example.

    Args:
        module: see `trace_module`; it runs in evaluation mode.
        example: see `trace_module`; a single-step module sees it at every timestep.
        timesteps: T of a sample.

    Returns:
        For every convolution and fully connected layer the share of its input values that are not zero, per
        evaluation, by the names of `trace_module`'s graph: the rates that `lower` takes.

    Raises:
        BadInputError: as `trace_module`.

    >>> net = nn.Sequential(nn.Linear(4, 2))
    >>> trace_activity(net, torch.tensor([[1.0, 0.0, 0.0, 2.0]]), timesteps=3)
    {'0': 0.5}
    """
    run = _Run(module, example, timesteps)
    run.graph(None, passes=1 if runs_over_time(module) else timesteps)
    return {run.names[target]: sum(shares) / len(shares) for target, shares in run.shares.items()}


def runs_over_time(module: nn.Module) -> bool:
    """Whether a module has layers in multi-step mode, which take all timesteps at once.

    >>> runs_over_time(layer.Flatten(step_mode="m")), runs_over_time(nn.Flatten())
    (True, False)
    """
    modes = (getattr(child, "step_mode", "m") for child in module.modules() if isinstance(child, base.StepModule))
    return "m" in modes


@dataclass(frozen=True)
class _Value:
    """A tensor between layers: the node it comes from, its leading axes (time, batch), and its shape without them."""

    source: str
    lead: Shape
    shape: Shape


class _Holder(nn.Module):
    """Holds a module, so that the module itself may be a layer."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        return self.net(x)


class _Tracer(fx.Tracer):
    """Enters everything but layers; what lies in a container that steps through time is marked as stepped."""

    stepped = 0

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
    if isinstance(module, base.MemoryModule | nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.BatchNorm1d):
        return True
    home = type(module).__module__
    return home.startswith(("torch.nn", "spikingjelly.activation_based.layer", "spikingjelly.activation_based.neuron"))


class _Interpreter(fx.Interpreter):
    """Runs the traced graph on an example; keeps shapes, and how many inputs of each weighted layer are not zero."""

    def __init__(self, holder: nn.Module, graph: fx.Graph, shares: dict[str, list[float]]) -> None:
        super().__init__(holder, graph=graph)
        self.extra_traceback = False
        self.shapes: dict[fx.Node, Shape | None] = {}
        self.shares = shares

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        try:
            call = getattr(self, n.op)
            stepped = n.meta["stepped"] and n.op.startswith("call")
            result = _step(call, n.target, args, kwargs) if stepped else call(n.target, args, kwargs)
        except Exception as error:  # whatever torch, SpikingJelly or a user's layer raises
            taken = [list(arg.shape) for arg in args if isinstance(arg, Tensor)]
            message = f"{_describe(n)} cannot run on {taken or 'its input'}: {_first_line(error)}"
            raise LayerRunError(message, reached=len(self.shapes)) from error
        self.shapes[n] = tuple(result.shape) if isinstance(result, Tensor) else None
        if n.op == "call_module" and isinstance(self.fetch_attr(str(n.target)), nn.Conv2d | nn.Linear):
            self.shares.setdefault(str(n.target), []).append(float((args[0] != 0).double().mean()))
        return result


def _step(call: Callable[..., Any], target: Any, args: Any, kwargs: Any) -> Any:
    """Call once for each timestep of the tensors among the arguments."""
    steps = [len(arg) for arg in args if isinstance(arg, Tensor)]
    if not steps:
        return call(target, args, kwargs)
    taken = [tuple(arg[step] if isinstance(arg, Tensor) else arg for arg in args) for step in range(steps[0])]
    results = [call(target, one, kwargs) for one in taken]
    return torch.stack(results) if isinstance(results[0], Tensor) else results[0]


@dataclass
class _Run:
    """Traces, runs and translates one module."""

    module: nn.Module
    example: Tensor
    timesteps: int
    shares: dict[str, list[float]] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)
    links: list[Connection] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # a layer's place in the holder -> its name in the graph
    values: dict[fx.Node, _Value] = field(default_factory=dict)
    shapes: dict[fx.Node, Shape | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise BadInputError(f"{type(self.module).__name__} is no torch module; give an nn.Module")
        if self.timesteps < 1:
            raise BadInputError(f"timesteps is {self.timesteps}; give at least 1")
        if self.example.dim() not in (2, 3, 4, 5) or not self.example.numel():
            raise BadInputError(
                f"the example has shape {list(self.example.shape)}; give [B, C, H, W], [T, B, C, H, W], [B, F] or "
                "[T, B, F], with at least one sample"
            )
        self.holder = _Holder(self.module)
        self.lead = tuple(self.example.shape[: 1 if self.example.dim() in (2, 4) else 2])
        self.batch = self.lead[-1]
        if len(self.lead) == 2 and self.lead[0] != self.timesteps:
            raise BadInputError(f"the example has {self.lead[0]} timesteps, not {self.timesteps}; let them agree")

    def graph(self, static: bool | None, passes: int = 1) -> LayerGraph:
        """Trace, run, translate; `shares` and `names` hold the rest of what was found."""
        with _quiet(self.module), torch.no_grad():
            traced = self._trace()
            interpreter = _Interpreter(self.holder, traced, self.shares)
            for _ in range(passes):
                interpreter.run(self.example)
        self.shapes = interpreter.shapes
        if static is None:
            static = len(self.lead) == 1 or bool((self.example == self.example[:1]).all())
        for node in traced.nodes:
            self._translate(node, static)
        self._check_parameters()
        return LayerGraph(tuple(self.nodes), tuple(self.links), self.timesteps)

    def _trace(self) -> fx.Graph:
        try:
            traced = _Tracer().trace(self.holder)
        except Exception as error:  # torch.fx, or the user's own forward when it meets a symbol instead of a tensor
            raise BadInputError(
                f"{_place(error)}the forward of {type(self.module).__name__} cannot be traced "
                f"({_first_line(error)}); write it without branches or loops over the data, for one timestep or all"
            ) from error
        for node in reversed(traced.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                traced.erase_node(node)
        return traced

    def _add(self, name: str, operation: Operation, shape: Shape, *sources: str) -> str:
        taken = {"input", "output", *(node.name for node in self.nodes)}
        if name in taken and not isinstance(operation, Input | Output):
            name = next(f"{name}.{number}" for number in range(2, len(taken) + 3) if f"{name}.{number}" not in taken)
        self.nodes.append(Node(name, operation, shape))
        self.links.extend(Connection(source, name) for source in sources)
        return name

    def _translate(self, node: fx.Node, static: bool) -> None:
        shape = self.shapes[node]
        if node.op == "placeholder":
            inner = tuple(self.example.shape[len(self.lead) :])
            self.values[node] = _Value(self._add("input", Input(static), inner), self.lead, inner)
        elif node.op == "output":
            self._finish(node)
        elif shape is None:
            return  # sizes and the like
        elif node.op == "call_module":
            module = self.holder.get_submodule(str(node.target))
            self.values[node] = self._layer(node, module, self._name(node, module), shape)
        elif node.op == "get_attr":
            raise BadInputError(f"{_describe(node)} is used outside of any layer; use it inside a Conv2d or Linear")
        elif node.target in ADDITIONS:
            self.values[node] = self._sum(node)
        elif node.target in POOLS:
            module = self._pool_module(node)
            self.values[node] = self._layer(node, module, _prefixed(node.meta["scope"], node.name), shape)
        elif node.target in MEANS:
            self.values[node] = self._mean(node, shape)
        elif node.target in MOVEMENTS:
            self.values[node] = self._movement(node, self._argument(node), shape)
        else:
            raise BadInputError(f"{_describe(node)} has no price; use layers, {KNOWN_FUNCTIONS}")

    def _argument(self, node: fx.Node) -> _Value:
        first = node.args[0] if node.args else None
        if not isinstance(first, fx.Node) or first not in self.values:
            raise BadInputError(f"{_describe(node)} does not start from a layer's result; give that as first argument")
        return self.values[first]

    def _name(self, node: fx.Node, module: nn.Module) -> str:
        target = str(node.target)
        name = _stripped(target) or type(module).__name__.lower()
        if target in self.names and (isinstance(module, base.MemoryModule) or any(True for _ in module.parameters())):
            raise BadInputError(
                f"layer '{name}' is used twice in one pass; give each use a layer of its own, and a module that loops "
                "over timesteps itself without the loop"
            )
        return name

    def _layer(self, node: fx.Node, module: nn.Module, name: str, shape: Shape) -> _Value:
        value = self._argument(node)
        self._check_step_mode(module, name, value, node.meta["stepped"])
        if isinstance(module, nn.Flatten):
            return self._movement(node, value, shape)
        count = len(value.lead)
        if shape[:count] != value.lead or len(shape) == count:
            raise BadInputError(f"layer '{name}' mixes samples or timesteps: {list(shape)} from {_full(value)}")
        operation = operation_of(name, module, value.shape, shape[count:])
        if operation is None:
            return value
        source = self._add(name, operation, shape[count:], value.source)
        if node.op == "call_module":
            self.names[str(node.target)] = source
        return _Value(source, value.lead, shape[count:])

    def _check_step_mode(self, module: nn.Module, name: str, value: _Value, stepped: bool) -> None:
        single = stepped or len(value.lead) == 1
        mode, wanted = getattr(module, "step_mode", None), "s" if single else "m"
        if mode is not None and mode != wanted:
            axes = "[B, ...]" if single else "[T, B, ...]"
            raise BadInputError(
                f"layer '{name}' is in step mode '{mode}', but its input is {axes}; call "
                f"spikingjelly.activation_based.functional.set_step_mode(net, '{wanted}'), or give the other example"
            )
        folded = single and not stepped and value.lead != (self.batch,)
        if folded and isinstance(module, base.MemoryModule):
            raise BadInputError(
                f"layer '{name}' has a state, but timesteps and batch are one axis; separate them first"
            )

    def _pool_module(self, node: fx.Node) -> nn.Module:
        if not node.args[1:] and not node.kwargs:
            raise BadInputError(f"{_describe(node)} has no window; give one")
        return POOLS[node.target](*node.args[1:], **node.kwargs)

    def _sum(self, node: fx.Node) -> _Value:
        terms = [term for term in node.args if not (isinstance(term, int) and term == 0)]  # sum([...]) begins with 0
        values = [self.values.get(term) if isinstance(term, fx.Node) else None for term in terms]
        found = [value for value in values if value is not None]
        if len(found) != len(values) or not found or node.kwargs or len({(v.lead, v.shape) for v in found}) != 1:
            raise BadInputError(f"{_describe(node)} does not add results of one shape; add only layers' results alike")
        first = found[0]
        if len(found) == 1:
            return first
        name = _prefixed(node.meta["scope"], "add")
        return _Value(self._add(name, Add(), first.shape, *(v.source for v in found)), first.lead, first.shape)

    def _mean(self, node: fx.Node, shape: Shape) -> _Value:
        value = self._argument(node)
        axis = [*node.args[1:], *node.kwargs.values()]
        if len(value.lead) != 2 or axis not in ([0], [[0]], [(0,)]) or shape != (self.batch, *value.shape):
            raise BadInputError(
                f"{_describe(node)} is not the mean over time of [T, B, ...]; pool maps with nn.AdaptiveAvgPool2d(1)"
            )
        if any(user.op != "output" for user in node.users):
            raise BadInputError(f"{_describe(node)} averages over time before the last layer; do so only at the end")
        return _Value(value.source, (self.batch,), value.shape)

    def _movement(self, node: fx.Node, value: _Value, shape: Shape) -> _Value:
        """Flattening becomes a layer; folding time and batch, parting them, and repeating an image leave no trace."""
        T, B = self.timesteps, self.batch
        flat = (prod(value.shape),)
        for inner in (value.shape, flat):
            for lead in (value.lead, (T, B), (1, B), (T * B,), (B,)):
                if shape == (*lead, *inner):
                    self._check_time(node, value, lead)
                    if inner == value.shape:
                        return _Value(value.source, lead, inner)
                    is_layer = node.op == "call_module"
                    name = _stripped(str(node.target)) if is_layer else _prefixed(node.meta["scope"], node.name)
                    return _Value(self._add(name, Flatten(), inner, value.source), lead, inner)
        raise BadInputError(
            f"{_describe(node)} makes {list(shape)} of {_full(value)}; with {T} timesteps and {B} samples that neither "
            "flattens maps nor arranges timesteps"
        )

    def _check_time(self, node: fx.Node, value: _Value, lead: Shape) -> None:
        begins = value.lead == (self.batch,) and len(lead) == 2
        if begins and any(isinstance(one.operation, LIF) for one in self.nodes):
            raise BadInputError(f"{_describe(node)} adds the axis of time behind neurons; add it before the first ones")

    def _finish(self, node: fx.Node) -> None:
        result = node.args[0]
        if not isinstance(result, fx.Node) or result not in self.values:
            raise BadInputError(f"{type(self.module).__name__} does not return one tensor of its layers; return one")
        value = self.values[result]
        if value.source == "input":
            raise BadInputError(f"{type(self.module).__name__} has no layers; give at least one")
        self._add("output", Output(), value.shape, value.source)

    def _check_parameters(self) -> None:
        owners: dict[int, str] = {}
        for target, name in self.names.items():
            for parameter in self.holder.get_submodule(target).parameters():
                if owners.setdefault(id(parameter), target) != target:
                    first = self.names[owners[id(parameter)]]
                    raise BadInputError(f"layers '{first}' and '{name}' share weights; give each its own")
        for name, parameter in self.module.named_parameters():
            if id(parameter) not in owners:
                raise BadInputError(
                    f"parameter '{name}' belongs to no layer that leads to the result; remove it, or use it in a layer"
                )


@contextmanager
def _quiet(module: nn.Module) -> Iterator[None]:
    """Evaluation mode and neurons at rest; afterwards the modes as before, neurons at rest again."""
    modes = {child: child.training for child in module.modules()}
    reset_net(module)
    module.eval()
    try:
        yield
    finally:
        for child, mode in modes.items():
            child.training = mode
        reset_net(module)


def _stripped(target: str) -> str:
    return target.removeprefix("net").removeprefix(".")


def _prefixed(scope: str, name: str) -> str:
    inside = _stripped(scope)
    return f"{inside}.{name}" if inside else name


def _full(value: _Value) -> list[int]:
    return [*value.lead, *value.shape]


def _describe(node: fx.Node) -> str:
    if node.op == "call_module":
        return f"layer '{_stripped(str(node.target)) or node.target}'"
    if node.op == "get_attr":
        return f"tensor '{_stripped(str(node.target))}'"
    inside = _stripped(node.meta.get("scope", ""))
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
        if frame.filename not in (__file__, "<string>")
        and not any(library in Path(frame.filename).parents for library in libraries)
        and not frame.filename.startswith("<eval")
    ]
    return f"{frames[-1].filename}:{frames[-1].lineno}: " if frames else ""
