"""Space files: what they say, that mistakes give one line, and that results need no space file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hasnas.errors import BadInputError
from hasnas.search_spaces import Architecture, Macro
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.operations import operation_like, operation_named
from hasnas.search_spaces.python_space import load_space_class
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import codes_at, sample, size_text, space_size
from hasnas.search_spaces.yaml_space import KEYS, load_space_file, space_from_tree
from hasnas.yaml_files import parse_yaml

MACRO = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1)
CELL: dict[str, Any] = {
    "version": 1,
    "name": "mine",
    "kind": "cell",
    "nodes": 3,
    "operations": ["none", "identity", {"name": "large", "kind": "conv", "kernel_size": 7, "threshold": 0.5}],
}
TEXT = """
version: 1
name: mine
kind: blocks
cells: 4
operations: [conv1x1, {name: large, kind: conv, kernel_size: 7}]
searched:
  timesteps: [2, 4]
"""


def test_a_file_is_a_space(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(TEXT)
    space = load_space_file(path).build(MACRO)
    inner = AutoSNNSpace(MACRO, cells=4, operations=("conv1x1", "conv7x7"))
    assert space == with_searched_macro(inner, {"timesteps": [2, 4]})
    assert space_from_tree(CELL, "x").build(MACRO) == CellSpace(
        MACRO, nodes=3, operations=("none", "identity", "conv7x7_t0.5")
    )


def test_the_documentation_shows_a_space() -> None:
    page = (Path(__file__).parents[2] / "docs" / "pages" / "guides" / "spaces.md").read_text()
    shown = page.split('```yaml title="my_space.yaml"\n')[1].split("```")[0]
    space = space_from_tree(parse_yaml(shown, "spaces.md"), "spaces.md").build(MACRO)
    assert space_size(space) == 9**12 * 2


def own(**changes: Any) -> dict[str, Any]:
    return {"name": "a", "kind": "conv", "kernel_size": 3, **changes}


@pytest.mark.parametrize(
    "change, message",
    [
        ({"version": 2}, "mine.yaml: version is 2; this release reads version 1"),
        ({"kind": "cels"}, "unknown kind 'cels'; did you mean 'cell'"),
        ({"kind": "blocks"}, "key 'nodes' is for 'kind: cell'"),
        ({"node": 3}, "unknown key 'node'; did you mean 'nodes'"),
        ({"nodes": 1}, "nodes is 1; give a number from 2 to 16"),
        ({"nodes": 10**5000}, "nodes is a number that is too large"),
        ({"cells": True}, "cells is True"),
        ({"shared": "yes"}, "shared is 'yes'; give true or false"),
        ({"operations": ["none", "conv3x4"]}, "entry 2: unknown operation 'conv3x4'; did you mean 'conv3x3'"),
        ({"operations": ["identity"]}, "begin with 'none'"),
        ({"operations": [own(kind="konv")]}, "entry 1: unknown kind of operation 'konv'; did you mean 'conv'"),
        ({"operations": [own(kernel_size=4)]}, "kernel_size is 4; give an odd number from 1 to 31"),
        ({"operations": [own(kind="max_pool", threshold=1)]}, "a threshold on 'max_pool', which has no neurons"),
        ({"operations": [own(threshold=1e-9)]}, "threshold is 1e-09"),
        ({"operations": [own(kernel=3)]}, "unknown key 'kernel'; did you mean 'kernel_size'"),
        ({"operations": ["none", "conv3x3", own()]}, "entry 3: 'a' is the same as 'conv3x3'"),
        ({"searched": {"timestep": [1]}}, "unknown key 'timestep'; did you mean 'timesteps'"),
        ({"searched": {"timesteps": [0]}}, "mine.yaml: macro.timesteps is 0"),
        ({"searched": {"timesteps": ["4"]}}, "timesteps holds '4'; give whole numbers"),
        ({"searched": {"threshold": [1.0, 1]}}, "each once"),
        ({"cells": 9}, "mine.yaml: macro.final_pool"),
    ],
)  # fmt: skip
def test_mistakes_are_named_in_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError) as refused:
        space_from_tree({**CELL, **change}, "mine.yaml").build(MACRO)
    assert message in str(refused.value)
    assert str(refused.value).startswith("mine.yaml")
    assert "\n" not in str(refused.value)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(
    ["cell", "blocks", "none", "conv3x3", "conv7x7_t0.5", "max_pool", "conv"]
)  # fmt: skip
NAMES = st.sampled_from([*KEYS["cell"], "kernel_size", "threshold", "timesteps", "channels"]) | st.text(max_size=5)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)


@pytest.mark.slow
@given(TREES, st.dictionaries(st.sampled_from(KEYS["cell"]), TREES, max_size=4))
def test_any_mapping_is_a_space_or_one_clear_line(tree: Any, changes: dict[str, Any]) -> None:
    for candidate in (tree, {**CELL, **changes}):
        try:
            space = space_from_tree(candidate, "any.yaml").build(MACRO)
        except BadInputError as error:
            message = str(error)
        else:
            codes = sample(space, np.random.default_rng(0), 2)
            assert space.encode(space.decode(codes[0])) == tuple(codes[0])
            message = ""
        assert "\n" not in message


@pytest.mark.slow
@given(st.text(max_size=20))
def test_names_of_operations_say_what_they_do(name: str) -> None:
    for text in (name, f"conv{name}", f"conv3x3_t{name}"):
        try:
            operation = operation_named(text)
        except BadInputError:
            continue
        assert operation.name == text
        if operation.kernel_size:
            assert operation_like(operation.kind, operation.kernel_size, operation.threshold).name == text


def test_architectures_need_no_space_file(tmp_path: Path) -> None:
    space = space_from_tree(CELL, "mine.yaml").build(MACRO)
    space.decode([2, 0, 2]).save(tmp_path / "architecture.json")
    code = (
        "import sys; from hasnas.search_spaces import Architecture;"
        "print(Architecture.load(sys.argv[1]).expand().parameter_count)"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "architecture.json"], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) == Architecture.load(tmp_path / "architecture.json").expand().parameter_count


def test_huge_spaces_keep_an_exact_size() -> None:
    tree = {**CELL, "nodes": 16, "cells": 64, "shared": False, "feedback": True}
    macro = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1, reductions=())
    space = space_from_tree(tree, "huge.yaml").build(macro)
    assert space_size(space) == 5 ** (64 * 120)
    assert size_text(space_size(space)) == "about 10^5368"
    assert sample(space, np.random.default_rng(0), 2).shape == (2, 64 * 120)
    with pytest.raises(BadInputError, match=r"about 10\^5368 architectures, too many to enumerate"):
        codes_at(space, np.arange(3))


def test_a_python_file_is_a_space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    path = tmp_path / "python_space_of_a_test.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from hasnas.search_spaces.snasnet import CellSpace\n\n"
        "@dataclass(frozen=True)\nclass Mine(CellSpace):\n    nodes: int = 3\n"
    )
    assert len(load_space_class(path)(MACRO).genes) == 3
    empty = tmp_path / "empty_space_of_a_test.py"
    empty.write_text("")
    with pytest.raises(BadInputError, match="must define one class"):
        load_space_class(empty)
    broken = tmp_path / "broken_space_of_a_test.py"
    broken.write_text("1 / 0")
    with pytest.raises(BadInputError, match="ZeroDivisionError"):
        load_space_class(broken)


# No reductions, so that maps of 64 cells keep their size.
FLAT = Macro((1, 8, 8), classes=3, timesteps=2, channels=4, hidden=0, votes=1, reductions=())


@pytest.mark.parametrize("key, least, most", [("nodes", 2, 16), ("cells", 1, 64)])
def test_how_large_a_cell_and_a_network_may_be(key: str, least: int, most: int) -> None:
    tree = {"version": 1, "name": "mine", "kind": "cell", "nodes": 3, "operations": ["none", "conv3x3"]}
    for number in (least, most):
        assert getattr(space_from_tree({**tree, key: number}, "mine.yaml").build(FLAT), key) == number
    for number in (least - 1, most + 1):
        with pytest.raises(BadInputError, match=rf"mine\.yaml: .*{key}"):
            space_from_tree({**tree, key: number}, "mine.yaml")
