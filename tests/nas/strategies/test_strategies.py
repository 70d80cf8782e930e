"""Random search draws what it says; the conformance suite tests the rest."""

import sys
from collections import Counter
from importlib import import_module

import numpy as np
import pytest
from pydantic import ValidationError

from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies import STRATEGIES, SearchProblem, create_strategy, random_search
from hasnas.nas.strategies.random_search import RandomSearch
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace

SPACE = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))


def problem(seed: int) -> SearchProblem:
    return SearchProblem(SPACE, lambda codes: np.ones(len(codes), bool), SearchSection(), seed)


def test_networks_are_drawn_uniformly_as_drawn():
    # Gene 2 joins input and output: it is live whatever the others are, so its five choices are equally likely but for
    # the networks without it that are not connected.
    firsts = Counter(RandomSearch(problem(seed)).ask(1)[0][2] for seed in range(100))
    assert min(firsts[choice] for choice in range(1, 5)) > 100 / 5 / 2


def test_a_space_too_large_to_list_ends_when_draws_stay_barren(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(random_search, "PATIENCE", 4)
    space = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0), nodes=7)
    strategy = RandomSearch(SearchProblem(space, lambda codes: np.zeros(len(codes), bool), SearchSection(), 0))
    assert strategy.ask(1) == []


def test_the_size_of_the_batches_does_not_change_the_order():
    whole, parts = RandomSearch(problem(5)), RandomSearch(problem(5))
    assert whole.ask(30) == parts.ask(10) + parts.ask(15) + parts.ask(5)


def test_feasibility_is_asked_of_canonical_connected_codes_only():
    seen: list[np.ndarray] = []

    def feasible(codes: np.ndarray) -> np.ndarray:
        seen.append(codes)
        return codes[:, 2] > 0

    asked = RandomSearch(SearchProblem(SPACE, feasible, SearchSection(), 0)).ask(20)
    assert all(codes[2] > 0 for codes in asked)
    for codes in seen:
        canonical, connected = SPACE.canonical(codes)
        assert connected.all()
        np.testing.assert_array_equal(canonical, codes)


def test_strategies_go_by_name():
    assert {"random", "regularized_evolution"} <= set(STRATEGIES.names())
    assert isinstance(create_strategy("random", problem(0)), RandomSearch)
    with pytest.raises(BadInputError, match="unknown search strategy 'rando'; did you mean 'random'"):
        create_strategy("rando", problem(0))


@pytest.mark.parametrize(
    ("package", "module", "message"),
    [
        ("pymoo.algorithms.base.genetic", "genetic", r"nsga2 and nsga3 need pymoo .*pip install 'hasnas\[search\]'"),
        ("botorch.models", "bayesian_pareto", r"bayesian_pareto needs botorch .*pip install 'hasnas\[bayesian\]'"),
        ("deephyper.hpo", "deephyper_search", r"deephyper needs .*pip install 'hasnas\[deephyper\]'"),
        ("optuna", "optuna_samplers", r"optuna needs its package .*pip install 'hasnas\[optuna\]'"),
    ],
)
def test_a_strategy_without_its_package_says_what_to_install(
    package: str, module: str, message: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"hasnas.nas.strategies.{module}", raising=False)
    with pytest.raises(BadInputError, match=message):
        import_module(f"hasnas.nas.strategies.{module}")


def test_objectives():
    assert SearchSection().objectives == ()
    named = SearchSection.model_validate({"objectives": ["energy", "latency * area"]})
    assert named.objectives == ("energy", "latency*area")
    assert SearchSection.model_validate({"minimize": []}).objectives == ()
    for wrong, message in (
        (["enery"], "'energy'"),
        (["area", "area"], "names an objective twice"),
        (["area*edp", "area * edp"], "names an objective twice"),
        ("energy", "tuple"),
    ):
        with pytest.raises(ValidationError, match=message):
            SearchSection.model_validate({"objectives": wrong})
    with pytest.raises(ValidationError, match="'minimize' is now 'objectives'"):
        SearchSection.model_validate({"minimize": ["energy"]})
