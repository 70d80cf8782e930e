"""The public face: a dozen names that come when they are called."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import hasnas

ROOT = Path(__file__).parent.parent
TINY_RUN = """
name: digits
seed: 3
dataset: {name: digits, validation_share: 0.3}
space: {macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, final_pool: 4, dropout: 0.1}}
hardware: rram-32nm
budget: {parameters: 1900}
supernet: {enabled: false}
search: {score: parameters, strategy: random, evaluations: 4, batch: 2}
retrain: {top: 1, epochs: 2, batch_size: 64}
"""


def python_of(script: str) -> str:
    """What a script prints, in a process of its own."""
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("name", hasnas.__all__)
def test_every_name_is_there(name: str):
    assert getattr(hasnas, name).__name__ == name
    assert name in dir(hasnas)


def test_type_checkers_see_the_same_names():
    tree = ast.parse((ROOT / "hasnas" / "__init__.py").read_text())
    seen = [alias.asname for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert sorted(name for name in seen if name) == sorted(hasnas.__all__) == sorted(hasnas._HOMES)


def test_importing_it_imports_nothing_else():
    script = "import sys; before = set(sys.modules); import hasnas; print(sorted(set(sys.modules) - before))"
    heavy = {"numpy", "yaml", "torch", "pydantic", "typer"}
    loaded = set(ast.literal_eval(python_of(script)))
    assert "hasnas" in loaded
    assert not heavy & loaded
    assert not any(name.startswith("hasnas.") for name in loaded)


def test_unknown_names_are_unknown():
    with pytest.raises(AttributeError, match="has no attribute 'estimat'"):
        _ = hasnas.estimat


def test_a_name_whose_extra_is_absent_says_so():
    script = """
import sys
sys.modules["torch"] = None
import hasnas
try:
    hasnas.load_network
except hasnas.BadInputError as error:
    print(error)
"""
    assert python_of(script) == "hasnas.load_network needs PyTorch: pip install 'hasnas[search]'\n"


@pytest.mark.parametrize("wrong", ["seed=1", None, 5, {"seed": object()}])
def test_overrides_are_a_mapping_or_a_list(wrong: object):
    with pytest.raises(hasnas.BadInputError, match=r"^overrides"):
        hasnas.search("any.yaml", wrong)


def test_workers_are_a_whole_number():
    with pytest.raises(hasnas.BadInputError, match=r"^workers is '2'"):
        hasnas.search("any.yaml", workers="2")


def test_what_is_no_run_or_has_no_answer_yet_is_said(tmp_path: Path):
    with pytest.raises(hasnas.BadInputError, match=r"holds no run \(no config\.yaml\)"):
        hasnas.open_run(tmp_path)
    (tmp_path / "config.yaml").write_text(TINY_RUN)
    with pytest.raises(hasnas.BadInputError, match="has returned no network yet"):
        _ = hasnas.open_run(tmp_path).best
