"""Every key of every preset changes some cost, or is refused with what to set instead."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import pytest

from hasnas.cim_estimator import (
    Activity,
    HardwareSpec,
    LayerSpec,
    Workload,
    estimate,
    hardware_names,
    load_hardware,
    sweep,
)
from hasnas.errors import BadInputError

LAYERS = [
    LayerSpec("conv", 3, 40, kernel_size=3, in_size=8, input_bits=8, evaluations=1, biases=40),
    LayerSpec("lif", 40, 40, in_size=8),
    LayerSpec("conv", 40, 300, kernel_size=3, in_size=8, biases=300),
    LayerSpec("scale", 300, 300, in_size=8, input_bits=8, biases=300),
    LayerSpec("add", 600, 300, in_size=8, input_bits=8, delay=1),
    LayerSpec("pool", 300, 300, kernel_size=2, stride=2, in_size=8),
    LayerSpec("linear", 300, 520),
]
FORWARD = [layer for layer in LAYERS if not layer.delay]  # without feedback, which forbids a pipeline
# Chips that read keys which the presets as they are do not: other converters, a mesh, few tiles, other cells.
GENERAL = [
    {"adc.kind": "sar", "interconnect": "mesh"}, {"chip.tiles": "4", "schedule": "pipelined"},
    {"adc.kind": "fixed", "adc.fixed_energy_j": "1 pJ", "adc.fixed_conversion_s": "3 ns", "readout": "event"},
    {"device.write_voltage_v": "1"}, {"crossbar.settling": "wait", "temperature_k": "350"},
]  # fmt: skip
CASES = [(name, {}) for name in hardware_names()]
CASES += [("rram-32nm", settings) for settings in GENERAL]
CASES += [("spikesim-65nm-rram", {"crossbar.device": "sram"})]


def settable(hardware: HardwareSpec) -> dict[str, tuple[Any, tuple[str, ...]]]:
    """Dotted path -> value and, for words, the words it may be."""
    found = {}
    for entry in fields(hardware):
        value = getattr(hardware, entry.name)
        if is_dataclass(value):
            inner = {f"{entry.name}.{each.name}": (getattr(value, each.name), each) for each in fields(value)}
        else:
            inner = {entry.name: (value, entry)}
        found |= {path: (own, each.metadata.get("choices", ())) for path, (own, each) in inner.items()}
    return {path: entry for path, entry in found.items() if path not in ("name", "model", "sources")}


def others(value: Any, choices: tuple[str, ...]) -> list[Any]:
    """Other values a key may take: the other words, or numbers smaller and larger, as far as they may matter."""
    if choices:
        return [word for word in choices if word != value]
    if isinstance(value, int):
        return [value * 2, max(value // 2, 1), value * 8] if value else [1, 3, 40]
    return [value * factor for factor in (2, 0.5, 40, 0.02)] if value else [1e-12, 1e-9, 1]


def costs(hardware: HardwareSpec, activity: Activity) -> np.ndarray:
    reports = [estimate(Workload.from_layers(layers, 4), hardware, activity) for layers in (LAYERS, FORWARD)]
    return np.array([float(value) for report in reports for value in (*report.costs().values(), report.interval_s)])


def variants(name: str, settings: dict[str, str], key: str, entry: tuple[Any, tuple[str, ...]]) -> list[HardwareSpec]:
    """The chip with other values of a key, as far as they fit the rest of it; none if the key is refused."""
    found = []
    for value in others(*entry):
        try:
            found.append(load_hardware(name, {**settings, key: value}))
        except BadInputError as error:
            if f"override: {key} has no effect on hardware '{name}': " in str(error):
                return []
    assert found, f"no value of {key} fits"
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name, settings", CASES, ids=lambda case: str(case))
def test_every_key_changes_a_cost_or_is_refused(name: str, settings: dict[str, str]):
    base, activity = load_hardware(name, settings), Activity.assumed(0.001)
    before, silent, refused = costs(base, activity), [], []
    for key, entry in settable(base).items():
        if key in settings:
            continue
        after = [costs(chip, activity) for chip in variants(name, settings, key, entry)]
        if not after:
            refused.append(key)
        elif all(np.allclose(one, before, rtol=1e-9, atol=0) for one in after):
            silent.append(key)
    assert silent == []
    assert refused


@pytest.mark.parametrize(
    "name, key, value, remedy",
    [
        ("rram-32nm", "crossbar.device", "sram", "choose the cells of this model with device"),
        ("rram-32nm", "adc.sar_clock_s", "2 ns", "it needs adc.kind=sar"),
        ("rram-32nm", "chip.reload_bus_bits", "8", "set chip.tiles"),
        ("spikesim-65nm-rram", "crossbar.columns", "128", "set crossbar.size"),
        ("spikesim-65nm-rram", "schedule", "pipelined", "take a preset of the general model"),
    ],
)
def test_the_refusal_says_what_to_set_instead(name: str, key: str, value: str, remedy: str):
    with pytest.raises(BadInputError) as refused:
        load_hardware(name, {key: value})
    assert f"{key} has no effect on hardware '{name}'" in str(refused.value)
    assert remedy in str(refused.value)


def test_a_key_is_read_once_another_makes_it_matter():
    chip = load_hardware("rram-32nm", {"chip.reload_bus_bits": "8", "chip.tiles": "2"})
    assert chip.chip.reload_bus_bits == 8
    assert load_hardware("spikesim-65nm-rram", {"crossbar.size": "128"}).crossbar.columns == 128


def test_a_sweep_refuses_keys_that_matter_in_none_of_its_variants():
    network = Workload.from_layers(LAYERS, 4)
    points = sweep(network, "rram-32nm", {"chip.tiles": ["0", "3"]}, settings={"chip.reload_bus_bits": "8"})
    assert points[0].report.latency_s < points[1].report.latency_s
    with pytest.raises(BadInputError, match=r"chip\.reload_bus_bits has no effect"):
        sweep(network, "rram-32nm", {"tile.pes": ["4", "8"]}, settings={"chip.reload_bus_bits": "8"})
