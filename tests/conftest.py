"""What tests of every folder share: properties are tested with the same examples in every run."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import settings

# `pytest --hypothesis-profile=random`, or HYPOTHESIS_PROFILE=random, draws other examples in every run.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture(autouse=True)
def _same_random_numbers():
    """A test that draws from torch's own generator draws the same, whichever tests ran before."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
