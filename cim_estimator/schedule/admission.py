"""Run-time admission: may a second network join a chip on which one runs already?

It gets free tiles, the next cluster always where it is nearest to those that it talks to. Both then share links and one
barrier; it is admitted if what the chip guarantees for both is still enough.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.mapping.mapping import Mapped
from hasnas.cim_estimator.mapping.topology import Topology, distances
from hasnas.cim_estimator.simulator.machine import Machine
from hasnas.errors import BadInputError

from .mapped import MappedGuarantee, Rates, guarantee_rates, rates_of

Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Admission:
    """What became of the request.

    Args:
        admitted: whether the second network may join.
        reason: why, in a sentence.
        tiles: of the second network's clusters; empty if there are not enough.
        before: what the chip guarantees the first network alone.
        after: what it would guarantee both; None without enough tiles.
    """

    admitted: bool
    reason: str
    tiles: Ints
    before: MappedGuarantee
    after: MappedGuarantee | None


def admit(
    resident: Mapped,
    newcomer: Mapped,
    machines: tuple[Machine, Machine],
    steps_per_s: float,
    topology: Topology | None = None,
) -> Admission:
    """Ask for a second network on a chip.

    Args:
        resident: what runs there.
        newcomer: what wants to; only its clusters count, not its tiles.
        machines: of the two.
        steps_per_s: timesteps a second that both need.
        topology: of the chip; by default that of the resident's mapping.

    Raises:
        BadInputError: if spike times are not known, the rate is not positive, or the resident does not lie on the chip.
    """
    chip = topology or resident.topology
    if not steps_per_s > 0:
        raise BadInputError(f"{steps_per_s} timesteps a second; give a rate above 0")
    if int(resident.tiles.max(initial=0)) >= chip.tiles:
        raise BadInputError(f"the first network has tiles beyond the chip's {chip.tiles}; map it to this chip")
    own, other = rates_of(resident), rates_of(newcomer)
    before = guarantee_rates(own, resident.tiles, chip, machines[0], resident.graph.steps)
    free = np.setdiff1d(np.arange(chip.tiles), resident.tiles)
    wanted = len(newcomer.tiles)
    if wanted > len(free):
        return Admission(False, f"it needs {wanted} tiles, {len(free)} are free", np.empty(0, np.int64), before, None)
    tiles = place_on(other, wanted, free, chip)
    first = len(resident.tiles)
    joint = Rates(
        np.concatenate([own.flows, other.flows + first]),
        np.concatenate([own.most, other.most]),
        np.concatenate([own.mean, other.mean]),
        np.concatenate([own.active, other.active]),
    )
    steps = max(resident.graph.steps, newcomer.graph.steps)
    after = guarantee_rates(joint, np.concatenate([resident.tiles, tiles]), chip, _together(*machines), steps)
    found = after.guaranteed.throughput
    enough = found >= steps_per_s
    reason = f"{found:,.6g} timesteps/s are guaranteed for both, {steps_per_s:,.6g} are needed"
    return Admission(enough, reason, tiles, before, after)


def place_on(rates: Rates, clusters: int, free: Ints, topology: Topology) -> Ints:
    """Tiles for clusters, the busiest first, each where its packets to those placed before have the fewest hops.

    Args:
        rates: packets between the clusters.
        clusters: how many.
        free: tiles that may be taken; of equally good ones the one amid the others is.
        topology: of the tiles.
    """
    traffic = np.zeros((clusters, clusters))
    traffic[rates.flows[:, 0], rates.flows[:, 1]] = rates.mean
    traffic = traffic + traffic.T
    np.fill_diagonal(traffic, 0.0)
    hops, tiles, left = distances(topology), np.full(clusters, -1, np.int64), free.copy()
    for cluster in np.argsort(-traffic.sum(axis=1), kind="stable"):
        placed = np.flatnonzero(tiles >= 0)
        cost = hops[np.ix_(left, tiles[placed])] @ traffic[cluster, placed]
        amid = hops[np.ix_(left, left)].sum(axis=1)
        best = int(np.lexsort((amid, cost))[0])
        tiles[cluster] = left[best]
        left = np.delete(left, best)
    return tiles


def _together(one: Machine, other: Machine) -> Machine:
    """A chip with the cores of both."""
    return replace(
        one,
        sync_s=max(one.sync_s, other.sync_s),
        write_s=max(one.write_s, other.write_s),
        read_s=np.concatenate([one.read_s, other.read_s]),
        read_j=np.concatenate([one.read_j, other.read_j]),
        row_j=np.concatenate([one.row_j, other.row_j]),
        leakage_w=np.concatenate([one.leakage_w, other.leakage_w]),
    )
