"""Spiking neurons: one class a kind in one file, listed here; plug-ins announce theirs. Torch is imported with modules.

A new kind is a file with a subclass of `Neuron` and a line in `NEURONS`. Macros, prices, mean-field scores, settings,
modules and exports read the class.
"""

from __future__ import annotations

from hasnas.registry import Registry

from .alif import ALIF as ALIF
from .base import Dynamics as Dynamics
from .base import Neuron as Neuron
from .base import check_membrane_bits as check_membrane_bits
from .integrate_and_fire import IF as IF
from .lif import LIF as LIF
from .plif import PLIF as PLIF

_HERE = "hasnas.search_spaces.neurons"
NEURONS: Registry[type[Neuron]] = Registry(
    "neuron",
    {
        "lif": f"{_HERE}.lif:LIF",
        "plif": f"{_HERE}.plif:PLIF",
        "if": f"{_HERE}.integrate_and_fire:IF",
        "alif": f"{_HERE}.alif:ALIF",
        "lif_soft_reset": f"{_HERE}.soft_reset:SoftResetLIF",
        "synaptic_lif": f"{_HERE}.synaptic:SynapticLIF",
    },
    "hasnas.neurons",
)


def neuron_of(kind: str, tau: float, threshold: float, membrane_bits: int = 0) -> Neuron:
    """The neurons that a name stands for; those without leak have no use for `tau`.

    Raises:
        BadInputError: if the name is unknown; the nearest known one is named.

    >>> neuron_of("if", tau=2.0, threshold=0.5)
    IF(threshold=0.5, reset=0.0, membrane_bits=0)
    """
    return NEURONS.get(kind).of(tau, threshold, membrane_bits)


def neuron_type(name: str) -> type[Neuron] | None:
    """The kind whose class has this name, as files of graphs call it."""
    for kinds in (NEURONS.builtin_names, NEURONS.names()):
        for kind in kinds:
            if NEURONS.get(kind).__name__ == name:
                return NEURONS.get(kind)
    return None
