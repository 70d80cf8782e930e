from __future__ import annotations

from collections.abc import Mapping

from hasnas.nas.strategies.begin_with import BeginWith

A, B, C, D = (0,), (1,), (2,), (3,)


class Listed:
    """Proposes what it is given, in order, and notes what it is told."""

    def __init__(self, *candidates: tuple[int, ...]) -> None:
        self.left, self.told = list(candidates), []

    def ask(self, count: int) -> list[tuple[int, ...]]:
        asked, self.left = self.left[:count], self.left[count:]
        return asked

    def tell(self, codes: tuple[int, ...], value: float | None, costs: Mapping[str, float]) -> None:
        self.told.append((codes, value))


def test_the_first_candidate_comes_first_and_the_others_follow():
    inner = Listed(A, B, C)
    strategy = BeginWith(D, inner)
    assert strategy.ask(2) == [D, A]
    strategy.tell(D, 0.9, {})
    strategy.tell(A, 0.1, {})
    assert strategy.ask(3) == [B, C]
    assert inner.told == [(A, 0.1)]


def test_a_candidate_that_is_proposed_again_is_answered_and_not_repeated():
    inner = Listed(A, B, C, D)
    strategy = BeginWith(B, inner)
    assert strategy.ask(1) == [B]
    strategy.tell(B, 0.5, {})
    assert strategy.ask(3) == [A, C, D]
    assert inner.told == [(B, 0.5)]


def test_in_the_same_batch_it_is_answered_as_soon_as_it_is_known():
    inner = Listed(B, A, C)
    strategy = BeginWith(B, inner)
    assert strategy.ask(3) == [B, A, C]
    assert inner.told == []
    strategy.tell(B, None, {})
    assert inner.told == [(B, None)]
    assert strategy.ask(2) == []
