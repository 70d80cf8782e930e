"""What the person who waits sees: a bar with an ETA for each stage on a terminal, a line each minute otherwise."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from hasnas.errors import one_line

if TYPE_CHECKING:
    from tqdm import tqdm

LINE_EVERY_S = 60.0  # without a terminal
FIRST_AFTER_S = 3.0  # where nothing can be counted
REFRESH_EVERY_S = 1.0  # on one


class StageBar:
    """Counts the units of a stage and estimates the time that is left.

    Args:
        stage: its name.
        total: units to come.
        unit: what is counted.
        say: prints a line where there is no terminal; None prints none.
        bar: the bar of a terminal, which counts the same.
    """

    def __init__(
        self, stage: str, total: int, unit: str, say: Callable[[str], None] | None, bar: tqdm[Any] | None = None
    ) -> None:
        self.n, self.total = 0, total
        self._stage, self._unit, self._say, self._bar = stage, unit, say, bar
        self._begun, self._first = time.monotonic(), 0
        self._figures: dict[str, str] = {}

    def update(self, count: int = 1) -> None:
        """Count units that were done."""
        self.move_to(self.n + count)

    def move_to(self, done: int) -> None:
        """Say how many units are done."""
        if self._bar is not None:
            self._bar.update(done - self.n)
        self.n = done

    def begin_at(self, done: int) -> None:
        """Units that an earlier start has done; they do not count for the time that is left."""
        self.move_to(done)
        self._first, self._begun = done, time.monotonic()

    def show(self, figures: Mapping[str, str]) -> None:
        """The latest figures, by name."""
        self._figures |= figures
        if self._bar is not None:
            self._bar.set_postfix(self._figures, refresh=False)

    def line(self) -> str:
        """The state as one line.

        >>> bar = StageBar("retrain", 75, "epoch", None)
        >>> bar.update(3)
        >>> bar.show({"loss": "0.4"})
        >>> bar.line()
        'retrain: 3 of 75 epochs, 0 s; loss 0.4'
        """
        passed = time.monotonic() - self._begun
        fresh = self.n - self._first
        left = passed / fresh * (self.total - self.n) if fresh and passed > 1 else 0.0
        ends = f", about {_duration(left)} left" if left else ""
        figures = ", ".join(f"{name} {value}" for name, value in self._figures.items())
        shown = f"; {figures}" if figures else ""
        return f"{self._stage}: {self.n:,} of {self.total:,} {self._unit}s, {_duration(passed)}{ends}{shown}"

    def tick(self) -> None:
        """Show that time passes."""
        if self._bar is not None:
            self._bar.refresh()
        elif self._say is not None:
            self._say(self.line())


def _duration(seconds: float) -> str:
    """A duration for people.

    >>> _duration(59.4), _duration(190), _duration(7300)
    ('59 s', '3 min 10 s', '2 h 1 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


class Console:
    """Progress on the error stream, results on the output stream.

    Args:
        quiet: show nothing at all.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.live = sys.stderr.isatty() and not quiet

    def say(self, text: str) -> None:
        """One line that stays."""
        from tqdm import tqdm

        if not self.quiet:
            tqdm.write(one_line(text), file=sys.stderr)
            sys.stderr.flush()

    @contextmanager
    def bar(self, stage: str, total: int, unit: str) -> Iterator[StageBar]:
        """Progress of a stage that counts `total` units; somebody who waits hears of it at least each minute."""
        from tqdm import tqdm

        if self.quiet:
            yield StageBar(stage, total, unit, None)
            return
        drawn = tqdm(total=total, desc=f"{stage:<9}", unit=unit, disable=not self.live, file=sys.stderr)
        bar = StageBar(stage, total, unit, self.say, drawn if self.live else None)
        with drawn, ticking(bar.tick, REFRESH_EVERY_S if self.live else LINE_EVERY_S):
            yield bar


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say what is waited for where it takes more than a few seconds, and again each minute; it needs no extra."""
    begun = time.monotonic()

    def tick() -> None:
        passed = time.monotonic() - begun
        print(one_line(f"{what}: {_duration(passed)}"), file=sys.stderr, flush=True)

    with ticking(tick, LINE_EVERY_S, FIRST_AFTER_S):
        yield


@contextmanager
def ticking(action: Callable[[], None], seconds: float, first: float | None = None) -> Iterator[None]:
    """Call an action every so many seconds from a thread of its own, the first time after `first`; until the end."""
    ended = threading.Event()

    def run() -> None:
        pause = seconds if first is None else first
        while not ended.wait(pause):
            action()
            pause = seconds

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
