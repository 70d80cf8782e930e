"""A PyTorch or SpikingJelly module as a LayerGraph: networks that were written elsewhere can be priced, too."""

from __future__ import annotations

import operator
from collections import Counter
from copy import deepcopy
from dataclasses import dataclass, field, replace
from math import prod
from statistics import fmean
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import Add, Flatten, Input, Neuron, Operation, Output, Vote
from hasnas.search_spaces.lowering import lower, rate_name
from hasnas.search_spaces.network import SpikingNetwork

from .elsewhere import Note, is_neuron, library_of, neurons_of, prepare
from .layers import Shape, as_maps, has_state, is_along_line, operation_of
from .run import Holder, ShapeInterpreter, Shares, at_rest, describe, prefixed, stripped, trace_symbols
from .sums import is_sum

from spikingjelly.activation_based import base  # isort: skip  # only after hasnas has silenced its import

MEANS = frozenset({torch.mean, "mean"})
COUNTS = frozenset({torch.sum, "sum"})  # over time, of spikes: as good as their mean
# Values keep their order; what happened is read off the shapes.
MOVEMENTS = frozenset(
    {
        *("view", "reshape", "flatten", "unflatten", "squeeze", "unsqueeze", "contiguous", "clone", "detach"),
        *("repeat", "expand", "float", "to"),
        *(torch.flatten, torch.unflatten, torch.reshape, torch.squeeze, torch.unsqueeze, torch.clone),
    }
)
POOLS: dict[Any, type[nn.Module]] = {
    functional.avg_pool2d: nn.AvgPool2d,
    functional.max_pool2d: nn.MaxPool2d,
    functional.adaptive_avg_pool2d: nn.AdaptiveAvgPool2d,
    functional.avg_pool1d: nn.AvgPool1d,
    functional.max_pool1d: nn.MaxPool1d,
    functional.adaptive_avg_pool1d: nn.AdaptiveAvgPool1d,
}
KNOWN_FUNCTIONS = "+, flatten, view, reshape, squeeze, unsqueeze, repeat, expand, mean(0) over time, pools"


def trace_module(
    module: nn.Module,
    example: Tensor,
    timesteps: int,
    static: bool | None = None,
    largest_count: int = 0,
    note: Note = lambda text: None,
) -> LayerGraph:
    """The layers of a module, found by symbolic tracing, with shapes from one run on an example.

    Layers are called by their dotted names in the module, sums by their block's (`block1.add`); a name that is taken
    gets a number (`pool.2`). Additions that only lead into each other are one sum. Neurons become LIF, PLIF or IF
    neurons (see `operation_of`), ours what they are; a `SpikingNetwork` is the graph that it was made of. Neurons of
    snnTorch, Norse and sinabs are what `hasnas.nas.tracing.elsewhere` knows of them. A module may loop over all
    timesteps itself, and return its neurons' states behind its result. Parameters, training mode and gradients stay as
    they are; neurons are reset.

    Args:
        module: in single-step mode, for one timestep, or in multi-step mode; maps `[C, H, W]`, lines `[C, L]` (of a
            module that holds layers along a line; they become maps of one row) or vectors `[F]`.
        example: `[B, ...]` for a module in single-step mode or one that repeats an image by itself, `[T, B, ...]` for
            a module in multi-step mode.
        timesteps: T of a sample.
        static: whether the input is the same at every timestep, so that layers before the first neuron run only once;
            unless given, it is for `[B, ...]`, and for `[T, B, ...]` if all frames of the example are equal.
        largest_count: of the input's values, see `hasnas.search_spaces.layers.Input`: 1 for spikes, 0 for real values.
        note: is told what layers of other libraries do beyond what is priced.

    Raises:
        BadInputError: naming the layer or function that cannot be expressed, and what to use instead.

    >>> net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten(), nn.Linear(8, 3))
    >>> [node.name for node in trace_module(net, torch.zeros(1, 1, 4, 4), timesteps=5).nodes]
    ['input', '0', '1', '2', 'output']
    """
    if isinstance(module, SpikingNetwork):
        return _own_graph(module, example, timesteps, static, largest_count)
    return _Run(module, example, timesteps, largest_count, note=note).graph(static)


def trace_layers(
    module: nn.Module,
    example: Tensor,
    timesteps: int,
    static: bool | None = None,
    largest_count: int = 0,
    note: Note = lambda text: None,
) -> tuple[LayerGraph, dict[str, nn.Module]]:
    """The layers of a module as `trace_module` finds them, and the module that each of them was read off, by name."""
    run = _Run(module, example, timesteps, largest_count, note=note)
    graph = run.graph(static)
    return graph, {name: run.holder.get_submodule(target) for target, name in run.names.items()}


def trace_activity(module: nn.Module, example: Tensor, timesteps: int) -> dict[str, float]:
    """How busy each layer is on the example.

    Args:
        module: see `trace_module`; it runs in evaluation mode.
        example: see `trace_module`; a single-step module sees it at every timestep.
        timesteps: T of a sample.

    Returns:
        What `SpikingNetwork.activity` of `trace_module`'s graph returns: the rates that `lower` takes.

    Raises:
        BadInputError: as `trace_module`.

    >>> net = nn.Sequential(nn.Linear(4, 2))
    >>> trace_activity(net, torch.tensor([[1.0, 0.0, 0.0, 2.0]]), timesteps=3)
    {'0': 0.5}
    """
    if isinstance(module, SpikingNetwork):
        _own_graph(module, example, timesteps, None, 0)
        with at_rest(module):
            return module.activity(example)
    run = _Run(module, example, timesteps, shares={})
    graph = run.graph(None, passes=1 if runs_over_time(module) else timesteps)
    priced = set(lower(graph).names)
    rates: dict[str, float] = {}
    for call, shares in (run.shares or {}).items():
        if run.made.get(call) not in priced:
            continue
        name = run.made[call]
        node = graph.node(name)
        if isinstance(node.operation, Neuron):
            rates[name] = fmean(share.result for share in shares)
        rates[rate_name(node)] = fmean(share.inputs for share in shares)
    return rates


def runs_over_time(module: nn.Module) -> bool:
    """Whether a module has layers in multi-step mode, which take all timesteps at once.

    >>> from spikingjelly.activation_based import layer
    >>> runs_over_time(layer.Flatten(step_mode="m")), runs_over_time(nn.Flatten())
    (True, False)
    """
    modes = (getattr(child, "step_mode", "m") for child in module.modules() if isinstance(child, base.StepModule))
    return "m" in modes


def takes_lines(module: nn.Module) -> bool:
    """Whether a module holds layers along a line, so that its samples are `[C, L]`."""
    return any(is_along_line(child) for child in module.modules())


def _own_graph(
    network: SpikingNetwork, example: Tensor, timesteps: int, static: bool | None, largest_count: int
) -> LayerGraph:
    """The graph of one of our networks, if it takes such samples."""
    graph = network.graph
    entry = next(node for node in graph.nodes if isinstance(node.operation, Input))
    assert isinstance(entry.operation, Input)
    takes = "an image" if entry.operation.static else "a frame for every timestep"
    alike = tuple(example.shape[-len(entry.shape) :]) == entry.shape and timesteps == graph.timesteps
    if not alike or static not in (None, entry.operation.static):
        raise BadInputError(
            f"the network takes {takes}, {list(entry.shape)}, and runs {graph.timesteps} timesteps, not "
            f"{timesteps} on an example of {list(example.shape)}; let them agree"
        )
    counting = replace(entry, operation=replace(entry.operation, largest_count=largest_count))
    nodes = tuple(counting if largest_count and node is entry else node for node in graph.nodes)
    return replace(graph, nodes=nodes)


@dataclass(frozen=True)
class _Value:
    """A tensor between layers: the node it comes from, its leading axes (time, batch), and its shape without them."""

    source: str
    lead: Shape
    shape: Shape


@dataclass
class _Run:
    """Traces, runs and translates one module."""

    module: nn.Module
    example: Tensor
    timesteps: int
    largest_count: int = 0
    shares: dict[fx.Node, list[Shares]] | None = None
    note: Note = lambda text: None
    made: dict[fx.Node, str] = field(default_factory=dict)  # a call -> the name of its layer in the graph
    nodes: list[Node] = field(default_factory=list)
    links: list[Connection] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)  # a layer's place in the holder -> its name in the graph
    values: dict[fx.Node, _Value] = field(default_factory=dict)
    shapes: dict[fx.Node, Shape | None] = field(default_factory=dict)
    called: Counter[str] = field(default_factory=Counter)  # how often each layer is called
    turns: dict[Any, str] = field(default_factory=dict)  # what a loop over timesteps calls -> its node in the graph
    states: set[fx.Node] = field(default_factory=set)  # of neurons of other libraries, which their callers carry
    several: set[fx.Node] = field(default_factory=set)  # calls with several results
    origin: Any = None  # what is called at the moment
    loops: bool = False  # whether the module loops over all timesteps itself

    def __post_init__(self) -> None:
        if not isinstance(self.module, nn.Module):
            raise BadInputError(f"{type(self.module).__name__} is no torch module; give an nn.Module")
        if self.timesteps < 1:
            raise BadInputError(f"timesteps is {self.timesteps}; give at least 1")
        if self.example.dim() not in (2, 3, 4, 5) or not self.example.numel():
            raise BadInputError(
                f"the example has shape {list(self.example.shape)}; give [B, C, H, W], [T, B, C, H, W], [B, F] or "
                "[T, B, F], or before a Conv1d [B, C, L] or [T, B, C, L], with at least one sample"
            )
        if any(library_of(child) for child in self.module.modules()):
            self.module = deepcopy(self.module)  # their neurons keep states as buffers
            prepare(self.module)
        self.holder = Holder(self.module)
        own = self.example.dim() - (2 if takes_lines(self.module) else 3)  # axes beside those of maps
        self.lead = tuple(self.example.shape[: 1 if own == 1 or self.example.dim() == 2 else 2])
        self.batch = self.lead[-1]
        if len(self.lead) == 2 and self.lead[0] != self.timesteps:
            raise BadInputError(f"the example has {self.lead[0]} timesteps, not {self.timesteps}; let them agree")

    def graph(self, static: bool | None, passes: int = 1) -> LayerGraph:
        """Trace, run, translate; `shares` and `names` hold the rest of what was found."""
        with at_rest(self.module), torch.no_grad():
            traced = trace_symbols(self.holder, self.example)
            interpreter = ShapeInterpreter(self.holder, traced, self.shares)
            for _ in range(passes):
                interpreter.run(self.example)
        self.shapes, self.several = interpreter.shapes, interpreter.several
        if static is None:
            static = len(self.lead) == 1 or bool((self.example == self.example[:1]).all())
        self.called = Counter(str(node.target) for node in traced.nodes if node.op == "call_module")
        self.loops = self.timesteps > 1 and self.timesteps in self.called.values()
        for node in traced.nodes:
            self._translate(node, static)
        self._check_parameters()
        return LayerGraph(tuple(self.nodes), tuple(self.links), self.timesteps)

    def _add(self, name: str, operation: Operation, shape: Shape, *sources: str) -> str:
        shape = as_maps(shape)
        turn = (self.origin, operation, shape, sources)
        if self.loops and turn in self.turns:
            return self.turns[turn]
        taken = {"input", "output", *(node.name for node in self.nodes)}
        if name in taken and not isinstance(operation, Input | Output):
            name = next(f"{name}.{number}" for number in range(2, len(taken) + 3) if f"{name}.{number}" not in taken)
        self.nodes.append(Node(name, operation, shape))
        self.links.extend(Connection(source, name) for source in sources)
        self.turns[turn] = name
        return name

    def _translate(self, node: fx.Node, static: bool) -> None:
        shape = self.shapes[node]
        self.origin = node.target
        if node.op == "placeholder":
            inner = tuple(self.example.shape[len(self.lead) :])
            self.values[node] = _Value(self._add("input", Input(static, self.largest_count), inner), self.lead, inner)
        elif node.op == "output":
            self._finish(node)
        elif self._is_state(node):
            self.states.add(node)
        elif shape is None:
            return  # sizes and the like
        elif node.op == "call_module":
            module = self.holder.get_submodule(str(node.target))
            self.values[node] = self._layer(node, module, self._name(node, module), shape)
        elif node.op == "get_attr":
            raise BadInputError(f"{describe(node)} is used outside of any layer; use it inside a Conv2d or Linear")
        elif node.target is operator.getitem:
            self.values[node] = self._item(node, shape)
        elif node.target is torch.stack:
            self.values[node] = self._stack(node)
        elif is_sum(node):
            self.values[node] = self._sum(node)
        elif node.target in POOLS:
            module = self._pool_module(node)
            self.values[node] = self._layer(node, module, prefixed(node.meta["scope"], node.name), shape)
        elif node.target in MEANS or (node.target in COUNTS and len(self._argument(node).lead) == 2):
            self.values[node] = self._mean(node, shape)
        elif node.target in MOVEMENTS:
            self.values[node] = self._movement(node, self._argument(node), shape)
        else:
            raise BadInputError(f"{describe(node)} has no price; use layers, {KNOWN_FUNCTIONS}")

    def _is_state(self, node: fx.Node) -> bool:
        """Whether a call gives what neurons of another library remember, rather than their spikes."""
        if node.op == "get_attr":
            users = [user for user in node.users if user.op == "call_module" and user.args[:1] != (node,)]
            held = [user for user in users if is_neuron(self.holder.get_submodule(str(user.target)))]
            return bool(held) and len(held) == len(node.users)
        if node.op == "call_module":
            return False
        if node.target is operator.getitem and node.args[0] in self.several:
            return bool(node.args[1] != 0)
        return bool(node.all_input_nodes) and all(one in self.states for one in node.all_input_nodes)

    def _item(self, node: fx.Node, shape: Shape) -> _Value:
        """The spikes of neurons that return their states, too; one timestep of all."""
        value = self._argument(node)
        if node.args[0] in self.several:
            return value
        if len(value.lead) != 2 or not isinstance(node.args[1], int) or shape != (self.batch, *value.shape):
            raise BadInputError(f"{describe(node)} takes a part of {_full(value)}, which is not a timestep; take all")
        return _Value(value.source, (self.batch,), value.shape)

    def _stack(self, node: fx.Node) -> _Value:
        """What a loop over timesteps gathers."""
        gathered = node.args[0] if node.args else ()
        values = [self.values.get(one) for one in gathered] if isinstance(gathered, list | tuple) else []
        first = values[0] if values else None
        alike = first is not None and all(value == first for value in values)
        along = [*node.args[1:], *node.kwargs.values()]
        if not alike or len(values) != self.timesteps or along not in ([], [0]):
            raise BadInputError(f"{describe(node)} does not gather the timesteps of one layer; stack those, at dim=0")
        assert first is not None
        return _Value(first.source, (self.timesteps, *first.lead), first.shape)

    def _argument(self, node: fx.Node) -> _Value:
        first = node.args[0] if node.args else None
        if not isinstance(first, fx.Node) or first not in self.values:
            raise BadInputError(f"{describe(node)} does not start from a layer's result; give that as first argument")
        return self.values[first]

    def _name(self, node: fx.Node, module: nn.Module) -> str:
        target = str(node.target)
        name = stripped(target) or type(module).__name__.lower()
        if target in self.names and not (self.loops and self.called[target] == self.timesteps):
            self._refuse_again(module, name)
        return name

    def _check_turn(self, node: fx.Node, module: nn.Module, name: str, source: str) -> None:
        """A layer that is called at every timestep of a loop must do the same thing each time."""
        if self.names.get(str(node.target), source) != source:
            self._refuse_again(module, name)

    def _refuse_again(self, module: nn.Module, name: str) -> None:
        if has_state(module) or any(True for _ in module.parameters()):
            raise BadInputError(
                f"layer '{name}' is used twice in one pass; give each use a layer of its own, and a module that loops "
                "over timesteps itself without the loop"
            )

    def _layer(self, node: fx.Node, module: nn.Module, name: str, shape: Shape) -> _Value:
        value = self._argument(node)
        self._check_step_mode(module, name, value, node.meta["stepped"])
        if isinstance(module, nn.Flatten):
            return self._movement(node, value, shape)
        count = len(value.lead)
        if shape[:count] != value.lead or len(shape) == count:
            raise BadInputError(f"layer '{name}' mixes samples or timesteps: {list(shape)} from {_full(value)}")
        if 0 in shape:
            raise BadInputError(f"layer '{name}' makes {list(shape[count:])}, no values at all; give it some")
        if is_neuron(module):
            return self._neurons(node, module, name, value)
        operation = operation_of(name, module, value.shape, shape[count:], self.note)
        if operation is None:
            return value
        source = self.made[node] = self._add(name, operation, shape[count:], value.source)
        if node.op == "call_module":
            self._check_turn(node, module, name, source)
            self.names[str(node.target)] = source
        return _Value(source, value.lead, shape[count:])

    def _neurons(self, node: fx.Node, module: nn.Module, name: str, value: _Value) -> _Value:
        """Neurons of another library; what comes back from them arrives one timestep later."""
        target = str(node.target)
        found = neurons_of(name, module, (lambda text: None) if target in self.names else self.note)
        source, shape = value.source, value.shape
        if found.before is not None:
            if shape != (found.before.in_features,):
                raise BadInputError(f"layer '{name}' takes {found.before.in_features} values, not {list(shape)}")
            shape = (found.before.out_features,)
            source = self._add(f"{name}.input", found.before, shape, source)
        recurrent: Operation | None = found.weights
        if found.recurrent is not None:
            recurrent = operation_of(f"{name}.recurrent", found.recurrent, shape, shape)
        if recurrent is not None:
            source = self._add(f"{name}.sum", Add(), shape, source)
        spikes = self.made[node] = self._add(name, found.neuron, shape, source)
        self._check_turn(node, module, name, spikes)
        if recurrent is not None and target not in self.names:
            back = self._add(f"{name}.recurrent", recurrent, shape, spikes)
            self.links.append(Connection(back, source, delay=1))
        self.names[target] = spikes
        return _Value(spikes, value.lead, shape)

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
        if folded and has_state(module):
            raise BadInputError(
                f"layer '{name}' has a state, but timesteps and batch are one axis; separate them first"
            )

    def _pool_module(self, node: fx.Node) -> nn.Module:
        if not node.args[1:] and not node.kwargs:
            raise BadInputError(f"{describe(node)} has no window; give one")
        return POOLS[node.target](*node.args[1:], **node.kwargs)

    def _sum(self, node: fx.Node) -> _Value:
        terms = [term for term in node.args if not (isinstance(term, int) and term == 0)]  # sum([...]) begins with 0
        values = [self.values.get(term) if isinstance(term, fx.Node) else None for term in terms]
        found = [value for value in values if value is not None]
        if len(found) != len(values) or not found or node.kwargs or len({(v.lead, v.shape) for v in found}) != 1:
            raise BadInputError(f"{describe(node)} does not add results of one shape; add only layers' results alike")
        first = found[0]
        if len(found) == 1 or (self.loops and len(found) == self.timesteps and len(set(found)) == 1):
            return first  # one layer's timesteps, counted by a loop over them
        name = prefixed(node.meta["scope"], "add")
        self.made[node] = self._add(name, Add(), first.shape, *(v.source for v in found))
        return _Value(self.made[node], first.lead, first.shape)

    def _mean(self, node: fx.Node, shape: Shape) -> _Value:
        value = self._argument(node)
        axis = [*node.args[1:], *node.kwargs.values()]
        before = next(one.shape for one in self.nodes if one.name == value.source)
        if len(value.shape) == 2 and len(before) == 1:
            return self._vote(node, value, axis, shape)
        if len(value.lead) != 2 or axis not in ([0], [[0]], [(0,)]) or shape != (self.batch, *value.shape):
            raise BadInputError(
                f"{describe(node)} is not the mean over time of [T, B, ...]; pool maps with nn.AdaptiveAvgPool2d(1), "
                "lines with nn.AdaptiveAvgPool1d(1)"
            )
        if any(user.op != "output" for user in node.users):
            raise BadInputError(f"{describe(node)} averages over time before the last layer; do so only at the end")
        return _Value(value.source, (self.batch,), value.shape)

    def _vote(self, node: fx.Node, value: _Value, axis: list[Any], shape: Shape) -> _Value:
        """The mean over groups of a vector, which is a layer of votes."""
        classes, group = value.shape
        last = (-1, len(value.lead) + 1)
        if axis not in [[given] for at in last for given in (at, [at], (at,))] or shape != (*value.lead, classes):
            raise BadInputError(f"{describe(node)} is no mean over groups of neighbours; take it over the last axis")
        name = prefixed(node.meta["scope"], "vote")
        source = self.made[node] = self._add(name, Vote(group), (classes,), value.source)
        return _Value(source, value.lead, (classes,))

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
                    name = stripped(str(node.target)) if is_layer else prefixed(node.meta["scope"], node.name)
                    return _Value(self._add(name, Flatten(), inner, value.source), lead, inner)
        if len(value.shape) == 1 and all(user.target in MEANS for user in node.users):
            groups = shape[len(value.lead) :]  # neighbours that vote together
            if shape[: len(value.lead)] == value.lead and len(groups) == 2 and prod(groups) == value.shape[0]:
                return _Value(value.source, value.lead, groups)
        raise BadInputError(
            f"{describe(node)} makes {list(shape)} of {_full(value)}; with {T} timesteps and {B} samples that neither "
            "flattens maps nor arranges timesteps"
        )

    def _check_time(self, node: fx.Node, value: _Value, lead: Shape) -> None:
        begins = value.lead == (self.batch,) and lead != value.lead
        if begins and any(isinstance(one.operation, Neuron) for one in self.nodes):
            raise BadInputError(f"{describe(node)} adds the axis of time behind neurons; add it before the first ones")

    def _finish(self, node: fx.Node) -> None:
        result = node.args[0]
        if isinstance(result, tuple | list) and result and all(map(self._is_left_over, result[1:])):
            result = result[0]
        if not isinstance(result, fx.Node) or result not in self.values:
            raise BadInputError(f"{type(self.module).__name__} does not return one tensor of its layers; return one")
        value = self.values[result]
        if value.source == "input":
            raise BadInputError(f"{type(self.module).__name__} has no layers; give at least one")
        self._add("output", Output(), value.shape, value.source)

    def _is_left_over(self, given: Any) -> bool:
        """Whether what a module returns behind its result are states of neurons, in whatever lists."""
        if isinstance(given, tuple | list):
            return all(map(self._is_left_over, given))
        return given is None or given in self.states

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


def _full(value: _Value) -> list[int]:
    return [*value.lead, *value.shape]
