"""What `search.q_learning` may say: what a chip is rewarded for, and how its agent learns."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from hasnas.nas.budget.costs import cost_called

from .section import Section

Weight = Annotated[float, Field(ge=0, le=1e6, strict=False)]


class QLearningSection(Section):
    """How an agent finds the chip of a network: it changes one field by one step, and is rewarded for what that saves.

    The reward of a step is what the worth of the chip gains by it, where

        worth = - sum of weight * ln(cost) - penalty * sum of ln(cost / target), if positive

    over the costs of `reward` and over those that the budget limits: its limits are the targets.

    Args:
        reward: cost -> weight, by the names that `budget` knows.
        penalty: weight of what a cost is above its target.
        learning_rate: share of the new in an updated entry of the table.
        discount: what a reward is worth one step later.
        exploration: share of steps that are drawn at random.
        steps: most steps that the agent takes for one network.

    >>> QLearningSection(discount=1.0)
    Traceback (most recent call last):
        ...
    hasnas.errors.BadInputError: search.q_learning.discount is 1.0; it must be less than 1
    """

    place = "search.q_learning"
    reward: Annotated[dict[str, Weight], Field(min_length=1)] = Field(
        default_factory=lambda: {"energy": 1.0, "latency": 1.0, "area": 1.0}
    )
    penalty: Weight = 3.0
    learning_rate: Annotated[float, Field(gt=0, le=1, strict=False)] = 0.5
    discount: Annotated[float, Field(ge=0, lt=1, strict=False)] = 0.9
    exploration: Annotated[float, Field(ge=0, le=1, strict=False)] = 0.02
    steps: Annotated[int, Field(ge=1, le=1_000_000)] = 200

    @field_validator("reward")
    @classmethod
    def _known_costs(cls, value: dict[str, float]) -> dict[str, float]:
        for name in value:
            if not cost_called(name).priced:
                raise ValueError(f"'{name}' is only known once a network ran, and a chip is sized before; name a cost")
        return value
