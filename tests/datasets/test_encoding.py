"""Encodings: shapes, statistics, seeds, and the values they must refuse."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hasnas.datasets.encoding import (
    ENCODINGS,
    delta,
    direct,
    encode,
    latency,
    poisson,
    population,
    receptive_fields,
)
from hasnas.errors import BadInputError

unit_values = arrays(np.float32, (2, 3, 2, 2), elements=st.floats(0, 1, width=32))


def generator(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.slow
@given(unit_values, st.integers(1, 6))
@pytest.mark.parametrize("name", ENCODINGS.names())
def test_every_encoding_gives_sequences_that_the_seed_decides(name: str, values: np.ndarray, timesteps: int):
    encoding = ENCODINGS.get(name)
    encoded = encode(name, values, timesteps, generator(1))
    assert encoded.shape == (timesteps, 2, 3 * encoding.channel_factor, 2, 2)
    assert encoded.dtype == np.float32
    assert not encoding.spikes or set(np.unique(encoded)) <= {0, 1}
    np.testing.assert_array_equal(encoded, encode(name, values, timesteps, generator(1)))


@given(unit_values)
def test_direct_repeats_and_passes_sequences_on(values: np.ndarray):
    repeated = direct(values, 3)
    assert (repeated == values).all()
    np.testing.assert_array_equal(direct(repeated, 3), repeated)


def test_poisson_rates_are_the_values():
    values = np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 1, 3, 4)
    spikes = poisson(values, 20_000, generator())
    np.testing.assert_allclose(spikes.mean(0), values, atol=0.02)
    assert spikes[:, 0, 0, 0, 0].sum() == 0
    assert spikes[:, 0, 0, 2, 3].all()


@given(unit_values, st.integers(1, 9))
def test_latency_fires_once_and_larger_values_never_later(values: np.ndarray, timesteps: int):
    spikes = latency(values, timesteps)
    np.testing.assert_array_equal(spikes.sum(0), values > 0)
    times = spikes.argmax(0)[values > 0]
    assert (np.diff(times[np.argsort(values[values > 0], kind="stable")]) <= 0).all()


@given(arrays(np.float32, (8, 1, 2, 1, 1), elements=st.floats(-1, 1, width=32)), st.floats(0.05, 0.5))
def test_delta_never_runs_ahead_of_the_signal(signal: np.ndarray, threshold: float):
    spikes = delta(signal, 8, threshold).astype(float)
    on, off = spikes[:, :, :2], spikes[:, :, 2:]
    assert (on * off == 0).all()
    reference = threshold * np.cumsum(on - off, axis=0)
    before = np.concatenate([np.zeros_like(reference[:1]), reference[:-1]])
    assert (np.abs(signal - reference) <= np.maximum(np.abs(signal - before), threshold) + 1e-6).all()


def test_a_value_between_two_centres_excites_both_neurons_alike():
    activity = receptive_fields(np.full((1, 1, 1, 1), 0.25, np.float32), neurons=3).ravel()
    assert activity[0] == pytest.approx(activity[1])
    assert activity[2] < activity[0]


def test_population_channels_belong_to_their_input_channel():
    values = np.array([0.0, 1.0], np.float32).reshape(1, 2, 1, 1)
    rates = population(values, 500, generator(), neurons=4).mean(0).ravel()
    assert rates[:4].argmax() == 0
    assert rates[4:].argmax() == 3


@pytest.mark.parametrize("name", ["poisson", "latency", "population"])
@pytest.mark.parametrize("value", [-0.1, 1.1, float("nan")])
def test_values_outside_the_unit_interval_are_refused(name: str, value: float):
    with pytest.raises(BadInputError, match="outside 0 to 1"):
        encode(name, np.full((1, 1, 1, 1), value, np.float32), 2, generator())


def test_what_cannot_be_encoded_is_refused():
    values = np.zeros((1, 1, 1, 1), np.float32)
    with pytest.raises(BadInputError, match="did you mean 'latency'"):
        encode("latencyy", values, 2, generator())
    with pytest.raises(BadInputError, match="choose 1 or more"):
        encode("direct", values, 0, generator())
    with pytest.raises(BadInputError, match="cannot be encoded in 2 timesteps"):
        encode("direct", values[None], 2, generator())
    with pytest.raises(BadInputError, match="static values"):
        encode("latency", values[None], 1, generator())
    with pytest.raises(BadInputError, match="2 or more"):
        receptive_fields(values, 1)
    with pytest.raises(BadInputError, match="more than 0"):
        delta(values, 2, threshold=0)


def test_encodings_by_default() -> None:
    assert {name: ENCODINGS.get(name).channel_factor for name in ENCODINGS.names()} == {
        "direct": 1, "poisson": 1, "latency": 1, "delta": 2, "population": 8,
    }  # fmt: skip
    assert direct(np.ones((1, 1, 1, 1), np.float32), 1).shape == (1, 1, 1, 1, 1)
    with pytest.raises(BadInputError, match="timesteps is 0"):
        direct(np.ones((1, 1, 1, 1), np.float32), 0)


@pytest.mark.parametrize("neurons", [2, 3, 5, 9])
def test_neighbouring_fields_cross_at_the_same_height(neurons: int):
    # Half-way between two centres, at 3/4 of a standard deviation: exp(-(3/4)^2 / 2).
    between = np.full((1, 1, 1, 1), 0.5 / (neurons - 1), np.float32)
    np.testing.assert_allclose(receptive_fields(between, neurons).ravel()[:2], np.exp(-9 / 32), rtol=1e-5)


def test_a_tenth_is_the_step_of_delta_by_default():
    values = np.array([0.15, 0.05], np.float32).reshape(1, 2, 1, 1)
    assert encode("delta", values, 1, generator()).ravel().tolist() == [1, 0, 0, 0]


def test_latency_spreads_values_over_all_timesteps():
    values = (np.arange(1, 6, dtype=np.float32) / 5).reshape(1, 1, 1, 5)
    # t = round((1 - x) 5) of x = 0.2, 0.4, ..., 1.
    assert latency(values, 6)[:, 0, 0, 0].argmax(0).tolist() == [4, 3, 2, 1, 0]
