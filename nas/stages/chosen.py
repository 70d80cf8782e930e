"""Which networks are trained from scratch: the best that the search found, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from hasnas.cim_estimator import estimate_costs
from hasnas.errors import BadInputError
from hasnas.nas.budget.costs import ENERGY, PARAMETERS, Costs
from hasnas.nas.budget.region import draw_inside
from hasnas.nas.history.goal import front, rank
from hasnas.nas.history.returned import BASELINE_PREFIX, STAGE
from hasnas.nas.history.trial import key_of
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.chains import chain, chain_depths
from hasnas.search_spaces.functions import function_key
from hasnas.search_spaces.joint import JointSpace
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.searched_macro import SHAPING, SearchedMacroSpace
from hasnas.search_spaces.space import SearchSpace

from .context import RunContext, Setup, assumed_activity
from .search import search_trials

CHAIN, RANDOM = "chain", "random"
# Convolutions for each resolution, in the order in which chains of about so many are tried.
TRIED = (2, 1, 3, 4)
DRAWS = 16  # for each random candidate that is wanted: some are the same network, drawn in another way


@dataclass(frozen=True)
class Chosen:
    """A network that is to be trained from scratch.

    Args:
        stage: of its trials; the baselines' have names of their own.
        codes: in the space; empty where it is not of the space.
        architecture: the network.
        placed: codes of the candidate whose chip and training it has, its own where it has any.
    """

    stage: str
    codes: tuple[int, ...]
    architecture: Architecture
    placed: tuple[int, ...]

    def key(self, context: RunContext) -> str:
        """See `Trial.key`."""
        return key_of(self.architecture.key, *context.choices(self.placed))


def chosen_networks(context: RunContext) -> list[Chosen]:
    """The networks to train, those that the run may return first, then those of each baseline."""
    best = candidates(context)
    found = [_candidate(context, STAGE, codes) for codes in best]
    drawn = {CHAIN: lambda: plain_chains(context, best[0]), RANDOM: lambda: _at_random(context)}
    for name in context.config.retrain.baselines if best else ():
        found += drawn[name]()
    return found


def candidates(context: RunContext) -> list[tuple[int, ...]]:
    """The best of the front, then the best of the rest; drawn ones if nothing was searched."""
    top = context.config.retrain.top
    searched = search_trials(context)
    if not searched:
        rng = np.random.default_rng([context.config.seed, 2])
        drawn = draw_inside(context.space, context.feasible_region().admits, rng, top)
        return [tuple(row) for row in drawn.tolist()]
    best = front(searched, context.config.search.objectives)
    chosen = {trial.id for trial in best}
    rest = [trial for trial in searched if trial.state == "done" and not trial.verdict and trial.id not in chosen]
    return _distinct(context, [trial.codes for trial in best + sorted(rest, key=rank)], top)


def _candidate(context: RunContext, stage: str, codes: tuple[int, ...]) -> Chosen:
    return Chosen(stage, codes, context.architecture(codes), codes)


def _distinct(context: RunContext, ranked: list[tuple[int, ...]], count: int) -> list[tuple[int, ...]]:
    """The first `count` whose function, chip or training differ: a network can be drawn in several ways."""
    first: dict[str, tuple[int, ...]] = {}
    for codes in ranked:
        if len(first) < count:
            first.setdefault(key_of(function_key(context.architecture(codes)), *context.choices(codes)), codes)
    return list(first.values())


def _at_random(context: RunContext) -> list[Chosen]:
    """As many candidates as the search may return, each known one as likely as the others."""
    rng, region = np.random.default_rng([context.config.seed, 4]), context.feasible_region()
    top = context.config.retrain.top
    drawn = dict.fromkeys(region.draw(rng) for _ in range(DRAWS * top))
    return [_candidate(context, BASELINE_PREFIX + RANDOM, codes) for codes in _distinct(context, list(drawn), top)]


def plain_chains(context: Setup, placed: tuple[int, ...]) -> list[Chosen]:
    """Plain chains within the budget, as many as the search may return networks; if there is none it is said.

    For each number of convolutions in `TRIED` the deepest chain that has at most so many for each resolution and fits;
    of equally deep ones that with most parameters, then that with the largest energy.

    Args:
        context: the run.
        placed: codes of the candidate whose chip and training they have, and what is searched of its macro.
    """
    like = context.architecture(placed)
    top, stages = context.config.retrain.top, len(like.macro.reductions_of(len(like.genotypes))) + 1
    fitting, miss = _fitting_chains(context, placed)
    kept: dict[str, Architecture] = {}
    for convolutions in TRIED:
        suited = [each for each in fitting if each.depth <= convolutions * stages and each.architecture.key not in kept]
        if suited and len(kept) < top:
            best = max(suited, key=lambda each: each.worth)
            kept[best.architecture.key] = best.architecture
    if not kept:
        context.console.say(f"retrain: baseline {CHAIN}: no plain chain of this macro fits the budget; {miss}")
    return [_chain(context, architecture, placed) for architecture in kept.values()]


def _chain(context: Setup, architecture: Architecture, placed: tuple[int, ...]) -> Chosen:
    """A chain, with codes where the space has it."""
    try:
        codes = _space_of_networks(context).encode(architecture)
        codes = (*codes, *placed[len(codes) :])
    except BadInputError:
        codes = ()
    return Chosen(BASELINE_PREFIX + CHAIN, codes, architecture, placed)


@dataclass(frozen=True)
class _FittingChain:
    architecture: Architecture
    depth: int
    worth: tuple[float, ...]


def _fitting_chains(context: Setup, placed: tuple[int, ...]) -> tuple[list[_FittingChain], str]:
    """The plain chains that keep to the budget on the chip of a candidate, and the nearest miss."""
    like, hardware = context.architecture(placed), context.hardware_of(placed)
    activity = assumed_activity(context.config)
    priced = tuple(cost for cost in context.config.costs if cost.priced)
    drawn = [(depths, macro) for macro in _macros(context, like.macro) for depths in chain_depths(len(like.genotypes))]
    found: list[_FittingChain] = []
    rows = []
    for depths, macro in drawn:
        architecture = chain(depths, macro, like.genotypes[0].nodes)
        costs = Costs.of(estimate_costs(lower(architecture.expand()), hardware, activity), priced, 1)
        rows.append(costs.values)
        if context.budget.check(costs).feasible[0]:
            worth = sum(depths), float(costs[PARAMETERS.name][0]), float(costs[ENERGY.name][0])
            found.append(_FittingChain(architecture, sum(depths), worth))
    return found, context.budget.nearest_miss(Costs(priced, np.concatenate(rows)))


def _macros(context: Setup, like: Macro) -> Iterator[Macro]:
    """A network's macro with every value that is searched of what shapes a chain; all else stays as it is."""
    space = _space_of_networks(context)
    searched = dict(space.searched) if isinstance(space, SearchedMacroSpace) else {}
    fields = {name: values for name, values in searched.items() if name in SHAPING}
    chosen: Iterator[dict[str, Any]] = (dict(zip(fields, values, strict=True)) for values in product(*fields.values()))
    return (replace(like, **each) for each in chosen)


def _space_of_networks(context: Setup) -> SearchSpace:
    """The space without genes of chip and training."""
    return context.space.inner if isinstance(context.space, JointSpace) else context.space
