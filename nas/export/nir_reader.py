"""A NIR file as a network of this project: our own files, and feed-forward ones of other tools."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hasnas.cim_estimator.nir_reader import bits_of
from hasnas.errors import BadInputError
from hasnas.search_spaces.graph import Connection, LayerGraph, Node
from hasnas.search_spaces.layers import IF, LIF, Add, AvgPool2d, Conv2d, Flatten, Input, Linear, Operation, Output
from hasnas.search_spaces.network import SpikingNetwork

from .deploy import Deployed
from .nir_writer import TIMESTEP_S


def read_nir(path: Path | str, dtype: torch.dtype = torch.float32, timesteps: int | None = None) -> SpikingNetwork:
    """A network from a NIR file, in evaluation mode.

    Args:
        path: the file.
        dtype: precision to compute in; files of this project hold double precision.
        timesteps: T of a sample, for files of other tools, which do not say; their input is a frame per timestep.

    Raises:
        BadInputError: naming the file, if it cannot be read or holds what this project has no layer for.
    """
    return read_deployed(path, timesteps).network(dtype)


def read_deployed(path: Path | str, timesteps: int | None = None) -> Deployed:
    """The layers and weights of a NIR file; see `read_nir`."""
    import nir

    try:
        found = nir.read(str(path))
    except FileNotFoundError as error:
        raise BadInputError(f"cannot read {path}: there is no such file; check the path") from error
    except Exception as error:  # h5py and nir raise whatever comes: OSError, KeyError, ValueError, AssertionError
        raise BadInputError(f"{path} is not a readable NIR file ({error}); export it anew") from error
    if not isinstance(found, nir.NIRGraph):
        raise BadInputError(f"{path} holds a single NIR node; give a graph with an input and an output")
    try:
        return _Reader(found, timesteps).deployed()
    except BadInputError as error:
        raise BadInputError(f"{path}: {error}") from error


@dataclass
class _Reader:
    """Translates a graph node by node; delays come from `Delay` nodes and from the list of recurrent edges."""

    found: Any
    timesteps: int | None
    tensors: dict[str, Tensor] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    delayed_by: dict[str, str] = field(default_factory=dict)  # a Delay node -> its source

    def deployed(self) -> Deployed:
        metadata = self.found.metadata
        timesteps = self.timesteps or _plain_int(metadata.get("timesteps", 0))
        if not timesteps:
            raise BadInputError("the file does not say how many timesteps a sample has; pass timesteps=...")
        self._check_ends()
        for name, primitive in self.found.nodes.items():
            self._translate(name, primitive)
        links = self._connections()
        shapes = {name: _shape_of(self.found.nodes[name]) for name in self.operations}
        links = self._with_sums(links, shapes)
        order = _execution_order(self.operations, links)
        nodes = tuple(Node(name, self.operations[name], shapes[name]) for name in order)
        return Deployed(LayerGraph(nodes, tuple(links), timesteps), self.tensors)

    def _check_ends(self) -> None:
        """One input and one output, the latter under the name that networks look for."""
        nodes, edges = self.found.nodes, self.found.edges
        if len(self.found.inputs) != 1 or len(self.found.outputs) != 1:
            counts = f"{len(self.found.inputs)} inputs and {len(self.found.outputs)} outputs"
            raise BadInputError(f"the graph has {counts}; one of each can be read")
        (result,) = self.found.outputs
        if result != "output":
            swap = {result: "output", "output": result}
            self.found.nodes = {swap.get(name, name): node for name, node in nodes.items()}
            self.found.edges = [(swap.get(source, source), swap.get(target, target)) for source, target in edges]

    def _translate(self, name: str, primitive: Any) -> None:
        import nir

        match primitive:
            case nir.Delay():
                self._note_delay(name, primitive)
                return
            case nir.Input():
                self.operations[name] = Input(static=bool(self.found.metadata.get("static_input", False)))
            case nir.Output():
                self.operations[name] = Output()
            case nir.Conv2d():
                self.operations[name] = self._convolution(name, primitive)
            case nir.Affine() | nir.Linear():
                self.operations[name] = self._matrix(name, primitive)
            case nir.LIF():
                self.operations[name] = _neurons(name, primitive, self._timestep_s(), self._bits(name, "membrane_bits"))
            case nir.IF():
                bits = self._bits(name, "membrane_bits")
                self.operations[name] = _integrators(name, primitive, self._timestep_s(), bits)
            case nir.AvgPool2d():
                sides = [_side(name, getattr(primitive, key)) for key in ("kernel_size", "stride", "padding")]
                self.operations[name] = Add() if sides == [1, 1, 0] else AvgPool2d(*sides)
            case nir.Flatten():
                self.operations[name] = Flatten()
            case _:
                known = "Input, Output, Conv2d, Affine, Linear, LIF, IF, AvgPool2d, Flatten, Delay"
                raise BadInputError(f"node '{name}' is a {type(primitive).__name__}; this project reads {known}")

    def _note_delay(self, name: str, primitive: Any) -> None:
        sources = [source for source, target in self.found.edges if target == name]
        steps = np.asarray(primitive.delay, float) / self._timestep_s()
        if len(sources) != 1 or not np.allclose(steps, 1.0):
            raise BadInputError(f"node '{name}' delays by {steps.flat[0]:g} timesteps; this project knows one timestep")
        self.delayed_by[name] = sources[0]

    def _timestep_s(self) -> float:
        return float(self.found.metadata.get("timestep_s", TIMESTEP_S))

    def _convolution(self, name: str, primitive: Any) -> Conv2d:
        weight = self._store(name, primitive.weight, primitive.bias)
        if weight.shape[2] != weight.shape[3] or _side(name, primitive.dilation) != 1:
            raise BadInputError(f"node '{name}' has a kernel that is not square or is dilated; neither can be read")
        if isinstance(primitive.padding, str):
            padding = weight.shape[2] // 2 if primitive.padding == "same" else 0
        else:
            padding = _side(name, primitive.padding)
        groups, stride = _plain_int(primitive.groups), _side(name, primitive.stride)
        inputs, bits = weight.shape[1] * groups, self._bits(name, "weight_bits")
        return Conv2d(inputs, weight.shape[0], weight.shape[2], stride, padding, groups, bias=True, weight_bits=bits)

    def _matrix(self, name: str, primitive: Any) -> Linear:
        bias = getattr(primitive, "bias", None)
        weight = self._store(name, primitive.weight, bias)
        return Linear(weight.shape[1], weight.shape[0], bias is not None, self._bits(name, "weight_bits"))

    def _bits(self, name: str, quantity: str) -> int:
        return bits_of(self.found.metadata, quantity).get(name, 0)

    def _store(self, name: str, weight: Any, bias: Any) -> Tensor:
        tensor = torch.from_numpy(np.array(weight, np.float64))
        self.tensors[f"{name}.weight"] = tensor
        if bias is not None:
            self.tensors[f"{name}.bias"] = torch.from_numpy(np.array(bias, np.float64))
        return tensor

    def _connections(self) -> list[Connection]:
        listed = json.loads(self.found.metadata.get("recurrent_edges", "[]"))
        recurrent = {(source, target) for source, target in listed}
        links = []
        for source, target in self.found.edges:
            if target in self.delayed_by:
                continue
            origin = self.delayed_by.get(source, source)
            links.append(Connection(origin, target, int(source in self.delayed_by or (source, target) in recurrent)))
        return links

    def _with_sums(self, links: list[Connection], shapes: dict[str, tuple[int, ...]]) -> list[Connection]:
        """Put a sum in front of every other layer at which several edges arrive."""
        result = []
        arriving: dict[str, int] = {}
        for link in links:
            arriving[link.target] = arriving.get(link.target, 0) + 1
        for link in links:
            if arriving[link.target] == 1 or isinstance(self.operations[link.target], Add):
                result.append(link)
                continue
            name = f"{link.target}.sum"
            if name not in self.operations:
                self.operations[name], shapes[name] = Add(), shapes[link.source]
                result.append(Connection(name, link.target))
            result.append(Connection(link.source, name, link.delay))
        return result


def _execution_order(names: Iterable[str], links: list[Connection]) -> list[str]:
    """Names such that undelayed connections point forward."""
    waiting = {name: {link.source for link in links if link.target == name and not link.delay} for name in names}
    order: list[str] = []
    while waiting:
        ready = [name for name, sources in waiting.items() if not sources & waiting.keys()]
        if not ready:
            raise BadInputError(
                f"the loop through '{next(iter(waiting))}' does not say where it takes a timestep; "
                "this project reads loops only from files it wrote, or with Delay nodes"
            )
        order.extend(ready)
        for name in ready:
            del waiting[name]
    return order


def _neurons(name: str, primitive: Any, timestep_s: float, membrane_bits: int) -> LIF:
    tau, threshold, reset, leak, resistance = (
        _uniform(name, quantity, getattr(primitive, quantity))
        for quantity in ("tau", "v_threshold", "v_reset", "v_leak", "r")
    )
    if resistance != 1 or leak != reset:
        raise BadInputError(f"node '{name}' has r = {resistance:g}, v_leak = {leak:g}; only 1 and v_reset can be read")
    if not tau >= timestep_s:
        raise BadInputError(f"node '{name}' has tau = {tau:g} s, less than a timestep of {timestep_s:g} s")
    return LIF(tau / timestep_s, threshold, reset, membrane_bits)


def _integrators(name: str, primitive: Any, timestep_s: float, membrane_bits: int) -> IF:
    threshold, reset, resistance = (
        _uniform(name, quantity, getattr(primitive, quantity)) for quantity in ("v_threshold", "v_reset", "r")
    )
    if not np.isclose(resistance * timestep_s, 1.0):
        raise BadInputError(f"node '{name}' has r = {resistance:g}; only 1 / timestep = {1 / timestep_s:g} can be read")
    return IF(threshold, reset, membrane_bits)


def _uniform(name: str, quantity: str, values: Any) -> float:
    array = np.asarray(values, float)
    if array.size == 0 or not (array == array.flat[0]).all():
        raise BadInputError(f"node '{name}' has different {quantity} among its neurons; only equal ones can be read")
    return float(array.flat[0])


def _side(name: str, value: Any) -> int:
    sides = set(np.asarray(value).reshape(-1).tolist())
    if len(sides) != 1:
        raise BadInputError(f"node '{name}' has sides {sorted(sides)}; only square windows can be read")
    return int(sides.pop())


def _plain_int(value: Any) -> int:
    return int(np.asarray(value).reshape(()))


def _shape_of(primitive: Any) -> tuple[int, ...]:
    return tuple(int(side) for side in np.asarray(primitive.output_type["output"]).reshape(-1))
