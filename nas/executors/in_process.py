"""The plainest executor: one task after another, here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from .executor import Executor, Outcome, Result, Task, attempt


class InProcess(Executor):
    """Runs tasks in this process, on one torch thread as a worker process does, so that both give the same bits.

    Args:
        workers: 1.
    """

    def __init__(self, workers: int = 1) -> None:
        self.workers = workers

    def as_completed(
        self, function: Callable[[Task], Result], tasks: Iterable[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """See `Executor.as_completed`."""
        for number, task in enumerate(tasks):
            with _one_thread():
                outcome = attempt(function, task)
            yield number, outcome

    def close(self) -> None:
        """Nothing to let go of."""


@contextmanager
def _one_thread() -> Iterator[None]:
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
