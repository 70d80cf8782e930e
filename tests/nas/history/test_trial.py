"""A trial survives the ledger whatever it holds, and is itself whenever it was made."""

import math
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.nas.history.records import checked, encode_line
from hasnas.nas.history.trial import Trial, key_of

METRICS, COSTS = {"validation_accuracy": 0.5}, {"energy_j": 1e-6}
TRIAL = Trial(3, "search", "ab12", (0, 1, 2), {"version": 1}, 7, "done", METRICS, COSTS)
NUMBERS = st.dictionaries(st.sampled_from(["a", "b"]), st.floats())


def stored(trial: Trial) -> dict:
    """The record of a trial as the ledger gives it back."""
    text = checked(encode_line(trial.to_record()))
    assert text is not None
    return orjson.loads(text)


@given(NUMBERS, NUMBERS, st.lists(st.integers(0, 8)))
def test_any_trial_reads_back_equal(metrics: dict, costs: dict, codes: list):
    trial = replace(TRIAL, metrics=metrics, costs=costs, codes=tuple(codes))
    record = stored(trial)
    again = Trial.from_record(record)
    assert again == trial
    for name, value in metrics.items():
        assert again.metrics[name] == value or math.isnan(value)


def test_time_and_host_are_not_compared():
    assert replace(TRIAL, time=1.0, host="a") == replace(TRIAL, time=2.0, host="b")
    assert replace(TRIAL, seed=8) != TRIAL
    assert len({TRIAL, replace(TRIAL, time=1.0)}) == 1
    assert TRIAL != "a trial"


def test_a_trial_carries_its_chip_and_its_training():
    chip, training = {"adc.bits": 4, "device": "neurosim-rram"}, {"learning_rate": 1e-3}
    chosen = replace(TRIAL, key=key_of("ab12", chip, training), hardware=chip, training=training)
    assert Trial.from_record(stored(chosen)) == chosen != replace(chosen, hardware={**chip, "adc.bits": 5})
    fields = {"hardware/adc.bits": 4, "hardware/device": "neurosim-rram", "training/learning_rate": 1e-3}
    assert chosen.choices == fields
    assert not {"hardware", "training"} & TRIAL.to_record().keys()
    elsewhere = {**chip, "adc.bits": 5}
    other = replace(chosen, key=key_of("ab12", elsewhere, training), hardware=elsewhere)
    assert other.key != chosen.key
    assert other.trained_as == chosen.trained_as != TRIAL.trained_as == "ab12"


@pytest.mark.parametrize("change", [{"metrics": 3}, {"extra": 1}, {"state": "lost"}, {"costs": {"a": "x"}}])
def test_a_foreign_record_is_refused(change: dict):
    with pytest.raises(BadInputError):
        Trial.from_record({**TRIAL.to_record(), **change})


@pytest.mark.parametrize("name", ["id", "codes", "metrics", "state"])
def test_a_record_that_lacks_a_field_is_refused(name: str):
    record = {key: value for key, value in TRIAL.to_record().items() if key != name}
    with pytest.raises(BadInputError, match="of another version"):
        Trial.from_record(record)
