"""The public face: a dozen names that come when they are called, and the README's examples of them."""

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

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


def examples() -> list[str]:
    """The Python blocks of the README's section on Python."""
    section = (ROOT / "README.md").read_text().split("## From Python")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, re.DOTALL)


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


@pytest.mark.slow
def test_the_examples_of_the_readme_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("digits.yaml").write_text(TINY_RUN)
    pricing, running = examples()
    names: dict[str, Any] = {}
    exec(pricing, names)
    assert float(capsys.readouterr().out.split()[0]) > 0
    assert "conv" in names["report"]._repr_html_()
    exec(running, names)
    said, reported = map(float, capsys.readouterr().out.splitlines()[0].split())
    assert said == pytest.approx(reported, abs=1e-4)
    assert 0 < said <= 1
    run = hasnas.open_run("runs/from_python")
    assert list(run.front()["key"]) == [line.split(",")[2] for line in csv_lines(run.directory / "pareto.csv")]
    assert run.best.key in run._repr_html_()
    assert run == names["run"]
    for folder in (run.directory / "export").iterdir():
        shutil.rmtree(folder)
    with pytest.raises(hasnas.BadInputError, match=r"cannot read .*architecture\.json"):
        run.best.load()


def csv_lines(path: Path) -> list[str]:
    """The lines of a table behind its header."""
    return path.read_text().splitlines()[1:]


def test_what_is_no_run_or_has_no_answer_yet_is_said(tmp_path: Path):
    with pytest.raises(hasnas.BadInputError, match=r"holds no run \(no config\.yaml\)"):
        hasnas.open_run(tmp_path)
    (tmp_path / "config.yaml").write_text(TINY_RUN)
    with pytest.raises(hasnas.BadInputError, match="has returned no network yet"):
        _ = hasnas.open_run(tmp_path).best
