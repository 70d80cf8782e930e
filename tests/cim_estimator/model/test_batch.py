"""Populations: many at once, in chunks or compiled, cost what each costs alone."""

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, LayerKind, LayerSpec, Workload, estimate, estimate_costs, load_hardware
from hasnas.cim_estimator.model.batch import compress, price_choices, stack_choices
from hasnas.cim_estimator.workload.workload import ARRAY_FIELDS
from hasnas.errors import BadInputError

SLOTS, TIMESTEPS = 6, 4
CHIPS = {
    "spikesim": ("spikesim-65nm-rram", {}),
    "spikesim, own tiles, all memory": (
        "spikesim-65nm-rram", {"tile.sharing": "none", "spikesim.neuron_memory_layers": "0", "crossbar.size": "32"},
    ),
    "general": ("rram-22nm", {}),
    "pipelined, small chip": ("rram-45nm", {"schedule": "pipelined", "chip.tiles": "3", "adc.kind": "sar"}),
    "pipelined, event, mesh": ("rram-65nm", {"schedule": "pipelined", "readout": "event", "interconnect": "mesh"}),
    "settled, in groups of rows, warm": (
        "rram-22nm", {
            "crossbar.settling": "slow-clock", "clock_hz": "3 GHz", "crossbar.rows_read": "48", "adc.kind": "sar",
            "adc.sampling": "hold", "tile.layout": "pes", "temperature_k": "350", "chip.tiles": "3",
            "chip.off_chip_bits_per_s": "1 GB/s", "readout": "event",
        },
    ),
    "shared tiles": ("rram-32nm", {"tile.sharing": "layers"}),
}  # fmt: skip


def population(count: int, seed: int = 0, feedback: bool = True) -> Workload:
    rng = np.random.default_rng(seed)
    shape = (count, SLOTS)
    kind = rng.integers(0, 7, shape)
    kernel = np.where(kind == LayerKind.CONV, rng.choice([1, 3, 5], shape), 1)
    one = np.ones(SLOTS, np.int64)
    return Workload(
        names=tuple("abcdef"), timesteps=TIMESTEPS, kind=kind, kernel_size=kernel,
        in_channels=one * 70, out_channels=one * 40, stride=one, groups=one, in_height=one * 6, in_width=one * 6,
        out_height=one * 6, out_width=one * 6, evaluations=np.where(rng.random(shape) < 0.2, 1, TIMESTEPS),
        input_bits=rng.choice([1, 8], shape), weight_bits=0 * one, biases=one * 40, parameters=kernel * 11,
        input_rate=np.linspace(0.1, 0.6, SLOTS), level=rng.integers(0, 3, shape) + np.arange(SLOTS),
        delay=((kind == LayerKind.ADD) & (rng.random(shape) < 0.5) & feedback).astype(np.int64),
    )  # fmt: skip


def single(network: Workload, row: int) -> Workload:
    columns = {name: np.broadcast_to(getattr(network, name), network.shape)[row] for name in ARRAY_FIELDS}
    return Workload(names=network.names, timesteps=network.timesteps, **columns)


@pytest.mark.slow
@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("activity", [Activity.dense(), Activity.measured(), Activity.assumed(0.0)])
def test_a_population_costs_what_its_members_cost(chip: str, activity: Activity):
    hardware = load_hardware(CHIPS[chip][0], CHIPS[chip][1])
    network = population(40)
    together = estimate(network, hardware, activity).costs()
    chunked = estimate_costs(network, hardware, activity, engine="numpy")
    compiled = estimate_costs(network, hardware, activity, engine="compiled")
    for row in range(0, 40, 7):
        alone = estimate(single(network, row), hardware, activity).costs()
        for name, value in alone.items():
            np.testing.assert_allclose(together[name][row], value, rtol=1e-13)
            np.testing.assert_allclose(chunked[name][row], value, rtol=1e-13)
    for name, value in chunked.items():
        np.testing.assert_allclose(compiled[name], value, rtol=1e-12)
        assert compiled[name].dtype == value.dtype


def test_the_small_chip_reloads_some_members_and_not_others():
    hardware = load_hardware(CHIPS["pipelined, small chip"][0], CHIPS["pipelined, small chip"][1])
    reloads = [estimate(single(population(40), row), hardware).warnings for row in range(40)]
    reloaded = sum(any("weights are reloaded" in warning for warning in warnings) for warnings in reloads)
    assert 10 < reloaded < 40


def test_the_engine_chosen_for_a_large_population_agrees_with_the_oracle():
    network, hardware = population(25_000, feedback=False), load_hardware("rram-22nm")
    fast, oracle = estimate_costs(network, hardware), estimate_costs(network, hardware, engine="numpy")
    for name, value in oracle.items():
        np.testing.assert_allclose(fast[name], value, rtol=1e-12)


def test_compressing_and_looking_up_gives_the_same_layers():
    network = population(500)
    choices, codes = compress(network)
    slots = np.arange(SLOTS)
    for name in ARRAY_FIELDS:
        whole = np.broadcast_to(getattr(network, name), network.shape)
        np.testing.assert_array_equal(np.broadcast_to(getattr(choices, name), choices.shape)[codes, slots], whole)
    assert len(np.unique(codes[:, 0])) <= choices.shape[0] < 500


def test_populations_that_do_not_repeat_are_left_as_they_are():
    network = population(6000)
    unique = Workload(
        names=network.names, timesteps=network.timesteps,
        **{name: getattr(network, name) for name in ARRAY_FIELDS if name != "biases"},
        biases=np.arange(6000 * SLOTS).reshape(6000, SLOTS),
    )  # fmt: skip
    assert compress(unique) is None
    hardware = load_hardware("rram-22nm")
    for name, value in estimate_costs(unique, hardware, engine="numpy").items():
        np.testing.assert_array_equal(estimate_costs(unique, hardware, engine="compiled")[name], value)


def test_rates_that_differ_between_candidates_are_priced_one_by_one():
    network = population(30)
    rates = np.random.default_rng(1).random((30, SLOTS))
    measured = Workload(
        names=network.names, timesteps=network.timesteps, input_rate=rates,
        **{name: getattr(network, name) for name in ARRAY_FIELDS if name != "input_rate"},
    )  # fmt: skip
    hardware = load_hardware("rram-22nm")
    costs = estimate_costs(measured, hardware, Activity.measured(), engine="compiled")
    alone = estimate(single(measured, 3), hardware, Activity.measured())
    np.testing.assert_allclose(costs["energy_j"][3], alone.energy_j, rtol=1e-13)


def test_codes_pick_layers():
    kernels = [Workload.from_layers([LayerSpec("conv", 8, 8, kernel_size=k, in_size=4)] * 2, 2) for k in (1, 3)]
    hardware = load_hardware("rram-22nm")
    costs = price_choices(stack_choices(kernels), np.array([[0, 0], [0, 1], [1, 1]]), hardware, Activity.dense())
    assert costs["parameters"].tolist() == [128, 64 + 576, 1152]
    assert float(costs["energy_j"][2]) == pytest.approx(float(estimate(kernels[1], hardware).energy_j), rel=1e-13)


@pytest.mark.parametrize(
    "codes, message",
    [
        (np.array([[0, 2]]), "codes lie between 0 and 2, but there are 2 choices a slot"),
        (np.array([[0, -1]]), "codes lie between -1"),
        (np.array([[0, 0, 0]]), "codes of shape (1, 3) do not fit choices of shape (2, 2)"),
    ],
)
def test_codes_that_mean_nothing_are_refused(codes: np.ndarray, message: str):
    choices = stack_choices([Workload.from_layers([LayerSpec("conv", 8, 8)] * 2, 2)] * 2)
    with pytest.raises(BadInputError) as refused:
        price_choices(choices, codes, load_hardware("rram-22nm"), Activity.dense())
    assert message in str(refused.value)


def test_shared_tiles_cannot_be_added_up():
    choices = stack_choices([Workload.from_layers([LayerSpec("conv", 8, 8)], 2)])
    with pytest.raises(BadInputError, match=r"tile\.sharing is 'layers'"):
        price_choices(
            choices, np.array([[0]]), load_hardware("rram-22nm", {"tile.sharing": "layers"}), Activity.dense()
        )


def test_an_unknown_engine_is_refused():
    with pytest.raises(BadInputError, match="unknown engine 'numba'"):
        estimate_costs(population(2), load_hardware("rram-22nm"), engine="numba")


def test_an_empty_population_has_no_costs():
    empty = population(0)
    assert estimate_costs(empty, load_hardware("rram-22nm"))["energy_j"].shape == (0,)
