"""Reports: the tree, JSON, CSV, tables, pictures and sweeps."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware, sweep
from hasnas.cim_estimator.report.formats import to_csv, to_table
from hasnas.cim_estimator.report.plots import component_colours, draw_breakdown, draw_roofline, roofline
from hasnas.errors import BadInputError

LAYERS = [
    LayerSpec("conv", 3, 64, kernel_size=3, in_size=16, evaluations=1, input_bits=8, biases=64, name="stem"),
    LayerSpec("lif", 64, 64, in_size=16, name="lif"),
    LayerSpec("conv", 64, 64, kernel_size=3, in_size=16, name="cell"),
    LayerSpec("linear", 64, 10, name="head"),
]
NETWORK = Workload.from_layers(LAYERS, 5)
CHIP = load_hardware("rram-22nm")
REPORT = estimate(NETWORK, CHIP)


@pytest.mark.parametrize("name", ["=1+1", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3"])
def test_a_layer_named_like_a_formula_is_a_text_for_a_spreadsheet(name: str):
    report = estimate(Workload.from_layers([replace(LAYERS[0], name=name)], 5), CHIP)
    assert next(csv.DictReader(io.StringIO(to_csv(report))))["layer"] == f"'{name}"


def test_json_holds_totals_in_si_and_the_tree_below_them():
    tree = json.loads(REPORT.to_json())
    assert {"parameters", "memory_bits", "area_m2", "latency_s", "energy_j"} <= set(tree)
    assert isinstance(tree["parameters"], int)
    assert tree["energy_j"] == float(REPORT.energy_j)
    assert [layer["name"] for layer in tree["layers"]] == ["stem", "lif", "cell", "head"]
    assert sum(layer["energy_j"] for layer in tree["layers"]) == pytest.approx(tree["energy_j"], rel=1e-12)
    assert sum(tree["components"]["area_m2"].values()) == pytest.approx(tree["area_m2"], rel=1e-12)
    assert sum(tree["components"]["memory_bits"].values()) == tree["memory_bits"]
    assert tree["bottleneck"] == "stem"
    assert tree["energy_delay_js"] == pytest.approx(tree["energy_j"] * tree["latency_s"])
    assert tree["operations"] == 2 * (27 * 64 * 256 + 5 * (576 * 64 * 256 + 640))
    assert tree["tops_per_watt"] == pytest.approx(tree["operations"] / tree["energy_j"] * 1e-12)
    assert 0 < tree["utilisation"] < 1
    assert 0 < tree["leakage_j"] < tree["energy_j"]


def test_memory_is_weights_biases_and_membranes():
    parts = REPORT.to_dict()["components"]["memory_bits"]
    assert parts == {
        "weights": 8 * (27 * 64 + 576 * 64 + 640),
        "biases": 64 * 16,
        "membranes": 64 * 256 * 16,
        "delayed": 0,
    }


def test_unused_slots_are_not_listed():
    unused = Workload.from_layers(LAYERS, 5)
    kind = unused.kind.copy()
    kind[1] = 0
    columns = {name: getattr(unused, name) for name in vars(unused) if name in Workload.__dataclass_fields__}
    report = estimate(Workload(**{**columns, "kind": kind}), CHIP)
    assert [layer["name"] for layer in report.to_dict()["layers"]] == ["stem", "cell", "head"]


def test_trees_are_for_one_network():
    two = Workload(
        names=NETWORK.names, timesteps=5,
        **{name: np.stack([getattr(NETWORK, name)] * 2) for name in vars(NETWORK)
           if name in Workload.__dataclass_fields__ and name not in ("names", "timesteps")},
    )  # fmt: skip
    report = estimate(two, CHIP)
    assert report.energy_by_layer_j.shape[:2] == (2, 4)
    np.testing.assert_allclose(report.tops_per_watt, float(REPORT.tops_per_watt))
    for call in (report.to_dict, report.to_json, lambda: report.bottleneck, lambda: to_csv(report)):
        with pytest.raises(BadInputError, match=r"is for one network, but this report holds \(2,\) candidates"):
            call()


def test_csv_has_a_line_for_each_layer():
    rows = list(csv.DictReader(io.StringIO(to_csv(REPORT))))
    assert [row["layer"] for row in rows] == ["stem", "lif", "cell", "head"]
    for row, energy in zip(rows, REPORT.energy_by_layer_j, strict=True):
        assert float(row["energy_j"]) == pytest.approx(energy.sum())
        assert float(row["energy_adc_j"]) == pytest.approx(energy[REPORT.energy_components.index("adc")])


@pytest.mark.parametrize(
    "components, expected", [(False, ["stem", "cell", "total"]), (True, ["adc", "membrane", "total"])]
)
def test_tables_are_for_people(components: bool, expected: list[str]):
    console = Console(file=io.StringIO(), width=140)
    console.print(to_table(REPORT, components))
    text = console.file.getvalue()
    assert all(word in text for word in (*expected, "rram-22nm", "bottleneck stem", "uJ", "mm2"))


@pytest.mark.parametrize("quantity", ["energy", "area"])
def test_bars_stack_up_to_the_totals(quantity: str):
    figure = draw_breakdown(REPORT, quantity)
    tops = [0.0] * len(LAYERS)
    for container in figure.axes[0].containers:
        for index, bar in enumerate(container):
            tops[index] = max(tops[index], bar.get_y() + bar.get_height())
    by_layer = REPORT.energy_by_layer_j if quantity == "energy" else REPORT.area_by_layer_m2
    np.testing.assert_allclose(tops, by_layer.sum(axis=-1) * 1e6, rtol=1e-9)


def test_a_component_has_one_colour_of_its_own_in_all_pictures():
    found: dict[str, set[tuple[float, ...]]] = {}
    for quantity in ("energy", "area"):
        for container in draw_breakdown(REPORT, quantity).axes[0].containers:
            found.setdefault(container.get_label(), set()).add(container.patches[0].get_facecolor())
    assert {len(colours) for colours in found.values()} == {1}
    assert len(set.union(*found.values())) == len(found)
    parts = component_colours(REPORT.to_dict())
    assert len(set(parts.values())) == len(parts) > 10, "more than matplotlib's own cycle of colours"


def test_no_layer_runs_above_its_roofs():
    data = roofline(REPORT, CHIP)
    assert data.names == ("stem", "cell", "head")
    for intensity, performance, peak in zip(data.intensity, data.performance, data.peak, strict=True):
        assert performance <= peak * (1 + 1e-12)
        assert performance <= intensity * data.bandwidth * (1 + 1e-12)
    assert len(draw_roofline(REPORT, CHIP).axes[0].lines) == 1 + 3 * 3


def test_pictures_refuse_what_they_cannot_draw():
    with pytest.raises(BadInputError, match="unknown quantity 'enrgy'; did you mean 'energy'"):
        draw_breakdown(REPORT, "enrgy")
    published = load_hardware("spikesim-65nm-rram")
    with pytest.raises(BadInputError, match="a roofline needs a bus"):
        draw_roofline(estimate(NETWORK, published), published)


def test_sweeps_combine_fields():
    points = sweep(NETWORK, "rram-22nm", {"adc.bits": [4, 5], "crossbar.size": ["64", "128"]}, Activity.assumed(0.1))
    assert [(point.values["adc.bits"], point.values["crossbar.size"]) for point in points] == [
        (4, "64"), (4, "128"), (5, "64"), (5, "128"),
    ]  # fmt: skip
    alone = estimate(NETWORK, load_hardware("rram-22nm", {"adc.bits": 5, "crossbar.size": "64"}), Activity.assumed(0.1))
    assert float(points[2].report.energy_j) == float(alone.energy_j)
    with pytest.raises(BadInputError, match=r"'adc\.bits' has no values"):
        sweep(NETWORK, "rram-22nm", {"adc.bits": []})
    with pytest.raises(BadInputError, match=r"did you mean 'adc\.bits'"):
        sweep(NETWORK, "rram-22nm", {"adc.bitz": [4]})
