"""What every executor keeps to, wherever it runs its tasks.

The tasks are expressions for `eval`, because a worker process can only find functions that it can import.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import cast

import pytest

from hasnas.nas.executors import EXECUTORS, Executor, Outcome

from .suite import Suite


class CheckExecutor(Suite):
    """For names in `EXECUTORS` (entry points `hasnas.executors`)."""

    def build(self, name: str) -> Executor:
        """The executor that is tested, with two workers."""
        return EXECUTORS.get(name)(2)

    @pytest.fixture(scope="class")
    def executor(self, name: str) -> Iterator[Executor]:
        """The executor called `name`, closed twice at the end."""
        executor = self.build(name)
        yield executor
        executor.close()
        executor.close()

    def test_outcomes_come_in_the_order_of_the_tasks(self, executor: Executor) -> None:
        # The first tasks take longest: with several workers the later ones end first.
        tasks = [f"__import__('time').sleep({0.2 - 0.05 * number}) or {number}" for number in range(5)]
        assert list(executor.map(eval, tasks)) == [Outcome(number) for number in range(5)]

    def test_a_task_that_raises_is_failed_and_touches_no_other(self, executor: Executor) -> None:
        first, second, third = executor.map(eval, ["1 / 0", "6 * 7", "[][1]"])
        assert (first.failed, first.value, first.error) == (True, None, "ZeroDivisionError: division by zero")
        assert "Traceback" in first.details
        assert (second.failed, second.value) == (False, 42)
        assert third.error == "IndexError: list index out of range"

    def test_an_error_of_many_lines_is_told_in_one(self, executor: Executor) -> None:
        (outcome,) = executor.map(eval, ["int('x' + chr(10) + 'y')"])
        assert outcome.failed
        assert "\n" not in outcome.error

    def test_a_task_that_runs_out_of_memory_is_failed(self, executor: Executor) -> None:
        failed, done = executor.map(eval, ["bytes(1 << 60)", "1"])
        assert failed.error == "MemoryError"
        assert failed.machine
        assert done.value == 1

    def test_faults_of_the_machine_are_told_from_those_of_a_task(self, executor: Executor) -> None:
        outcomes = list(executor.map(eval, ["open('/nowhere/at/all')", "1 / 0", "7"]))
        assert [outcome.machine for outcome in outcomes] == [True, False, False]

    def test_every_task_runs_on_one_torch_thread(self, executor: Executor) -> None:
        outcomes = list(executor.map(eval, ["__import__('torch').get_num_threads()"] * 2))
        outcomes += executor.map(eval, ["__import__('torch').get_num_threads()"])
        assert [outcome.value for outcome in outcomes] == [1, 1, 1]

    def test_no_tasks_give_no_outcomes(self, executor: Executor) -> None:
        assert list(executor.map(eval, [])) == []

    def test_stopping_early_leaves_the_executor_usable(self, executor: Executor) -> None:
        outcomes = cast(Generator[Outcome[int]], executor.map(eval, ["1", "2", "3", "4"]))
        assert next(iter(outcomes)).value == 1
        outcomes.close()
        assert [outcome.value for outcome in executor.map(eval, ["5", "6"])] == [5, 6]

    def test_values_are_plain_data_of_any_shape(self, executor: Executor) -> None:
        (outcome,) = executor.map(eval, ["{'accuracy': 0.5, 'spikes': [1, 2], 'name': None}"])
        assert outcome.value == {"accuracy": 0.5, "spikes": [1, 2], "name": None}
