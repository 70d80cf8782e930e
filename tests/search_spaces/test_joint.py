"""Network, chip and training as one space."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.hardware.searched import SearchedChip, described
from hasnas.errors import BadInputError
from hasnas.search_spaces.joint import DeadTraining, JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Gene, mutate, numbered, sample, space_size

INNER = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))
CHIP = (
    SearchedField("crossbar.size", (64, 128, 256)),
    SearchedField("crossbar.columns_per_adc", (8, 128)),
    SearchedField("device.cell_bits", (1, 2, 4)),
    SearchedField("device", ("neurosim-rram", "intel-22nm")),
    SearchedField("clock_hz", (2e8, 4e8, 8e8), "log"),
)
TRAINING = (
    SearchedField("learning_rate", (1e-4, 1e-3, 1e-2), "log"),
    SearchedField("method", ("surrogate", "threshold_balance")),
    SearchedField("surrogate.width", (0.5, 1, 2, 4)),
)
DEAD = (DeadTraining(("surrogate.width",), "method", ("threshold_balance",)),)


def joint() -> JointSpace:
    space = with_searched_chip(INNER, "rram-32nm", {"adc.bits": "5"}, CHIP, TRAINING, DEAD)
    assert isinstance(space, JointSpace)
    return space


def codes(space: JointSpace, **chosen: int) -> list[int]:
    """All genes at 0 but the named ones; dots are written as two underscores."""
    row = [0] * len(space.genes)
    row[2] = 3  # the network is connected
    labels = [gene.label.partition("/")[2] for gene in space.genes]
    for name, code in chosen.items():
        row[labels.index(name.replace("__", "."))] = code
    return row


def test_the_genes_are_those_of_network_chip_and_training() -> None:
    space = joint()
    assert space.genes[: len(INNER.genes)] == INNER.genes
    kinds = [(gene.label, gene.kind, gene.scale) for gene in space.genes[len(INNER.genes) :]]
    assert kinds == [
        ("hardware/crossbar.size", "ordered", "linear"),
        ("hardware/crossbar.columns_per_adc", "ordered", "linear"),
        ("hardware/device.cell_bits", "ordered", "linear"),
        ("hardware/device", "categorical", "linear"),
        ("hardware/clock_hz", "numeric", "log"),
        ("training/learning_rate", "numeric", "log"),
        ("training/method", "categorical", "linear"),
        ("training/surrogate.width", "ordered", "linear"),
    ]
    assert [gene.label for gene in space.genes[space.hardware_genes]] == [f"hardware/{field.name}" for field in CHIP]
    assert [gene.label for gene in space.genes[space.training_genes]] == [
        f"training/{field.name}" for field in TRAINING
    ]
    assert space_size(space) == space_size(INNER) * 3 * 2 * 3 * 2 * 3 * 3 * 2 * 4


def test_a_candidate_is_a_network_a_chip_and_a_training() -> None:
    space = joint()
    row = codes(space, crossbar__size=2, device=1, device__cell_bits=1, clock_hz=2, learning_rate=1, method=1)
    assert space.decode(row) == INNER.decode(row[: len(INNER.genes)])
    assert space.network(np.array([row, row])).tolist() == [row[: len(INNER.genes)]] * 2
    chip = space.hardware_of(row)
    assert (chip.crossbar.rows, chip.crossbar.columns, chip.clock_hz) == (256, 256, 8e8)
    wanted = {"device": "intel-22nm", "device.cell_bits": 2, "adc.bits": 5, "crossbar.size": 256, "clock_hz": 8e8}
    assert chip == load_hardware("rram-32nm", {**wanted, "crossbar.columns_per_adc": 8})
    assert space.training_of(row) == {"learning_rate": 1e-3, "method": "threshold_balance", "surrogate.width": 0.5}
    assert space.hardware_choices(row)["device"] == "intel-22nm"
    assert space.encode(space.decode(row)) == tuple(codes(space))


def test_every_chip_is_the_one_read_from_its_files() -> None:
    chip = joint().chip
    seen = 0
    for row in np.ndindex(*chip.sizes):
        if chip.contradiction(row) is None:
            seen += 1
            assert chip.variant(row) == described(chip, row)
            assert described(chip, row).constant("adc.bits").source == "override"
        else:
            with pytest.raises(
                BadInputError, match=r"crossbar.columns_per_adc \(128\) exceeds crossbar.columns \(64\)"
            ):
                chip.variant(row)
    assert seen == 3 * 2 * 3 * 2 * 3 * 5 // 6


def test_contradictory_chips_are_not_connected() -> None:
    space = joint()
    wide = [codes(space, crossbar__columns_per_adc=1, crossbar__size=size) for size in (0, 1)]
    rows = np.array(wide)
    canonical, alive = space.canonical(rows)
    assert alive.tolist() == [False, True]
    np.testing.assert_array_equal(canonical, rows)


def test_weights_wider_than_a_row_of_cells_are_not_connected() -> None:
    chips = (SearchedField("crossbar.size", (8, 64)), SearchedField("device.cell_bits", (1, 2)))
    searched = with_searched_macro(INNER, {"weight_bits": [4, 8, 16]})
    space = with_searched_chip(searched, "rram-32nm", {"crossbar.columns_per_adc": "8"}, chips)
    rows = [(0, 0, 3, 0, 0, 0, *own) for own in np.ndindex(3, 2, 2)]
    alive = space.canonical(np.array(rows))[1]
    for row, lives in zip(rows, alive, strict=True):
        bits, (size, cells) = (4, 8, 16)[row[6]], row[7:]
        assert lives == (bits / (1, 2)[cells] <= (8, 64)[size])
    assert 0 < alive.sum() < len(rows)
    fixed = SNASNetSpace(replace(INNER.macro, weight_bits=16))
    narrow = with_searched_chip(fixed, "rram-32nm", {"crossbar.columns_per_adc": "8"}, chips)
    assert narrow.canonical(np.array([(*rows[0][:6], 0, 0), (*rows[0][:6], 1, 0)]))[1].tolist() == [False, True]


def test_a_fixed_field_must_matter_on_some_chip() -> None:
    kinds = [SearchedField("adc.kind", ("sar", "flash"))]
    space = with_searched_chip(INNER, "rram-32nm", {"adc.flash_sense_least_s": "2 ns"}, kinds)
    assert space.hardware_of([0, 0, 3, 0, 0, 0, 1]).adc.flash_sense_least_s == 2e-9
    for hardware, training in ((kinds, ()), ((), TRAINING)):
        with pytest.raises(BadInputError, match=r"hardware.overrides.adc.fixed_energy_j changes nothing on any"):
            with_searched_chip(INNER, "rram-32nm", {"adc.fixed_energy_j": "2 pJ"}, hardware, training)
    with pytest.raises(BadInputError, match=r"^hardware 'rram-32nm': crossbar.columns_per_adc"):
        with_searched_chip(INNER, "rram-32nm", {"crossbar.size": "4"}, (), TRAINING)


def test_dead_genes_become_their_first_choice() -> None:
    space = joint()
    rows = np.array([codes(space, method=1, surrogate__width=3), codes(space, method=0, surrogate__width=3)])
    assert space.canonical(rows)[0][:, -1].tolist() == [0, 3]
    fields = (SearchedField("adc.kind", ("sar", "flash")), SearchedField("adc.sar_clock_s", ("1 ns", "2 ns")))
    kinds = with_searched_chip(INNER, "rram-32nm", hardware=fields)
    pairs = np.array([[0, 0, 3, 0, 0, 0, kind, 1] for kind in (0, 1)])
    assert kinds.canonical(pairs)[0][:, -1].tolist() == [1, 0]


def test_canonical_is_stable_and_keeps_what_the_inner_space_says() -> None:
    space = joint()
    drawn = sample(space, np.random.default_rng(3), 500)
    canonical, alive = space.canonical(drawn)
    again, still = space.canonical(canonical)
    np.testing.assert_array_equal(again, canonical)
    np.testing.assert_array_equal(still, alive)
    inner, connected = INNER.canonical(space.network(drawn))
    np.testing.assert_array_equal(space.network(canonical), inner)
    assert not (alive & ~connected).any()
    assert 0 < alive.sum() < connected.sum()
    assert space.canonical(drawn[:0])[0].shape == (0, len(space.genes))


def test_chips_are_grouped() -> None:
    space = joint()
    drawn = sample(space, np.random.default_rng(4), 300)
    groups = space.chips(drawn)
    assert sorted(np.concatenate([rows for _, rows in groups]).tolist()) == list(range(300))
    for own, rows in groups:
        assert (drawn[rows, space.hardware_genes] == own).all()
    many, few = (numbered(drawn[:, :9], (radix,) * 9) for radix in (10**9, 10))
    assert [(row, places.tolist()) for row, places in many] == [(row, places.tolist()) for row, places in few]


def test_ordered_genes_take_small_steps() -> None:
    space = joint()
    rng = np.random.default_rng(0)
    start = codes(space, surrogate__width=1, clock_hz=1)
    moved = np.array([mutate(space, start, rng, 0.5) for _ in range(2000)])
    width = moved[:, -1]
    near, far = np.isin(width, (0, 2)).sum(), (width == 3).sum()
    assert near > 2 * far > 0
    assert ((moved >= 0) & (moved < [len(gene.choices) for gene in space.genes])).all()
    assert (moved != start).any(axis=1).all()


def test_numbers_of_the_macro_have_an_order_in_a_joint_space() -> None:
    macro = with_searched_macro(INNER, {"timesteps": [2, 4], "neuron": ["lif", "if"]})
    space = with_searched_chip(macro, "rram-32nm", hardware=CHIP)
    assert {gene.label: gene.kind for gene in space.genes if gene.label.startswith("macro/")} == {
        "macro/timesteps": "ordered", "macro/neuron": "categorical",
    }  # fmt: skip
    assert {gene.kind for gene in macro.genes} == {"categorical"}


def test_a_joint_space_travels_to_other_processes() -> None:
    space = joint()
    drawn = sample(space, np.random.default_rng(5), 20)
    other = pickle.loads(pickle.dumps(space))  # noqa: S301
    np.testing.assert_array_equal(other.canonical(drawn)[0], space.canonical(drawn)[0])


def test_nothing_searched_is_the_space_itself() -> None:
    assert with_searched_chip(INNER, "rram-32nm") is INNER


@pytest.mark.parametrize(
    ("searched", "overrides", "message"),
    [
        ({"adc.bitz": (4,)}, {}, "hardware.searched: unknown key 'adc.bitz'; did you mean 'adc.bits'"),
        ({"adc.bits": (4, 99)}, {}, "hardware.searched: adc.bits is 99; give at most 64"),
        ({"device": ("neurosim-ram",)}, {}, "unknown device 'neurosim-ram'; did you mean 'neurosim-rram'"),
        ({"adc.bits": (4, 4)}, {}, r"hardware.searched.adc.bits is \[4, 4\]; give each value once"),
        ({"clock_hz": ("1 GHz", "1000 MHz")}, {}, "give each value once"),
        ({"adc.bits": ()}, {}, "hardware.searched.adc.bits has no value"),
        ({"model": ("spikesim",)}, {}, "hardware.searched.model cannot be searched"),
        ({"adc.bits": (4, 5)}, {"adc.bits": "6"}, "hardware.searched.adc.bits is fixed by hardware.overrides as well"),
        ({"crossbar.size": (64,)}, {"crossbar.rows": "64"}, "hardware.searched.crossbar.size is fixed"),
        ({"crossbar.size": (64,), "crossbar.rows": (64,)}, {}, "hardware.searched.crossbar.rows is searched twice"),
        ({"crossbar.columns_per_adc": (512,)}, {}, "each of 1 combinations contradicts itself, e.g. hardware 'rram-"),
        ({"adc.sar_column_w": (0.1, 0.2)}, {}, "adc.sar_column_w changes nothing on any of these chips: it needs"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    searched: dict[str, tuple[int | str, ...]], overrides: dict[str, str], message: str
) -> None:
    fields = [SearchedField(name, values) for name, values in searched.items()]
    with pytest.raises(BadInputError, match=message) as caught:
        with_searched_chip(INNER, "rram-32nm", overrides, fields)
    assert "\n" not in str(caught.value)


def test_genes_say_what_they_are() -> None:
    assert SearchedField("optimizer", ("adam", "sgd")).gene("").kind == "categorical"
    assert SearchedField("flag", (True, False)).gene("").kind == "categorical"
    unsorted = SearchedField("batch_size", (32, 8, 64)).gene("")
    assert (unsorted.kind, unsorted.coordinates.tolist()) == ("numeric", [24 / 56, 0.0, 1.0])
    with pytest.raises(BadInputError, match="its choices have no order"):
        _ = Gene("a", ("x", "y")).coordinates
    with pytest.raises(BadInputError, match="give one value for each"):
        Gene("a", ("x", "y"), "numeric")
    with pytest.raises(BadInputError, match="positive values only"):
        Gene("a", ("0", "1"), "numeric", (0.0, 1.0), "log")


def test_the_values_of_a_field_may_have_units() -> None:
    chip = SearchedChip("rram-32nm", (), (("clock_hz", ("200 MHz", "1 GHz")),))
    assert chip.numbers("clock_hz") == (2e8, 1e9)
    assert chip.variant((1,)).clock_hz == 1e9
