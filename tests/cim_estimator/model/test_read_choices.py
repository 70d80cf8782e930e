"""Rows in groups, sampling, bandwidth, temperature, tiles filled by PEs, operations done: what each changes."""

import json
import math

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.hardware.lines import settling_s
from hasnas.cim_estimator.model import components as circuit
from hasnas.cim_estimator.model.counts import Counts
from hasnas.cim_estimator.model.crossbars import place
from hasnas.cim_estimator.report.plots import roofline
from hasnas.errors import BadInputError

CONV = LayerSpec("conv", 64, 64, kernel_size=3, in_size=8)  # 576 rows: four arrays of 128 and one of 64
OFF_CHIP = "chip__off_chip_bits_per_s"


def chip(name: str = "rram-22nm", **overrides: str):
    return load_hardware(name, {key.replace("__", "."): value for key, value in overrides.items()})


def network(*layers: LayerSpec, timesteps: int = 4) -> Workload:
    return Workload.from_layers(list(layers), timesteps)


def test_rows_are_read_group_by_group():
    whole, halves, odd = (place(network(CONV), chip(crossbar__rows_read=rows)) for rows in ("0", "64", "50"))
    assert [int(each.row_groups[0]) for each in (whole, halves, odd)] == [5, 9, 4 * 3 + 2]
    assert [int(each.row_steps[0]) for each in (whole, halves, odd)] == [1, 2, 3]
    small = LayerSpec("linear", 30, 10)
    assert int(place(network(small), chip(crossbar__rows_read="64")).row_steps[0]) == 1  # only rows in use


def test_rows_of_all_groups_of_a_convolution_that_share_an_array_take_their_turns():
    depthwise = LayerSpec("conv", 64, 64, kernel_size=3, groups=64, in_size=8)
    placement = place(network(depthwise), chip(crossbar__rows_read="16"))
    assert int(placement.row_groups[0]) == 1  # nine rows feed one output
    assert int(placement.row_steps[0]) == 8  # fourteen groups of nine rows lie in one array


def test_every_group_is_converted_and_timed_and_cells_conduct_as_long_as_before():
    together, apart = chip(), chip(crossbar__rows_read="64")
    rates = np.full(1, 0.1)
    one, two = (Counts.of(network(CONV), hardware, rates) for hardware in (together, apart))
    assert float(two.conversions[0] / one.conversions[0]) == pytest.approx(9 / 5)  # the fifth array is half full
    reports = [estimate(network(CONV), hardware, Activity.assumed(0.1)) for hardware in (together, apart)]
    assert float(reports[1].latency_s / reports[0].latency_s) == pytest.approx(2)
    adc = reports[0].energy_components.index("adc")
    converted = [float(report.energy_by_layer_j[0, adc]) for report in reports]
    assert converted[1] / converted[0] == pytest.approx(9 / 5)
    cells = [float(report.energy_by_layer_j[0, reports[0].energy_components.index("crossbar")]) for report in reports]
    assert cells[1] == pytest.approx(cells[0], rel=0.05)  # half the current twice; only bitlines charge more often


def test_reading_all_rows_is_what_a_chip_does_by_default():
    default, all_rows = (estimate(network(CONV), hardware) for hardware in (chip(), chip(crossbar__rows_read="128")))
    for name, value in default.costs().items():
        assert float(all_rows.costs()[name]) == pytest.approx(float(value), rel=1e-14)


def test_the_roof_of_a_chip_falls_with_the_rows_that_it_reads_at_once():
    peaks = []
    for rows in ("128", "32"):
        hardware = chip(crossbar__rows_read=rows)
        peaks.append(roofline(estimate(network(CONV), hardware), hardware).peak[0])
    assert peaks[0] / peaks[1] == pytest.approx(4)


def test_more_rows_than_there_are_cannot_be_read():
    with pytest.raises(BadInputError, match=r"crossbar\.rows_read \(129\) exceeds crossbar\.rows \(128\)"):
        chip(crossbar__rows_read="129")


def test_a_sar_converter_that_holds_its_sample_lets_go_of_the_column_after_one_period():
    none, hold = (circuit.converter(chip(adc__kind="sar", adc__sampling=word)) for word in ("none", "hold"))
    current = [each.column_energy_j(np.array(1e-3), 0.5) for each in (none, hold)]
    assert float(current[0] / current[1]) == pytest.approx(6)  # 5 bits: six periods
    assert hold.conversion_s == none.conversion_s
    thermal_j = 12 * 1.380649e-23 * 300 * 4**5
    assert hold.energy_j - none.energy_j == pytest.approx(thermal_j, rel=1e-6)
    held = circuit.hold_energy_j(chip(adc__kind="sar", adc__bits="10", adc__sampling="hold"))
    assert held == pytest.approx(thermal_j * 4**5)


def test_columns_conduct_while_they_settle():
    waiting = chip(adc__kind="sar", adc__sampling="hold", crossbar__settling="wait")
    assert circuit.converter(waiting).conducting_s == pytest.approx(1e-9 + settling_s(waiting))
    assert circuit.converter(chip(crossbar__settling="wait")).conducting_s == pytest.approx(1e-9 + settling_s(chip(
        crossbar__settling="wait")))  # fmt: skip


def test_weights_come_no_faster_than_the_memory_beside_the_chip_gives_them():
    many = network(*[LayerSpec("linear", 512, 512)] * 4)
    times = [
        float(estimate(many, chip(chip__tiles="2", chip__off_chip_bits_per_s=each)).latency_s)
        for each in ("0", "1e15", "1 GB/s", "0.5 GB/s")
    ]
    assert times[0] == times[1] < times[2] < times[3]
    # A bus of 64 bits at 500 MHz brings 4 GB/s; below that reloading takes as long as the memory needs.
    missing = 4 * 512 * 512 * 8
    assert times[3] - times[2] == pytest.approx(missing / 8e9, rel=1e-6)


@pytest.mark.filterwarnings("error")
def test_no_limit_of_the_memory_is_none_for_the_largest_layer():
    large = network(LayerSpec("linear", 16_384, 16_384))
    times = [float(estimate(large, chip(chip__tiles="1", **each)).latency_s) for each in ({}, {OFF_CHIP: "1e15"})]
    assert times[0] == times[1]


def test_a_tile_that_is_filled_by_pes_holds_what_fits():
    isaac = {"tile__pes": "12", "tile__arrays_per_pe": "8", "crossbar__signed": "unsigned"}
    column = network(LayerSpec("linear", 96 * 128, 32))  # 96 arrays, one under another
    rectangles, filled = (place(column, chip(tile__layout=word, **isaac)) for word in ("rectangle", "pes"))
    assert [float(each.tiles[0]) for each in (rectangles, filled)] == [16, 1]
    assert (int(filled.pe_rows[0]), int(filled.pe_columns[0])) == (12, 1)
    assert float(estimate(column, chip(tile__layout="pes", **isaac)).utilisation) == pytest.approx(1)
    assert float(estimate(column, chip(**isaac)).utilisation) == pytest.approx(1 / 16)
    row = place(network(LayerSpec("linear", 128, 97 * 32)), chip(tile__layout="pes", **isaac))
    assert (float(row.tiles[0]), int(row.pe_rows[0]), int(row.pe_columns[0])) == (2, 1, 13)


@pytest.mark.parametrize("unrolling", ["rows", "kernel"])
def test_filling_never_takes_more_tiles_than_rectangles(unrolling: str):
    layers = [LayerSpec("conv", cin, cout, kernel_size=3, in_size=8) for cin in (3, 70, 260) for cout in (20, 90, 500)]
    tiles = [
        place(network(*layers), chip(tile__layout=word, crossbar__unrolling=unrolling, tile__pes="9")).tiles
        for word in ("rectangle", "pes")
    ]
    assert (tiles[1] <= tiles[0]).all()
    assert (tiles[1] < tiles[0]).any()


def test_operations_that_were_not_done_are_not_counted():
    reports = [estimate(network(CONV), chip(), Activity.assumed(rate)) for rate in (0.0, 0.1, 1.0)]
    dense = 2 * 4 * 64 * 576 * 64
    assert [float(report.operations_done) for report in reports] == pytest.approx([0, 0.1 * dense, dense])
    assert float(reports[0].tops_per_watt) == 0
    tree = json.loads(reports[1].to_json())
    assert tree["operations"] == dense
    assert tree["layers"][0]["operations_done"] == tree["operations_done"] == pytest.approx(0.1 * dense)
    assert tree["tops_per_watt"] == pytest.approx(0.1 * dense / tree["energy_j"] * 1e-12)


def test_operations_follow_the_rate_of_each_layer():
    layers = [LayerSpec("linear", 100, 50, input_rate=rate) for rate in (0.2, 0.0)]
    report = estimate(network(*layers), chip(), Activity.measured())
    assert report.operations_done_by_layer.tolist() == pytest.approx([2 * 4 * 5000 * 0.2, 0.0])


def test_a_warm_chip_pays_for_its_leakage():
    cold, warm = (estimate(network(CONV), chip(temperature_k=kelvin)) for kelvin in ("300", "350"))
    factor = math.exp(cold_node().leakage_activation_k * (1 / 300 - 1 / 350))
    assert float(warm.leakage_j / cold.leakage_j) == pytest.approx(factor)
    assert float(warm.energy_j - warm.leakage_j) == pytest.approx(float(cold.energy_j - cold.leakage_j))


def cold_node():
    return chip().node
