"""Which keys of a description change nothing: those that its model, or a chip put together like it, never reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache

from hasnas.errors import BadInputError

from .lines import REFERENCE_K
from .spec import GeneralHardware, HardwareSpec, SpikeSimHardware

LEVEL_SHIFT_ABOVE_V = 1.5  # writing above this needs level shifters at rows and columns


@dataclass(frozen=True)
class Unused:
    """Keys that some chips do not read.

    Args:
        keys: patterns of dotted paths, as in `fnmatch`.
        on: whether a description is such a chip.
        why: completes "has no effect: ..."; tells what to set instead.
    """

    keys: tuple[str, ...]
    on: Callable[[HardwareSpec], bool]
    why: str


def _general(rule: Callable[[GeneralHardware], bool]) -> Callable[[HardwareSpec], bool]:
    return lambda hardware: isinstance(hardware, GeneralHardware) and rule(hardware)


def _spikesim(rule: Callable[[SpikeSimHardware], bool]) -> Callable[[HardwareSpec], bool]:
    return lambda hardware: isinstance(hardware, SpikeSimHardware) and rule(hardware)


UNUSED = (
    Unused(
        ("crossbar.device",), _general(lambda chip: True),
        "only the SpikeSim model tells rram and sram arrays apart; choose the cells of this model with device",
    ),
    Unused(("adc.sar_*",), _general(lambda chip: chip.adc.kind != "sar"), "it needs adc.kind=sar"),
    Unused(("adc.flash_*",), _general(lambda chip: chip.adc.kind != "flash"), "it needs adc.kind=flash"),
    Unused(("adc.sampling",), _general(lambda chip: chip.adc.kind != "sar"), "it needs adc.kind=sar"),
    Unused(
        ("crossbar.sensing", "node.wire_resistance_ohm_per_m"),
        _general(lambda chip: chip.crossbar.settling == "ignored"), "it needs crossbar.settling=wait or another",
    ),
    Unused(
        ("node.leakage_activation_k",), _general(lambda chip: chip.temperature_k == REFERENCE_K),
        f"the leakage given is that at {REFERENCE_K:g} K; set temperature_k",
    ),
    Unused(("adc.fixed_*",), _general(lambda chip: chip.adc.kind != "fixed"), "it needs adc.kind=fixed"),
    Unused(
        ("interconnect.router_registers_per_bit",), _general(lambda chip: chip.interconnect.kind != "mesh"),
        "only a mesh has routers; it needs interconnect.kind=mesh",
    ),
    Unused(
        ("chip.reload_*", "chip.off_chip_bits_per_s", "device.write_energy_j", "device.write_pulse_s"),
        _general(lambda chip: chip.chip.tiles == 0),
        "a chip with as many tiles as needed never reloads weights; set chip.tiles",
    ),
    Unused(
        ("periphery.level_shifter_inverters",),
        _general(lambda chip: chip.device.write_voltage_v <= LEVEL_SHIFT_ABOVE_V),
        f"cells written at up to {LEVEL_SHIFT_ABOVE_V} V need no level shifters; raise device.write_voltage_v",
    ),
    Unused(
        ("crossbar.columns",), _spikesim(lambda chip: True),
        "the SpikeSim formulas know square crossbars; set crossbar.size",
    ),
    Unused(
        (
            "crossbar.signed", "crossbar.unrolling", "crossbar.rows_read", "crossbar.settling", "crossbar.sensing",
            "tile.arrays_per_pe", "tile.copies", "tile.layout", "schedule",
        ),
        _spikesim(lambda chip: True), "the SpikeSim formulas do not read it; take a preset of the general model",
    ),
    Unused(
        ("spikesim.crossbar_sram_*",), _spikesim(lambda chip: chip.crossbar.device != "sram"),
        "it needs crossbar.device=sram",
    ),
    Unused(
        ("spikesim.crossbar_rram_*",), _spikesim(lambda chip: chip.crossbar.device != "rram"),
        "it needs crossbar.device=rram",
    ),
)  # fmt: skip


def why_unused(hardware: HardwareSpec, key: str) -> str | None:
    """Why a key of a description changes no cost, or None if it may.

    >>> from hasnas.cim_estimator import load_hardware
    >>> why_unused(load_hardware("rram-22nm"), "adc.sar_clock_s")
    'it needs adc.kind=sar'
    >>> why_unused(load_hardware("rram-22nm"), "adc.bits") is None
    True
    """
    return next((rule.why for rule in _rules_of(key) if rule.on(hardware)), None)


@lru_cache(maxsize=1024)
def _rules_of(key: str) -> tuple[Unused, ...]:
    return tuple(rule for rule in UNUSED if any(fnmatchcase(key, pattern) for pattern in rule.keys))


def refuse_unused(variants: Iterable[HardwareSpec], keys: Iterable[str]) -> None:
    """Refuse keys that change nothing on any of some variants of a chip.

    Raises:
        BadInputError: naming the first such key, and what to set instead.
    """
    chips = list(variants)
    for key in keys:
        reasons = [why_unused(chip, key) for chip in chips]
        if reasons and reasons[0] and all(reasons):
            raise BadInputError(f"override: {key} has no effect on hardware '{chips[0].name}': {reasons[0]}")
