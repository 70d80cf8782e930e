"""A search space without what some forms of export have no word for.

Whether a form can say a kind of layer is asked of the form itself, with a small network that holds it: cells of one
edge for each operation, and cells that pass on what they get for each value of the macro.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from hasnas.cim_estimator import HardwareSpec
from hasnas.cim_estimator.nonideal import NonidealSpec
from hasnas.errors import BadInputError
from hasnas.nas.config.plugins import EXPORT_TARGETS
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.operations import IDENTITY, NONE
from hasnas.search_spaces.searched_macro import SearchedMacroSpace
from hasnas.search_spaces.space import KeptSpace, SearchSpace, sample

from .target import TrainedNetwork

NARROW = {"channels": 2, "hidden": 4, "timesteps": 2}  # of the networks that are tried; kinds of layers stay
MOST_MACROS = 256
TRIED = 16  # architectures of a space whose operations are not known by name


def kept_to_targets(
    space: SearchSpace, formats: Sequence[str], device: NonidealSpec | HardwareSpec | None = None
) -> KeptSpace:
    """A space without the operations and macro values that one of some forms cannot say.

    Args:
        space: of networks only.
        formats: names of `EXPORT_TARGETS`.
        device: the memory cells or the chip, for forms that say something of them.

    Raises:
        BadInputError: naming the operation, if a form cannot hold what all networks of the space have, or nothing is
            left.

    >>> from hasnas.search_spaces.hasnas import HASNASSpace
    >>> found = kept_to_targets(HASNASSpace(Macro((1, 8, 8), channels=4, timesteps=2)), ["nir"])
    >>> found.space.operations
    ('none', 'identity', 'conv1x1', 'conv3x3', 'conv5x5', 'avgpool3x3')
    >>> list(found.left_out)
    ['maxpool3x3']
    """
    if not formats:
        return KeptSpace(space)
    probe = _Probe(tuple(formats), device, space.cells)
    if isinstance(space, SearchedMacroSpace):
        searched, values_out, macro = _kept_values(space, probe)
        inner, out = _kept_operations(space.inner, macro, probe)
        return KeptSpace(SearchedMacroSpace(inner, searched), values_out | out)
    if why := probe.refusal(space.macro, IDENTITY):
        raise _nothing_left(why)
    return KeptSpace(*_kept_operations(space, space.macro, probe))


@dataclass(frozen=True)
class _Probe:
    """Asks forms whether they can hold small networks."""

    formats: tuple[str, ...]
    device: NonidealSpec | HardwareSpec | None
    cells: int

    def refusal(self, macro: Macro, operation: str) -> str:
        """Why one of the forms cannot hold cells of one operation; empty if all can."""
        cell = Genotype(2, (Edge(0, 1, operation),))
        small: dict[str, Any] = {name: min(getattr(macro, name), most) for name, most in NARROW.items()}
        return self.refusal_of(Architecture((cell,) * self.cells, replace(macro, **small)))

    def refusal_of(self, architecture: Architecture) -> str:
        """Why one of the forms cannot hold an architecture; empty if all can."""
        network = build_network(architecture.expand(), seed=0).eval()
        trained = TrainedNetwork(architecture, network, {}, self.device)
        for name in self.formats:
            why = EXPORT_TARGETS.get(name).refusal(trained)
            if why:
                return f"{name}: {why.partition(';')[0]}"
        return ""


def _kept_values(
    space: SearchedMacroSpace, probe: _Probe
) -> tuple[tuple[tuple[str, tuple[Any, ...]], ...], dict[str, str], Macro]:
    """The searched macro values that are left, those that are not with the reason, and a macro that can be said."""
    macro, first = space.macro, ""
    for found in _macros(space):
        why = probe.refusal(found, IDENTITY)
        if not why:
            macro = found
            break
        first = first or why
    else:
        raise _nothing_left(first)
    kept: list[tuple[str, tuple[Any, ...]]] = []
    out: dict[str, str] = {}
    for name, values in space.searched:
        changes: list[dict[str, Any]] = [{name: value} for value in values]
        reasons = {one[name]: probe.refusal(replace(macro, **one), IDENTITY) for one in changes}
        out |= {f"{name}={value}": why for value, why in reasons.items() if why}
        kept.append((name, tuple(value for value, why in reasons.items() if not why)))
    return tuple(kept), out, macro


def _nothing_left(why: str) -> BadInputError:
    return BadInputError(
        f"space.exportable {why}, and every network of the space has it; change space.macro or space.exportable"
    )


def _macros(space: SearchedMacroSpace) -> Iterator[Macro]:
    """All macros of a space; of more than `MOST_MACROS` as many that are drawn at random, the same ones every time."""
    searched = dict(space.searched)
    chosen: Iterable[Sequence[Any]] = product(*searched.values())
    if math.prod(map(len, searched.values())) > MOST_MACROS:
        rng = np.random.default_rng(0)
        chosen = ([values[rng.integers(len(values))] for values in searched.values()] for _ in range(MOST_MACROS))
    changes: Iterator[dict[str, Any]] = (dict(zip(searched, values, strict=True)) for values in chosen)
    return (replace(space.macro, **each) for each in changes)


def _kept_operations(space: SearchSpace, macro: Macro, probe: _Probe) -> tuple[SearchSpace, dict[str, str]]:
    """The space with the operations that can be said."""
    if not is_dataclass(space) or "operations" not in {item.name for item in fields(space)}:
        return _as_it_is(space, probe), {}
    names: tuple[str, ...] = space.operations
    reasons = {name: "" if name == NONE else probe.refusal(macro, name) for name in names}
    out = {name: why for name, why in reasons.items() if why}
    kept = tuple(name for name in names if name not in out)
    if not set(kept) - {NONE}:
        raise BadInputError(f"space.exportable leaves no operation: {KeptSpace(space, out).describe()}; name others")
    return (replace(space, operations=kept) if out else space), out


def _as_it_is(space: SearchSpace, probe: _Probe) -> SearchSpace:
    """A space of one's own whose operations are not known by name: some architectures of it must all be expressible."""
    canonical, connected = space.canonical(sample(space, np.random.default_rng(0), TRIED))
    for codes in canonical[connected].tolist():
        if why := probe.refusal_of(space.decode(codes)):
            raise BadInputError(
                f"space.exportable {why}; the space has no field 'operations' to leave it out of: remove it yourself"
            )
    return space
