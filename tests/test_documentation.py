"""README and documentation: every command and snippet runs, every page is current, and the site builds."""

from __future__ import annotations

import doctest
import importlib.util
import re
import shutil
import sys
from pathlib import Path

import pytest
import yaml

import hasnas
from tests.snippets import ROOT, Reader, missing_for, snippets

DOCS = ROOT / "docs"
PAGES = DOCS / "pages"
FIRST = PAGES / "tutorials" / "first-search.md"
OTHERS = sorted(path for path in PAGES.rglob("*.md") if path != FIRST)
LONGEST_TUTORIAL = 30
# The README searches for a minute; as a test, its search ranks four candidates and trains one briefly.
SHORT = ("search.score=parameters", "search.strategy=random", "search.evaluations=4", "retrain.top=1",
         "retrain.epochs=1", "retrain.baselines=[]", "search.objectives=[]", "tracking=[]")  # fmt: skip
sys.path.insert(0, str(DOCS))

import generated  # noqa: E402
from pictures import PICTURES  # noqa: E402

COMMANDS = dict(generated.commands())


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The working directory of a reader, in which `first_search` writes `first.yaml` and `runs/first`."""
    return tmp_path_factory.mktemp("reader")


@pytest.fixture
def reader(first_run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Reader:
    """One who has followed the first tutorial, and stands where it left its run."""
    monkeypatch.chdir(first_run)
    if not (first_run / "runs" / "first").exists():
        Reader(capsys, ["tracking=[]", "retrain.epochs=1"]).follow(FIRST)  # guides/looking.md writes its report
    return Reader(capsys, ["retrain.enabled=false", "tracking=[]"])


@pytest.mark.slow
@pytest.mark.parametrize("page", [FIRST, *OTHERS], ids=lambda path: str(path.relative_to(PAGES)))
def test_everything_on_a_page_runs(page: Path, reader: Reader):
    if missing := missing_for(page):
        pytest.skip(f"{page.name} needs {', '.join(missing)}")
    if page != FIRST:  # which the reader has followed already
        reader.follow(page)


@pytest.mark.slow
def test_everything_in_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    reader = Reader(capsys, SHORT)
    reader.follow(ROOT / "README.md")
    said, reported = map(float, reader.printed.splitlines()[0].split())
    assert said == pytest.approx(reported, abs=1e-4)
    assert 0 < said <= 1
    assert "conv" in reader.names["report"]._repr_html_()
    run = hasnas.open_run("runs/digits")
    front = (run.directory / "pareto.csv").read_text().splitlines()[1:]
    assert list(run.front()["key"]) == [line.split(",")[2] for line in front]
    assert run.best.key in run._repr_html_()
    assert run == reader.names["run"]
    for folder in (run.directory / "export").iterdir():
        shutil.rmtree(folder)
    with pytest.raises(hasnas.BadInputError, match=r"cannot read .*architecture\.json"):
        run.best.load()


@pytest.mark.parametrize("page", [ROOT / "README.md", FIRST, *OTHERS], ids=lambda path: path.stem)
def test_commands_that_text_names_exist(page: Path):
    known = {name: {option for each in command.params for option in each.opts} for name, command in COMMANDS.items()}
    for words in (found.split() for found in re.findall(r"`(hasnas [a-z][^`]*)`", page.read_text(), re.DOTALL)):
        name = " ".join(words[:3]) if " ".join(words[:3]) in known else " ".join(words[:2])
        if name == "hasnas COMMAND":
            continue
        assert name in known, f"{page.name}: {' '.join(words)}"
        for word in words[2:]:
            assert not word.startswith("--") or word.split("=")[0] in known[name], f"{page.name}: {' '.join(words)}"


@pytest.mark.parametrize("page", sorted((PAGES / "tutorials").glob("*.md")), ids=lambda path: path.stem)
def test_tutorials_are_short(page: Path):
    lines = [line for each in snippets(page) if each.language != "text" for line in each.code.splitlines()]
    assert 0 < len([line for line in lines if line.strip()]) <= LONGEST_TUTORIAL


def test_every_key_of_a_config_says_what_it_is():
    page = generated.config_page()
    for place, section in generated.sections():
        for key, line in generated.config_rows(section, place):
            assert line.split(" | ")[-1].strip(" |\n"), f"{place}.{key} has no meaning in the docstring"
            assert line in page


def test_every_field_of_a_chip_says_what_it_is():
    page = generated.hardware_page()
    for place, section in generated.hardware_sections():
        for key, line in generated.hardware_rows(section):
            assert line.split(" | ")[-1].strip(" |\n"), f"{place}.{key} has no meaning in the docstring"
            assert line in page


def test_examples_of_the_generator_hold():
    tried = doctest.testmod(generated)
    assert tried.attempted > 1
    assert tried.failed == 0


def test_every_command_and_plug_in_is_listed():
    commands, names = generated.commands_page(), generated.names_page()
    assert {name.split()[1] for name, _ in generated.commands()} >= {"search", "estimate", "map", "export", "data"}
    for name, _ in generated.commands():
        assert f"## `{name}`" in commands
    for registry in generated.registries().values():
        for name in registry.builtin_names:
            told = re.search(rf"^\| `{re.escape(name)}` \| (.*) \|$", names, re.MULTILINE)
            assert told, name
            assert len(told[1]) > 10, f"{name} has no docstring"


def test_every_picture_is_shown_and_every_shown_one_is_drawn():
    shown = {name for page in PAGES.rglob("*.md") for name in re.findall(r"<!-- picture: (\w+) -->", page.read_text())}
    assert shown == set(PICTURES)
    assert all(drawing().startswith("<figure><svg") for drawing in PICTURES.values())


@pytest.mark.slow
def test_the_site_builds_without_a_warning(tmp_path: Path):
    for name in ("material", "mkdocstrings"):
        if importlib.util.find_spec(name) is None:
            pytest.skip(f"{name} is not installed: pip install -c constraints.txt '.[docs]'; make docs does the same")
    from click.testing import CliRunner  # which mkdocs brings
    from mkdocs.__main__ import cli

    # Not with `--quiet`, which hears no warnings, so that none is an error.
    done = CliRunner().invoke(cli, ["build", "-f", str(DOCS / "mkdocs.yml"), "-d", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert (tmp_path / "reference" / "config.html").exists()


def test_changelog_and_citation_are_of_this_version():
    newest = re.search(r"^## \[([\d.]+)\] - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert newest
    assert (newest[1], newest[2]) == (citation["version"], citation["date-released"])
    assert newest[1] == hasnas.__version__
    assert {"cff-version", "message", "title", "authors", "type", "license"} <= citation.keys()
    assert citation["cff-version"] == "1.2.0"
