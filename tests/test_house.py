"""The plan of the house: who may import whom, what is packaged, and that every public thing is documented."""

from __future__ import annotations

import ast
import configparser
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = {"hasnas.errors", "hasnas.registry", "hasnas.files", "hasnas.yaml_files"}
ALLOWED = {
    "datasets": {"hasnas.datasets"},
    "cim_estimator": {"hasnas.cim_estimator"},
    "search_spaces": {"hasnas.search_spaces", "hasnas.cim_estimator"},
    "nas": {"hasnas.nas", "hasnas.search_spaces", "hasnas.cim_estimator", "hasnas.datasets", "hasnas"},
}
# The rooms of `nas`; each imports only those before it.
ROOMS = (
    "budget", "config", "environment", "history", "data", "training", "imperfect_chips", "scoring", "tracing",
    "supernet", "strategies", "supernet.nni", "analysis", "executors", "export", "spikes", "tracking", "stages",
    "bench", "run", "opened_run", "commands", "cli",
)  # fmt: skip
FACE = [*sorted((ROOT / "hasnas").glob("*.py")), *sorted((ROOT / "hasnas" / "conformance").glob("*.py"))]
SOURCES = [path for folder in ALLOWED for path in sorted((ROOT / folder).rglob("*.py"))]


@cache
def tree_of(path: Path) -> ast.Module:
    """What a file says; each is read once."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imported(path: Path) -> set[str]:
    """Absolute module names that a file imports; relative ones resolved."""
    return {name for name, _ in imports(path)}


@cache
def imports(path: Path) -> set[tuple[str, str]]:
    """Absolute modules that a file imports, at its top or inside functions, each with a name taken from it."""
    package = ["hasnas", *path.relative_to(ROOT).parts[:-1]]
    names: set[tuple[str, str]] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            names |= {(alias.name, "") for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            names |= {(".".join([*base, *filter(None, [node.module])]), alias.name) for alias in node.names}
    return names


@pytest.mark.slow
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    folder = path.relative_to(ROOT).parts[0]
    for name in imported(path):
        top = name.split(".")[0]
        assert not name.startswith("hasnas.conformance"), "the suites are for tests"
        assert top not in ALLOWED, f"'{name}' would be another package; import hasnas.{name}"
        if top == "hasnas":
            inside = name in SHARED or name in ALLOWED[folder] or any(name.startswith(f"{a}.") for a in ALLOWED[folder])
            assert inside, f"{folder} must not import {name}"
        if top == "nni":
            assert path.is_relative_to(ROOT / "nas" / "supernet" / "nni"), "only nas/supernet/nni imports nni"
        if top == "torch":
            assert folder in ("search_spaces", "nas"), f"{folder} must work without torch"


def room_of(module: str) -> str:
    """The room of `nas` that a module stands in; empty for anything else."""
    parts = module.removeprefix("hasnas.nas.").split(".") if module.startswith("hasnas.nas.") else [""]
    return "supernet.nni" if parts[:2] == ["supernet", "nni"] else parts[0]


@pytest.mark.parametrize("path", sorted((ROOT / "nas").rglob("*.py")), ids=lambda path: str(path.relative_to(ROOT)))
def test_rooms_import_only_rooms_before_them(path: Path) -> None:
    own = room_of(".".join(["hasnas", *path.relative_to(ROOT).with_suffix("").parts]))
    if own == "__init__":
        return
    assert own in ROOMS, f"room '{own}' has no place in ROOMS"
    for name in imported(path):
        other = room_of(name)
        assert not other or other == own or ROOMS.index(other) < ROOMS.index(own), f"{own} must not import {name}"


def test_no_modules_of_nas_import_each_other_in_a_circle() -> None:
    paths = {module_of(path): path for path in (ROOT / "nas").rglob("*.py")}
    needs = {
        name: {f"{module}.{taken}" if f"{module}.{taken}" in paths else module for module, taken in imports(path)}
        for name, path in paths.items()
    }
    left = set(needs)
    while outside := {name for name in left if not needs[name] & left or all(name not in needs[x] for x in left)}:
        left -= outside  # it imports nothing of those left, or none of them imports it: it is on no circle
    assert not left, f"these import each other in a circle: {', '.join(sorted(left))}"


def module_of(path: Path) -> str:
    """The module that a file is; a package is named after its folder."""
    return ".".join(["hasnas", *path.relative_to(ROOT).with_suffix("").parts]).removesuffix(".__init__")


def test_loose_in_nas_are_only_the_composition_of_a_run_and_its_two_faces() -> None:
    assert {path.name for path in (ROOT / "nas").glob("*.py")} == {"__init__.py", "cli.py", "opened_run.py", "run.py"}


@pytest.mark.parametrize("path", SOURCES + FACE, ids=lambda path: str(path.relative_to(ROOT)))
def test_public_names_are_documented_and_typed(path: Path) -> None:
    tree = tree_of(path)
    assert ast.get_docstring(tree), "the file does not say what it is"
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
        if isinstance(node, ast.FunctionDef):
            assert node.args.kwarg is None, f"{node.name} hides its interface behind **kwargs"
            assert node.returns is not None, f"{node.name} does not say what it returns"


@pytest.mark.slow
@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_reads_a_pickle(path: Path) -> None:
    tree = tree_of(path)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in ("torch.load", "pickle.load", "pickle.loads", "joblib.load"), called
            if called in ("np.load", "numpy.load"):
                assert any(k.arg == "allow_pickle" and ast.unparse(k.value) == "False" for k in node.keywords)


def test_links_of_the_package_lead_to_the_folders() -> None:
    for folder in (*ALLOWED, "experiments"):
        assert (ROOT / "hasnas" / folder).resolve() == ROOT / folder


def test_the_wheel_is_one_package_with_all_its_yaml() -> None:
    from setuptools import find_packages

    packages = find_packages(str(ROOT), include=["hasnas*"])
    assert {name.split(".")[0] for name in packages} == {"hasnas"}
    assert {f"hasnas.{folder}" for folder in (*ALLOWED, "conformance", "experiments")} <= set(packages)
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    with_data = set(setup["options.package_data"])
    travelling = [path for folder in ALLOWED for path in (ROOT / folder).rglob("*.yaml")]
    for path in [*travelling, *(ROOT / "experiments").glob("*.yaml")]:
        assert ".".join(["hasnas", *path.relative_to(ROOT).parts[:-1]]) in with_data, path


def test_every_example_config_is_valid() -> None:
    from hasnas.nas.config.loading import load_config

    configs = sorted((ROOT / "experiments").glob("*.yaml"))
    assert configs
    for path in configs:
        load_config(path)


def test_contributing_maps_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rooms = [path.parent for folder in ("nas", "cim_estimator") for path in (ROOT / folder).glob("*/__init__.py")]
    for room in rooms:
        told = f"`{room.parent.name}/{room.name}/`" in text or f", `{room.name}/`" in text
        assert told, f"CONTRIBUTING.md does not say what is in {room.parent.name}/{room.name}"
