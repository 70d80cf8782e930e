"""Networks trained from several seeds are judged by all of them."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.nas.history.quality import CLASSIFICATION, REGRESSION
from hasnas.nas.history.returned import RetrainedNetwork, retrained_networks, returned_front, returned_networks
from hasnas.nas.history.trial import Trial

COSTS = {"parameters": 900.0, "memory_bits": 8e3, "area_m2": 5e-7, "latency_s": 1e-3, "energy_j": 1e-6}


def training(number: int, key: str, accuracy: float, energy_j: float = 1e-6, **changes: float) -> Trial:
    """One whose energy is limited to 2 uJ."""
    metrics = {"validation_accuracy": accuracy, "test_accuracy": accuracy - 0.1, **changes}
    over = {"energy": energy_j / 2e-6} if energy_j > 2e-6 else {}
    state = "infeasible" if over else "done"
    return Trial(number, "retrain", key, (), {}, number, state, metrics, {**COSTS, "energy_j": energy_j}, over)


def failed(number: int, key: str) -> Trial:
    return Trial(number, "retrain", key, (), {}, number, "failed", message="MemoryError")


def test_networks_are_ranked_by_their_mean_and_exported_from_their_best_seed():
    lucky = [training(1, "lucky", 0.9), training(2, "lucky", 0.5)]
    steady = [training(3, "steady", 0.75), training(4, "steady", 0.8)]
    search = Trial(0, "search", "steady", (), {}, 0, "done", {"validation_accuracy": 1.0}, COSTS)
    first, second = returned_networks([search, *lucky, *steady], asked=2)
    assert (first.key, first.best.id, first.counted) == ("steady", 4, "2")
    assert (second.key, second.best.id) == ("lucky", 1)
    assert first.summary.metrics["validation_accuracy"] == pytest.approx(0.775)
    assert second.summary.metrics["test_accuracy"] == pytest.approx(0.6)
    assert second.deviation("test_accuracy") == pytest.approx(0.4 / math.sqrt(2))
    # Equal costs, so that only the one with the better mean is on the front, whatever a lucky seed reached.
    assert [network.key for network in returned_front([*lucky, *steady])] == ["steady"]


def test_one_seed_over_the_budget_is_enough():
    trials = [training(0, "a", 0.9), training(1, "a", 0.9, energy_j=3e-6), training(2, "b", 0.5), training(3, "c", 0.6)]
    assert [network.key for network in returned_networks(trials)] == ["c", "b"]
    network = retrained_networks(trials)[0]
    assert (network.fits, network.summary.state, network.summary.verdict) == (False, "infeasible", {"energy": 1.5})
    assert network.summary.costs["energy_j"] == 2e-6


def test_failed_trainings_are_counted_and_told():
    trials = [training(0, "a", 0.9), failed(1, "a"), training(2, "a", 0.8), failed(3, "b"), failed(4, "b")]
    (network,) = returned_networks(trials, asked=3)
    assert network.counted == "2 of 3"
    told = network.to_json(CLASSIFICATION)
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert (told["seeds"], told["trained"], told["chosen_seed"], told["chosen_by"]) == (3, 2, 0, "validation_accuracy")
    assert told["each"][1] == {"trial": 1, "seed": 1, "state": "failed", "message": "MemoryError"}
    assert told["each"][2]["test_accuracy"] == pytest.approx(0.7)
    nothing = retrained_networks(trials)[1]
    assert (nothing.fits, nothing.counted, nothing.finished) == (False, "0 of 2", ())


def test_a_run_in_its_midst_says_how_many_seeds_are_there():
    (network,) = returned_networks([training(0, "a", 0.9)], asked=3)
    assert network.counted == "1 of 3"
    told = network.to_json(CLASSIFICATION)
    assert told["test_accuracy"] == {"mean": pytest.approx(0.8), "std": None}


def test_the_best_seed_is_the_one_that_stays_best_on_chips_if_there_are_any():
    trials = [training(0, "a", 0.9, device_accuracy=0.6), training(1, "a", 0.8, device_accuracy=0.7)]
    told = returned_networks(trials)[0].to_json(CLASSIFICATION)
    assert (told["chosen_seed"], told["chosen_by"]) == (1, "device_accuracy")
    assert told["each"][0]["device_accuracy"] == 0.6


def test_the_least_error_is_best():
    names = REGRESSION.validation, REGRESSION.test
    trials = [
        Trial(i, "retrain", "a", (), {}, i, "done", dict.fromkeys(names, error), COSTS)
        for i, error in enumerate((0.3, 0.1, 0.2))
    ]
    (network,) = returned_networks(trials)
    assert network.best.id == 1
    assert REGRESSION.show_mean(network.mean(names[1]), network.deviation(names[1])) == "0.2 ± 0.1"


def test_an_error_without_bound_comes_last_and_shows_no_spread():
    names = REGRESSION.validation, REGRESSION.test
    wild = [
        Trial(i, "retrain", "wild", (), {}, i, "done", dict.fromkeys(names, e), COSTS)
        for i, e in enumerate((math.inf, 0.1))
    ]
    tame = Trial(2, "retrain", "tame", (), {}, 2, "done", dict.fromkeys(names, 5.0), COSTS)
    assert [network.key for network in returned_networks([*wild, tame])] == ["tame", "wild"]
    told = returned_networks(wild)[0].to_json(REGRESSION)
    assert told[names[0]] == {"mean": None, "std": None}
    assert told["chosen_seed"] == 1


@given(st.lists(st.floats(0, 1), min_size=2, max_size=9))
def test_mean_and_deviation_are_those_of_a_sample(values: list[float]):
    network = RetrainedNetwork(tuple(training(i, "a", value) for i, value in enumerate(values)))
    assert network.mean("validation_accuracy") == pytest.approx(np.mean(values))
    assert network.deviation("validation_accuracy") == pytest.approx(np.std(values, ddof=1), abs=1e-12)


@given(st.floats(allow_nan=False), st.integers(1, 20))
def test_equal_values_have_themselves_as_mean(value: float, count: int):
    """A cost that does not depend on the seed is not moved by rounding, nor past its limit."""
    assert RetrainedNetwork(tuple(training(i, "a", value) for i in range(count))).mean("validation_accuracy") == value


def test_one_training_is_its_own_summary():
    trial = training(0, "a", 0.9)
    (network,) = returned_networks([trial])
    assert (network.summary, network.best, network.seeds, network.counted) == (trial, trial, 1, "1")
    assert [found([trial])[0].seeds for found in (retrained_networks, returned_front)] == [1, 1]
    assert [found([trial], asked=3)[0].seeds for found in (retrained_networks, returned_front)] == [3, 3]
    assert math.isnan(network.deviation("test_accuracy"))
