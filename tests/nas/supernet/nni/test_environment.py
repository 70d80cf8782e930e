"""Without NNI everything else works, and the error says what to choose instead."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from hasnas.nas.supernet.nni.environment import require_nni

pytestmark = pytest.mark.slow

# In a process of its own: NNI is missing first, and then only Lightning, which NNI imports.
USE = """
import sys

class Blocked:
    package = "nni"

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == Blocked.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocked())

import numpy as np
from hasnas.errors import HasnasError
from hasnas.nas.config.sections import SearchSection
from hasnas.nas.supernet import settings, sharing
from hasnas.nas.config.plugins import SUPERNET_TRAINERS
from hasnas.nas.strategies import SearchProblem, create_strategy
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.snasnet import SNASNetSpace

space = SNASNetSpace(Macro((1, 8, 8), channels=2, hidden=0))
problem = SearchProblem(space, lambda codes: np.ones(len(codes), bool), SearchSection(), 0)
print(len(create_strategy("random", problem).ask(3)), len(sharing.shared_layers(space)) > 0)
for use in (create_strategy, lambda name, _: SUPERNET_TRAINERS.get("random_one_shot")):
    try:
        use("regularized_evolution", problem)
    except HasnasError as error:
        print(type(error).__name__, error)
print("nni" in sys.modules, "pytorch_lightning" in sys.modules)

from hasnas.nas.supernet.nni.environment import NniMissingError, require_nni

Blocked.package = "pytorch_lightning"
try:
    require_nni()
except NniMissingError as error:
    print(error)
"""


def test_without_nni_or_lightning_the_rest_works_and_the_error_names_the_alternative():
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", USE], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    first, *refusals, imported, without_lightning = done.stdout.splitlines()
    assert first == "3 True"
    assert len(refusals) == 2
    for line in refusals:
        assert line.startswith("NniMissingError NNI cannot be used here (No module named 'nni")
        assert "choose strategy 'random'" in line
    assert imported == "False False"
    assert without_lightning.startswith("NNI cannot be used here (No module named 'pytorch_lightning'")


def test_nni_is_silent():
    require_nni()
    assert not logging.getLogger("nni.nas.strategy.evolution").isEnabledFor(logging.ERROR)
    assert not logging.getLogger("pytorch_lightning.utilities.rank_zero").isEnabledFor(logging.WARNING)
