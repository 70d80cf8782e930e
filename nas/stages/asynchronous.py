"""The search without batches: a candidate is proposed when a worker is free, and told when it is done.

What a strategy proposes depends then on which evaluation ends first. The ledger holds the trials in the order of their
telling, each with the number of its proposal and how many proposals there were by then: asked and told in that order
again, a strategy proposes again what it proposed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hasnas.nas.executors import Outcome
from hasnas.nas.history.trial import Trial
from hasnas.nas.strategies.strategy import CodesOfOne, Strategy

from .context import RunContext

Tasks = Callable[[Sequence[CodesOfOne]], tuple[Any, list[Any]]]
"""Candidates -> the function that evaluates them, and a task for each."""
Recorder = Callable[[CodesOfOne, Outcome[Any], int, int], Trial]
"""Codes, outcome, number of the proposal and of proposals so far -> the trial, on disk."""


class Proposals:
    """A strategy that is asked for one candidate at a time, up to a number of them.

    Args:
        strategy: proposes.
        most: proposals at most.
    """

    def __init__(self, strategy: Strategy, most: int) -> None:
        self.strategy, self.most = strategy, most
        self.asked = 0
        self.ended = False
        self.waiting: dict[int, CodesOfOne] = {}

    def ask(self) -> int | None:
        """The number of one more proposal, which waits to be told; None if there are enough, or no others."""
        if self.ended or self.asked >= self.most:
            return None
        proposed = self.strategy.ask(1)
        if not proposed:
            self.ended = True
            return None
        self.waiting[self.asked] = proposed[0]
        self.asked += 1
        return self.asked - 1


def run_asynchronously(
    context: RunContext, strategy: Strategy, hear: Callable[[Trial], None], tasks_of: Tasks, record: Recorder
) -> None:
    """Replay what the ledger holds of the search, then evaluate what was proposed and not told, then go on.

    Args:
        context: the run.
        strategy: proposes; where the ledger holds a proposal, that one.
        hear: tells the strategy of a trial.
        tasks_of: what evaluates candidates.
        record: makes a trial and writes it.
    """
    proposals = Proposals(strategy, context.config.search.evaluations)
    for trial in [trial for trial in context.trials if trial.stage == "search"]:
        while proposals.asked < (trial.asked or 0) and proposals.ask() is not None:
            pass
        proposals.waiting.pop(-1 if trial.proposal is None else trial.proposal, None)
        hear(trial)
    left, numbers = list(proposals.waiting), list[int]()

    def tasks() -> Iterator[Any]:
        while (number := left.pop(0) if left else proposals.ask()) is not None:
            numbers.append(number)
            yield tasks_of([proposals.waiting[number]])[1][0]

    function = tasks_of([])[0]
    for place, outcome in context.executor.as_completed(function, tasks()):
        number = numbers[place]
        hear(record(proposals.waiting.pop(number), outcome, number, proposals.asked))
