"""What trained candidates have taught a predictor: noted at the end of a search, shown by status and report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .records import Record

LEARNED = "learned"


def learned_rows(events: Iterable[Record]) -> list[dict[str, float]]:
    """`told`, and rank correlations of `score` and `predictor` with the told; empty where none learned."""
    known = [event["details"][LEARNED] for event in events if event.get("event") == LEARNED]
    return list(known[-1]) if known else []


def learned_line(rows: Sequence[Mapping[str, float]]) -> str:
    """The rows in one line.

    >>> learned_line([{"told": 10, "score": 0.5, "predictor": 0.625}])
    'rank correlation with told networks by the score, by the predictor told the others: 0.50, 0.62 (10 told)'
    """
    steps = "; ".join(f"{row['score']:.2f}, {row['predictor']:.2f} ({row['told']} told)" for row in rows)
    return f"rank correlation with told networks by the score, by the predictor told the others: {steps}"
