"""What tests of every folder share."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def _same_random_numbers():
    """A test that draws from torch's own generator draws the same, whichever tests ran before."""
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(0)
