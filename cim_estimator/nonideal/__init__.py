"""What a real device makes of trained weights: conductances, variation, faults, wires, noise and converters.

    weights -> to_conductances -> program (many chips) -> with_wire_resistance -> multiply, or to_weights

Everything here is numpy; `hasnas.nas.imperfect_chips` applies it to the layers of a trained network.
"""

from .chips import misprogram, program, retain, stick, vary
from .conductance import Conductances, to_conductances, to_weights
from .converters import AdcLimits, digitise, input_planes
from .crossbar import calibrate, full_range, multiply
from .spec import NonidealSpec, load_nonideal, nonideal_names, nonideal_sources
from .wires import ArraySolution, loaded_conductance, solve_array, transfer_conductance, with_wire_resistance

__all__ = [
    "AdcLimits",
    "ArraySolution",
    "Conductances",
    "NonidealSpec",
    "calibrate",
    "digitise",
    "full_range",
    "input_planes",
    "load_nonideal",
    "loaded_conductance",
    "misprogram",
    "multiply",
    "nonideal_names",
    "nonideal_sources",
    "program",
    "retain",
    "solve_array",
    "stick",
    "to_conductances",
    "to_weights",
    "transfer_conductance",
    "vary",
    "with_wire_resistance",
]
