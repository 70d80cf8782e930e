"""Networks larger than the chip, by hand: how much is written anew, at what cost, in both engines."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, estimate_costs, load_hardware
from hasnas.cim_estimator.model.batch import price_choices, stack_choices
from hasnas.cim_estimator.model.reloading import missing_share, resident_share

# 512 rows are 4 arrays and 128 weights of four cells another 4: a tile of 16 arrays. 512 x 512 are four tiles.
ONE, FOUR = LayerSpec("linear", 512, 128, evaluations=1), LayerSpec("linear", 512, 512, evaluations=1)
ONE_CELLS = 512 * 128 * 4


def network(*layers: LayerSpec) -> Workload:
    return Workload.from_layers(list(layers), 5)


def chip(tiles: int, **overrides: str):
    given = {key.replace("__", "."): value for key, value in overrides.items()}
    return load_hardware("rram-22nm", {"chip.tiles": str(tiles)} | given)


@pytest.mark.parametrize(
    "tiles, limit, missing",
    [
        ((1, 1, 1, 1), 2, 3 / 4),  # one stays, three pass through the other
        ((4, 1), 4, 1.0),  # the large one needs the whole chip, so nothing stays
        ((4, 4, 1, 1), 6, 8 / 10),  # two stay, eight pass through four
        ((4, 1), 2, 1.0),  # the large one does not even fit by itself
        ((4, 1), 5, 0.0),
        ((4, 1), 0, 0.0),
    ],
)
def test_what_passes_through_the_tiles_of_the_largest_layer(tiles: tuple[int, ...], limit: int, missing: float) -> None:
    assert missing_share(np.array(tiles, float), chip(limit)).item() == pytest.approx(missing)
    layers = network(*({1: ONE, 4: FOUR}[count] for count in tiles))
    reload_j = estimate(layers, chip(limit)).to_dict()["components"]["energy_j"]["reload"]
    # Each cell of two bits: a pulse train of 1 pJ, and 4 pJ for each bit on its way.
    assert reload_j == pytest.approx(missing * sum(tiles) * ONE_CELLS * (1e-12 + 2 * 4e-12), rel=1e-9)


def test_the_chip_has_the_tiles_it_has() -> None:
    assert resident_share(np.array([4.0, 1.0]), chip(2)).item() == pytest.approx(2 / 5)
    assert resident_share(np.array([4.0, 1.0]), chip(8)).item() == 1.0
    assert resident_share(np.array([4.0, 1.0]), chip(0)).item() == 1.0


@pytest.mark.parametrize(
    "bus_bits, pulse, seconds",
    [
        ("64", "100 ns", ONE_CELLS * 2 / (64 * 500e6)),  # the bus is slower: 524,288 bits at 32 Gbit/s
        ("65536", "100 ns", 128 * 100e-9),  # row after row of 128, in all 16 arrays at once
        ("65536", "1 us", 128 * 1e-6),
    ],
)
def test_writing_takes_the_slower_of_bus_and_pulses(bus_bits: str, pulse: str, seconds: float) -> None:
    given = {"chip__reload_bus_bits": bus_bits, "device__write_pulse_s": pulse}
    whole, half = (float(estimate(network(ONE, ONE), chip(tiles, **given)).latency_s) for tiles in (2, 1))
    assert half - whole == pytest.approx(2 * seconds, rel=1e-6)


OVERFULL = [(1, "sequential"), (2, "sequential"), (3, "sequential"), (1, "pipelined"), (3, "pipelined")]


@pytest.mark.parametrize("tiles, schedule", OVERFULL)
def test_both_engines_know_overfull_chips(tiles: int, schedule: str) -> None:
    hardware, activity = chip(tiles, schedule=schedule), Activity.assumed(0.2)
    small, large = network(ONE, ONE, ONE), network(FOUR, FOUR, FOUR)
    codes = np.array([[0, 0, 0], [0, 1, 0], [1, 1, 1]])
    together = price_choices(stack_choices([small, large]), codes, hardware, activity)
    for row, code in enumerate(codes):
        alone = estimate(network(*(FOUR if bit else ONE for bit in code)), hardware, activity)
        reload_j = alone.to_dict()["components"]["energy_j"]["reload"]
        assert (reload_j > 0.1 * float(alone.energy_j)) == (3 + 3 * code.sum() > tiles)
        for name in ("energy_j", "area_m2", "latency_s"):
            np.testing.assert_allclose(np.asarray(together[name])[row], float(getattr(alone, name)), rtol=1e-12)


@pytest.mark.parametrize("engine", ["numpy", "compiled"])
def test_a_population_pays_for_its_own_reloads(engine: str) -> None:
    layers = stack_choices([network(ONE, ONE), network(FOUR, FOUR)])
    small, large = (estimate(network(layer, layer), chip(2)) for layer in (ONE, FOUR))
    costs = estimate_costs(layers, chip(2), engine=engine)
    np.testing.assert_allclose(costs["energy_j"], [float(small.energy_j), float(large.energy_j)], rtol=1e-12)
    np.testing.assert_allclose(costs["latency_s"], [float(small.latency_s), float(large.latency_s)], rtol=1e-12)
