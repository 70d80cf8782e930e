"""Many chips in one call cost what each of them costs alone, whatever field it is in which they differ."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from typing import Any

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate_costs, load_hardware
from hasnas.cim_estimator.hardware.spec import GeneralHardware, HardwareSpec
from hasnas.cim_estimator.hardware.unused import why_unused
from hasnas.cim_estimator.model.batch import stack_choices
from hasnas.cim_estimator.model.many_chips import price_on_chips, stack_chips
from hasnas.cim_estimator.model.population import MANY_CHIPS, Population
from hasnas.cim_estimator.model.totals import TOTALS
from hasnas.errors import BadInputError

DENSE = Activity.dense()
KINDS = {
    "adc.kind": ("sar", "flash"), "interconnect.kind": ("htree", "mesh"), "schedule": ("sequential", "pipelined"),
    "readout": ("clocked", "event"), "crossbar.settling": ("ignored", "wait", "slow-clock"),
    "crossbar.signed": ("offset", "differential"), "tile.layout": ("rectangle", "pes"), "tile.copies": ("one", "fill"),
}  # fmt: skip


def network(width: int, kernel: int, delay: int = 0) -> Workload:
    layers = [
        LayerSpec("conv", 2, width, kernel_size=kernel, in_size=8, biases=width, input_bits=8, evaluations=1),
        LayerSpec("lif", width, width, in_size=8, delay=delay),
        LayerSpec("conv", width, 2 * width, kernel_size=3, in_size=8),
        LayerSpec("pool", 2 * width, 2 * width, kernel_size=8, in_size=8, out_size=1),
        LayerSpec("linear", 2 * width, 10),
    ]
    return Workload.from_layers(layers, timesteps=3)


NETWORKS = stack_choices([network(8, 3), network(40, 5), network(16, 3, delay=1), network(8, 1)])


def general(preset: str, **changes: Any) -> GeneralHardware:
    chip = load_hardware(preset, {name.replace("__", "."): value for name, value in changes.items()})
    assert isinstance(chip, GeneralHardware)
    return chip


def numbers(chip: GeneralHardware) -> list[tuple[str, str, float]]:
    """Section, field and value of every number of a description."""
    found = [("", "clock_hz", chip.clock_hz), ("", "temperature_k", chip.temperature_k)]
    for section in (getattr(chip, item.name) for item in fields(chip)):
        if is_dataclass(section):
            name = next(item.name for item in fields(chip) if getattr(chip, item.name) is section)
            values = [(item.name, getattr(section, item.name)) for item in fields(section)]
            found += [(name, field, value) for field, value in values if isinstance(value, int | float)]
    return found


def changed(chip: GeneralHardware, section: str, field: str, value: float) -> GeneralHardware:
    if not section:
        return replace(chip, **{field: value})
    return replace(chip, **{section: replace(getattr(chip, section), **{field: value})})


def assert_as_alone(chips: list[HardwareSpec], activity: Activity = DENSE) -> np.ndarray:
    """All networks on all chips; returns the energies `[chips, networks]`."""
    which = np.repeat(np.arange(len(chips)), 4)
    found = Population(NETWORKS, 4).costs(np.tile(np.arange(4), len(chips)), which, chips, activity)
    alone_on = {chip: estimate_costs(NETWORKS, chip, activity) for chip in dict.fromkeys(chips)}
    for name in TOTALS:
        alone = np.concatenate([np.broadcast_to(alone_on[chip][name], 4) for chip in chips])
        np.testing.assert_allclose(found[name], alone, rtol=1e-12, err_msg=name)
    return found.energy_j.reshape(len(chips), 4)


@pytest.mark.parametrize("preset", ["rram-32nm", "rram-22nm"])
def test_whatever_number_differs(preset: str) -> None:
    chips: list[HardwareSpec] = []
    settled = {"crossbar__settling": "wait", "crossbar__rows_read": "32", "adc__kind": "sar", "adc__sampling": "hold"}
    few = {"chip__tiles": "2", "chip__off_chip_bits_per_s": "1e9"}
    filled = {"crossbar__unrolling": "kernel", "tile__layout": "pes"}
    changes = ({}, {**filled, **few}, {**settled, **few, "clock_hz": "3 GHz"})
    for kind in (general(preset, **each) for each in changes):
        for section, field, value in numbers(kind):
            factors = (1, 2) if isinstance(value, int) else (1.0, 1.5)
            chips += [changed(kind, section, field, value * factor) for factor in factors]
    assert len(chips) > 10 * MANY_CHIPS
    energies = assert_as_alone(chips)
    assert len(np.unique(energies[:, 1])) > 80


@pytest.mark.parametrize(("name", "words"), KINDS.items())
def test_whatever_word_differs(name: str, words: tuple[str, ...]) -> None:
    changes = [{name: word, "crossbar.size": str(size)} for word in words for size in range(64, 64 + MANY_CHIPS)]
    chips = [general("rram-22nm", **change) for change in changes]
    assert_as_alone([*chips], Activity.assumed(0.2))


def test_models_that_are_not_sums_are_priced_one_by_one() -> None:
    chips: list[HardwareSpec] = [general("rram-32nm", clock_hz=f"{2 + number}e8") for number in range(MANY_CHIPS)]
    shared = load_hardware("rram-32nm", {"tile.sharing": "layers"})
    assert_as_alone([*chips, shared, load_hardware("spikesim-65nm-rram")])


def test_chips_without_candidates_are_left_alone() -> None:
    chips = [general("rram-32nm", clock_hz=f"{2 + number}e8") for number in range(3)]
    found = price_on_chips(NETWORKS, np.eye(1, 5, dtype=np.int32), chips, np.array([1]), DENSE)
    assert found.shape == (1, 7)
    assert stack_chips(chips[:1]) == chips[0]
    assert why_unused(stack_chips(chips[:1]), "clock_hz") is None


def test_one_of_many_chips_may_be_too_small() -> None:
    chips: list[HardwareSpec] = [general("rram-32nm", crossbar__size=str(128 - number)) for number in range(MANY_CHIPS)]
    grouped = Workload.from_layers([LayerSpec("conv", 256, 256, kernel_size=3, groups=2, in_size=4)], timesteps=1)
    with pytest.raises(BadInputError, match="one group of the convolution is larger than a crossbar"):
        Population(grouped, 1).costs(np.zeros(MANY_CHIPS, int), np.arange(MANY_CHIPS), chips, DENSE)
