"""LIF neurons over all timesteps in one compiled loop, for trainings long enough to pay for the compiler."""

from __future__ import annotations

import logging
import math
import os
import types
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError

from .graph import Node
from .layers import LIF, Neuron
from .network import SpikingNetwork, attach

from spikingjelly.activation_based import neuron, surrogate  # isort: skip  # after neurons has silenced its import

SWITCH = "HASNAS_LIF_SCAN"
MOST_STEPS = 16
# Types of currents and spikes; membranes and sums are float32.
ON_A_GPU = (torch.float32, torch.bfloat16)
# Large enough that the compiler plans for all threads, whatever the size of the first layer that arrives.
WARM_UP_NEURONS = 1 << 17
_log = logging.getLogger(__name__)


def integrate(x: Tensor, membrane: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor]:
    """Spikes of LIF neurons, from `membrane` on; the equations of `hasnas.search_spaces.layers.LIF`.

        h(t) = v(t-1) + (x(t) - (v(t-1) - reset)) / tau;   s(t) = 1 where h(t) >= threshold;   v(t) = reset or h(t)

    Args:
        x: `[T, N]`.
        membrane: `[N]`; `None` for neurons at rest.
        numbers: float32 `[5]`: tau, threshold, reset, and of the surrogate a = alpha / 2 and pi a.

    Returns:
        Spikes `[T, N]` and the last membrane potentials `[N]`.
    """
    tau, threshold, reset, _, _ = numbers.unbind()
    spikes = []
    value = _start(x, membrane, reset)
    for current in x.unbind():
        value = value + (current.to(torch.float32) - (value - reset)) / tau
        spike = (value >= threshold).to(torch.float32)
        value = spike * reset + (1 - spike) * value
        spikes.append(spike.to(x.dtype))
    return torch.stack(spikes), value


def credit(
    x: Tensor, membrane: Tensor | None, numbers: Tensor, spikes: Tensor, last: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Gradients of `integrate` with the arctangent surrogate and a detached reset.

    The potentials h are computed anew from the inputs, which costs less than storing them:

        g_h(t) = g_s(t) a / (1 + (pi a (h(t) - threshold))^2) + g_v(t) (1 - s(t))
        g_x(t) = g_h(t) / tau,     g_v(t-1) = g_h(t) (1 - 1 / tau)

    Args:
        x: as given to `integrate`.
        membrane: likewise.
        numbers: likewise.
        spikes: gradient of the spikes, `[T, N]`.
        last: gradient of the last membrane potentials, `None` for zero.

    Returns:
        Gradients of `x` and of the first membrane potentials.
    """
    tau, threshold, reset, scale, slope = numbers.unbind()
    value, potentials = _start(x, membrane, reset), []
    for current in x.unbind():
        value = value + (current.to(torch.float32) - (value - reset)) / tau
        potentials.append(value)
        fired = (value >= threshold).to(torch.float32)
        value = fired * reset + (1 - fired) * value
    carry = torch.zeros_like(value) if last is None else last
    gradients = []
    for potential, arriving in zip(reversed(potentials), reversed(spikes.unbind()), strict=True):
        steepness = slope * (potential - threshold)
        surrogate_gradient = scale / (1 + steepness * steepness)
        kept = 1 - (potential >= threshold).to(torch.float32)
        gradient = arriving.to(torch.float32) * surrogate_gradient + carry * kept
        gradients.append((gradient / tau).to(x.dtype))
        carry = gradient - gradient / tau
    return torch.stack(gradients[::-1]), carry


def _start(x: Tensor, membrane: Tensor | None, reset: Tensor) -> Tensor:
    return reset.expand(x.shape[1:]) if membrane is None else membrane


Kernel = Callable[..., tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class _Form:
    """What a compiled loop is compiled for; the number of neurons and their constants stay open."""

    steps: int
    with_membrane: bool
    repeated: bool
    threads: int
    device: torch.device
    dtype: torch.dtype

    @staticmethod
    def of(x: Tensor, membrane: Tensor | None) -> _Form:
        return _Form(len(x), membrane is not None, x.stride(0) == 0, torch.get_num_threads(), x.device, x.dtype)

    def example(self) -> tuple[Tensor, Tensor | None, Tensor]:
        """Arguments of this form."""
        shape = 1 if self.repeated else self.steps, WARM_UP_NEURONS
        rows = torch.zeros(shape, dtype=self.dtype, device=self.device)
        membrane = torch.zeros(WARM_UP_NEURONS, device=self.device) if self.with_membrane else None
        return rows.expand(self.steps, -1), membrane, torch.ones(5, device=self.device)


@cache
def _compiled_integrate(form: _Form) -> Kernel:
    kernel = _compile(integrate)
    kernel(*form.example())
    return kernel


@cache
def _compiled_credit(form: _Form, carried: bool) -> Kernel:
    kernel = _compile(credit)
    x, membrane, numbers = form.example()
    kernel(x, membrane, numbers, torch.zeros_like(x).contiguous(), numbers.new_zeros(x.shape[1]) if carried else None)
    return kernel


def _compile(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled copy with a code object of its own: the compiler limits how often one may be specialised."""
    code = function.__code__.replace()
    copy = types.FunctionType(code, function.__globals__, function.__name__)
    return torch.compile(copy, dynamic=True, fullgraph=True)


@cache
def compiler_works(kind: str) -> bool:
    """Whether loops can be compiled here for a kind of device; tried once, and what is missing is logged once.

    The environment variable `HASNAS_LIF_SCAN=plain` switches compiling off.
    """
    if os.environ.get(SWITCH) == "plain":
        _log.info("LIF neurons run as SpikingJelly's plain loop: %s=plain", SWITCH)
        return False
    try:
        _compile(_probe)(torch.zeros(64, device=kind))
    except Exception as error:  # no compiler, no Python headers, a platform that torch does not support
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        _log.warning("LIF neurons run as SpikingJelly's plain loop, torch.compile does not work here: %s", reason)
        return False
    return True


def _probe(x: Tensor) -> Tensor:
    return x + x


class _Scan(torch.autograd.Function):
    """The compiled loops with their gradient; more timesteps than one loop is compiled for run in parts."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, membrane: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        ctx.starts, results = [], []
        for part in x.split(MOST_STEPS):
            ctx.starts.append(membrane)
            spikes, membrane = _compiled_integrate(_Form.of(part, membrane))(part, membrane, numbers)
            results.append(spikes)
        ctx.save_for_backward(x, numbers)
        assert membrane is not None
        return results[0] if len(results) == 1 else torch.cat(results), membrane

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, Tensor | None, None]:
        x, numbers = ctx.saved_tensors
        arriving, carry = gradients
        arriving = torch.zeros_like(x) if arriving is None else arriving
        parts = zip(x.split(MOST_STEPS), ctx.starts, arriving.contiguous().split(MOST_STEPS), strict=True)
        results = []
        for part, membrane, spikes in reversed(list(parts)):
            kernel = _compiled_credit(_Form.of(part, membrane), carry is not None)
            gradient, carry = kernel(part, membrane, numbers, spikes, carry)
            results.append(gradient)
        whole = results[0] if len(results) == 1 else torch.cat(results[::-1])
        return whole, carry if ctx.needs_input_grad[1] else None, None


def lif_scan(x: Tensor, operation: LIF, membrane: Tensor | None = None, alpha: float = 2.0) -> tuple[Tensor, Tensor]:
    """Spikes of LIF neurons over all timesteps, in one pass over memory.

    On a CPU they are bit for bit those of SpikingJelly's `LIFNode`.

    The first call for each T compiles, which takes seconds. Without a compiler the same loop runs uncompiled.

    Args:
        x: input currents `[T, ...]`, float32 on the CPU; on a GPU bfloat16 as well, whose spikes are bfloat16 again.
        operation: tau, threshold and reset.
        membrane: potentials to start from, float32 `[...]`; `None` for neurons at rest.
        alpha: width of the arctangent surrogate, see SpikingJelly's `ATan`.

    Returns:
        Spikes `[T, ...]` and the last membrane potentials `[...]`.

    Raises:
        BadInputError: for other types or devices, or membranes of few bits.

    Source: equations of SpikingJelly 2.0's `LIFNode` with `decay_input`, hard and detached reset.

    >>> spikes, membrane = lif_scan(torch.tensor([[0.9, 1.8], [1.5, 0.4]]), LIF(tau=2.0, threshold=0.8))
    >>> spikes.tolist(), membrane
    ([[0.0, 1.0], [1.0, 0.0]], tensor([0.0000, 0.2000]))
    """
    if operation.membrane_bits:
        raise BadInputError(
            f"lif_scan got membranes of {operation.membrane_bits} bits; it computes float ones, use neuron_module"
        )
    if not _fits(x, membrane):
        raise BadInputError(f"lif_scan got {x.dtype} on {x.device}; give float32, or bfloat16 on a GPU, [T, ...]")
    scale = alpha / 2
    numbers = torch.tensor([operation.tau, operation.threshold, operation.reset, scale, math.pi * scale]).to(x.device)
    if _channels_last(x):  # neurons in the order of the memory, so that nothing is copied before or after
        inner = None if membrane is None else membrane.permute(0, 2, 3, 1)
        spikes, last = lif_scan(x.permute(0, 1, 3, 4, 2), operation, inner, alpha)
        return spikes.permute(0, 1, 4, 2, 3), last.permute(0, 3, 1, 2)
    flat, start = x.reshape(len(x), -1), None if membrane is None else membrane.reshape(-1)
    run = _Scan.apply if compiler_works(x.device.type) else _plain
    spikes, last = run(flat, start, numbers)
    return spikes.view(x.shape), last.view(x.shape[1:])


def _channels_last(x: Tensor) -> bool:
    """Whether maps `[T, B, C, H, W]` lie in memory with their channels innermost."""
    return x.dim() == 5 and not x[0].is_contiguous() and x[0].is_contiguous(memory_format=torch.channels_last)


def _plain(x: Tensor, membrane: Tensor | None, numbers: Tensor) -> tuple[Tensor, Tensor]:
    tau, threshold, reset, scale, _ = numbers.tolist()
    node = neuron.LIFNode(tau, True, threshold, reset, surrogate.ATan(2 * scale), detach_reset=True, step_mode="m")
    if membrane is not None:
        node.v = membrane
    return node.multi_step_forward(x), node.v


def _fits(x: Tensor, membrane: Tensor | None) -> bool:
    state = membrane is None or (membrane.dtype == torch.float32 and membrane.shape == x.shape[1:])
    computed = x.dtype == torch.float32 if x.device.type == "cpu" else x.dtype in ON_A_GPU
    return x.device.type in ("cpu", "cuda") and computed and x.numel() > 0 and state


class ScannedLIF(neuron.LIFNode):
    """SpikingJelly's LIF neurons, whose `multi_step_forward` is `lif_scan` wherever that is possible.

    It has no parameters, so that networks with and without it exchange states, and holds nothing compiled, so that it
    can be copied and stored like any module. On other devices, in other precisions, with another surrogate, or without
    a compiler, it is SpikingJelly's neuron.
    """

    def multi_step_forward(self, x_seq: Tensor, *args: Tensor, **kwargs: object) -> Tensor:
        """Spikes of all timesteps."""
        state = self._memories["v"]
        membrane = state if isinstance(state, Tensor) else None
        ours = type(self.surrogate_function) is surrogate.ATan and self.surrogate_function.spiking
        same = ours and self.detach_reset and self.decay_input and not self.store_v_seq and self.v_reset is not None
        if not (same and _fits(x_seq, membrane) and compiler_works(x_seq.device.type)):
            return super().multi_step_forward(x_seq, *args, **kwargs)
        operation = LIF(self.tau, self.v_threshold, self.v_reset)
        spikes, last = lif_scan(x_seq, operation, membrane, float(self.surrogate_function.alpha))
        self._memories["v"] = last
        return spikes


def scanned(node: neuron.LIFNode) -> ScannedLIF:
    """The same neurons, scanned.

    >>> scanned(neuron.LIFNode(tau=2.0, v_threshold=0.5)).v_threshold
    0.5
    """
    return ScannedLIF(
        tau=node.tau,
        decay_input=node.decay_input,
        v_threshold=node.v_threshold,
        v_reset=node.v_reset,
        surrogate_function=node.surrogate_function,
        detach_reset=node.detach_reset,
        step_mode=node.step_mode,
        store_v_seq=node.store_v_seq,
    )


def use_lif_scan(network: SpikingNetwork) -> int:
    """Let a network's LIF neurons run as compiled scans; those inside feedback loops still go step by step.

    Neurons with membranes of few bits stay as they are.

    Args:
        network: changed in place; parameters, their names and its results stay the same.

    Returns:
        Layers of neurons that were exchanged.
    """

    def exchange(_: Node, module: nn.Module) -> nn.Module | None:
        return scanned(module) if type(module) is neuron.LIFNode else None

    return replace_neurons(network, exchange)


def replace_neurons(network: SpikingNetwork, make: Callable[[Node, nn.Module], nn.Module | None]) -> int:
    """Exchange the modules of a network's neurons.

    Args:
        network: changed in place.
        make: gives the new module for a node and its present module, or `None` to keep that.

    Returns:
        Layers of neurons that were exchanged.
    """
    nodes = [node for node in network.graph.nodes if isinstance(node.operation, Neuron)]
    exchanged = 0
    for position, node in enumerate(nodes):
        module = make(node, network._modules_by_node[node.name])
        if module is not None:
            module.train(network.training)
            attach(network, node.name, module)
            network._modules_by_node[node.name] = module
            network._neurons[position] = module
            exchanged += 1
    return exchanged
