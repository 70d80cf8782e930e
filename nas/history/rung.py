"""How a candidate stood at one rung of a search by successive halving; a line of the ledger."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from .trial import State, plain_numbers, read_record

RUNG = "rung"


@dataclass(frozen=True, eq=False)
class RungRecord:
    """A candidate at the end of a rung.

    Args:
        trial: number that the candidate has, or will have, as a trial.
        rung: number of the rung, from 0.
        key: key of the canonical architecture.
        epochs: that it was trained for so far.
        timesteps: share of the timesteps that it saw.
        data: share of the training samples that it saw.
        state: `"done"`, `"infeasible"` (its measured costs break the budget) or `"failed"` (the training, or nothing
            reaches the output any more).
        metrics: what it scored.
        costs: what it costs with its measured activity; empty if it failed.
        verdict: limit -> measured cost over limit, for the limits it breaks.
        message: why it failed, one line.
        time: seconds since the epoch; not compared.
        host: the machine; not compared.

    >>> record = RungRecord(3, 0, "ab12", 1, 1.0, 0.5, "done", {"validation_accuracy": 0.5})
    >>> RungRecord.from_record(record.to_record()).metrics
    {'validation_accuracy': 0.5}
    """

    trial: int
    rung: int
    key: str
    epochs: int
    timesteps: float
    data: float
    state: State
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    verdict: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    time: float = 0.0
    host: str = ""

    def to_record(self) -> dict[str, Any]:
        """Plain data for the ledger."""
        record: dict[str, Any] = {"kind": RUNG, **{item.name: getattr(self, item.name) for item in fields(self)}}
        return record | {name: plain_numbers(record[name]) for name in ("metrics", "costs", "verdict")}

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> RungRecord:
        """A rung from `to_record`'s data.

        Raises:
            BadInputError: if a field is missing or unknown.
        """
        return read_record(record, lambda values: RungRecord(**values))
