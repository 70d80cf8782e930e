"""A deployed network as a Python file that needs PyTorch alone, with its weights beside it.

The file spells a timestep out, layer by layer, in the order in which it is computed: it is meant to be read, changed
and carried elsewhere. It takes what the dataset gives and answers what it asks for: normalisation is inside.
"""

from __future__ import annotations

import io
import keyword
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from textwrap import indent
from types import ModuleType

import torch
from torch import Tensor, nn

from hasnas import __version__
from hasnas.nas.data.samples import Normalisation
from hasnas.search_spaces.graph import LayerGraph, Node
from hasnas.search_spaces.layers import Add, Conv2d, Flatten, Input, Linear, Neuron, Output
from hasnas.search_spaces.network import module_for

from .deploy import Deployed
from .target import NotExpressibleError

FOLDER, NETWORK_FILE, TENSORS_FILE = "standalone", "network.py", "weights.pt"

_TEMPLATE = '''"""A spiking network of {layers} layers, {timesteps} timesteps a sample; written by hasnas {version}.

It needs PyTorch alone; its weights lie beside it.

    from network import load

    scores = load()(samples)  # samples: {shape}, as the dataset gives them
"""

from pathlib import Path

import torch
from torch import nn

TIMESTEPS = {timesteps}


{neurons}class Network(nn.Module):
    """Takes samples {shape}, answers [batch, {outputs}]."""

    # What is carried from a timestep to the next: shape for one sample, value before the first timestep.
    STATES = {{
{states}    }}

    def __init__(self):
        super().__init__()
{buffers}{modules}
    def start(self, x):
        """The states before the first timestep, for a batch like x, [batch, ...]."""
        like = {{"dtype": x.dtype, "device": x.device}}
        return {{name: torch.full((x.shape[0], *shape), value, **like) for name, (shape, value) in self.STATES.items()}}

    def step(self, x, states):
        """One timestep: what it puts out, and the states after it."""
        states = dict(states)
{step}
    def forward(self, samples):
        """The mean of the output over the timesteps."""
        states = self.start({first})
        total = 0.0
        for timestep in range(TIMESTEPS):
            output, states = self.step({each}, states)
            total = total + output
        return {answer}


def load(weights=Path(__file__).with_name("{tensors}")):
    """The network with its weights, in evaluation mode."""
    network = Network()
    network.load_state_dict(torch.load(weights, weights_only=True))
    return network.eval()
'''


def standalone_files(deployed: Deployed, normalisation: Normalisation) -> dict[str, bytes]:
    """`standalone/network.py` and `standalone/weights.pt`.

    Raises:
        NotExpressibleError: if it holds neurons without source.
    """
    source, buffer = standalone_source(deployed, normalisation), io.BytesIO()
    torch.save(_tensors(deployed), buffer)
    return {f"{FOLDER}/{NETWORK_FILE}": source.encode(), f"{FOLDER}/{TENSORS_FILE}": buffer.getvalue()}


def plain_torch(deployed: Deployed, normalisation: Normalisation) -> nn.Module:
    """The network that `network.py` and `weights.pt` say, in evaluation mode.

    Raises:
        NotExpressibleError: if it holds neurons without source.
    """
    made = ModuleType("network")
    made.__dict__["__file__"] = NETWORK_FILE
    exec(compile(standalone_source(deployed, normalisation), NETWORK_FILE, "exec"), made.__dict__)
    network: nn.Module = made.__dict__["Network"]()
    network.load_state_dict(_tensors(deployed))
    return network.eval()


def _tensors(deployed: Deployed) -> dict[str, Tensor]:
    """The weights by the names of the file's modules."""
    names, found = _variables(deployed.graph), {}
    for name, tensor in deployed.tensors.items():
        layer, _, quantity = name.rpartition(".")
        found[f"{names[layer]}.{quantity}"] = tensor.to(torch.float32).contiguous()
    return found


def standalone_source(deployed: Deployed, normalisation: Normalisation) -> str:
    """The text of `network.py`.

    Raises:
        NotExpressibleError: if it holds neurons without source.
    """
    graph, names = deployed.graph, _variables(deployed.graph)
    entry, static = graph.entry, graph.takes_static
    neurons = _neuron_functions(graph)
    states = states_of(graph)
    modules = {names[node.name]: _module(node) for node in graph.nodes}
    last = next(node for node in graph.nodes if isinstance(node.operation, Output))
    shape = ", ".join([*(() if static else (str(graph.timesteps),)), "batch", *map(str, entry.shape)])
    buffers, answer = {"mean": normalisation.mean, "deviation": normalisation.deviation}, "total / TIMESTEPS"
    shapes = dict.fromkeys(buffers, ".reshape(-1, 1, 1)")
    if (scale := normalisation.targets) is not None:
        buffers |= {"target_mean": scale.mean, "target_deviation": scale.deviation}
        answer = f"{answer} * self.target_deviation + self.target_mean"
    return _TEMPLATE.format(
        layers=len(graph.nodes) - 2,
        timesteps=graph.timesteps,
        version=__version__,
        shape=f"[{shape}]",
        outputs=last.shape[0],
        neurons="".join(f"{one.source}\n\n\n" for one in neurons.values()),
        states="".join(f'        "{name}": ({tuple(shape)}, {value!r}),\n' for name, (shape, value) in states.items()),
        buffers="".join(
            f'        self.register_buffer("{name}", torch.tensor({list(values)!r}){shapes.get(name, "")}, False)\n'
            for name, values in buffers.items()
        ),
        modules="".join(f"        self.{name} = {made}\n" for name, made in modules.items() if made),
        step=indent("\n".join(_step(graph, names, neurons)), " " * 8) + "\n",
        first="samples" if static else "samples[0]",
        each="samples" if static else "samples[timestep]",
        answer=answer,
        tensors=TENSORS_FILE,
    )


@dataclass(frozen=True)
class _Function:
    """A timestep of a kind of neurons: the function's name, its text, and the states it takes."""

    name: str
    source: str
    states: tuple[str, ...]


def _neuron_functions(graph: LayerGraph) -> dict[Neuron, _Function]:
    functions: dict[Neuron, _Function] = {}
    for node in graph.nodes:
        neuron = node.operation
        if not isinstance(neuron, Neuron) or neuron in functions:
            continue
        lines = neuron.step_source()
        if not lines:
            raise NotExpressibleError(
                f"layer '{node.name}': nobody wrote {neuron.described} down in plain torch; export as json, safetensors"
            )
        name, states = f"neurons_{len(functions) + 1}", tuple(neuron.start)
        body = [f'"""A timestep of {neuron.described}."""', *lines, f"return spikes, {', '.join(states)}"]
        source = f"def {name}(x, {', '.join(states)}):\n{indent(chr(10).join(body), '    ')}"
        functions[neuron] = _Function(name, source, states)
    return functions


def states_of(graph: LayerGraph) -> dict[str, tuple[tuple[int, ...], float]]:
    """What is carried from a timestep to the next, by name: shape for one sample, value before the first timestep.

    These are the states of neurons, `<layer>.<state>`, and results that arrive a timestep later, `<layer>.last`.
    """
    found: dict[str, tuple[tuple[int, ...], float]] = {}
    for node in graph.nodes:
        if isinstance(node.operation, Neuron):
            found |= {f"{node.name}.{state}": (node.shape, value) for state, value in node.operation.start.items()}
    late = dict.fromkeys(link.source for link in graph.connections if link.delay)
    return found | {f"{source}.last": (graph.node(source).shape, 0.0) for source in late}


def _step(graph: LayerGraph, names: Mapping[str, str], neurons: Mapping[Neuron, _Function]) -> Iterable[str]:
    """The lines of a timestep."""
    for node in graph.nodes:
        name, operation = names[node.name], node.operation
        arriving = [
            f'states["{link.source}.last"]' if link.delay else names[link.source] for link in graph.inputs(node.name)
        ]
        match operation:
            case Input():
                yield f"{name} = (x - self.mean) / self.deviation"
            case Neuron():
                function = neurons[operation]
                kept = [f'states["{node.name}.{state}"]' for state in function.states]
                yield f"{name}, {', '.join(kept)} = {function.name}("
                yield f"    {', '.join([arriving[0], *kept])}"
                yield ")"
            case Add():
                yield f"{name} = {' + '.join(arriving)}"
            case Flatten():
                yield f"{name} = {arriving[0]}.flatten(1)"
            case _:
                yield f"{name} = self.{name}({arriving[0]})" if _module(node) else f"{name} = {arriving[0]}"
    for state in states_of(graph):
        source, _, kind = state.rpartition(".")
        if kind == "last":
            yield f'states["{state}"] = {names[source]}'
    (result,) = (names[node.name] for node in graph.nodes if isinstance(node.operation, Output))
    yield f"return {result}, states"


def _module(node: Node) -> str:
    """How torch makes the layer; empty for those that need no module."""
    operation = node.operation
    if isinstance(operation, Neuron):
        return ""
    if isinstance(operation, Conv2d | Linear):  # weights of few bits lie on their levels already
        operation = replace(operation, weight_bits=0)
    module = module_for(operation)
    if module is None:
        return ""
    plain = next(kind for kind in type(module).__mro__ if kind.__module__.startswith("torch.nn."))
    return f"nn.{plain.__name__}({module.extra_repr()})"


def _variables(graph: LayerGraph) -> dict[str, str]:
    """Each layer's name as a variable of Python."""
    names: dict[str, str] = {}
    buffers = "mean", "deviation", "target_mean", "target_deviation"
    taken = {"x", "states", "self", "torch", "nn", *buffers, *dir(nn.Module())}
    for node in graph.nodes:
        name = re.sub(r"\W", "_", node.name, flags=re.ASCII)
        name = f"layer_{name}" if not name[:1].isalpha() or keyword.iskeyword(name) else name
        while name in taken:
            name += "_"
        taken.add(name)
        names[node.name] = name
    return names
