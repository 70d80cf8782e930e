"""How often a genotype, a budget and its costs change form in a small run, from proposal to export.

Functions are wrapped and counted while a run of a few candidates goes through all stages in one process.

    python experiments/benchmarks/hops.py

prints a Markdown table; the counts do not depend on the machine.
"""

from __future__ import annotations

import importlib
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

CONFIG = """
name: hops
seed: 0
dataset: {name: digits}
space: {name: snasnet, macro: {channels: 4, timesteps: 2, hidden: 8, votes: 1}}
hardware: rram-32nm
budget: {parameters: 1e6, memory: 10 Mbit, area: 100 mm^2, latency: 1 s, energy: 1 mJ}
supernet: {enabled: false}
search: {strategy: random, evaluations: 6, batch: 3, brief_epochs: 1, population: 4, sample: 2}
retrain: {epochs: 1, top: 1}
"""
# What is counted: a line of the table -> functions, by module, class (or nothing) and name; absent ones are left out.
WATCHED: dict[str, tuple[tuple[str, str, str], ...]] = {
    "decodes of codes": (("hasnas.search_spaces.snasnet", "CellSpace", "decode"),),
    "architectures to JSON": (("hasnas.search_spaces.architecture", "Architecture", "to_json"),),
    "architectures read from JSON": (("hasnas.search_spaces.macro", "Macro", "from_json"),),
    "expansions to a graph": (("hasnas.search_spaces.architecture", "", "expand"),),
    "networks built": (("hasnas.search_spaces.network", "SpikingNetwork", "__init__"),),
    "parses of a limit": (
        ("hasnas.nas.budget.budget", "", "parse_limit"),
        ("hasnas.nas.budget", "", "parse_limit"),
        ("hasnas.nas.budget.costs", "Cost", "parse"),
    ),
}


def watch(counts: Counter[str]) -> None:
    """Count every call of the watched functions, by whatever name another module imported them."""
    for line, places in WATCHED.items():
        for module_name, kind, name in places:
            try:
                module = importlib.import_module(module_name)
            except ModuleNotFoundError:
                continue
            owner = getattr(module, kind) if kind and hasattr(module, kind) else module
            if name not in vars(owner):
                continue
            given = vars(owner)[name]
            inner = given.__func__ if isinstance(given, staticmethod) else given
            counting = _counting(inner, counts, line)
            setattr(owner, name, staticmethod(counting) if isinstance(given, staticmethod) else counting)
            if owner is module:
                _replace_everywhere(inner, counting)


def _counting(inner: Callable[..., Any], counts: Counter[str], line: str) -> Callable[..., Any]:
    def counting(*values: Any, **named: Any) -> Any:
        counts[line] += 1
        return inner(*values, **named)

    return counting


def _replace_everywhere(inner: Any, counting: Any) -> None:
    import sys

    for name, module in list(sys.modules.items()):
        if name.startswith("hasnas") and module is not None:
            for attribute, value in list(vars(module).items()):
                if value is inner:
                    setattr(module, attribute, counting)


def main() -> None:
    """Print the table."""
    importlib.import_module("hasnas.nas.run")
    for name in ("hasnas.nas.export.run_export", "hasnas.nas.tracking.report_data"):
        try:
            importlib.import_module(name)
        except ModuleNotFoundError:
            importlib.import_module("hasnas.nas.tracking")
    counts: Counter[str] = Counter()
    watch(counts)
    from hasnas.nas.run import start_run

    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "hops.yaml"
        config.write_text(CONFIG, encoding="utf-8")
        start_run(config, (), Path(folder) / "run")
    print("| of 6 candidates and one returned network | calls |", "|---|---|", sep="\n")
    for line in WATCHED:
        print(f"| {line} | {counts[line]} |")


if __name__ == "__main__":
    main()
