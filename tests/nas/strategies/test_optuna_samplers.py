"""Every sampler of Optuna that a config may name."""

import dataclasses
from typing import get_args

import numpy as np
import pytest

from hasnas.conformance.strategy import joint_problem, play
from hasnas.errors import BadInputError
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies.optuna_samplers import SAMPLERS, OptunaSampler
from hasnas.nas.strategies.strategy import CodesOfOne


def large(codes: CodesOfOne) -> float:
    return float(sum(codes))


def test_each_name_of_the_config_is_a_sampler() -> None:
    assert set(get_args(SearchSection.model_fields["sampler"].annotation)) == set(SAMPLERS)
    with pytest.raises(BadInputError, match=r"search\.sampler is 'nsgai'.*nsgaii"):
        SearchSection(sampler="nsgai")


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_networks_and_chips_by_each_sampler(sampler: str) -> None:
    """New and feasible, the same again, better with time; on a space with categories and with chips left out."""
    task = joint_problem()
    task = dataclasses.replace(task, settings=task.settings.with_changes({"sampler": sampler}))
    rounds = 4 if sampler == "gp" else 8
    proposed, again = (play(OptunaSampler(task), count, large) for count in (rounds, rounds - 2))
    assert proposed[: len(again)] == again
    assert len(set(proposed)) == len(proposed)
    assert task.admissible(np.array(proposed, np.int16))[1].all()
    first, last = (np.mean([large(codes) for codes in part]) for part in (proposed[:6], proposed[-8:]))
    assert last > first
