"""Runs the commands and code that README and the documentation show, block after block as a reader would.

- A block with `title="my.yaml"` is a file, written before what follows.
- `python` without a title is run; all such blocks of a page share their names.
- `sh`: `hasnas` lines are run, the exit code being 0 or what a comment `# exit code 2` says. What a test cannot run is
  checked: `make` for its target, `pip install` for its extras, `tensorboard` for the folder of curves of a run that was
  begun (their own tests look into it).
- `text` behind either is part of what they print, `...` standing for anything.
- `yaml` without a title is a part of a config, and read as one.
Any other language is an error, so that nothing is left out unseen.
"""

from __future__ import annotations

import configparser
import doctest
import importlib.util
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml

import hasnas
from hasnas.nas.budget.costs import COSTS
from hasnas.nas.cli import run_command
from hasnas.nas.config.loading import config_from_tree
from hasnas.nas.config.plugins import STRATEGIES
from hasnas.nas.config.run import RunConfig
from hasnas.nas.history.layout import CONFIG_FILE
from hasnas.nas.opened_run import search
from hasnas.nas.tracking.tensorboard_tracker import FOLDER
from hasnas.search_spaces.neurons import NEURONS
from hasnas.search_spaces.operations import OPERATIONS

ROOT = Path(__file__).parent.parent
FENCE = re.compile(r'^```(\w+)(?: title="([^"]+)")?[^\n]*\n(.*?)^```$', re.DOTALL | re.MULTILINE)
MATCHED = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Snippet:
    """One fenced block of a page."""

    language: str
    title: str
    code: str
    where: str


def snippets(page: Path) -> list[Snippet]:
    """The fenced blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    assert f"\n{text}".count("\n```") == 2 * len(FENCE.findall(text)), f"{page}: a fence without a language"
    return [
        Snippet(found[1], found[2] or "", found[3], f"{page.name}:{text[: found.start()].count(chr(10)) + 1}")
        for found in FENCE.finditer(text)
    ]


class Reader:
    """Does what a page says, in the working directory.

    Args:
        capsys: of the test.
        short: keys that make every search that a page begins a short one; those begun in Python draw no view.
    """

    def __init__(self, capsys: pytest.CaptureFixture[str], short: Sequence[str] = ()) -> None:
        self.capsys, self.short, self.printed = capsys, short, ""
        self.names: dict[str, Any] = {"__name__": "snippet"}

    def follow(self, page: Path) -> None:
        """Everything on a page; what it registers is forgotten afterwards."""
        with registered_for_now(), mock.patch.object(hasnas, "search", search_without_views):
            for snippet in snippets(page):
                self.do(snippet)

    def do(self, snippet: Snippet) -> None:
        """One block."""
        if snippet.title:
            Path(snippet.title).parent.mkdir(parents=True, exist_ok=True)
            Path(snippet.title).write_text(snippet.code, encoding="utf-8")
            return
        does = {"python": self.python, "sh": self.shell, "text": self.text, "yaml": self.part_of_a_config}
        assert snippet.language in does, f"{snippet.where}: nothing is known of '{snippet.language}'"
        does[snippet.language](snippet)

    def python(self, snippet: Snippet) -> None:
        exec(compile(snippet.code, snippet.where, "exec"), self.names)
        self.printed = self.capsys.readouterr().out

    def shell(self, snippet: Snippet) -> None:
        self.printed = ""
        for line in snippet.code.replace("\\\n", " ").splitlines():
            command, _, comment = line.partition(" #") if not line.startswith("#") else ("", "", "")
            expected = re.search(r"exit code (\d+)", comment)
            for part in command.split("&&"):
                if part.strip():
                    self.command(shlex.split(part), int(expected[1]) if expected else 0, f"{snippet.where}: {line}")

    def command(self, words: list[str], expected: int, where: str) -> None:
        if words[0] == "hasnas":
            begins = words[1] == "search" and "--resume" not in words
            code = run_command([*words[1:], *(self.short if begins else ())])
            said = self.capsys.readouterr()
            self.printed += said.out + (said.err if code else "")
            assert code == expected, f"{where}\nexit code {code}, {said.err}"
        elif words[:2] == ["pip", "install"]:
            extras = configparser.ConfigParser()
            extras.read(ROOT / "setup.cfg")
            for names in re.findall(r"\[([\w,]+)\]", " ".join(words)):
                for name in names.split(","):
                    assert name in extras["options.extras_require"], f"{where}: no extra '{name}'"
        elif words[0] == "make":
            assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), where
        elif words[0] == "tensorboard":
            folder = Path(words[words.index("--logdir") + 1])
            assert (folder.parent / CONFIG_FILE).exists(), f"{where}: no run"
            assert folder.name == FOLDER, where
            assert "tensorboard" in RunConfig.model_fields["tracking"].default, where
        else:
            raise AssertionError(f"{where}: nothing is known of '{words[0]}'")

    def text(self, snippet: Snippet) -> None:
        """What the block before prints holds these lines."""
        wanted = f"...{snippet.code.strip()}..."
        assert doctest.OutputChecker().check_output(wanted, self.printed.strip(), MATCHED), (
            f"{snippet.where}: it prints\n{self.printed}"
        )

    def part_of_a_config(self, snippet: Snippet) -> None:
        config: dict[str, Any] = {"name": "part", "dataset": {"name": "digits"}, "hardware": "rram-32nm"}
        config |= yaml.safe_load(snippet.code)
        config_from_tree(config, snippet.where)


def search_without_views(config: str, changes: Mapping[str, Any], run_directory: str) -> hasnas.Run:
    """`hasnas.search`, whose page and curves nobody looks at."""
    return search(config, {"tracking": []} | dict(changes), run_directory)


@contextmanager
def registered_for_now() -> Iterator[None]:
    """Forgets at its end what was registered meanwhile, so that no other test sees it."""
    registries = [OPERATIONS, NEURONS, STRATEGIES, COSTS]
    before = [dict(registry._loaded) for registry in registries]
    try:
        yield
    finally:
        for registry, loaded in zip(registries, before, strict=True):
            registry._loaded.clear()
            registry._loaded.update(loaded)


def missing_for(page: Path) -> list[str]:
    """Packages that a page says it needs, `<!-- needs: norse, onnx -->`, and that are not installed."""
    found = re.search(r"<!-- needs: ([\w, ]+) -->", page.read_text(encoding="utf-8"))
    names = [name.strip() for name in found[1].split(",")] if found else []
    return [name for name in names if importlib.util.find_spec(name) is None]
