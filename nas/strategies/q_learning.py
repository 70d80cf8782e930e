"""Networks by evolution, and for each of them a chip by Q-learning, before it is proposed: ANCoEF's search."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hasnas.nas.budget.costs import cost_called
from hasnas.search_spaces.joint import JointSpace
from hasnas.search_spaces.space import Codes, mutate, sample

from .chip_agent import ChipAgent, Standing
from .random_search import RandomSearch
from .strategy import CodesOfOne, SearchProblem

# Logarithms of costs stay finite within these.
LEAST, MOST = 1e-300, 1e300
# Draws of a network, and walks that end without a chip that fits, in a row before a random member is taken instead.
DRAWS, WALKS = 256, 16


class QLearning:
    """Proposes networks by evolution, each with the chip that an agent finds for it.

    The first `population` networks are drawn at random, the others are neighbours of the best of `sample` among the
    last `population` that were told. For each an agent of `ChipAgent` walks over the chips, from the one that it chose
    last, by the costs that the estimator knows before any training; networks for which it finds none that meets the
    budget are dropped, and cost no evaluation. How a network is trained, where that is searched, evolves with it.

    Where nothing of the chip is searched, or no cost is known before evaluation, chips are drawn with the networks.
    If no new network is found, random members of the region follow.

    Args:
        problem: the space, the budget, `targets`, the settings (`population`, `sample`, `mutation`, `q_learning`) and
            the seed.

    Source: Zhang et al., "ANCoEF: Asynchronous Neuromorphic Algorithm/Hardware Co-Exploration Framework with a Fully
    Asynchronous Simulator", arXiv 2411.06059, 2024. Its reward and its states could not be read; ours are described in
    `QLearningSection` and `ChipAgent`. There a supernet gives the networks.
    """

    def __init__(self, problem: SearchProblem) -> None:
        self.problem = problem
        chip = problem.space.hardware_genes if isinstance(problem.space, JointSpace) else slice(0, 0)
        self._of_chip = np.zeros(len(problem.space.genes), bool)
        self._of_chip[chip] = True
        self._rng = np.random.default_rng(problem.seed)
        own = np.random.default_rng([problem.seed, 1])  # the same networks, whatever the agent does
        self.agent = ChipAgent(problem.space.genes[chip], problem.settings.q_learning, own)
        self.dropped = 0
        self._walks = bool(problem.targets and self._of_chip.any())
        self._chip: NDArray[np.int16] | None = None
        self._random_members = RandomSearch(problem)
        self._proposed: set[CodesOfOne] = set()
        self._drawn: set[CodesOfOne] = set()
        self._told: list[tuple[float, CodesOfOne]] = []

    def ask(self, count: int) -> list[CodesOfOne]:
        """See `Strategy.ask`."""
        proposed: list[CodesOfOne] = []
        while len(proposed) < count and (codes := self._sized() or self._unseen()):
            self._proposed.add(codes)
            proposed.append(codes)
        return proposed

    def tell(self, codes: CodesOfOne, value: float | None, costs: Mapping[str, float]) -> None:
        """See `Strategy.tell`."""
        if value is not None and math.isfinite(value):
            self._told.append((float(value), tuple(codes)))
            self._told = self._told[-self.problem.settings.population :]

    def _sized(self) -> CodesOfOne:
        """A new network with a chip that meets the targets; no codes if none is found."""
        dropped = 0
        for _ in range(DRAWS):
            network = self._network()
            if network is None:
                continue
            codes = self._on_best_chip(network) if self._walks else network
            canonical, admitted = self.problem.admissible(codes[None])
            if admitted[0]:
                found = tuple(canonical[0].tolist())
                if found not in self._proposed:
                    return found
                continue
            self.dropped += 1
            dropped += 1
            if self._walks and dropped == WALKS:
                break
        return ()

    def _network(self) -> Codes | None:
        """Canonical codes `[genes]` of a network that was not drawn before, on a chip to begin with; None if it was."""
        space, settings = self.problem.space, self.problem.settings
        if len(self._proposed) < settings.population or not self._told:
            drawn = sample(space, self._rng, 1)
        else:
            rivals = self._rng.integers(len(self._told), size=settings.sample)
            parent = max(self._told[rival] for rival in rivals)[1]
            drawn = np.array([mutate(space, parent, self._rng, settings.mutation)], np.int16)
        if self._walks and self._chip is not None:
            drawn[0, self._of_chip] = self._chip
        raw = self._own(drawn[0])
        if raw in self._drawn:
            return None
        canonical, connected = space.canonical(drawn)
        key = self._own(canonical[0])
        known = key in self._drawn
        self._drawn.update((raw, key))
        return canonical[0] if connected[0] and not known else None

    def _own(self, codes: Codes) -> CodesOfOne:
        """What is drawn once: where agents walk, the chip does not count."""
        return tuple((codes[~self._of_chip] if self._walks else codes).tolist())

    def _on_best_chip(self, network: Codes) -> Codes:
        """The network on the chip that the agent finds for it."""

        def on(chip: CodesOfOne) -> Codes:
            codes = network.copy()
            codes[self._of_chip] = chip
            return codes

        def look(chip: CodesOfOne) -> Standing | None:
            canonical, connected = self.problem.space.canonical(on(chip)[None])
            return self._standing(canonical) if connected[0] else None

        found = self.agent.walk(tuple(network[self._of_chip].tolist()), look)
        if found is None:
            return network
        best = on(found[0])
        self._chip = best[self._of_chip]
        return best

    def _standing(self, codes: Codes) -> Standing:
        """How the chip of one candidate `[1, genes]` stands: see `QLearningSection`."""
        settings, worth, missed = self.problem.settings.q_learning, 0.0, []
        weights = {cost_called(name).field: weight for name, weight in settings.reward.items()}
        for target in self.problem.targets:
            cost = math.log(min(max(float(target.known(codes)[0]), LEAST), MOST))
            worth -= weights.get(target.name, 0.0) * cost
            if math.isfinite(target.limit):
                excess = cost - math.log(max(target.limit, LEAST))
                worth -= settings.penalty * max(excess, 0.0)
                missed.append(excess > 0)
        return Standing(worth, tuple(missed))

    def _unseen(self) -> CodesOfOne:
        """A random member of the region that was not proposed; no codes if there is none left."""
        return self._random_members.beside(self._proposed) or ()
