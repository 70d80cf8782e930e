"""How good a trained network is at its task: what the figure is called, and how it is written.

Trainings and searches know one number of which more is better, the merit: the share of right answers, or minus the mean
absolute error or distance. Ledgers, tables and pages hold the figure as people know it, under its own name.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

Task = Literal["classification", "regression", "location"]


@dataclass(frozen=True)
class Quality:
    """The figure by which networks of a task are judged.

    Args:
        task: `"classification"`, `"regression"`, or `"location"` for a regression whose values are a place.
        name: what people call it.
        columns: heads of the columns of a table that hold it for validation and test samples.
        sign: 1 where more is better, -1 where less is.
        best: the largest merit there can be.
        remark: what a reader must know of the numbers; empty where they speak for themselves.
        alone: what stands before a figure where no head of a column says what it is.

    >>> CLASSIFICATION.show(0.5), REGRESSION.show(REGRESSION.figure(-0.03125)), REGRESSION.validation
    ('50.00%', '0.03125', 'validation_mean_absolute_error')
    """

    task: Task
    name: str
    columns: tuple[str, str]
    sign: int
    best: float
    remark: str = ""
    alone: str = ""

    @cached_property
    def validation(self) -> str:
        """Its key among the metrics of a trial, on validation samples."""
        return "validation_" + self._key

    @cached_property
    def test(self) -> str:
        """Its key on test samples."""
        return "test_" + self._key

    @cached_property
    def device(self) -> str:
        """Its key as the mean over imperfect chips; those of spread and worst chip end in `_std` and `_worst`."""
        return "device_" + self._key

    @cached_property
    def _key(self) -> str:
        return self.name.replace(" ", "_")

    def figure(self, merit: float) -> float:
        """The figure of a merit, and the merit of a figure."""
        return self.sign * merit

    def show(self, figure: float | None) -> str:
        """A figure as people read it; empty if there is none."""
        if figure is None or not math.isfinite(figure):
            return ""
        return f"{figure:.2%}" if self.task == "classification" else f"{figure:.4g}"

    def show_mean(self, mean: float | None, deviation: float | None) -> str:
        """A mean as people read it, with the standard deviation where there is one.

        >>> CLASSIFICATION.show_mean(0.75, 0.0125), CLASSIFICATION.show_mean(0.75, None)
        ('75.00% ± 1.25%', '75.00%')
        """
        shown, spread = self.show(mean), self.show(deviation)
        return f"{shown} ± {spread}" if shown and spread else shown

    def show_alone(self, figure: float | None, deviation: float | None = None) -> str:
        """The same where no head of a column says what it is.

        >>> REGRESSION.show_alone(0.5), CLASSIFICATION.show_alone(0.5)
        ('MAE 0.5', '50.00%')
        """
        shown = self.show_mean(figure, deviation)
        return f"{self.alone}{shown}" if shown else shown

    def of_epoch(self, metrics: Mapping[str, float]) -> dict[str, float]:
        """The metrics of an epoch, whose judgement a training always calls `merit`, under their own names.

        >>> REGRESSION.of_epoch({"loss": 0.1, "merit": -0.2})
        {'loss': 0.1, 'validation_mean_absolute_error': 0.2}
        """
        return {
            self.validation if name == "merit" else name: self.figure(value) if name == "merit" else value
            for name, value in metrics.items()
        }


CLASSIFICATION = Quality("classification", "accuracy", ("validation", "test"), 1, 1.0)
REGRESSION = Quality(
    "regression",
    "mean absolute error",
    ("validation MAE", "test MAE"),
    -1,
    0.0,
    "The mean absolute error (MAE) is in the units of the targets; less is better.",
    "MAE ",
)
LOCATION = Quality(
    "location",
    "mean distance",
    ("validation distance", "test distance"),
    -1,
    0.0,
    "The mean distance from the true place is in pixels; less is better.",
    "distance ",
)
QUALITIES: dict[str, Quality] = {quality.task: quality for quality in (CLASSIFICATION, REGRESSION, LOCATION)}


def quality_of_task(task: Task, place: bool = False) -> Quality:
    """By what networks of a task are judged; `place` says that a regression's values are one.

    >>> quality_of_task("regression", place=True).name
    'mean distance'
    """
    return LOCATION if place else QUALITIES[task]


def find_quality(metrics: Container[str]) -> Quality | None:
    """The quality that some metrics of a trial hold; `None` if nothing was trained."""
    return next((q for q in QUALITIES.values() if q.validation in metrics or q.device in metrics), None)
