"""The published SpikeSim script's numbers, to 1e-9, from the general front and from the formulas themselves."""

import numpy as np
import pytest

from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.spikesim import latency_ns, layer_energy_pj, pe_counts, tile_count

IN_CHANNELS = (3, 64, 64, 128, 128, 256, 256)
OUT_CHANNELS = (64, 64, 128, 128, 256, 256, 256)
IN_SIZE = (32, 32, 16, 16, 8, 8, 8)
OUT_SIZE = (32, 16, 16, 8, 8, 8, 4)

# case: layers, timesteps, overrides, PEs, tiles, area um2, energy pJ, latency ns
GOLDEN = {
    "default": (7, 5, {}, 48, 6, 8425528.755834, 15906934.026240, 62832640),
    "crossbar 128": (7, 5, {"crossbar.size": "128"}, 14, 2, 6347938.740158, 13978902.265856, 62832640),
    "10 timesteps, 4 PEs, 500 MHz": (
        7, 10, {"tile.pes": "4", "clock_hz": "500 MHz"}, 48, 12, 11710472.782068, 31813868.052480, 62832640,
    ),
    "VGG5": (3, 5, {}, 7, 1, 2378305.813439, 4241849.073664, 23429120),
}  # fmt: skip
LAYERS = [4241849.074, 1060462.268, 2120924.537, 1060462.268, 2120924.537, 4241849.074, 1060462.268]
ENERGY_PJ = {
    "interconnect": 3016704, "fetch": 89088, "neuron": 97843.2, "crossbar": 2438871.552, "adc": 2495496.192,
    "mux": 115808.256, "accumulate": 2.826, "temporary_buffer": 30720, "tile_buffer": 7622400,
}  # fmt: skip
AREA_UM2 = {
    "interconnect": 2601960, "neuron": 2264460.493, "crossbar": 11324.621, "adc": 266355.072, "mux": 17625.6,
    "accumulate": 643747.919, "temporary_buffer": 2907.864, "tile_buffer": 36328.243, "input_buffer": 2580818.944,
}  # fmt: skip


def stack(count: int, timesteps: int) -> Workload:
    if count == 3:
        shapes = [(3, 64, 32, 16), (64, 128, 16, 16), (128, 128, 16, 8)]
    else:
        shapes = list(zip(IN_CHANNELS, OUT_CHANNELS, IN_SIZE, OUT_SIZE, strict=True))
    layers = [LayerSpec("conv", cin, cout, kernel_size=3, in_size=h, out_size=o) for cin, cout, h, o in shapes]
    return Workload.from_layers(layers, timesteps)


@pytest.mark.parametrize("case", GOLDEN)
def test_published_totals(case: str):
    count, timesteps, overrides, pes, tiles, area, energy, latency = GOLDEN[case]
    hardware = load_hardware("spikesim-65nm-rram", overrides)
    workload = stack(count, timesteps)
    report = estimate(workload, hardware)
    assert pe_counts(workload, hardware.crossbar.rows).sum() == pes
    assert tile_count(pe_counts(workload, hardware.crossbar.rows), hardware).sum() == pytest.approx(tiles, rel=1e-12)
    assert float(report.area_m2) == pytest.approx(area * 1e-12, rel=1e-9)
    assert float(report.energy_j) == pytest.approx(energy * 1e-12, rel=1e-9)
    assert float(report.latency_s) == pytest.approx(latency * 1e-9, rel=1e-9)
    assert float(latency_ns(workload, hardware)) == latency


def test_published_breakdown():
    report = estimate(stack(7, 5), load_hardware("spikesim-65nm-rram")).to_dict()
    for component, energy in ENERGY_PJ.items():
        digits = 1e-4 if energy < 3 else 1e-9
        assert report["components"]["energy_j"][component] * 1e12 == pytest.approx(energy, rel=digits)
    for component, area in AREA_UM2.items():
        assert report["components"]["area_m2"][component] * 1e12 == pytest.approx(area, rel=1e-7)
    assert report["energy_delay_js"] == pytest.approx(9.995e-7, rel=1e-4)


def test_published_layer_energies():
    np.testing.assert_allclose(layer_energy_pj(stack(7, 5), load_hardware("spikesim-65nm-rram")), LAYERS, rtol=1e-9)
