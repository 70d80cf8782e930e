"""Neurons of snnTorch, Norse and sinabs, known by their class: what lies on the chip, without importing the libraries.

What their discrete equations do at another place than ours (a reset one step later, another scale) changes no price; a
note says so where it is told that it does.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from hasnas.errors import BadInputError
from hasnas.search_spaces.layers import ALIF, IF, LIF, PLIF, Linear, Neuron
from hasnas.search_spaces.neurons.soft_reset import SoftResetLIF
from hasnas.search_spaces.neurons.synaptic import SynapticLIF

LIBRARIES = {"snntorch": "snnTorch", "norse": "Norse", "sinabs": "sinabs"}
# Classes that only call what is in them, and are entered.
CONTAINERS = frozenset({("norse", "SequentialState"), ("sinabs", "Network"), ("sinabs", "DynapcnnNetwork")})
Note = Callable[[str], None]


@dataclass(frozen=True)
class Elsewhere:
    """What a layer of another library stands for.

    Args:
        neuron: the neurons.
        before: the dense layer through which the module itself takes its input, if it has one.
        recurrent: the layer through which its spikes come back one timestep later, if there is one.
        weights: a dense layer that the module keeps as plain parameters, in place of a module.
    """

    neuron: Neuron
    before: Linear | None = None
    recurrent: nn.Module | None = None
    weights: Linear | None = None


def library_of(module: nn.Module) -> str | None:
    """Which of the libraries known here a module's class comes from."""
    return LIBRARIES.get(type(module).__module__.partition(".")[0])


def is_leaf(module: nn.Module) -> bool:
    """Whether a module of another library is a layer by itself, rather than a container that is entered."""
    home = type(module).__module__.partition(".")[0]
    return home in LIBRARIES and (home, type(module).__name__) not in CONTAINERS


def is_neuron(module: nn.Module) -> bool:
    """Whether the module is a kind of neurons that `neurons_of` knows."""
    return _key(module) in _KNOWN


def neurons_of(name: str, module: nn.Module, note: Note) -> Elsewhere:
    """What the neurons of another library stand for.

    Args:
        name: of the layer, for messages.
        module: the layer.
        note: is told what the layer does beyond what is priced.

    Raises:
        BadInputError: naming the class and its library, if it has no price.
    """
    key = _key(module)
    if key not in _KNOWN:
        known = ", ".join(sorted(kind for home, kind in _KNOWN if home == key[0]))
        raise BadInputError(
            f"layer '{name}' is a {type(module).__name__} of {library_of(module)}, which has no price; known: {known}"
        )
    return _KNOWN[key](name, module, note)


def prepare(module: nn.Module) -> None:
    """Let layers that fold time into the batch take any batch: one timestep of any number of samples."""
    for child in module.modules():
        if library_of(child) == "sinabs" and type(child).__name__.endswith("Squeeze"):
            child.batch_size, child.num_timesteps = 1, -1  # type: ignore[assignment]


def _key(module: nn.Module) -> tuple[str, str]:
    return type(module).__module__.partition(".")[0], type(module).__name__


def number(name: str, quantity: str, value: Any, note: Note) -> float:
    """One value for all neurons; the first, with a note, where they differ.

    Raises:
        BadInputError: for values that are no numbers.

    >>> number("lif", "thresholds", [1.0, 2.0], print)
    layer 'lif' has different thresholds among its neurons; the price is the same
    1.0
    """
    flat = torch.as_tensor(value, dtype=torch.float64).detach().flatten()
    if bool(flat.isnan().any()):
        raise BadInputError(f"layer '{name}' has {quantity} that are no numbers (NaN); set them anew")
    if bool((flat != flat[0]).any()):
        note(f"layer '{name}' has different {quantity} among its neurons; the price is the same")
    return float(flat[0])


def _tau(decay: float) -> float:
    """Time constant in timesteps of a state that keeps the share `decay` of itself at each."""
    return 1 / (1 - decay) if 0 <= decay < 1 else math.inf


def _leaky(name: str, module: Any, note: Note, beta: Any) -> Neuron:
    """Neurons v <- beta v + x: in our form, whose input is divided by tau, the threshold is, too."""
    keeps = number(name, "beta", beta, note)
    tau = _tau(keeps)
    threshold = number(name, "thresholds", module.threshold, note)
    if not 0 <= keeps <= 1:
        note(f"layer '{name}' has beta = {keeps:g}, which is no leak; it is priced without one")
    if tau == math.inf:
        return IF(threshold)
    if module.reset_mechanism == "none":
        note(f"layer '{name}' is never reset; it is priced with a hard reset")
    soft = module.reset_mechanism == "subtract"
    if isinstance(module.beta, nn.Parameter):
        if soft:
            note(f"layer '{name}' learns beta and subtracts at reset; it is priced with a hard reset")
        return PLIF(max(tau, math.nextafter(1, 2)), threshold / tau)
    return SoftResetLIF(tau, threshold / tau) if soft else LIF(tau, threshold / tau)


def _snntorch(name: str, module: Any, note: Note) -> Elsewhere:
    recurrent = None
    if hasattr(module, "all_to_all"):
        if not module.all_to_all:
            raise BadInputError(
                f"layer '{name}' is a {type(module).__name__} of snnTorch with one weight a neuron, which no crossbar "
                "holds; use all_to_all=True"
            )
        recurrent = module.recurrent
    _tell_more_of_snntorch(name, module, note)
    if not hasattr(module, "alpha"):
        neuron = _leaky(name, module, note, module.beta)
        _tell_uncounted(name, module, neuron.trained_parameters, note)
        return Elsewhere(neuron, recurrent=recurrent)
    _tell_uncounted(name, module, 0, note)
    tau, tau_synapse = (_tau(number(name, key, getattr(module, key), note)) for key in ("beta", "alpha"))
    threshold = number(name, "thresholds", module.threshold, note)
    return Elsewhere(SynapticLIF(tau, threshold / (tau * tau_synapse), 0.0, tau_synapse), recurrent=recurrent)


def _tell_more_of_snntorch(name: str, module: Any, note: Note) -> None:
    """What such neurons may do beyond spiking by themselves, with one bit."""
    if getattr(module, "inhibition", False):
        note(f"layer '{name}' lets only its strongest neuron spike; the comparison is not priced")
    if getattr(module, "state_quant", False):
        note(f"layer '{name}' rounds its membranes; they are priced with the bits of the hardware")
    factor = number(name, "factors of spikes", getattr(module, "graded_spikes_factor", 1.0), note)
    if factor != 1:
        note(f"layer '{name}' multiplies its spikes by {factor:g}; they are priced as spikes, of one bit")


def _tell_uncounted(name: str, module: nn.Module, counted: int, note: Note) -> None:
    """Which values of its own a layer learns that nothing counts."""
    learned = {key: values.numel() for key, values in module.named_parameters(recurse=False)}
    missing = sum(learned.values()) - counted
    if missing:
        note(f"layer '{name}' learns {', '.join(learned)}, {missing} more values than are counted as parameters")


def _norse(name: str, module: Any, note: Note) -> Elsewhere:
    p, dt = getattr(module.p, "lif", module.p), float(getattr(module, "dt", 1e-3))
    tau = 1 / (number(name, "tau_mem_inv", p.tau_mem_inv, note) * dt) if hasattr(p, "tau_mem_inv") else math.inf
    threshold = number(name, "v_th", p.v_th, note) if hasattr(p, "v_th") else 1.0
    reset = number(name, "v_reset", p.v_reset, note) if hasattr(p, "v_reset") else 0.0
    kind = type(module).__name__
    subtracts = "subtract" in getattr(getattr(p, "reset_method", None), "__name__", "")
    if not hasattr(p, "v_th"):
        note(f"layer '{name}' is a {kind}, which does not spike; it is priced as neurons that do")
    if "Refrac" in kind:
        note(f"layer '{name}' rests after a spike; the counter of its refractory period is not priced")
    neuron: Neuron
    if kind.startswith("LSNN"):
        note(f"layer '{name}' has a synaptic current beside its adaptation; only the adaptation is priced")
        neuron = ALIF(tau, threshold, reset)
    elif hasattr(p, "tau_syn_inv"):
        neuron = SynapticLIF(tau, threshold, reset, 1 / (number(name, "tau_syn_inv", p.tau_syn_inv, note) * dt))
    elif subtracts:
        neuron = SoftResetLIF(tau, threshold)
    else:
        neuron = LIF(tau, threshold, reset) if math.isfinite(tau) else IF(threshold, reset)
    if "Recurrent" not in kind:
        return Elsewhere(neuron)
    outputs, inputs = module.input_weights.shape
    return Elsewhere(neuron, before=Linear(inputs, outputs), weights=Linear(outputs, outputs))


def _sinabs(name: str, module: Any, note: Note) -> Elsewhere:
    kind = type(module).__name__
    recurrent = getattr(module, "rec_connect", None)
    given = module.b0 if kind.startswith("ALIF") else module.spike_threshold
    threshold = 1.0 if given is None else number(name, "thresholds", given, note)
    if kind.startswith("ExpLeak"):
        note(f"layer '{name}' is a {kind}, which does not spike; it is priced as neurons that do")
    if "MultiSpike" in repr(module.spike_fn):
        note(f"layer '{name}' may spike several times a timestep; it is priced as if it spiked once")
    soft = "Subtract" in repr(module.reset_fn)
    if kind.startswith("IAF"):
        if soft:
            note(f"layer '{name}' subtracts at reset; it is priced with a hard reset, which costs the same")
        return Elsewhere(IF(threshold), recurrent=recurrent)
    tau = number(name, "tau_mem", module.tau_mem, note)
    trained = [key for key, values in module.named_parameters(recurse=False) if values.requires_grad]
    if trained and kind.startswith("LIF") and getattr(module, "tau_syn", None) is None:
        if soft:
            note(f"layer '{name}' learns tau_mem and subtracts at reset; it is priced with a hard reset")
        return Elsewhere(PLIF(max(tau, math.nextafter(1, 2)), threshold), recurrent=recurrent)
    if trained:
        note(f"layer '{name}' learns {', '.join(trained)}, which are not counted as parameters")
    if getattr(module, "tau_syn", None) is not None:
        synapse = number(name, "tau_syn", module.tau_syn, note)
        return Elsewhere(SynapticLIF(tau, threshold, 0.0, synapse), recurrent=recurrent)
    if kind.startswith("ALIF"):
        return Elsewhere(ALIF(tau, threshold), recurrent=recurrent)
    return Elsewhere(SoftResetLIF(tau, threshold) if soft else LIF(tau, threshold), recurrent=recurrent)


_NORSE = (
    "LIF", "LIFCell", "LIFRecurrent", "LIFRecurrentCell", "LIFBoxCell", "LI", "LICell", "LIBoxCell", "IAF", "IAFCell",
    "LIFRefracCell", "LSNN", "LSNNCell", "LSNNRecurrent", "LSNNRecurrentCell",
)  # fmt: skip
_SINABS = (
    "IAF", "IAFSqueeze", "IAFRecurrent", "LIF", "LIFSqueeze", "LIFRecurrent", "ALIF", "ALIFRecurrent", "ExpLeak",
    "ExpLeakSqueeze",
)  # fmt: skip
_KNOWN: dict[tuple[str, str], Callable[[str, Any, Note], Elsewhere]] = {
    **{("snntorch", kind): _snntorch for kind in ("Leaky", "Lapicque", "Synaptic", "RLeaky", "RSynaptic")},
    **{("norse", kind): _norse for kind in _NORSE},
    **{("sinabs", kind): _sinabs for kind in _SINABS},
}
