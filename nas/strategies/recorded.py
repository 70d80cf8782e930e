"""A strategy whose proposals stand in a ledger already: those are taken, whatever this processor would propose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hasnas.errors import BadInputError

from .strategy import CodesOfOne, Strategy

MOST_REPEATED = 1000


class Recorded:
    """Proposes what was recorded under the number of a proposal, and from there on what another strategy proposes.

    The other strategy is asked along, and told of everything. Where it proposes as was recorded, which is wherever
    nothing but its seed and what it was told decide, this changes nothing. Where it does not, since another processor
    rounds otherwise or another version draws otherwise, what it proposed in vain comes first once the record ends, and
    nothing is proposed twice.

    Args:
        recorded: number of a proposal, from 0 -> its codes.
        strategy: proposes the others.
        differs: told once the number of the first proposal that the strategy did not make itself.

    >>> from hasnas.nas.strategies.strategy import Strategy
    >>> class Counts:
    ...     def __init__(self) -> None:
    ...         self.next = 0
    ...     def ask(self, count: int) -> list[tuple[int, ...]]:
    ...         self.next += count
    ...         return [(number,) for number in range(self.next - count, self.next)]
    ...     def tell(self, codes, value, costs) -> None: ...
    >>> strategy = Recorded({0: (0,), 1: (7,), 2: (1,)}, Counts(), print)
    >>> strategy.ask(2), strategy.ask(3)
    1
    ([(0,), (7,)], [(1,), (2,), (3,)])
    """

    def __init__(
        self, recorded: Mapping[int, CodesOfOne], strategy: Strategy, differs: Callable[[int], object]
    ) -> None:
        self.recorded, self.strategy = recorded, strategy
        self._differs = differs
        self._same = True
        self._number = 0
        self._own: list[CodesOfOne] = []
        self._taken = set(recorded.values())
        self._repeated = 0

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        if len(self._own) < count:
            self._own += self._asked(count - len(self._own))
        proposed: list[CodesOfOne] = []
        while len(proposed) < count:
            codes = self.recorded.get(self._number)
            if codes is None:
                codes = self._next()
                if codes is None:
                    break
            elif codes in self._own:
                self._own.remove(codes)
            elif self._same:
                self._same = False
                self._differs(self._number)
            self._taken.add(codes)
            proposed.append(codes)
            self._number += 1
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        self.strategy.tell(codes, value, costs)

    def _next(self) -> CodesOfOne | None:
        """What the strategy proposes that was not proposed; None at its end."""
        while True:
            while self._own:
                codes = self._own.pop(0)
                if codes not in self._taken:
                    return codes
            self._own = self._asked(1)
            if not self._own:
                return None
            self._repeated += self._own[0] in self._taken
            if self._repeated > MOST_REPEATED:
                raise BadInputError(
                    f"strategy {type(self.strategy).__name__} proposed what had been proposed {MOST_REPEATED} times; "
                    "it has to propose each candidate once, and nothing at its end"
                )

    def _asked(self, count: int) -> list[CodesOfOne]:
        found = self.strategy.ask(count)
        if not isinstance(found, list):
            raise BadInputError(
                f"strategy {type(self.strategy).__name__} answered {type(found).__name__} when asked for {count} "
                "candidates; it has to answer with a list of codes, empty at its end"
            )
        return list(found)
