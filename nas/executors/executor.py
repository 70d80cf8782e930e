"""The seam of executors: a function, tasks, and outcomes in the order of the tasks, however they were run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from hasnas.errors import OF_MEMORY, BadInputError, MachineFaultError
from hasnas.nas.config.executor import AUTO, RaySection
from hasnas.nas.config.plugins import EXECUTORS as EXECUTORS

Task = TypeVar("Task")
Result = TypeVar("Result")
Value = TypeVar("Value")


@dataclass(frozen=True)
class Outcome(Generic[Value]):
    """What became of one task.

    Args:
        value: what the function returned; `None` if it failed.
        error: why it failed, one line; empty if it did not.
        details: the traceback of a failure, for a log.
        attempts: how often it was started.
        machine: whether the machine failed rather than the task: no room, no memory, a dead worker, absent files.
    """

    value: Value | None = None
    error: str = ""
    details: str = ""
    attempts: int = 1
    machine: bool = False

    @property
    def failed(self) -> bool:
        """Whether there is no value because something went wrong."""
        return bool(self.error)


class Executor(Protocol):
    """Runs evaluations. A task that raises is a failed outcome; it never ends the run or touches another task."""

    def as_completed(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """Outcomes as they come, each with the number of its task.

        A task is taken from `tasks` only when there is room to run it, and never while the consumer works on an
        outcome: what that consumer does then may decide which task comes next.

        Args:
            function: a module-level function, so that other processes can find it; runs on one thread.
            tasks: plain data, one item for each call.
        """
        ...

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Result]]:
        """Outcomes in the order of the tasks, each as soon as it and all before it are there.

        Stopping early (an interrupt, a closed generator) ends the tasks that run.

        Args:
            function: see `as_completed`.
            tasks: plain data, one item for each call.
        """
        return in_order(self.as_completed(function, tasks))

    def describe(self) -> str:
        """Where tasks run, for the person who waits; empty where there is nothing to say."""
        return ""

    def close(self) -> None:
        """Let go of processes; closing twice is harmless."""
        ...


def in_order(outcomes: Iterator[tuple[int, Outcome[Result]]]) -> Iterator[Outcome[Result]]:
    """Numbered outcomes in the order of their numbers.

    >>> list(in_order(iter([(1, Outcome("b")), (0, Outcome("a"))])))[0].value
    'a'
    """
    early: dict[int, Outcome[Result]] = {}
    delivered = 0
    try:
        for number, outcome in outcomes:
            early[number] = outcome
            while delivered in early:
                yield early.pop(delivered)
                delivered += 1
    finally:
        close(outcomes)


def close(outcomes: Iterator[Any]) -> None:
    """End a generator at once, rather than when it happens to be collected."""
    if isinstance(outcomes, Generator):
        outcomes.close()


def create_executor(
    workers: int | None, limit_s: float | None = None, name: str = AUTO, ray: RaySection | None = None
) -> Executor:
    """The executor of a run.

    Args:
        workers: tasks at a time; None is one, on a Ray cluster as many as it has room for.
        limit_s: the longest that a task may take; None for any time.
        name: of a registered one; `auto` is this process for one worker, and a pool of processes for more or where
            tasks have a limit of time.
        ray: for the executor `ray`.

    Raises:
        BadInputError: if the number is not from 1 to 1024 or more than the executor runs, or the limit not positive or
            not to be kept.

    >>> list(create_executor(workers=1).map(len, ["ab", "c"]))[0].value
    2
    """
    if workers is not None and not 1 <= workers <= 1024:
        raise BadInputError(f"--workers is {workers}; give a number from 1 to 1024")
    if limit_s is not None and not limit_s > 0:
        raise BadInputError(f"--time-limit is {limit_s:g}; give a positive number of seconds, or leave it out")
    if name == "ray":
        return EXECUTORS.get(name)(workers, limit_s, ray)
    if name == AUTO:
        name = "in_process" if workers in (None, 1) and limit_s is None else "process_pool"
    if name == "in_process" and workers not in (None, 1):
        raise BadInputError(f"executor in_process runs one at a time, but --workers is {workers}; choose process_pool")
    if limit_s is None:
        return EXECUTORS.get(name)(workers or 1)
    if name == "in_process":
        raise BadInputError("executor in_process cannot keep --time-limit; choose process_pool, or leave it out")
    return EXECUTORS.get(name)(workers or 1, limit_s=limit_s)


class StopAtMachineFaults(Executor):
    """An executor that ends where the machine failed, so that no passing fault becomes a result.

    Args:
        executor: runs the tasks.
    """

    def __init__(self, executor: Executor) -> None:
        self.executor = executor

    def as_completed(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """See `Executor.as_completed`.

        Raises:
            MachineFaultError: in place of the first outcome that is the machine's fault.
        """
        outcomes = self.executor.as_completed(function, tasks)
        try:
            for number, outcome in outcomes:
                yield number, _sound(outcome)
        finally:
            close(outcomes)

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[Outcome[Result]]:
        """See `Executor.map`; what was done before the fault, in the order of the tasks, is delivered.

        Raises:
            MachineFaultError: in place of the first outcome that is the machine's fault.
        """
        outcomes = self.executor.map(function, tasks)
        try:
            for outcome in outcomes:
                yield _sound(outcome)
        finally:
            close(outcomes)

    def describe(self) -> str:
        """See `Executor.describe`."""
        return self.executor.describe()

    def close(self) -> None:
        """See `Executor.close`."""
        self.executor.close()


def _sound(outcome: Outcome[Result]) -> Outcome[Result]:
    if outcome.machine:
        raise MachineFaultError(f"the machine failed, not a network: {outcome.error}")
    return outcome


def map_once(
    executor: Executor, function: Callable[[Task], Result], tasks: Sequence[Task], same: Callable[[Task], str]
) -> Iterator[Outcome[Result]]:
    """The same as `executor.map`, but of tasks that are the same only the first is run.

    Args:
        executor: runs the tasks.
        function: see `Executor.map`.
        tasks: see `Executor.map`.
        same: tasks for which this is equal have one outcome.

    >>> [one.value for one in map_once(create_executor(1), len, ["ab", "ac", "b"], lambda text: text[0])]
    [2, 2, 1]
    """
    first: dict[str, Task] = {}
    for task in tasks:
        first.setdefault(same(task), task)
    results = executor.map(function, list(first.values()))
    known: dict[str, Outcome[Result]] = {}
    for task in tasks:
        if same(task) not in known:
            known[same(task)] = next(results)
        yield known[same(task)]


def attempt(function: Callable[[Any], Any], task: Any) -> Outcome[Any]:
    """The outcome of one call; only an interrupt gets through."""
    try:
        return Outcome(function(task))
    except Exception as error:
        return failure(error)


def failure(error: BaseException) -> Outcome[Any]:
    """The outcome of a call that raised."""
    first_line = (str(error).splitlines() or [""])[0]
    reason = f"{type(error).__name__}: {first_line}" if first_line else type(error).__name__
    return Outcome(error=reason, details="".join(traceback.format_exception(error)), machine=_is_machine_fault(error))


def _is_machine_fault(error: BaseException) -> bool:
    """Whether the error, or what it was raised from, is the operating system's, of memory, or of what is installed."""
    cause: BaseException | None = error
    while cause is not None:
        told = str(cause).lower()
        if isinstance(cause, OSError | MemoryError | ImportError) or any(text in told for text in OF_MEMORY):
            return True
        cause = cause.__cause__
    return False
