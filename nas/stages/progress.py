"""What the person at the terminal sees: a bar with an ETA for each stage on a terminal, one line for each otherwise."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tqdm import tqdm


class Console:
    """Progress bars on the error stream, results on the output stream.

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
            tqdm.write(text, file=sys.stderr)

    @contextmanager
    def bar(self, stage: str, total: int, unit: str) -> Iterator[tqdm[Any]]:
        """A bar that counts `total` units and estimates the time that is left."""
        from tqdm import tqdm

        with tqdm(total=total, desc=f"{stage:<9}", unit=unit, disable=not self.live, file=sys.stderr) as bar:
            yield bar
