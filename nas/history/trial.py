"""A trial: one proposed network with what it scored and cost; a line of the ledger."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal, TypeVar, cast, get_args

from hasnas.errors import BadInputError

T = TypeVar("T")
Choice = int | float | str | bool | None
CHOICES = ("hardware", "training")
OF_TELLING = ("proposal", "asked")
State = Literal["done", "infeasible", "failed"]
STATES = get_args(State)
VOLATILE_FIELDS = frozenset({"time", "host", "event"})


@dataclass(frozen=True, eq=False)
class Trial:
    """One proposed network. Two trials are equal when their records are, whenever and wherever they were made.

    Args:
        id: number in the order of proposal, from 0; in an asynchronous search in the order of telling.
        stage: `"search"`, `"retrain"`, or of a network that those are compared with `"baseline chain"` and
            `"baseline random"`.
        key: key of the canonical architecture, with that of the choices of chip and training where these are searched.
        codes: its integer codes in the space.
        architecture: its JSON form.
        seed: seed of its evaluation.
        state: `"done"`, `"infeasible"` (broke the budget, never ran) or `"failed"`.
        metrics: what it scored, e.g. `validation_accuracy`.
        costs: field of each priced cost of `hasnas.nas.budget.costs` -> value in SI units.
        verdict: limit -> cost over limit, for the limits it breaks.
        message: why it failed, one line.
        time: seconds since the epoch; not compared.
        host: the machine; not compared.
        hardware: searched field of the chip -> its value.
        training: searched field of the training -> its value.
        proposal: in an asynchronous search the number of its proposal, from 0; else None.
        asked: in an asynchronous search how many proposals there were when it was told; else None.

    >>> trial = Trial(0, "search", "ab12", (1, 2), {}, seed=7, state="done", metrics={"validation_accuracy": 0.5})
    >>> Trial.from_record(trial.to_record()) == trial
    True
    """

    id: int
    stage: str
    key: str
    codes: tuple[int, ...]
    architecture: Mapping[str, Any]
    seed: int
    state: State
    metrics: Mapping[str, float] = field(default_factory=dict)
    costs: Mapping[str, float] = field(default_factory=dict)
    verdict: Mapping[str, float] = field(default_factory=dict)
    message: str = ""
    time: float = 0.0
    host: str = ""
    hardware: Mapping[str, Choice] = field(default_factory=dict)
    training: Mapping[str, Choice] = field(default_factory=dict)
    proposal: int | None = None
    asked: int | None = None

    def __post_init__(self) -> None:
        if self.state not in STATES:
            raise BadInputError(f"trial {self.id} has the state {self.state!r}; choose one of {STATES}")

    @property
    def trained_as(self) -> str:
        """By what its training is stored: the architecture and how it is trained, whatever the chip."""
        return key_of(self.key.partition("-")[0], self.training)

    @property
    def choices(self) -> dict[str, Choice]:
        """What was chosen of chip and training: `hardware/<field>` or `training/<field>` -> its value."""
        return {f"{name}/{field}": value for name in CHOICES for field, value in getattr(self, name).items()}

    def to_record(self) -> dict[str, Any]:
        """Plain data for the ledger; numbers that JSON does not know become the texts nan, inf and -inf."""
        record: dict[str, Any] = {"kind": "trial"}
        record |= {item.name: getattr(self, item.name) for item in fields(self)}
        record["id"], record["seed"] = int(self.id), int(self.seed)
        record["codes"] = [int(code) for code in self.codes]
        record["architecture"] = dict(self.architecture)
        for name in ("metrics", "costs", "verdict"):
            record[name] = plain_numbers(record[name])
        for name in CHOICES:
            record[name] = dict(record[name])
            if not record[name]:  # runs that search neither have the records that they always had
                del record[name]
        for name in OF_TELLING:
            if record[name] is None:
                del record[name]
        return record

    @staticmethod
    def from_record(record: Mapping[str, Any]) -> Trial:
        """A trial from `to_record`'s data.

        Raises:
            BadInputError: if a field is missing or unknown.
        """

        def made(values: dict[str, Any]) -> Trial:
            values["codes"] = tuple(values["codes"])
            return Trial(**values)

        return read_record(record, made)

    def comparable(self) -> dict[str, Any]:
        """The record without what differs between equal runs."""
        return {name: value for name, value in self.to_record().items() if name not in VOLATILE_FIELDS}

    def __eq__(self, other: object) -> bool:
        return self.comparable() == other.comparable() if isinstance(other, Trial) else NotImplemented

    def __hash__(self) -> int:
        return hash((self.id, self.stage, self.key))


def key_of(architecture: str, *choices: Mapping[str, Choice]) -> str:
    """The key of an architecture with choices beside it; its own key where there are none.

    >>> key_of("ab12", {}), key_of("ab12", {"adc.bits": 4}, {})
    ('ab12', 'ab12-75095331')
    """
    if not any(choices):
        return architecture
    text = json.dumps([dict(each) for each in choices], sort_keys=True)
    return f"{architecture}-{hashlib.blake2b(text.encode(), digest_size=4).hexdigest()}"


def plain_numbers(values: Mapping[str, float]) -> dict[str, float | str]:
    """Numbers as JSON has them; those that it does not know become texts."""
    return {key: _encode(value) for key, value in values.items()}


def read_numbers(values: Mapping[str, float | str]) -> Mapping[str, float]:
    """The numbers of which `plain_numbers` made these."""
    if {float}.issuperset(map(type, values.values())):  # as almost all are; a history may be long
        return cast(Mapping[str, float], values)
    return {key: float(value) for key, value in values.items()}


def read_record(record: Mapping[str, Any], make: Callable[[dict[str, Any]], T]) -> T:
    """What `make` makes of the fields of a record with metrics, costs and verdict.

    Raises:
        BadInputError: if a field is missing or unknown.
    """
    values = {name: value for name, value in record.items() if name != "kind"}
    try:
        for name in ("metrics", "costs", "verdict"):
            values[name] = read_numbers(values[name])
        return make(values)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        kind = record.get("kind", "trial")
        raise BadInputError(f"a {kind} record is of another version ({error}); start a new run directory") from error


def _encode(value: float) -> float | str:
    number = float(value)
    return number if math.isfinite(number) else str(number)
