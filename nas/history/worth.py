"""What a result is worth: counts of samples, what a blind answer reaches, and signs that a network does not work."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .quality import Quality
from .records import Record

RATE_PREFIX = "firing_rate/"
HEAD = "head."  # begins the names of the layers that every path ends in
NEVER, ALWAYS = 1e-5, 0.99  # spikes per neuron and timestep
FEW = 100
LISTED = 3


@dataclass(frozen=True)
class DataFacts:
    """Counts of samples, and what a network would reach that does not look at its input.

    Args:
        task: `"classification"` or `"regression"`.
        outputs: number of classes, or of values.
        train, validation, test: samples in each split.
        chance: share of right answers of a guess; `None` for regression.
        blind: what the best constant answer reaches on validation and on test samples: the share of the class that is
            most frequent in training; for regression the mean error of the median of training.
        digest: of all samples, see `content_digest`.
    """

    task: str
    outputs: int
    train: int
    validation: int
    test: int
    chance: float | None
    blind: tuple[float, float]
    digest: str

    def to_json(self) -> dict[str, Any]:
        """Plain data for the ledger."""
        return asdict(self)

    @classmethod
    def from_json(cls, tree: Mapping[str, Any]) -> DataFacts:
        """The facts that a ledger holds."""
        return cls(**{**tree, "blind": (float(tree["blind"][0]), float(tree["blind"][1]))})

    def describe(self) -> str:
        """One line for people: the task, the samples and what they are worth."""
        counts = f"{self.train:,} to train, {self.validation:,} to choose, {self.test:,} to test"
        if self.task == "classification":
            task = f"classification of {self.outputs} classes"
            worth = f"chance {self.chance:.1%}, most frequent class {self.blind[1]:.1%} of the test samples"
        else:
            task = f"regression of {self.outputs} value{'s' if self.outputs > 1 else ''}"
            worth = f"the best constant answer has a mean error of {self.blind[1]:.4g} on the test samples"
        return f"{task}; samples: {counts}; {worth}"


def interval(share: float, count: int) -> tuple[float, float]:
    """Where the true share of right answers lies with 95 % confidence.

    Args:
        share: of right answers.
        count: samples that it was measured on.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22, 1927.

    >>> [round(limit, 3) for limit in interval(1.0, 4)], [round(limit, 3) for limit in interval(0.9, 1000)]
    ([0.51, 1.0], [0.88, 0.917])
    """
    z2 = 1.959964**2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = math.sqrt(z2 * share * (1 - share) / count + z2 * z2 / (4 * count * count)) / (1 + z2 / count)
    return max(centre - half, 0.0), min(centre + half, 1.0)


def data_facts(events: Iterable[Record]) -> DataFacts | None:
    """The facts that a run noted when it was started last; `None` of runs from before they were noted."""
    known = [event["details"]["data"] for event in events if "data" in event.get("details", {})]
    return DataFacts.from_json(known[-1]) if known else None


def interval_of(
    metrics: Mapping[str, float], quality: Quality, facts: DataFacts | None
) -> tuple[float, float] | None:
    """Where the accuracy on all samples of the test split's kind lies with 95 % confidence; `None` if unknown."""
    share = metrics.get(quality.test)
    if facts is None or share is None or quality.task != "classification" or not math.isfinite(share):
        return None
    return interval(min(max(share, 0.0), 1.0), facts.test)


def worth_of(metrics: Mapping[str, float], quality: Quality, facts: DataFacts | None) -> dict[str, Any]:
    """What is to be written beside the figures of a trained network, as plain data.

    Returns:
        `test_interval` (95 %, `None` if unknown), `samples` (of each split) and `blind` (what the best constant answer
        reaches on test samples, by chance and by the most frequent class) if they are known, and `warnings`.
    """
    limits = interval_of(metrics, quality, facts)
    known = {} if facts is None else {
        "samples": {"train": facts.train, "validation": facts.validation, "test": facts.test},
        "blind": {"constant": facts.blind[1], "chance": facts.chance},
    }
    return {
        "test_interval": None if limits is None else list(limits),
        **known,
        "warnings": warnings_on(metrics, quality, facts),
    }


def warnings_on(metrics: Mapping[str, float], quality: Quality, facts: DataFacts | None) -> list[str]:
    """Signs that a trained network does not do its task, one line each; none is good news.

    Args:
        metrics: of its trial.
        quality: by which it is judged.
        facts: of the samples, if they are known.

    >>> from .quality import CLASSIFICATION
    >>> warnings_on({"firing_rate/head.lif": 0.0, "firing_rate/stem.lif": 0.2}, CLASSIFICATION, None)
    ['head.lif never fires, so that the answer does not depend on the input']
    """
    return [*_on_rates(rates_of_layers(metrics)), *_on_figure(metrics, quality, facts)]


def rates_of_layers(metrics: Mapping[str, float]) -> dict[str, float]:
    """Spikes per neuron and timestep of each layer of neurons.

    >>> rates_of_layers({"firing_rate": 0.5, "firing_rate/stem.lif": 0.25})
    {'stem.lif': 0.25}
    """
    return {name.removeprefix(RATE_PREFIX): rate for name, rate in metrics.items() if name.startswith(RATE_PREFIX)}


def _on_rates(rates: Mapping[str, float]) -> list[str]:
    silent = [name for name, rate in rates.items() if rate < NEVER]
    busy = [name for name, rate in rates.items() if rate > ALWAYS]
    told = []
    if silent and len(silent) == len(rates):
        told.append("no neuron fires, so that the answer does not depend on the input; lower space.macro.threshold")
    else:
        cut = [name for name in silent if name.startswith(HEAD)]
        if cut:
            told.append(f"{_listed(cut)} never fires, so that the answer does not depend on the input")
        others = [name for name in silent if not name.startswith(HEAD)]
        if others:
            told.append(f"{len(others)} of {len(rates)} layers of neurons never fire ({_listed(others)})")
    if busy:
        told.append(f"{len(busy)} of {len(rates)} layers of neurons fire at every step ({_listed(busy)})")
    return told


def _on_figure(metrics: Mapping[str, float], quality: Quality, facts: DataFacts | None) -> list[str]:
    figure = metrics.get(quality.test)
    if facts is None or figure is None:
        return []
    told = []
    limits, blind = interval_of(metrics, quality, facts), facts.blind[1]
    if limits is not None and limits[0] <= max(blind, facts.chance or 0.0):
        what = "the most frequent class" if blind >= (facts.chance or 0.0) else "chance"
        told.append(f"no better than {what} ({max(blind, facts.chance or 0.0):.1%}) within 95 % confidence")
    if quality.task != "classification" and figure >= blind:
        told.append(f"no better than the best constant answer ({quality.name} {blind:.4g})")
    if facts.test < FEW:
        told.append(f"tested on {facts.test} samples only")
    return told


def _listed(names: list[str]) -> str:
    return ", ".join(names[:LISTED]) + (", ..." if len(names) > LISTED else "")
