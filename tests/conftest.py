"""What tests of every folder share: properties are tested with the same examples in every run."""

from __future__ import annotations

import gc
import os
import sys

import pytest
from hypothesis import settings

# `pytest --hypothesis-profile=random`, or HYPOTHESIS_PROFILE=random, draws other examples in every run.
settings.register_profile("ci", derandomize=True, deadline=None)
settings.register_profile("random", deadline=None, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

# What is imported and collected stays until the end; to look for garbage in it was a tenth of the time of all tests.
gc.disable()


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    gc.freeze()
    gc.enable()


@pytest.fixture(autouse=True)
def _same_random_numbers():
    """A test that draws from torch's own generator draws the same, whichever tests ran before."""
    if "torch" in sys.modules:
        torch = sys.modules["torch"]
        torch.default_generator.manual_seed(0)  # `torch.manual_seed` notes the stack for devices that wait: 0.4 ms
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(0)
