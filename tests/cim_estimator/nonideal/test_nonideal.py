"""Weights to conductances and back, chips, converters: values by hand, physics, refusals."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hasnas.cim_estimator.nonideal import (
    NonidealSpec,
    calibrate,
    digitise,
    full_range,
    load_nonideal,
    multiply,
    nonideal_names,
    nonideal_sources,
    program,
    retain,
    to_conductances,
    to_weights,
)
from hasnas.errors import BadInputError

WEIGHTS = np.random.default_rng(0).normal(size=(6, 20))
SPIKES = (np.random.default_rng(1).random((9, 20)) < 0.3).astype(float)
SCHEMES = ("differential", "offset")
PRECISIONS = [(0, 0), (0, 8), (4, 0), (2, 8), (3, 7), (1, 2)]


# --- conductances -------------------------------------------------------------------------------------------------


def test_codes_of_a_differential_pair_by_hand() -> None:
    # 4-bit weights: codes -7..7, magnitudes in two cells of 2 bits; 0.5 of the largest -> rint(3.5) = 4 -> 00 | 01.
    spec = NonidealSpec(on_resistance_ohm=1e4, off_resistance_ohm=1e5, cell_bits=2, weight_bits=4)
    cells = to_conductances([[2.0, 1.0, -2.0]], spec)
    level_s = (1e-4 - 1e-5) / 3
    positive = 1e-5 + level_s * np.array([[3, 0, 0], [1, 1, 0]])
    negative = 1e-5 + level_s * np.array([[0, 0, 3], [0, 0, 1]])
    np.testing.assert_allclose(cells.positive[:, :, 0], positive, rtol=1e-12)
    np.testing.assert_allclose(cells.negative[:, :, 0], negative, rtol=1e-12)
    np.testing.assert_allclose(to_weights(cells), [[2.0, 8 / 7, -2.0]], rtol=1e-12)


def test_codes_of_offset_columns_by_hand() -> None:
    # 4-bit codes 1..15 around 8; -2 -> 1 = 00|01, 2 -> 15 = 11|11, reference 8 = 10|00.
    spec = NonidealSpec(on_resistance_ohm=1e4, cell_bits=2, weight_bits=4, signed="offset", columns=3)
    cells = to_conductances([[2.0], [-2.0], [0.0]], spec)
    assert (cells.positive[:, 0] * 3e4).round(9).tolist() == [[3, 1, 0], [3, 0, 2]]
    assert (cells.negative[:, 0] * 3e4).round(9).tolist() == [[0, 0], [2, 2]], "3 outputs on arrays of 3 - 1 columns"
    assert cells.partner.tolist() == [0, 0, 1]
    np.testing.assert_allclose(to_weights(cells), [[2.0], [-2.0], [0.0]], atol=1e-12)


@pytest.mark.parametrize("signed", SCHEMES)
@pytest.mark.parametrize("cell_bits, weight_bits", PRECISIONS)
@pytest.mark.parametrize("off_resistance_ohm", [math.inf, 5e4])
def test_stored_weights_are_rounded_to_the_grid_and_no_further(
    signed: str, cell_bits: int, weight_bits: int, off_resistance_ohm: float
) -> None:
    device = {"cell_bits": cell_bits, "weight_bits": weight_bits, "signed": signed}
    spec = NonidealSpec().with_changes({**device, "off_resistance_ohm": off_resistance_ohm})
    cells = to_conductances(WEIGHTS, spec)
    assert cells.positive.shape == (spec.slices, 20, 6)
    stored = to_weights(cells)
    bits = weight_bits or (cell_bits + (signed == "differential") if cell_bits else 0)
    step = np.abs(WEIGHTS).max() / (2 ** (bits - 1) - 1) if bits else 0.0
    expected = np.rint(WEIGHTS / step) * step if bits else WEIGHTS
    np.testing.assert_allclose(stored, expected, atol=1e-12)
    for part in (cells.positive, cells.negative):
        assert part.min() >= spec.off_conductance_s * (1 - 1e-12)
        assert part.max() <= spec.on_conductance_s * (1 + 1e-12)


@pytest.mark.slow
@given(st.integers(2, 12), st.integers(1, 6), st.sampled_from(SCHEMES), st.integers(0, 2**31))
def test_any_number_of_slices_stores_the_same_weights(bits: int, cell_bits: int, signed: str, seed: int) -> None:
    weights = np.random.default_rng(seed).normal(size=(3, 4))
    spec = NonidealSpec(weight_bits=bits).with_changes({"signed": signed})
    sliced = to_weights(to_conductances(weights, replace(spec, cell_bits=cell_bits)))
    np.testing.assert_allclose(sliced, to_weights(to_conductances(weights, spec)), atol=1e-9)


def test_leading_axes_and_single_precision_survive() -> None:
    cells = to_conductances(WEIGHTS.astype(np.float32).reshape(2, 3, 20), NonidealSpec(cell_bits=2, weight_bits=6))
    assert cells.positive.shape == (2, 3, 20, 3)
    assert to_weights(cells).dtype == np.float32


def test_a_layer_of_zeros_stays_zero() -> None:
    assert not to_weights(to_conductances(np.zeros((2, 3)), NonidealSpec(cell_bits=2, weight_bits=8))).any()


@pytest.mark.parametrize(
    "weights, message",
    [
        ([[1.0, math.nan]], r"weights hold nan at \[0, 1\]"),
        ([[math.inf]], r"weights hold inf at \[0, 0\]"),
        ([1.0, 2.0], r"weights have shape \[2\]"),
        (np.zeros((0, 3)), r"weights have shape \[0, 3\]"),
        ([["a"]], "not an array of numbers"),
    ],
)
def test_weights_that_no_cell_can_hold_are_refused(weights: object, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        to_conductances(weights, NonidealSpec())  # type: ignore[arg-type]


# --- chips --------------------------------------------------------------------------------------------------------


def chips_of(changes: dict[str, object], chips: int = 4, seed: int = 0, weights: np.ndarray = WEIGHTS) -> np.ndarray:
    spec = NonidealSpec(cell_bits=4, weight_bits=8).with_changes(changes)
    return to_weights(program(to_conductances(weights, spec), chips, seed))


def test_without_errors_every_chip_is_the_design() -> None:
    spec = NonidealSpec(cell_bits=2, weight_bits=8)
    design = to_conductances(WEIGHTS, spec)
    chips = program(design, 3, seed=0)
    np.testing.assert_array_equal(chips.positive, np.broadcast_to(design.positive, chips.positive.shape))
    np.testing.assert_array_equal(to_weights(chips)[1], to_weights(design))


def test_the_ideal_device_is_the_identity() -> None:
    chips = program(to_conductances(WEIGHTS, NonidealSpec()), 1, 0)
    np.testing.assert_allclose(to_weights(chips)[0], WEIGHTS, rtol=1e-14)


def test_a_device_knows_whether_chips_differ() -> None:
    assert not any(NonidealSpec().with_changes(calm).is_random for calm in ({"adc_bits": 4}, {"row_wire_ohm": 1.0}))
    assert not NonidealSpec(retention_time_s=10.0, drift_exponent=0.1).is_random
    assert not NonidealSpec(retention_time_s=0.5, drift_exponent_std=0.1).is_random
    assert all(NonidealSpec().with_changes(changes).is_random for changes in [*EFFECTS, {"read_noise": 0.1}])


EFFECTS: list[dict[str, object]] = [
    {"device_variation": 0.1},
    {"cycle_variation": 0.1},
    {"programming_error_s": (1e-6, 0.05)},
    {"retention_time_s": 1e4, "drift_exponent_std": 0.02},
    {"retention_time_s": 1e4, "relaxation_std_s": 2e-7},
    {"stuck_on": 0.05},
    {"stuck_off": 0.05},
]


@pytest.mark.parametrize("changes", EFFECTS)
def test_chips_differ_but_a_chip_stays_itself(changes: dict[str, object]) -> None:
    many, few = chips_of(changes, 5), chips_of(changes, 2)
    np.testing.assert_array_equal(many[:2], few)
    design = to_conductances(WEIGHTS, NonidealSpec(cell_bits=4, weight_bits=8).with_changes(changes))
    np.testing.assert_array_equal(to_weights(program(design, [3], 0))[0], many[3])
    assert len({chip.tobytes() for chip in many}) == 5
    assert not np.array_equal(many, chips_of(changes, 5, seed=1))


@pytest.mark.parametrize("scale, spread_s", [("conductance", 0.1 * 5e-5), ("maximum", 0.1 * 1e-4)])
def test_variation_has_the_spread_that_was_asked_for(scale: str, spread_s: float) -> None:
    spec = NonidealSpec(device_variation=0.1).with_changes({"variation_scales_with": scale})
    design = to_conductances(np.full((100, 100), 1.0) * [[0.5] * 99 + [1.0]], spec)
    cells = program(design, 4, seed=3).positive[..., :-1, :]
    assert cells.mean() == pytest.approx(5e-5, rel=2e-3)
    assert cells.std() == pytest.approx(spread_s, rel=2e-2)


def test_variation_grows_with_its_strength_and_keeps_its_draws() -> None:
    weak, strong = (chips_of({"device_variation": v}) - chips_of({}) for v in (0.05, 0.1))
    np.testing.assert_allclose(strong, 2 * weak, atol=1e-9)


def test_programming_again_keeps_the_devices() -> None:
    design = to_conductances(WEIGHTS, NonidealSpec(device_variation=0.1))
    np.testing.assert_array_equal(program(design, 2, 0, programming=0).positive, program(design, 2, 0, 1).positive)
    design = to_conductances(WEIGHTS, NonidealSpec(cycle_variation=0.1))
    assert not np.array_equal(program(design, 2, 0, programming=0).positive, program(design, 2, 0, 1).positive)


def test_stuck_cells_take_their_share_and_nest() -> None:
    weights = np.full((100, 100), 0.5)
    weights[0, 0] = 1.0
    design = to_conductances(weights, NonidealSpec(stuck_on=0.02, stuck_off=0.03, device_variation=0.1))
    cells = program(design, 4, seed=0).positive
    assert (cells == 1e-4).mean() == pytest.approx(0.02, rel=0.1)
    assert (cells == 0).mean() == pytest.approx(0.03, rel=0.1)
    more = program(replace(design, spec=replace(design.spec, stuck_on=0.04)), 4, seed=0).positive
    assert (more[cells == 1e-4] == 1e-4).all(), "a worse process breaks the same cells and more"


@pytest.mark.slow
@given(st.floats(0, 3), st.floats(0, 1), st.floats(0, 1e-4), st.integers(0, 2**31))
@settings(max_examples=40)
def test_no_conductance_is_negative_or_undefined(variation: float, drift: float, relaxation: float, seed: int) -> None:
    spec = NonidealSpec(
        device_variation=variation, cycle_variation=variation, programming_error_s=(1e-5, 1.0),
        retention_time_s=1e6, drift_exponent=drift, drift_exponent_std=drift, relaxation_std_s=relaxation,
    )  # fmt: skip
    chips = program(to_conductances(WEIGHTS, spec), 2, seed)
    for part in (chips.positive, chips.negative):
        assert np.isfinite(part).all()
        assert (part >= 0).all()


def test_retention_by_hand() -> None:
    # t/t0 = e^2: 1e-4 * exp(-2 * (0.05 + 0.01 * 1)) + (-1e-7 + 2e-7 * 0.5) * 2
    spec = NonidealSpec(
        retention_time_s=math.exp(2), drift_exponent=0.05, drift_exponent_std=0.01,
        relaxation_mean_s=-1e-7, relaxation_std_s=2e-7,
    )  # fmt: skip
    after = retain(np.array([1e-4]), np.array([[1.0], [0.5]]), spec)
    assert after[0] == pytest.approx(1e-4 * math.exp(-0.12), rel=1e-12)
    early = replace(spec, retention_time_s=0.5)
    assert retain(np.array([1e-4]), np.ones((2, 1)), early)[0] == 1e-4


@pytest.mark.parametrize(
    "chips, seed, message",
    [(0, 0, "chips is 0"), ([], 0, "chips is"), ([-1], 0, "chips is"), (1, -1, "seed is -1")],
)
def test_impossible_chips_are_refused(chips: object, seed: int, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        program(to_conductances(WEIGHTS, NonidealSpec()), chips, seed)  # type: ignore[arg-type]


# --- products -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("signed", SCHEMES)
@pytest.mark.parametrize("rows", [7, 128])
def test_ideal_converters_give_the_exact_product(signed: str, rows: int) -> None:
    spec = NonidealSpec(off_resistance_ohm=1e5, rows=rows, columns=4).with_changes({"signed": signed})
    design = to_conductances(WEIGHTS, spec)
    np.testing.assert_allclose(multiply(design, SPIKES), SPIKES @ WEIGHTS.T, atol=1e-12)


@pytest.mark.parametrize("signed", SCHEMES)
def test_a_fine_converter_is_close_and_finer_is_closer(signed: str) -> None:
    spec = NonidealSpec(cell_bits=2, weight_bits=8, rows=8, off_resistance_ohm=1e6).with_changes({"signed": signed})
    exact = multiply(to_conductances(WEIGHTS, spec), SPIKES)
    errors = []
    for bits in (3, 6, 9, 12, 15):
        design = to_conductances(WEIGHTS, replace(spec, adc_bits=bits))
        errors.append(np.abs(multiply(design, SPIKES, calibrate(design, SPIKES)) - exact).mean())
    assert all(later < earlier / 3 for earlier, later in itertools.pairwise(errors)), errors
    assert errors[-1] < 1e-3


def test_converter_error_by_hand() -> None:
    # Full range of 2 rows, 2 bits: codes -2, 0, 2. Currents 1.0 (halfway, to the even code 0) and 1.5 (to 2).
    spec = NonidealSpec(adc_bits=2, adc_range="full")
    design = to_conductances([[1.0, 0.5]], spec)
    limits = full_range(design)
    assert (limits.low.tolist(), limits.high.tolist()) == ([-2.0], [2.0])
    assert multiply(design, [[1, 0], [1, 1]], limits).tolist() == [[0.0], [2.0]]


def test_bit_serial_inputs_by_hand_and_in_the_limit() -> None:
    inputs = np.random.default_rng(5).uniform(-1, 1, (9, 20))
    coarse = to_conductances(WEIGHTS, NonidealSpec(input_bits=2))
    np.testing.assert_allclose(
        multiply(coarse, inputs, input_scale=1.0), np.rint(inputs * 3) / 3 @ WEIGHTS.T, atol=1e-12
    )
    fine = to_conductances(WEIGHTS, NonidealSpec(input_bits=16))
    np.testing.assert_allclose(multiply(fine, inputs, input_scale=1.0), inputs @ WEIGHTS.T, atol=1e-3)
    np.testing.assert_allclose(multiply(fine, inputs), inputs @ WEIGHTS.T, atol=1e-12, err_msg="no scale: analog")


@pytest.mark.slow
@pytest.mark.parametrize("signed", SCHEMES)
@pytest.mark.parametrize("scale", ["conductance", "maximum"])
def test_read_noise_has_the_variance_of_independent_cells(signed: str, scale: str) -> None:
    spec = NonidealSpec(off_resistance_ohm=1e5, read_noise=0.05, rows=7).with_changes(
        {"signed": signed, "variation_scales_with": scale}
    )
    design = to_conductances(WEIGHTS[:1], spec)
    drive = SPIKES[:1]
    rng = np.random.default_rng(0)
    outputs = np.array([multiply(design, drive, rng=rng)[0, 0] for _ in range(4000)])
    assert outputs.mean() == pytest.approx(float(drive[0] @ WEIGHTS[0]), abs=0.02)
    cells = np.concatenate([design.positive[0], design.negative[0]], axis=1) if scale == "conductance" else 1e-4
    per_row = np.broadcast_to(np.square(0.05 * cells), (20, 2)).sum(1)
    expected = design.weight_per_siemens[0] * math.sqrt(drive[0] @ per_row)
    assert outputs.std() == pytest.approx(expected, rel=0.05)


def test_without_spikes_nothing_comes_out() -> None:
    spec = load_nonideal("rram-typical")
    chips = program(to_conductances(WEIGHTS, spec), 3, 0)
    outputs = multiply(chips, np.zeros((2, 20)), full_range(chips), rng=np.random.default_rng(0))
    assert outputs.shape == (3, 2, 6)
    assert not outputs.any()


@given(st.integers(1, 12), st.floats(-5, 5), st.floats(0.1, 3), st.booleans())
def test_converters_round_within_half_a_step_and_clip(bits: int, value: float, high: float, signed: bool) -> None:
    if signed and bits == 1:
        bits = 2
    low = -high if signed else 0.0
    code = float(digitise(np.array([value]), low, high, bits)[0])
    step = (high - low) / (2**bits - 1 - signed)
    assert abs(code - min(max(value, low), high)) <= step / 2 * (1 + 1e-9)
    assert low - 1e-12 <= code <= high + 1e-12


def test_missing_or_misfit_inputs_are_refused() -> None:
    design = to_conductances(WEIGHTS, NonidealSpec(adc_bits=4))
    with pytest.raises(BadInputError, match="no range was given"):
        multiply(design, SPIKES)
    with pytest.raises(BadInputError, match=r"inputs have shape \[9, 19\]"):
        multiply(to_conductances(WEIGHTS, NonidealSpec()), SPIKES[:, 1:])
    with pytest.raises(BadInputError, match="inputs hold NaN"):
        multiply(to_conductances(WEIGHTS, NonidealSpec()), SPIKES * np.nan)
    with pytest.raises(BadInputError, match="no generator was given"):
        multiply(to_conductances(WEIGHTS, NonidealSpec(read_noise=0.1)), SPIKES)
    with pytest.raises(BadInputError, match=r"the ADC range is 1.0 to 0.5"):
        digitise(np.zeros(1), 1.0, 0.5, 4)
    with pytest.raises(BadInputError, match="no code below 0"):
        digitise(np.zeros(1), -1.0, 1.0, 1)


# --- descriptions -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", nonideal_names())
def test_presets_load_and_cite_every_value(name: str) -> None:
    assert load_nonideal(name).name == name
    sources = nonideal_sources(name)
    assert sources
    assert all(sources.values()), f"values without a source: {[k for k, v in sources.items() if not v]}"


def test_measured_presets_have_the_published_spread() -> None:
    # NeuRRAM at 20 uS: 0.348 + 16.030/2 - 43.853/4 + 45.393/8 - 16.815/16 uS; Milo at 100 uS: 4.782 - 0.9107 uS.
    for name, siemens, spread in (("rram-wan-2022", 20e-6, 2.0229e-6), ("rram-milo-2021", 100e-6, 3.8716e-6)):
        coefficients = load_nonideal(name).programming_error_s
        assert np.polynomial.polynomial.polyval(siemens, coefficients) == pytest.approx(spread, rel=1e-3)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"device_variation": -0.1}, "nonideal.device_variation is -0.1"),
        ({"read_noise": math.nan}, "nonideal.read_noise is nan"),
        ({"cell_bits": 9}, "nonideal.cell_bits is 9; give a whole number from 0 to 8"),
        ({"cell_bits": 2.5}, "nonideal.cell_bits is 2.5; give a whole number"),
        ({"adc_bits": "many"}, "nonideal.adc_bits is 'many'; give a number"),
        ({"weight_bits": 1}, "nonideal.weight_bits is 1"),
        ({"stuck_on": 0.6, "stuck_off": 0.6}, "stuck_on .* 1.2"),
        ({"off_resistance_ohm": 1e3}, "off_resistance_ohm is 1000; it must exceed"),
        ({"signed": "ofset"}, "did you mean 'offset'"),
        ({"device_varation": 0.1}, "unknown key nonideal.device_varation; did you mean 'device_variation'"),
        ({"programming_error_s": (1.0, math.nan)}, "nonideal.programming_error_s"),
        ({"programming_error_s": 3}, "nonideal.programming_error_s is 3"),
        ({"signed": "offset", "columns": 1}, "nonideal.columns is 1"),
        ({"adc_bits": 1}, "nonideal.adc_bits is 1"),
        ({"signed": "offset", "cell_bits": 1}, "nonideal.cell_bits is 1"),
    ],
)
def test_impossible_devices_are_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message) as caught:
        NonidealSpec().with_changes(changes)
    assert "\n" not in str(caught.value)


def test_files_of_users(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "device_variation: 0.07\nadc_bits: {value: 6, source: data sheet}\nprogramming_error_s: [1e-6, 0.1]\n"
    )
    spec = load_nonideal(path, {"rows": "64"})
    assert (spec.name, spec.device_variation, spec.adc_bits, spec.rows) == ("mine", 0.07, 6, 64)
    assert spec.programming_error_s == (1e-6, 0.1)
    path.write_text("device_variaton: 0.07\n")
    with pytest.raises(BadInputError, match=r"mine.yaml: unknown key nonideal.device_variaton"):
        load_nonideal(path)
    path.write_text("a: [1\n")
    with pytest.raises(BadInputError, match="not valid YAML"):
        load_nonideal(path)
    path.write_text("- 1\n")
    with pytest.raises(BadInputError, match="holds no keys but a list"):
        load_nonideal(path)
    with pytest.raises(BadInputError, match="cannot read"):
        load_nonideal(tmp_path / "absent.yaml")
    with pytest.raises(BadInputError, match="did you mean 'rram-typical'"):
        load_nonideal("rram-typicl")


def test_the_cells_of_a_pair_vary_apart() -> None:
    # A weight of zero is two equal cells: had they one stream of noise, their difference would stay zero.
    spec = NonidealSpec(on_resistance_ohm=1e4, off_resistance_ohm=2e4, device_variation=0.1)
    cells = program(to_conductances([[1.0] + 4000 * [0.0]], spec), chips=1, seed=3)
    positive, negative = cells.positive[..., 1:, :].ravel(), cells.negative[..., 1:, :].ravel()
    assert positive.size == negative.size == 4000
    assert positive.std() == pytest.approx(negative.std(), rel=0.1)
    assert abs(np.corrcoef(positive, negative)[0, 1]) < 0.1
    assert (positive - negative).std() == pytest.approx(math.sqrt(2) * positive.std(), rel=0.1)
