"""E4: flipped bits and cut ends in every kind of file that a run writes and reads again change no result silently.

    python experiments/faults/flips.py [--each 300] [--cuts 30] [--seed 0]

A small run is made; then, for each kind of file, one bit after the other is flipped, or the end is cut off, the file is
read as the program reads it, and mended. An answer is "refused" (one line), "told" (said, and made again or gone on
from an older one), "without effect" (what was read is what was written) or "silent", which must not be.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import random
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import CONFIG, arguments
from common import told as tell

from hasnas.cim_estimator.mapping import SpikeGraph, open_graph, open_mapping, read_graph_text, save_graph
from hasnas.datasets.cache import cached_arrays
from hasnas.errors import HasnasError
from hasnas.nas.cli import run_command
from hasnas.nas.export.nir_reader import read_deployed
from hasnas.nas.export.saved_network import load_network
from hasnas.nas.history.checkpoint import load_checkpoint
from hasnas.nas.history.ledger import read_ledger
from hasnas.nas.history.run_config import load_run_config
from hasnas.nas.run import start_run
from hasnas.nas.stages.context import Setup
from hasnas.nas.stages.progress import Console
from hasnas.nas.stages.screen import read_screen
from hasnas.nas.training.folders import read_activity
from hasnas.search_spaces.architecture import Architecture

Read = Callable[[], Any]
told: list[str] = []


class Says(Console):
    """A console whose lines count as told."""

    def say(self, text: str) -> None:
        told.append(text)


class Told(logging.Handler):
    """A log whose warnings count as told."""

    def emit(self, record: logging.LogRecord) -> None:
        told.append(record.getMessage())


def plain(value: Any) -> Any:
    """A value that can be compared, bit for bit."""
    if isinstance(value, torch.Tensor):
        return value.dtype, tuple(value.shape), value.numpy().tobytes()
    if isinstance(value, np.ndarray):
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value


def readers(run: Path, cache: Path) -> dict[Path, Read]:
    """File -> what the program makes of it."""
    config = load_run_config(run)
    setup = Setup(config, Says())
    export = next((run / "export").iterdir())
    trained = next((run / "checkpoints" / "retrain").iterdir())

    def ledger() -> Any:
        found = read_ledger(run / "ledger.jsonl")
        told.extend([found.damage] if found.damage else [])
        return found.records

    def screen() -> Any:
        found = read_screen(setup, run / "screen.npz")
        return None if found is None else plain([found.codes, found.connected, found.costs.values, found.complete])

    def network(folder: Path) -> Any:
        loaded = load_network(folder)
        return plain(dict(loaded.network.state_dict())), repr(loaded.normalisation)

    def nir_file() -> Any:
        deployed = read_deployed(export / "network.nir")
        return plain(dict(deployed.network().state_dict())), repr(deployed.graph)

    def cached() -> Any:
        def build(allocate: Any) -> Any:
            told.append("decoded again")
            inputs = allocate((40, 6), np.float32)
            inputs[:] = np.arange(240).reshape(40, 6)
            return inputs, np.arange(40)

        return plain([np.array(one) for one in cached_arrays("set", "1", build)])

    def checkpoint(path: Path) -> Read:
        return lambda: plain(load_checkpoint(path))

    cached()
    found: dict[Path, Read] = {
        run / "config.yaml": lambda: load_run_config(run).model_dump(exclude={"versions"}),
        run / "ledger.jsonl": ledger,
        run / "screen.npz": screen,
        trained / "activity.json": lambda: read_activity(trained),
        export / "architecture.json": lambda: Architecture.load(export / "architecture.json").to_json(),
        export / "weights.safetensors": lambda: network(export),
        export / "card.json": lambda: network(export),
        export / "network.nir": nir_file,
    }
    for name in ("last", "best"):
        found[trained / f"{name}.safetensors"] = checkpoint(trained / f"{name}.safetensors")
    for name in ("supernet", "supernet-weights"):
        found[run / "checkpoints" / f"{name}.safetensors"] = checkpoint(run / "checkpoints" / f"{name}.safetensors")
    graph = mapped_graph(run.parent)

    def mapping() -> Any:
        mapped = open_mapping(run.parent / "m.npz", graph)
        parts = [getattr(one, name) for one in mapped.positions for name in ("rows", "columns")]
        return plain([mapped.clusters, mapped.tiles, mapped.topology, mapped.rows, mapped.splitting, parts])

    def graph_file() -> Any:
        opened = open_graph(run.parent / "g.npz")
        arrays = [np.array(one) for one in (opened.offsets, opened.destinations, opened.spikes)]
        return plain([*arrays, opened.steps, opened.samples, opened.step_s])

    found[run.parent / "m.npz"], found[run.parent / "g.npz"] = mapping, graph_file
    for file in sorted((cache / "set" / "1").iterdir()):
        found[file] = cached
    return found


def mapped_graph(folder: Path) -> SpikeGraph:
    """A small spike graph as text, as `g.npz`, and mapped as `m.npz`."""
    rng = np.random.default_rng(0)
    lines = [f"{one} {' '.join(map(str, 20 + rng.choice(20, 5, replace=False)))}" for one in range(20)]
    (folder / "g.txt").write_text("\n".join(lines) + "\n")
    times = [f"{one} {' '.join(map(str, np.sort(rng.choice(30, 4, replace=False))))}" for one in range(40)]
    (folder / "s.txt").write_text("\n".join(times) + "\n")
    given = [str(folder / "g.txt"), "--spikes", str(folder / "s.txt"), "--recipe", "naive"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_command(["map", *given, "--save", str(folder / "m.npz")]) == 0
    graph = read_graph_text(folder / "g.txt", folder / "s.txt")
    save_graph(graph, folder / "g.npz")
    return graph


def outcome(read: Read, sound: Any) -> str:
    """What became of one read."""
    told.clear()
    try:
        found = read()
    except HasnasError as error:
        return "refused" if str(error) and "\n" not in str(error) else "no line"
    except Exception as error:
        return f"traceback {type(error).__name__}"
    if told:
        return "told"
    if isinstance(found, tuple) and 0 < len(found) < len(sound) and found == sound[: len(found)]:
        return "told"  # a ledger that was cut between two lines is that of a run that stopped there
    return "without effect" if found == sound else "silent"


def main() -> int:
    """Flip, read, count; the exit code says whether there was no silent one and no traceback."""
    parser = arguments(__doc__, seed=True)
    parser.add_argument("--each", type=int, default=300)
    parser.add_argument("--cuts", type=int, default=30)
    options = parser.parse_args()
    each, cuts = (5, 5) if options.quick else (options.each, options.cuts)
    torch.set_num_threads(1)
    logging.getLogger().addHandler(Told())
    warnings.showwarning = lambda message, *_: told.append(str(message))  # type: ignore[assignment]
    warnings.simplefilter("always")
    tried = wrong = 0
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.environ["HASNAS_CACHE"] = str(folder / "cache")
        (folder / "tiny.yaml").write_text(CONFIG)
        with contextlib.redirect_stderr(io.StringIO()):
            run = start_run(folder / "tiny.yaml", run_directory=folder / "run")
            assert run_command(["export", str(run)]) == 0
        for path, read in readers(run, folder / "cache").items():
            content, rng, counts = path.read_bytes(), random.Random(f"{options.seed}/{path.name}"), Counter[str]()
            sound = read()
            for number in range(each + cuts):
                flipped = bytearray(content)
                at, bit = rng.randrange(len(content)), 1 << rng.randrange(8)
                if number < each:
                    flipped[at] ^= bit
                else:
                    del flipped[at:]
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(bytes(flipped))
                answer = outcome(read, sound)
                counts[answer] += 1
                tried += 1
                if answer not in ("refused", "told", "without effect"):
                    wrong += 1
                    what = f"bit {bit}" if number < each else "cut there"
                    print(f"{path.name}: byte {at}, {what}: {answer}", flush=True)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
            print(f"| {path.name} | {len(content):,} | {each + cuts} | {dict(sorted(counts.items()))} |", flush=True)
    return tell("E4", {"flips and cuts": tried, "silently wrong or a traceback": wrong}, "0", wrong == 0)


if __name__ == "__main__":
    sys.exit(main())
