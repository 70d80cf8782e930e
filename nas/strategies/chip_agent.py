"""An agent that walks over chips, one field one step at a time, and learns by tabular Q-learning which steps pay."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from hasnas.nas.config.q_learning import QLearningSection
from hasnas.search_spaces.space import Gene

CodesOfOne = tuple[int, ...]
# What a step is worth that was never taken, and one that was not taken from this very chip; above 0, so that a walk
# does not end before it has looked at every neighbour of a chip once.
UNTRIED, UNSEEN_HERE = 0.1, 0.01
# What a step costs that leads to no chip.
REFUSED = -1.0


@dataclass(frozen=True)
class Standing:
    """How a chip stands with a network.

    Args:
        worth: more is better; differences are rewards.
        missed: for each target, whether it is missed.
    """

    worth: float
    missed: tuple[bool, ...] = ()

    @property
    def rank(self) -> tuple[bool, float]:
        """Larger is better: meeting all targets comes first."""
        return not any(self.missed), self.worth


Look = Callable[[CodesOfOne], Standing | None]
Step = tuple[int, int]  # number of the field, and the code it goes to
Targets = tuple[bool, ...]


class ChipAgent:
    """Tabular Q-learning over the fields of a chip, with one table for all networks.

    An action changes one field by one step: to a neighbour where its values have an order, else to the next or previous
    one in a circle. The table knows nothing of the network, so that every walk teaches something about every other. Its
    entries are for a chip, the set of targets that it misses, and a step. A second table guesses what the first one
    lacks: its entries are for the value of one field, that set, and a step, whatever the other fields are. A walk ends
    on a chip that meets the targets and from which no step promises a gain.

    Rule: Q(s, a) += rate * (reward + discount * max(0, max_b Q(s', b)) - Q(s, a)); the 0 is the end of the walk.

    Source: Watkins and Dayan, "Q-learning", Machine Learning 8, 1992; one field one step in the manner of ANCoEF (Zhang
    et al., arXiv 2411.06059).

    Args:
        genes: the fields.
        settings: rates and limits.
        rng: source of all randomness.
    """

    def __init__(self, genes: Sequence[Gene], settings: QLearningSection, rng: np.random.Generator) -> None:
        self.genes, self.settings = tuple(genes), settings
        self._rng = rng
        self._table: dict[tuple[CodesOfOne, Targets, Step], float] = {}
        self._guesses: dict[tuple[int, int, Targets, int], float] = {}

    def forget(self) -> None:
        """Empty the tables."""
        self._table.clear()
        self._guesses.clear()

    def walk(self, start: CodesOfOne, look: Look) -> tuple[CodesOfOne, Standing] | None:
        """Walk from a chip; the best one that was seen, and how it stands.

        Args:
            start: where to begin.
            look: how a chip stands with the network, None if it contradicts itself; asked once for each.

        Returns:
            None if the start is no chip.
        """
        seen: dict[CodesOfOne, Standing | None] = {start: look(start)}
        chip, standing = start, seen[start]
        if standing is None:
            return None
        best = chip, standing
        for _ in range(self.settings.steps):
            step = self._chosen(chip, standing)
            if step is None:
                break
            after = _changed(chip, step)
            if after not in seen:
                seen[after] = look(after)
            reached = seen[after]
            reward = REFUSED if reached is None else reached.worth - standing.worth
            at = (chip, standing) if reached is None else (after, reached)
            self._learn(chip, standing, step, reward + self.settings.discount * self._promise(*at))
            chip, standing = at
            if standing.rank > best[1].rank:
                best = chip, standing
        return best

    def steps(self, chip: CodesOfOne) -> list[Step]:
        """The steps from a chip, by field."""
        found: list[Step] = []
        for number, (gene, code) in enumerate(zip(self.genes, chip, strict=True)):
            count = len(gene.choices)
            near = [code - 1, code + 1]
            if not gene.has_order:
                near = list(dict.fromkeys(one % count for one in near))
            found += [(number, one) for one in near if 0 <= one < count and one != code]
        return found

    def _chosen(self, chip: CodesOfOne, standing: Standing) -> Step | None:
        """The step to take; None to stay."""
        steps = self.steps(chip)
        if not steps:
            return None
        if self._rng.random() < self.settings.exploration:
            return steps[self._rng.integers(len(steps))]
        values = [self._value(chip, standing, step) for step in steps]
        top = max(values)
        if top <= 0 and not any(standing.missed):
            return None
        best = [step for step, value in zip(steps, values, strict=True) if value == top]
        return best[self._rng.integers(len(best))]

    def _promise(self, chip: CodesOfOne, standing: Standing) -> float:
        """What the best of all steps, or staying, is worth."""
        return max([0.0, *(self._value(chip, standing, step) for step in self.steps(chip))])

    def _value(self, chip: CodesOfOne, standing: Standing, step: Step) -> float:
        known = self._table.get((chip, standing.missed, step))
        if known is not None:
            return known
        number, code = step
        return max(self._guesses.get((number, chip[number], standing.missed, code), UNTRIED), UNSEEN_HERE)

    def _learn(self, chip: CodesOfOne, standing: Standing, step: Step, seen: float) -> None:
        """Move the entries of a step towards what was seen; new ones take it whole."""
        number, code = step
        guess, entry = (number, chip[number], standing.missed, code), (chip, standing.missed, step)
        rate = self.settings.learning_rate
        self._guesses[guess] = _moved(self._guesses.get(guess, seen), seen, rate)
        self._table[entry] = _moved(self._table.get(entry, seen), seen, rate)


def _moved(known: float, seen: float, rate: float) -> float:
    return known + rate * (seen - known)


def _changed(chip: CodesOfOne, step: Step) -> CodesOfOne:
    number, code = step
    return (*chip[:number], code, *chip[number + 1 :])
