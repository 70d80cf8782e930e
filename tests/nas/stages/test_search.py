"""What a search says when it has nothing to show."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hasnas.errors import HasnasError
from hasnas.nas.history.trial import Trial
from hasnas.nas.stages.search import refuse_failures_alone


def test_a_search_of_failures_alone_says_the_first_reason() -> None:
    failed = Trial(0, "search", "k", (0,), {}, 0, "failed", message="ValueError: no")
    with pytest.raises(HasnasError, match="all 2 candidates of the search failed; the first: ValueError: no"):
        refuse_failures_alone([failed, replace(failed, id=1, message="another")])
    refuse_failures_alone([failed, replace(failed, id=1, state="done")])
    refuse_failures_alone([])
