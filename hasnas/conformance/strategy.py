"""What every search strategy keeps to: inside the budget, nothing twice, the same proposals for the same history."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.budget.budget import Budget
from hasnas.nas.budget.pricer import Pricer
from hasnas.nas.budget.region import admission
from hasnas.nas.config.loading import load_config
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.executors import Executor, create_executor
from hasnas.nas.history.ledger import Ledger, equal_ledgers, read_ledger
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.context import RunContext
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import run_screen
from hasnas.nas.stages.search import run_search
from hasnas.nas.strategies import STRATEGIES, SearchProblem, Strategy
from hasnas.nas.strategies.recorded import Recorded
from hasnas.nas.strategies.strategy import CostObjective, create_strategy
from hasnas.search_spaces.joint import DeadTraining, JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import all_codes

from .suite import Suite

MACRO = Macro((1, 8, 8), timesteps=3, channels=4, hidden=8, votes=1)
SETTINGS = SearchSection(population=6, sample=3, mutation=0.3)
CodesOfOne = tuple[int, ...]


def problem(seed: int = 0, feedback: bool = True, nodes: int = 4, parameters: float | None = 1500) -> SearchProblem:
    """A space of which few members keep to the limit on parameters."""
    space = SNASNetSpace(MACRO, feedback=feedback, nodes=nodes)
    pricer = Pricer(space, load_hardware("spikesim-65nm-rram"), Activity.dense())
    budget = Budget() if parameters is None else Budget({"parameters": parameters})
    return SearchProblem(space, admission(pricer, budget), SETTINGS, seed)


def joint_problem(seed: int = 0) -> SearchProblem:
    """Networks with their chip and training: some chips contradict themselves, some choices make others meaningless."""
    chip = (
        SearchedField("crossbar.size", (64, 128)),
        SearchedField("crossbar.columns_per_adc", (8, 128)),
        SearchedField("adc.kind", ("sar", "flash")),
        SearchedField("adc.sar_clock_s", (1e-9, 2e-9, 4e-9), "log"),
    )
    training = (SearchedField("method", ("surrogate", "soft_lif")), SearchedField("surrogate.width", (0.5, 1, 2)))
    networks = SNASNetSpace(MACRO, feedback=False, nodes=3)
    dead = (DeadTraining(("surrogate.width",), "method", ("soft_lif",)),)
    space = with_searched_chip(networks, "rram-32nm", hardware=chip, training=training, dead=dead)
    pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    return SearchProblem(space, admission(pricer, Budget({"area": 1.5e-6})), SETTINGS, seed)


def score(codes: CodesOfOne) -> float:
    """Any function of the candidate alone will do."""
    return math.sin(sum((index + 1) * code for index, code in enumerate(codes)))


def play(
    strategy: Strategy, rounds: int, value: Callable[[CodesOfOne], float | None] = score, batch: int = 4
) -> list[CodesOfOne]:
    """Ask and tell for some rounds; what was proposed."""
    proposed: list[CodesOfOne] = []
    for _ in range(rounds):
        asked = strategy.ask(batch)
        proposed += asked
        for codes in asked:
            strategy.tell(codes, value(codes), {"parameters": 1.0})
    return proposed


def play_unevenly(strategy: Strategy, proposals: int, workers: int = 3) -> list[CodesOfOne]:
    """Ask for one candidate whenever a worker is free, tell whichever is done first; what was proposed."""
    chance, proposed, running = np.random.default_rng(0), list[CodesOfOne](), list[CodesOfOne]()
    while len(proposed) < proposals or running:
        while len(running) < workers and len(proposed) < proposals:
            running += strategy.ask(1)
            proposed.append(running[-1])
        done = running.pop(int(chance.integers(len(running))))
        strategy.tell(done, score(done), {"parameters": 1.0})
    return proposed


CONFIG = """
name: conformance
seed: 5
dataset: {name: digits, validation_share: 0.3}
space:
  name: snasnet
  nodes: 3
  macro: {channels: 2, timesteps: 1, hidden: 0, votes: 1, final_pool: 4, dropout: 0.1}
hardware:
  preset: rram-32nm
  searched: {crossbar.size: [64, 128], crossbar.columns_per_adc: [8, 128], adc.kind: [sar, flash]}
budget: {parameters: 400}
supernet: {enabled: false}
search: {evaluations: 4, batch: 2, population: 2, sample: 2, brief_epochs: 1}
retrain:
  enabled: false
  batch_size: 512
  searched: {method: [surrogate, soft_lif], surrogate.width: [0.5, 2]}
"""


class Unwatched:
    """A run that nobody looks at: drawing its figures takes longer than the run."""

    def on_trial(self, trial: Trial) -> None: ...

    def on_epoch(self, stage: str, epoch: int, metrics: Mapping[str, float]) -> None: ...

    def close(self) -> None: ...


def search(directory: Path, name: str, executor: Executor) -> Path:
    """Screen and search on real data; a ledger that is there already is gone on with."""
    directory.mkdir(exist_ok=True)
    (directory / "config.yaml").write_text(CONFIG)
    config = load_config(directory / "config.yaml", [f"search.strategy={name}"])
    with Ledger(directory / "ledger.jsonl") as ledger:
        trials = [Trial.from_record(record) for record in ledger.records if record.get("kind") == "trial"]
        context = RunContext(config, Console(), directory, ledger, executor, Unwatched(), trials)
        run_screen(context)
        run_search(context)
    return directory / "ledger.jsonl"


class CheckStrategy(Suite):
    """For names in `STRATEGIES` (entry points `hasnas.strategies`)."""

    def build(self, name: str, task: SearchProblem) -> Strategy:
        """The strategy that is tested, ready to be asked."""
        return STRATEGIES.get(name)(task)

    @pytest.fixture(scope="class")
    def two_workers(self) -> Iterator[Executor]:
        """Two processes that every strategy's run uses."""
        executor = create_executor(2)
        yield executor
        executor.close()

    def test_proposals_are_canonical_feasible_and_new(self, name: str) -> None:
        task = problem()
        proposed = play(self.build(name, task), rounds=10)
        assert len(proposed) == len(set(proposed)) == 40
        canonical, admitted = task.admissible(np.array(proposed, np.int16))
        assert admitted.all()
        np.testing.assert_array_equal(canonical, proposed)
        keys = {task.space.decode(codes).key for codes in proposed}
        assert len(keys) == 40
        assert all(isinstance(code, int) for codes in proposed for code in codes)

    def test_the_same_seed_and_history_give_the_same_proposals(self, name: str) -> None:
        """Also where a part of the history is in a ledger, which is then gone on with as if nothing had happened."""
        first, other = (play(self.build(name, problem(seed)), rounds=8) for seed in (3, 4))
        assert first != other
        differs = list[int]()
        replayed = Recorded(dict(enumerate(first[:20])), self.build(name, problem(3)), differs.append)
        assert play(replayed, rounds=8) == first
        assert not differs

    def test_a_history_of_another_machine_is_gone_on_with(self, name: str) -> None:
        """Its proposals are kept, nothing is proposed twice, and going on in two parts is going on in one."""
        theirs, differs = play(self.build(name, problem(3)), rounds=2), list[int]()

        def going_on(proposed: Sequence[CodesOfOne], rounds: int) -> list[CodesOfOne]:
            return play(Recorded(dict(enumerate(proposed)), self.build(name, problem(4)), differs.append), rounds)

        straight = going_on(theirs, 3)
        assert straight[:8] == theirs
        assert len(differs) == 1
        assert len(set(straight)) == len(straight) == 12
        assert problem().admissible(np.array(straight, np.int16))[1].all()
        assert going_on(straight[:10], 3) == straight

    def test_candidates_are_told_as_they_are_done(self, name: str) -> None:
        """Asked one by one while others are evaluated, told in another order: new, feasible, and the same again."""
        kind, task = STRATEGIES.get(name), problem(2)
        if getattr(kind, "needs_batches", False):
            settings = SETTINGS.with_changes({"asynchronous": True})
            with pytest.raises(BadInputError, match=r"asynchronous"):
                create_strategy(name, dataclasses.replace(task, settings=settings))
            return
        proposed = play_unevenly(self.build(name, task), 9)
        assert len(set(proposed)) == 9
        assert task.admissible(np.array(proposed, np.int16))[1].all()
        assert play_unevenly(self.build(name, problem(2)), 9) == proposed

    def test_costs_as_objectives(self, name: str) -> None:
        """Strategies for one objective ignore them, others are told costs that the estimator knew."""
        task = problem()
        price = Pricer(task.space, load_hardware("spikesim-65nm-rram"), Activity.dense())
        energy = CostObjective("energy_j", lambda codes: price.costs(codes)["energy_j"])
        strategy = self.build(name, dataclasses.replace(task, objectives=(energy,)))
        proposed: list[CodesOfOne] = []
        for _ in range(5):
            for codes in strategy.ask(4):
                proposed.append(codes)
                costs = price.costs(np.array([codes], np.int16)).row(0)
                strategy.tell(codes, 0.5 + 0.4 * score(codes), costs)
        assert len(set(proposed)) == len(proposed) == 20
        assert task.admissible(np.array(proposed, np.int16))[1].all()

    def test_what_only_an_evaluation_tells(self, name: str) -> None:
        """Strategies for costs that are known before a network runs say so and name the other one, as does
        `CostObjective.known`; the rest are told objectives and limits, now and then none."""
        task, unknown, limit = problem(), CostObjective("seconds"), CostObjective("chips", limit=1.5)
        refusal = ""
        try:
            strategy = self.build(name, dataclasses.replace(task, objectives=(unknown,), limits=(limit,)))
        except BadInputError as error:
            refusal = str(error)
        if refusal:
            assert re.fullmatch(r".*known before a network runs.*", refusal)
            assert unknown.name in refusal
            return
        proposed: list[CodesOfOne] = []
        for number in range(5):
            for codes in strategy.ask(4):
                proposed.append(codes)
                costs = {} if number == 1 else {"seconds": 2 + score(codes), "chips": 1 + abs(score(codes))}
                strategy.tell(codes, 0.5 + 0.4 * score(codes), costs)
        assert len(set(proposed)) == len(proposed) == 20
        assert task.admissible(np.array(proposed, np.int16))[1].all()

    def test_networks_are_searched_together_with_their_chips(self, name: str) -> None:
        """Canonical, feasible and new on a joint space too, by seed and history alone."""
        task = joint_problem()
        assert isinstance(task.space, JointSpace)
        proposed = play(self.build(name, task), rounds=10)
        assert len(proposed) == len(set(proposed)) == 40
        canonical, admitted = task.admissible(np.array(proposed, np.int16))
        assert admitted.all()
        np.testing.assert_array_equal(canonical, proposed)
        assert len({str(task.space.hardware_choices(codes)) for codes in proposed}) > 1
        resumed = self.build(name, joint_problem())
        assert play(resumed, rounds=3) + play(resumed, rounds=3) == proposed[:24]

    @pytest.mark.parametrize("value", [None, math.nan, -math.inf])
    def test_failed_evaluations_do_not_stop_the_search(self, name: str, value: float | None) -> None:
        proposed = play(self.build(name, problem()), rounds=6, value=lambda codes: value)
        assert len(set(proposed)) == 24

    def test_a_failed_candidate_is_only_one_among_others(self, name: str) -> None:
        outcomes = iter([0.5, None, math.nan] * 20)
        proposed = play(self.build(name, problem()), rounds=10, value=lambda codes: next(outcomes))
        assert len(set(proposed)) == 40

    def test_a_small_region_is_proposed_completely_and_then_ends(self, name: str) -> None:
        task = problem(feedback=False, nodes=3, parameters=None)
        canonical, connected = task.space.canonical(np.concatenate(list(all_codes(task.space))))
        region = {tuple(row) for row in canonical[connected].tolist()}
        strategy = self.build(name, task)
        proposed = play(strategy, rounds=len(region) // 4 + 3)
        assert set(proposed) == region
        assert len(proposed) == len(region)
        assert strategy.ask(1) == []

    def test_a_region_without_members_ends_at_once(self, name: str) -> None:
        assert self.build(name, problem(feedback=False, parameters=1)).ask(3) == []

    def test_neither_workers_nor_interruptions_change_the_ledger(
        self, name: str, two_workers: Executor, tmp_path: Path
    ) -> None:
        alone = search(tmp_path / "alone", name, create_executor(1))
        assert equal_ledgers(alone, search(tmp_path / "together", name, two_workers))
        (tmp_path / "stopped").mkdir()
        lines = alone.read_text().splitlines(keepends=True)
        within_a_batch = [index for index, line in enumerate(lines) if '"kind":"trial"' in line.replace(" ", "")][3]
        (tmp_path / "stopped" / "ledger.jsonl").write_text("".join(lines[:within_a_batch]))
        assert equal_ledgers(alone, search(tmp_path / "stopped", name, create_executor(1)))
        trials = [record for record in read_ledger(alone).records if record["kind"] == "trial"]
        assert len({trial["key"] for trial in trials}) == len(trials) == 4
        assert all(trial["state"] == "done" and not trial["verdict"] for trial in trials)
        assert all(trial["hardware"] and trial["training"] for trial in trials)
