"""What `search.multi_fidelity` may say: how far candidates are trained before the worse of them are given up."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, model_validator

from .section import Section

Part = Annotated[float, Field(gt=0, le=1, strict=False)]


@dataclass(frozen=True)
class Rung:
    """How far and on what candidates are trained up to one rung.

    Args:
        epochs: passes over the samples so far, those of the rungs before included.
        timesteps: share of a sample's timesteps that the network sees, rounded up.
        data: share of the training samples.
    """

    epochs: int
    timesteps: float = 1.0
    data: float = 1.0


class MultiFidelitySection(Section):
    """Successive halving: each batch of candidates is trained a little, the best go on from where they stand.

    Candidates at which nothing arrives any more, because every path from input to output passes a layer that never or
    always fires, are given up after that very epoch; those whose measured costs break the budget, at the end of the
    rung. All rungs share one course of the learning rate, that of a training which reaches the last one.

    Args:
        epochs: up to each rung, counted from the start of the training.
        timesteps: share of the timesteps in each rung; null is all of them in every rung.
        data: share of the training samples in each rung; null is all of them in every rung.
        keep: share of a rung's candidates that go on to the next one, rounded up.
        dead_rate: a layer counts as silent or saturated whose firing rate is at most this far from 0 or 1.

    >>> MultiFidelitySection(epochs=(1, 3), data=(0.25, 1.0)).rungs
    (Rung(epochs=1, timesteps=1.0, data=0.25), Rung(epochs=3, timesteps=1.0, data=1.0))
    >>> MultiFidelitySection(epochs=(3, 1))
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: search.multi_fidelity: epochs are 3, 1; each rung trains for more than the one before
    """

    place = "search.multi_fidelity"
    epochs: Annotated[
        tuple[Annotated[int, Field(ge=1, le=100_000)], ...], Field(strict=False, min_length=2, max_length=32)
    ] = (1, 3, 9)
    timesteps: Annotated[tuple[Part, ...], Field(strict=False)] | None = None
    data: Annotated[tuple[Part, ...], Field(strict=False)] | None = None
    keep: Annotated[float, Field(gt=0, lt=1)] = 1 / 3
    dead_rate: Annotated[float, Field(ge=0, lt=0.5, strict=False)] = 0.0

    @property
    def rungs(self) -> tuple[Rung, ...]:
        """The rungs, the cheapest first."""
        whole = (1.0,) * len(self.epochs)
        return tuple(map(Rung, self.epochs, self.timesteps or whole, self.data or whole))

    def survivors(self, candidates: int) -> int:
        """How many of a rung's candidates go on.

        >>> MultiFidelitySection(keep=0.25).survivors(9)
        3
        """
        return math.ceil(self.keep * candidates - 1e-9)

    @property
    def epochs_of_one(self) -> float:
        """Passes over the whole train split that a candidate costs on average, shares counted as such."""
        total, left, before = 0.0, 1.0, 0
        for rung in self.rungs:
            total += left * (rung.epochs - before) * rung.data * rung.timesteps
            left, before = left * self.keep, rung.epochs
        return total

    @model_validator(mode="after")
    def _each_rung_is_more(self) -> MultiFidelitySection:
        if any(after <= before for before, after in itertools.pairwise(self.epochs)):
            listed = ", ".join(map(str, self.epochs))
            raise ValueError(f"epochs are {listed}; each rung trains for more than the one before")
        for name in ("timesteps", "data"):
            shares = getattr(self, name)
            if shares is None:
                continue
            if len(shares) != len(self.epochs):
                raise ValueError(f"{name} has {len(shares)} shares for {len(self.epochs)} rungs; give one for each")
            if any(after < before for before, after in itertools.pairwise(shares)):
                raise ValueError(f"{name} gets smaller from one rung to the next; sort the shares")
        return self
