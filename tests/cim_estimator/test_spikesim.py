"""The SpikeSim formulas where the script itself gives no answer, and what is added to them."""

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.spikesim import layer_energy_pj, pe_counts

CHIP = load_hardware("spikesim-65nm-rram")
PE_CYCLE_PJ = 828.4861472


def conv(cin: int, cout: int, size: int, kernel: int = 3, **more) -> LayerSpec:
    return LayerSpec("conv", cin, cout, kernel_size=kernel, in_size=size, **more)


def test_unsorted_stacks_have_an_answer():
    forward = [conv(3, 256, 8), conv(256, 64, 8), conv(64, 128, 8)]
    network = Workload.from_layers(forward, 5)
    assert pe_counts(network, 64).tolist() == [4, 4, 2]
    sorted_energy = estimate(
        Workload.from_layers(sorted(forward, key=lambda each: each.out_channels), 5), CHIP
    ).energy_j
    np.testing.assert_allclose(estimate(network, CHIP).energy_j, sorted_energy, rtol=1e-12)
    np.testing.assert_allclose(estimate(network, CHIP).energy_j, 10 * 64 * 5 * PE_CYCLE_PJ * 1e-12, rtol=1e-9)


def test_deep_narrow_and_tiny_stacks_have_an_answer():
    deep = Workload.from_layers([conv(32, 32, 8)] * 20, 5)
    report = estimate(deep, load_hardware("spikesim-65nm-rram", {"crossbar.size": "128"}))
    # 20 PEs fill 3 tiles; 19 layers hand over at 75 % of 2048 outputs, the last one runs to its end.
    assert float(report.crossbars_by_layer.sum()) == 20
    assert float(report.latency_s) == pytest.approx((19 * 1536 + 2048) * 5 * 104e-9, rel=1e-12)
    point = estimate(Workload.from_layers([conv(64, 64, 1, kernel=1)], 1), CHIP)
    assert float(point.energy_j) == pytest.approx((PE_CYCLE_PJ - 8 * 8 * 1.76423) * 1e-12, rel=1e-9)


def test_mixed_kernels_pay_for_their_own_arrays():
    network = Workload.from_layers([conv(64, 64, 8, kernel) for kernel in (1, 3, 5)], 1)
    small, middle, large = layer_energy_pj(network, CHIP)
    assert middle - small == pytest.approx(64 * 8 * 8 * 1.76423, rel=1e-9)
    assert large - small == pytest.approx(64 * 24 * 8 * 1.76423, rel=1e-9)
    # Every PE holds as many arrays as the largest kernel needs: 25 on each of 8 PEs.
    assert estimate(network, CHIP).to_dict()["components"]["area_m2"]["crossbar"] == pytest.approx(8 * 25 * 26.2144e-12)


def test_fully_connected_layers_are_convolutions_on_one_place():
    dense = Workload.from_layers([LayerSpec("linear", 512, 100)], 5)
    point = Workload.from_layers([conv(512, 100, 1, kernel=1)], 5)
    for name, value in estimate(dense, CHIP).costs().items():
        assert value == estimate(point, CHIP).costs()[name]


def test_neuron_memory_of_later_layers_is_a_choice():
    stack = Workload.from_layers([conv(64, 64, 8)] * 7, 5)
    five, every = (
        estimate(stack, load_hardware("spikesim-65nm-rram", {"spikesim.neuron_memory_layers": count})).to_dict()
        for count in ("5", "0")
    )
    bits = 64 * 64 * 22 * 0.7391e-12
    assert five["components"]["area_m2"]["neuron"] == pytest.approx(5 * bits)
    assert every["components"]["area_m2"]["neuron"] == pytest.approx(7 * bits)


def test_tiles_of_their_own_are_a_choice():
    stack = Workload.from_layers([conv(64, 64, 8)] * 3, 5)
    shared = estimate(stack, CHIP).area_m2
    apart = estimate(stack, load_hardware("spikesim-65nm-rram", {"tile.sharing": "none"}))
    parts = estimate(stack, CHIP).to_dict()["components"]["area_m2"]
    tile = sum(area for name, area in parts.items() if name not in ("neuron", "input_buffer"))
    assert float(apart.area_m2) == pytest.approx(float(shared) + 2 * tile, rel=1e-12)


def test_sram_crossbars_use_their_own_constants():
    sram = load_hardware("spikesim-65nm-rram", {"crossbar.device": "sram"})
    stack = Workload.from_layers([conv(64, 64, 8)], 1)
    extra = estimate(stack, sram).energy_j - estimate(stack, CHIP).energy_j
    assert float(extra) == pytest.approx(64 * 8 * 9 * (671.089 - 1.76423) * 1e-12, rel=1e-9)


def test_static_layers_run_once_and_real_values_bit_by_bit():
    spikes = estimate(Workload.from_layers([conv(3, 64, 8)], 5), CHIP)
    static = estimate(Workload.from_layers([conv(3, 64, 8, evaluations=1, input_bits=8)], 5), CHIP)
    assert float(static.energy_j / spikes.energy_j) == pytest.approx(8 / 5)
    assert float(static.latency_s / spikes.latency_s) == pytest.approx(8 / 5)


def test_what_the_formulas_do_not_know_costs_nothing_and_warns():
    layers = [conv(3, 64, 8), LayerSpec("pool", 64, 64, kernel_size=2, in_size=8), LayerSpec("lif", 64, 64, in_size=8)]
    layers += [LayerSpec("conv", 64, 64, kernel_size=3, groups=64, in_size=8)]
    report = estimate(Workload.from_layers(layers, 5), CHIP)
    assert report.energy_by_layer_j[1:3].sum() == 0
    assert any("no figure for pool layers" in warning for warning in report.warnings)
    assert any("grouped" in warning for warning in report.warnings)


def test_a_layers_own_membranes_count_in_memory_alone_and_warn():
    plain, short = (
        estimate(
            Workload.from_layers(
                [LayerSpec("conv", 3, 8, in_size=8), LayerSpec("lif", 8, 8, in_size=8, membrane_bits=bits)], 2
            ),
            CHIP,
        )
        for bits in (0, 4)
    )
    assert int(plain.memory_bits - short.memory_bits) == 8 * 64 * (22 - 4)
    assert plain.area_m2 == short.area_m2
    assert any("one width of membranes" in warning for warning in short.warnings)
    assert not plain.warnings


def test_event_readout_scales_control_by_patches_and_neurons_by_sites():
    event = load_hardware("spikesim-65nm-rram", {"readout": "event"})
    network = Workload.from_layers([conv(64, 64, 8)], 5)
    dense = estimate(network, CHIP).to_dict()["components"]["energy_j"]
    sparse = estimate(network, event, Activity.assumed(0.001)).to_dict()["components"]["energy_j"]
    patch = 1 - 0.999 ** (64 * 9)
    assert sparse["crossbar"] == pytest.approx(0.001 * dense["crossbar"])
    assert sparse["adc"] == pytest.approx(patch * dense["adc"])
    assert sparse["neuron"] == pytest.approx(patch * dense["neuron"])


def test_an_empty_candidate_costs_nothing():
    stack = Workload.from_layers([LayerSpec("lif", 4, 4)], 1)
    report = estimate(stack, CHIP)
    assert float(report.energy_j) == float(report.area_m2) == float(report.latency_s) == 0.0
    assert float(report.tops_per_watt) == 0.0


@pytest.mark.parametrize("channels, rows", [(32, 32), (64, 64), (128, 64)])
def test_a_patch_holds_the_rows_of_one_array_for_each_place_of_the_kernel(channels: int, rows: int):
    event = load_hardware("spikesim-65nm-rram", {"readout": "event"})
    network = Workload.from_layers([conv(channels, 64, 8)], 5)
    dense, sparse = (
        estimate(network, chip, Activity.assumed(0.001)).to_dict()["components"]["energy_j"] for chip in (CHIP, event)
    )
    assert sparse["adc"] == pytest.approx((1 - 0.999 ** (rows * 9)) * dense["adc"])
    assert sparse["neuron"] == pytest.approx((1 - 0.999 ** (channels * 9)) * dense["neuron"])
