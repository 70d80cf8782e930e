"""A strategy whose first candidate is given: what another stage of the run has found."""

from __future__ import annotations

from collections.abc import Mapping

from .strategy import CodesOfOne, Strategy


class BeginWith:
    """Asks for one candidate before all those of another strategy.

    The other strategy learns of it only when it proposes the same candidate itself; it is then told what is known, and
    asked for another one, so that nothing is proposed twice.

    Args:
        first: canonical codes inside the feasible region.
        strategy: proposes the others.
    """

    def __init__(self, first: CodesOfOne, strategy: Strategy) -> None:
        self.first, self.strategy = first, strategy
        self._asked = False
        self._owed = False
        self._known: tuple[float | None, Mapping[str, float]] | None = None

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        proposed: list[CodesOfOne] = []
        if not self._asked and count > 0:
            self._asked = True
            proposed.append(self.first)
        while len(proposed) < count:
            found = self.strategy.ask(count - len(proposed))
            if not found:
                break
            proposed += [codes for codes in found if codes != self.first]
            if self.first in found:
                self._owed = True
                self._settle()
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        if tuple(codes) != self.first:
            self.strategy.tell(codes, value, costs)
            return
        self._known = (value, costs)
        self._settle()

    def _settle(self) -> None:
        """Tell the other strategy of the first candidate, if it has proposed it and the result is there."""
        if self._owed and self._known is not None:
            self._owed = False
            self.strategy.tell(self.first, *self._known)
