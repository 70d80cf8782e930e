"""What pairs of a network and a chip cost: every network is lowered once, every chip is asked once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, Workload
from hasnas.cim_estimator.model.population import Population
from hasnas.search_spaces.cell_groups import ReadsAsCells, cell_groups
from hasnas.search_spaces.joint import JointSpace
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.lowering_codes import lower_codes
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes, SearchSpace, distinct_rows, radices

from .costs import Cost, Costs

NETWORKS = 32_768  # lowered at a time
REMEMBERED = 256  # single networks: a strategy asks for one on chip after chip

Places = NDArray[np.int64]


def joint_costs(space: JointSpace, codes: Codes, activity: Activity, priced: Sequence[Cost]) -> NDArray[np.float64]:
    """Costs `[N, C]` of candidates `[N, genes]`, each on its own chip.

    Args:
        space: what the codes mean.
        codes: connected candidates.
        activity: the assumption about spikes.
        priced: the costs to compute.

    Raises:
        BadInputError: if the chip of a candidate contradicts itself.
    """
    chips = space.chips(codes)
    hardware = [space.chip.variant(chosen) for chosen, _ in chips]
    order = np.concatenate([np.zeros(0, np.int64), *(rows for _, rows in chips)])
    which = np.repeat(np.arange(len(chips)), [len(rows) for _, rows in chips])  # rises: those of a chip side by side
    found = np.empty((len(codes), len(priced)))
    for networks, place, pairs in _parts(space, codes[order]):
        for population, members in _populations(space.inner, networks):
            position = np.full(len(networks), -1)
            position[members] = np.arange(len(members))
            places = position[place]
            own = pairs[places >= 0]
            totals = population.costs(places[places >= 0], which[own], hardware, activity)
            found[order[own]] = Costs.of(totals, tuple(priced), len(own)).values
    return found


def _parts(space: JointSpace, codes: Codes) -> Iterator[tuple[Codes, Places, Places]]:
    """Distinct networks, few enough for one array, which of them each pair has, and the numbers of the pairs."""
    sizes = radices(space.inner).tolist()
    networks, place = distinct_rows(space.network(codes), sizes)
    if len(networks) <= NETWORKS:
        if len(codes):
            yield networks, place, np.arange(len(codes))
        return
    for start in range(0, len(codes), NETWORKS):
        pairs = np.arange(start, min(start + NETWORKS, len(codes)))
        yield *distinct_rows(space.network(codes[pairs]), sizes), pairs


def _populations(space: SearchSpace, codes: Codes) -> Iterator[tuple[Population, Places]]:
    """Networks that are priced as one array, and which of the networks `[N, genes]` they are."""
    if isinstance(space, CellSpace | ReadsAsCells):
        for group in cell_groups(space, codes):
            one = len(group.codes) == 1
            lowered = _lowered(group.space, *group.codes[0].tolist()) if one else lower_codes(group.space, group.codes)
            yield Population(lowered, len(group.codes)), group.rows
        return
    for number, row in enumerate(codes.tolist()):
        yield Population(lower(space.decode(row).expand()), 1), np.array([number])


@lru_cache(maxsize=REMEMBERED)
def _lowered(space: CellSpace, *codes: int) -> Workload:
    """The workload of one network."""
    return lower_codes(space, np.array([codes], np.int16))
