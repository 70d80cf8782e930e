"""The suites as another package uses them: its plug-ins are announced by entry points, its tests subclass ours."""

import re
import subprocess
import sys

import pytest

PLUGIN = '''
from dataclasses import dataclass, replace

import numpy as np

from hasnas.datasets.source import DatasetCard, Samples, check_split
from hasnas.errors import BadInputError


@dataclass(frozen=True)
class Stripes:
    """Two kinds of stripes, drawn when they are asked for: a dataset without files."""

    card = DatasetCard("stripes", "Stripes", "classification", (1, 8, 8), 2, {"train": 40, "test": 20}, "CC0", "nobody")

    def load(self, split, root=None):
        check_split(split)
        targets = np.arange(self.card.splits[split]) % 2
        stripes = np.tile(np.array([1, 0], np.float32), (len(targets), 1, 8, 4))
        inputs = np.where(targets[:, None, None, None] == 1, stripes, stripes.swapaxes(2, 3))
        return Samples(np.ascontiguousarray(inputs), targets.astype(np.int64))


class Liar(Stripes):
    """Says that it has more classes in its test split than it has samples for."""

    card = replace(Stripes.card, name="liar", splits={"train": 40, "test": 21})

    def load(self, split, root=None):
        return Stripes().load(split)


class InOrder:
    """Proposes what the space holds in an order that the seed decides."""

    def __init__(self, problem):
        self.problem = problem
        self.rng = np.random.default_rng(problem.seed)
        self.proposed = set()

    def ask(self, count):
        from hasnas.search_spaces.space import all_codes, sample, space_size

        space, found = self.problem.space, []
        small = space_size(space) < 1_000
        everything = np.concatenate(list(all_codes(space))) if small else sample(space, self.rng, 400)
        canonical, admitted = self.problem.admissible(everything[self.rng.permutation(len(everything))])
        for row in canonical[admitted].tolist():
            if tuple(row) not in self.proposed and len(found) < count:
                self.proposed.add(tuple(row))
                found.append(tuple(row))
        return found

    def tell(self, codes, value, costs):
        pass


class Forgetful(InOrder):
    """Proposes the same candidates again and again, and refuses limits without a reason."""

    def __init__(self, problem):
        if problem.limits:
            raise BadInputError("seconds are past")
        super().__init__(problem)

    def ask(self, count):
        self.proposed.clear()
        return super().ask(count)


STRIPES, LIAR = Stripes(), Liar()
'''
ENTRY_POINTS = """
[hasnas.datasets]
stripes = striped:STRIPES
liar = striped:LIAR

[hasnas.strategies]
in_order = striped:InOrder
forgetful = striped:Forgetful
"""
SOUND = """
from hasnas.conformance import CheckDatasetSource, CheckStrategy


class TestStripes(CheckDatasetSource):
    names = ("stripes",)


class TestOrder(CheckStrategy):
    names = ("in_order",)
"""
FAULTY = SOUND.replace("stripes", "liar").replace("in_order", "forgetful")
FOUND_OUT = ("samples_are_what_the_card_says", "proposals_are_canonical", "card_tells_all", "only_an_evaluation")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What pytest says about the plug-ins' own tests: a package as pip installs it, and its metadata beside it."""
    plugin = tmp_path_factory.mktemp("plugin")
    (plugin / "striped.py").write_text(PLUGIN)
    metadata = plugin / "striped-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: striped\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(ENTRY_POINTS)
    (plugin / "test_sound.py").write_text(SOUND)
    (plugin / "test_faulty.py").write_text(FAULTY)
    # The strategy's whole runs in several processes are ours to test; here they would only repeat it, slowly.
    chosen = f"(test_sound and not the_ledger) or (test_faulty and ({' or '.join(FOUND_OUT)}))"
    script = "import sys; sys.path.insert(0, sys.argv[1]); import pytest; sys.exit(pytest.main(sys.argv[2:]))"
    flags = ["-v", "-p", "no:cacheprovider", "--import-mode=importlib", "--tb=line", "-k", chosen]
    command = [sys.executable, "-c", script, str(plugin), *flags, "test_sound.py", "test_faulty.py"]
    done = subprocess.run(command, cwd=plugin, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def outcomes(told: str, file: str) -> list[str]:
    """PASSED, FAILED or ERROR of each of a file's tests."""
    return re.findall(rf"^{file}::\S+ ([A-Z]+)", told, re.MULTILINE)


@pytest.mark.slow
def test_sound_plug_ins_pass(told: str):
    assert outcomes(told, "test_sound.py") == ["PASSED"] * 22, told


@pytest.mark.slow
def test_faulty_plug_ins_are_found_out(told: str):
    assert sorted(outcomes(told, "test_faulty.py")) == ["FAILED"] * 3 + ["PASSED"] * 2, told
    assert "::test_samples_are_what_the_card_says[liar-test] FAILED" in told
    assert "::test_proposals_are_canonical_feasible_and_new[forgetful] FAILED" in told
    assert "::test_what_only_an_evaluation_tells[forgetful] FAILED" in told
