"""What a strategy may not answer when it is asked."""

from collections.abc import Mapping
from typing import Any

import pytest

from hasnas.errors import BadInputError
from hasnas.nas.strategies.recorded import Recorded


class Answers:
    """Gives one answer for ever."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer

    def ask(self, count: int) -> Any:
        return self.answer

    def tell(self, codes: tuple[int, ...], value: float | None, costs: Mapping[str, float]) -> None:
        pass


@pytest.mark.parametrize(("answer", "told"), [([(1, 2)], "1000 times"), (None, "answered NoneType when asked for 2")])
def test_a_strategy_that_ends_in_repetition_or_answers_nothing_is_no_endless_loop(answer: Any, told: str):
    strategy = Recorded({}, Answers(answer), print)
    with pytest.raises(BadInputError, match=told):
        strategy.ask(2)
