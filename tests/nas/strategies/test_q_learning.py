"""Q-learning over chips: the agent on landscapes that are worked out, the strategy on real prices."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import pytest

from hasnas.cim_estimator import Activity
from hasnas.errors import BadInputError
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.config.loading import config_from_tree
from hasnas.nas.config.q_learning import QLearningSection
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.strategies.chip_agent import ChipAgent, Standing
from hasnas.nas.strategies.q_learning import QLearning
from hasnas.nas.strategies.strategy import CostObjective, SearchProblem
from hasnas.search_spaces.joint import JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Gene, all_codes

GENES = (
    Gene("size", ("32", "64", "128", "256", "512"), "ordered"),
    Gene("bits", ("3", "4", "5", "6"), "ordered"),
    Gene("device", ("a", "b", "c")),
)
BEST = (3, 1, 2)
MACRO = Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1)
CHIP = (
    SearchedField("crossbar.size", (64, 128, 256)),
    SearchedField("device.cell_bits", (1, 2, 4)),
    SearchedField("crossbar.columns_per_adc", (4, 8, 128)),
)


def hill(chip: tuple[int, ...]) -> Standing:
    """A worth that falls with the distance from the best chip, field by field."""
    return Standing(-sum(abs(code - best) for code, best in zip(chip, BEST, strict=True)))


def agent(seed: int = 0, exploration: float = 0.0, steps: int = 200) -> ChipAgent:
    settings = QLearningSection(exploration=exploration, steps=steps)
    return ChipAgent(GENES, settings, np.random.default_rng(seed))


@pytest.mark.parametrize("seed", range(5))
def test_a_walk_ends_on_the_best_chip(seed: int) -> None:
    chip, standing = agent(seed).walk((0, 3, 0), hill) or ((), Standing(0))
    assert chip == BEST
    assert standing.worth == 0


def test_what_one_walk_learned_shortens_the_next() -> None:
    """The table is shared: a second network of the same kind is walked straight up, a fresh agent has to try around."""
    looks: list[int] = []

    def counted(chip: tuple[int, ...]) -> Standing:
        looks[-1] += 1
        return hill(chip)

    learned = agent(1)
    for walker in (learned, learned, learned, agent(2)):
        looks.append(0)
        found = walker.walk((0, 3, 0), counted)
        assert found is not None
        assert found[0] == BEST
    straight = 3 + 2 + 1 + 1  # three steps of the size, two of the bits, one of the device, and the start
    assert looks[2] <= straight + 2 < looks[0]
    assert looks[2] < looks[3]


def test_steps_go_to_neighbours_and_around_where_there_is_no_order() -> None:
    assert agent().steps((0, 3, 0)) == [(0, 1), (1, 2), (2, 2), (2, 1)]
    two = ChipAgent((Gene("a", ("x", "y")), Gene("b", ("x",))), QLearningSection(), np.random.default_rng(0))
    assert two.steps((1, 0)) == [(0, 0)]


def test_an_entry_moves_by_the_rule() -> None:
    """One field of two values: the step up gains 2, the step down loses it."""
    settings = QLearningSection(exploration=0.0, steps=1, learning_rate=0.25, discount=0.5)
    learner = ChipAgent((Gene("a", ("x", "y"), "ordered"),), settings, np.random.default_rng(0))
    up, down = ((0,), (), (0, 1)), ((1,), (), (0, 0))
    learner.walk((0,), lambda chip: Standing(2.0 * chip[0]))
    assert learner._table == {up: pytest.approx(2 + 0.5 * 0.1)}, "the way back was never tried and promises 0.1"
    learner.walk((1,), lambda chip: Standing(2.0 * chip[0]))
    assert learner._table[down] == pytest.approx(-2 + 0.5 * 2.05)
    learner.walk((0,), lambda chip: Standing(2.0 * chip[0]))
    new = 2 + 0.5 * 0
    assert learner._table[up] == pytest.approx(2.05 + 0.25 * (new - 2.05)), "to stay is better than to go back"


def test_chips_that_contradict_themselves_are_never_chosen() -> None:
    def look(chip: tuple[int, ...]) -> Standing | None:
        return None if chip[0] == 2 else Standing(float(chip[0]) + 3 - chip[1])

    chip, _ = agent(3, exploration=0.2).walk((0, 3, 0), look) or ((), None)
    assert chip[:2] == (1, 0), "the way to larger sizes is barred"
    assert agent().walk((2, 0, 0), look) is None


def test_targets_come_before_worth() -> None:
    """The chip of the largest worth misses the target."""

    def look(chip: tuple[int, ...]) -> Standing:
        return Standing(float(chip[0]), (chip[0] > 2,))

    chip, standing = agent(0, exploration=0.3).walk((0, 0, 0), look) or ((), Standing(0))
    assert chip[0] == 2
    assert not any(standing.missed)


FIELDS = {"energy": "energy_j", "latency": "latency_s", "area": "area_m2"}
SETTINGS = SearchSection(
    population=6, sample=3, mutation=0.3, q_learning=QLearningSection(reward={"energy": 1, "latency": 1})
)


@functools.cache
def joint() -> JointSpace:
    space = with_searched_chip(SNASNetSpace(MACRO, feedback=False, nodes=3), "rram-32nm", hardware=CHIP)
    assert isinstance(space, JointSpace)
    return space


PRICES: dict[tuple[int, ...], dict[str, float]] = {}


def prices(codes: np.ndarray) -> list[dict[str, float]]:
    """Costs of networks on their chips, by field; each pair is priced once for all tests."""
    rows = [tuple(row) for row in codes.tolist()]
    if missing := [row for row in dict.fromkeys(rows) if row not in PRICES]:
        pricer = Pricer(joint(), joint().hardware_of(missing[0]), Activity.dense())
        table = pricer.costs(np.array(missing, np.int16))
        PRICES.update((row, table.row(place)) for place, row in enumerate(missing))
    return [PRICES[row] for row in rows]


def problem(seed: int = 0, area: float = math.inf) -> SearchProblem:
    """Networks and chips with energy and latency to be kept low, and a limit on the area."""

    def column(codes: np.ndarray, name: str) -> np.ndarray:
        return np.array([found[FIELDS[name]] for found in prices(codes)])

    def target(name: str) -> CostObjective:
        limit = area if name == "area" else math.inf
        return CostObjective(FIELDS[name], lambda codes: column(codes, name), limit)

    targets = tuple(target(name) for name in FIELDS)
    return SearchProblem(joint(), lambda codes: column(codes, "area") <= area, SETTINGS, seed, targets=targets)


def play(strategy: QLearning, rounds: int) -> list[tuple[int, ...]]:
    proposed = []
    for _ in range(rounds):
        for codes in strategy.ask(4):
            proposed.append(codes)
            strategy.tell(codes, math.sin(sum((place + 1) * code for place, code in enumerate(codes))), {})
    return proposed


@pytest.mark.slow
def test_every_network_gets_nearly_its_best_chip() -> None:
    """Against all 27 chips, priced for each network: once the table has seen a few networks, none is 5 % off."""
    task = problem()
    proposed = play(QLearning(task), 4)
    assert len({codes[:3] for codes in proposed}) == len(proposed) == 16, "each network once"
    chips = np.array(list(np.ndindex(3, 3, 3)), np.int16)
    ratios = []
    for codes in proposed:
        pairs = np.concatenate([np.tile(np.array(codes[:3], np.int16), (len(chips), 1)), chips], axis=1)
        canonical, alive = task.space.canonical(pairs)
        products = [target.known(canonical[alive]) for target in task.targets[:2]]
        own = [target.known(np.array([codes], np.int16))[0] for target in task.targets[:2]]
        ratios.append(own[0] * own[1] / (products[0] * products[1]).min())
    assert np.median(ratios) < 1.001
    assert max(ratios[4:]) < 1.05
    assert min(ratios) > 1 - 1e-9


@pytest.mark.slow
def test_networks_without_a_chip_that_meets_the_targets_are_dropped() -> None:
    free = problem()
    codes = np.array(play(QLearning(free), 5), np.int16)
    areas = free.targets[2].known(codes)
    strategy = QLearning(problem(area=float(np.quantile(areas, 0.4))))
    found = np.array(play(strategy, 5), np.int16)
    assert strategy.dropped > 0
    assert (strategy.problem.targets[2].known(found) <= np.quantile(areas, 0.4)).all()


@pytest.mark.slow
def test_a_replayed_history_is_continued() -> None:
    straight, resumed = play(QLearning(problem(3)), 5), QLearning(problem(3))
    assert play(resumed, 2) + play(resumed, 3) == straight
    assert straight != play(QLearning(problem(4)), 5)


@pytest.mark.slow
def test_a_small_joint_region_is_proposed_completely_and_then_ends() -> None:
    task = problem()
    canonical, alive = task.space.canonical(np.concatenate(list(all_codes(task.space))))
    region = {tuple(row) for row in canonical[alive].tolist()}
    brief = SETTINGS.with_changes({"q_learning": QLearningSection(steps=2)})
    few = dataclasses.replace(
        task, feasible=lambda codes: (codes[:, 0] == 0) & (codes[:, 1] == 0), targets=task.targets[:1], settings=brief
    )
    proposed = play(QLearning(few), 40)
    assert set(proposed) == {codes for codes in region if codes[:2] == (0, 0)}
    assert len(proposed) == len(set(proposed))


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"reward": {"engery": 1}}, "did you mean 'energy'"),
        ({"reward": {}}, "at least 1"),
        ({"discount": 1.0}, "search.q_learning.discount is 1.0"),
        ({"discont": 0.5}, "did you mean 'discount'"),
        ({"reward": {"energy": -1}}, "search.q_learning.reward.energy is -1"),
        ({"reward": {"accuracy": 1}}, "'accuracy' is only known once a network ran"),
        ({}, "hardware.searched names no field"),
    ],
)
def test_settings_that_make_no_sense_are_refused(section: dict, said: str) -> None:
    search = {"strategy": "q_learning", "q_learning": section}
    tree = {"name": "a", "dataset": {"name": "digits"}, "hardware": "rram-32nm", "search": search}
    with pytest.raises(BadInputError, match=said):
        config_from_tree(tree, "a.yaml")
