"""Stage 1: price the space before any forward pass; what is left is the feasible region."""

from __future__ import annotations

import io
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hasnas.errors import BadInputError, NothingFitsError
from hasnas.files import DAMAGED_ARRAYS, write_atomic
from hasnas.nas.budget.budget import Verdicts
from hasnas.nas.budget.costs import Costs, cost_called
from hasnas.nas.budget.region import FeasibleRegion, admission, draw_inside
from hasnas.nas.history.layout import SCREEN_FILE
from hasnas.search_spaces.joint import JointSpace, sample_on_few_chips
from hasnas.search_spaces.space import Codes, all_codes, space_size

from .context import RunContext, Setup

CHUNK = 32_768
SAMPLED_CHUNK = 4_096  # of a space that is too large to price it all: large cells take longest
ENOUGH, ENOUGH_FEASIBLE = 20_000, 2_000  # a share of 10 % is then known to within 0.4 %, and there is much to draw from
KNOWN_CODES = 4096
JOINT_CHUNK = 2**20  # neighbours in the order of codes lie on different chips, each of which is asked once a chunk
CHIPS = 1024  # of a joint space that a sample of it is placed on


@dataclass(frozen=True, eq=False)
class ScreenResult:
    """Every priced architecture, as drawn, with its verdict.

    Args:
        codes: `[N, genes]` as drawn.
        connected: `[N]`, whether there is a path from input to output.
        costs: of each; NaN where not connected.
        verdicts: `[N]`; an architecture that is not connected is not feasible.
        complete: whether these are all architectures of the space.
    """

    codes: Codes
    connected: NDArray[np.bool_]
    costs: Costs
    verdicts: Verdicts
    complete: bool

    @property
    def feasible(self) -> NDArray[np.bool_]:
        """`[N]`, connected and within every limit."""
        return self.connected & self.verdicts.feasible

    @property
    def rejected_share(self) -> dict[str, float]:
        """Limit -> share of the connected architectures that break it."""
        inside = self.verdicts.rows(self.connected)
        return inside.rejected_share if len(inside) else {}

    def summary(self) -> dict[str, float | int | bool]:
        """Counts and shares for the ledger and for people."""
        connected = max(int(self.connected.sum()), 1)
        rejected = {f"rejected_by_{name}": share for name, share in self.rejected_share.items()}
        return {
            "priced": len(self.codes),
            "complete": self.complete,
            "connected": int(self.connected.sum()),
            "feasible": int(self.feasible.sum()),
            "feasible_share": float(self.feasible.sum() / connected),
            **rejected,
        }


def run_screen(context: RunContext) -> None:
    """Price the space, write `screen.npz`, and set the feasible region.

    Raises:
        NothingFitsError: if no priced architecture is feasible; the message names the nearest miss for each limit.
    """
    admits = admission(context.pricer, context.budget)
    if not context.config.screen.enabled:
        rng = np.random.default_rng([context.config.seed, 1])
        found = draw_inside(context.space, admits, rng, KNOWN_CODES)
        if not len(found):
            raise NothingFitsError(f"no architecture within the budget was found ({context.budget.describe()})")
        context.region = FeasibleRegion(context.space, admits, found, complete=False)
        _refuse_what_is_no_number(context, context.pricer.costs(found))
        return
    path = context.directory / SCREEN_FILE
    result = read_screen(context, path) or price_space(context)
    if not path.exists():
        write_atomic(path, _encode(result))
    check_feasible(context, result)
    canonical, _ = context.space.canonical(result.codes[result.feasible])
    context.region = FeasibleRegion(context.space, admits, np.unique(canonical, axis=0), result.complete)
    summary = result.summary()
    rejected = ", ".join(f"{name} {share:.0%}" for name, share in result.rejected_share.items()) or "none"
    context.console.say(
        f"screen: {summary['feasible']:,} of {summary['connected']:,} connected architectures fit "
        f"({summary['feasible_share']:.1%}), {len(context.region.codes):,} of them distinct; "
        f"rejected by limit: {rejected}"
    )


def check_feasible(context: Setup, result: ScreenResult) -> None:
    """End the run if nothing fits, or an objective that is known beforehand is a number for nothing that fits.

    Raises:
        NothingFitsError: naming the nearest miss for each limit.
        BadInputError: naming the objective.
    """
    if result.feasible.any():
        _refuse_what_is_no_number(context, result.costs.rows(result.feasible))
        return
    miss = context.budget.nearest_miss(result.costs.rows(result.connected))
    raise NothingFitsError(
        f"no architecture fits the budget. {miss}; loosen those limits, "
        "or make the macro smaller"
    )


def _refuse_what_is_no_number(context: Setup, costs: Costs) -> None:
    """End the run if an objective that is known beforehand is a number for no candidate.

    Raises:
        BadInputError: naming it.
    """
    for name in context.config.search.objectives:
        if cost_called(name).priced and not np.isfinite(costs[name]).any():
            raise BadInputError(
                f"search.objectives: '{name}' is not a number for any of {len(costs):,} candidates; "
                "choose another objective"
            )


def price(context: Setup, codes: Codes) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Which drawn architectures are connected, and their costs `[N, C]`; equal ones are priced once."""
    canonical, connected = context.space.canonical(codes)
    costs = np.full((len(codes), len(context.pricer.priced)), np.nan)
    if connected.any():
        distinct, place = np.unique(canonical[connected], axis=0, return_inverse=True)
        costs[connected] = context.pricer.costs(distinct).values[place.reshape(-1)]
    return connected, costs


def price_space(context: Setup, seconds: float = math.inf) -> ScreenResult:
    """Price every architecture of the space, or a sample where it is larger than the config says.

    A sample of networks ends as soon as it holds enough; one of networks and chips has the size the config names.

    Args:
        context: the space, the chip and the budget.
        seconds: after which the next of a sample's parts is no longer begun; for who only wants to know roughly.
    """
    codes: list[Codes] = []
    connected: list[NDArray[np.bool_]] = []
    costs: list[NDArray[np.float64]] = []
    count = min(space_size(context.space), context.config.screen.sample)
    complete = count == space_size(context.space)
    feasible, begun, joint = 0, time.monotonic(), isinstance(context.space, JointSpace)
    with context.console.bar("screen", count, "architecture") as bar:
        for chunk in _candidates(context, count):
            alive, priced = price(context, chunk)
            codes.append(chunk)
            connected.append(alive)
            costs.append(priced)
            bar.update(len(chunk))
            fits = context.budget.check(Costs(context.pricer.priced, priced)).feasible & alive
            feasible += int(fits.sum())
            enough = not joint and bar.n >= ENOUGH and feasible >= ENOUGH_FEASIBLE
            if not complete and (enough or time.monotonic() - begun > seconds):
                break
    table = Costs(context.pricer.priced, np.concatenate(costs))
    verdicts = context.budget.check(table)
    return ScreenResult(np.concatenate(codes), np.concatenate(connected), table, verdicts, complete)


def _candidates(context: Setup, count: int) -> Iterator[Codes]:
    joint = isinstance(context.space, JointSpace)
    if count == space_size(context.space):
        yield from all_codes(context.space, JOINT_CHUNK if joint else CHUNK)
        return
    rng = np.random.default_rng([context.config.seed, 0])
    step = CHUNK if joint else SAMPLED_CHUNK
    for start in range(0, count, step):
        drawn = min(step, count - start)
        yield sample_on_few_chips(context.space, rng, drawn, -(-CHIPS * drawn // count))


def _encode(result: ScreenResult) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        codes=result.codes,
        connected=result.connected,
        feasible=result.feasible,
        costs=result.costs.values,
        cost_over_limit=result.verdicts.ratio,
        columns=np.array(result.verdicts.names),
        complete=np.array(result.complete),
    )
    return buffer.getvalue()


def read_screen(context: Setup, path: Path) -> ScreenResult | None:
    """The screen of an earlier start of this run; None if there is none or it is damaged."""
    try:
        with np.load(path, allow_pickle=False) as file:
            parts = {name: file[name] for name in ("codes", "connected", "costs", "columns", "complete")}
        if parts["columns"].tolist() != [cost.name for cost in context.pricer.priced]:
            raise ValueError("other costs")
    except FileNotFoundError:
        return None
    except DAMAGED_ARRAYS:
        context.console.say(f"screen: {path} is damaged; pricing the space again")
        path.unlink()
        return None
    costs = Costs(context.pricer.priced, parts["costs"])
    verdicts = context.budget.check(costs)
    return ScreenResult(parts["codes"], parts["connected"], costs, verdicts, bool(parts["complete"]))
