"""E13: damaged and hostile files of every kind that people hand over: one line and an exit code, at once.

    python experiments/faults/fuzz.py [--each 1700] [--seed 0] [--only KIND]

Sound files are damaged in what they say (values of another kind or size, keys lost, renamed, doubled, nested) or in
their bytes (flips, cuts, insertions), then read by `hasnas validate` or `hasnas estimate` in this process. Wrong are a
traceback, an answer after more than 5 s, more than 1 GB of memory, and a line that is longer than 2,100 characters or
not printable.
"""

from __future__ import annotations

import contextlib
import copy
import io
import itertools
import json
import os
import random
import resource
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np
import yaml
from common import arguments, told
from situations import LateError, ring

from hasnas.cim_estimator.hardware.presets_reader import PRESETS
from hasnas.nas.cli import run_command
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.cells import Edge, Genotype
from hasnas.search_spaces.macro import Macro
from hasnas.yaml_files import read_yaml

SECONDS, BYTES, LINE = 5, 1 << 30, 2100
CONFIG = """
name: b
seed: 0
dataset: {name: digits, validation_share: 0.2, subset: {train: 60, test: 20}}
space: {name: snasnet, feedback: false, nodes: 4, operations: [none, identity, conv3x3],
        searched: {timesteps: [2, 3]}, macro: {channels: 4, timesteps: 2, hidden: 0, votes: 1, dropout: 0.0}}
hardware: {preset: rram-32nm, overrides: {crossbar.rows: 64}, searched: {adc.bits: [4, 5]}}
budget: {energy: 2 uJ, area: 5 mm2, latency: 1 ms}
screen: {sample: 64, activity: assumed, rate: 0.2}
supernet: {epochs: 1, batch_size: 32, learning_rate: 1e-2}
search: {strategy: random, evaluations: 6, batch: 2, population: 4, sample: 2, objectives: [accuracy, energy*latency]}
retrain: {top: 1, epochs: 1, seeds: 2, method: surrogate, augmentation: {shift: 1}}
nonideal: {device: rram-typical, chips: 2}
export: {formats: [json, nir]}
"""
SPACE = """
version: 1
name: my_space
kind: cell
nodes: 4
cells: 2
shared: false
feedback: true
operations: [none, identity, conv3x3, {name: eager, kind: conv, kernel_size: 7, threshold: 0.5}]
searched: {timesteps: [4, 6]}
"""
LAYERS = """
timesteps: 5
layers:
  - {name: first, kind: conv, in_channels: 3, out_channels: 16, kernel_size: 3, in_size: 16}
  - {kind: conv, in_channels: 16, out_channels: 16, kernel_size: 3, in_size: 16, stride: 2}
  - {kind: linear, in_channels: 1024, out_channels: 10}
"""
NASTY: list[Any] = [
    None, True, False, 0, 1, -1, 2, 7, 10**9, 10**18, 10**30, -(10**12), 0.5, 1e-300, 1e300, -0.0, float("nan"),
    float("inf"), "", " ", "x", "none", "0", "1e3", "1e400", "~", "~nosuch/x.yaml", "../../../etc/passwd", "/dev/zero",
    "/dev/stdin", "a" * 5000, "\x1b[31mred\x07", "\u202e\u0000x", "'; DROP", "${HOME}", "=1+1", "2 uJ", "-5 nJ",
    "1 parsec", [], {}, [1], [[]], [None], {"a": 1}, {"a": {"b": {"c": []}}}, [1, "a", None], list(range(300)),
    {"from": 1, "to": 2}, {"from": 1, "to": 1e9, "steps": 10**9}, ["none"] * 400, [0, 1, 2, 3], "9" * 4000, {"": ""},
    [[[[[[[[1]]]]]]]],
]  # fmt: skip
PIECES = (b"[", b"{", b"*a", b"&a ", b"- ", b": ", b"\x00", b"\xff\xfe", b"!!python/x ", b"9" * 99)


def places(tree: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    if not isinstance(tree, dict | list):
        return []
    items = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    return [(tree, key) for key, _ in items] + [pair for _, value in items for pair in places(value)]


def damaged(sound: Any, rng: random.Random) -> Any:
    """A tree with one to four things wrong with what it says."""
    tree = copy.deepcopy(sound)
    for _ in range(rng.choice((1, 1, 2, 4))):
        found = places(tree)
        if not found:
            break
        container, key = rng.choice(found)
        action = rng.random()
        if action < 0.6:
            container[key] = copy.deepcopy(rng.choice(NASTY))
        elif action < 0.7:
            other, place = rng.choice(found)
            container[key] = copy.deepcopy(other[place]) if place in other or isinstance(other, list) else None
        elif action < 0.8 and isinstance(container, dict):
            container[str(rng.choice(NASTY))[:300]] = container.pop(key)
        elif action < 0.9 and isinstance(container[key], int | float) and not isinstance(container[key], bool):
            container[key] = container[key] * rng.choice((-1, 0, 1000, 10**6, 1e-6, 0.5))
        elif isinstance(container, dict):
            del container[key]
        else:
            container.insert(0, copy.deepcopy(container[key]))
    return tree


def scrambled(data: bytes, rng: random.Random) -> bytes:
    """Bytes with flips, cuts, insertions and repetitions."""
    content = bytearray(data)
    for _ in range(rng.choice((1, 1, 3, 20))):
        at, action = rng.randrange(max(len(content), 1)), rng.random()
        if action < 0.5 and content:
            content[at] ^= 1 << rng.randrange(8)
        elif action < 0.6:
            del content[at:]
        elif action < 0.8:
            del content[at : at + rng.randrange(1, 40)]
        elif action < 0.9:
            content[at:at] = rng.choice(PIECES)
        else:
            content[at:at] = bytes(content[at : at + 60]) * rng.choice((1, 3, 50))
    return bytes(content)


def as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True, sort_keys=False).encode("utf-8", "surrogatepass")


def nir_bytes(rng: random.Random, folder: Path) -> bytes:
    """A NIR file some of whose arrays have another shape, kind or value."""

    def array(*shape: int) -> Any:
        if rng.random() < 0.85:
            return np.ones(shape)
        return rng.choice((
            np.ones((0,)), np.ones((3, 2)), np.float64(np.nan), np.full(shape, np.inf), np.ones(shape, np.int8),
            np.array(["x"] * 3, "S1"), np.float32(1), np.ones((1, 1, 1, 1, 1)), np.full(shape, -1.0),
            np.full(shape, 1e300),
        ))  # fmt: skip

    def whole(value: int) -> Any:
        return value if rng.random() < 0.85 else rng.choice((0, -1, 10**9, 2.5, "same", "x", np.array([1, 2, 3])))

    def neuron(size: tuple[int, ...]) -> Any:
        kind = rng.choice(("LIF", "IF", "CubaLIF", "LI"))
        r, v = array(*size), array(*size)
        if kind == "IF":
            return nir.IF(r=r, v_threshold=v, v_reset=array(*size))
        if kind == "CubaLIF":
            return nir.CubaLIF(tau_syn=array(*size), tau_mem=array(*size), r=r, v_leak=v, v_threshold=v, v_reset=v)
        return nir.LIF(tau=array(*size), r=r, v_leak=v, v_threshold=v, v_reset=v) if kind == "LIF" else nir.LI(
            tau=array(*size), r=r, v_leak=v
        )

    nodes = {
        "input": nir.Input(np.array([2, 6, 6])),
        "conv": nir.Conv2d((6, 6), array(4, 2, 3, 3), whole(1), whole(1), whole(1), whole(1), array(4)),
        "fire": neuron((4, 6, 6)),
        "pool": nir.AvgPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([4, 3, 3])}, 0, -1),
        "out": nir.Affine(array(5, 36), array(5)),
        "last": neuron((5,)),
        "output": nir.Output(np.array([5])),
    }
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    for _ in range(rng.choice((0, 0, 1, 3))):
        edges.append((rng.choice(names), rng.choice(names)))
    if rng.random() < 0.2:
        edges.pop(rng.randrange(len(edges)))
    graph = nir.NIRGraph(nodes, edges, type_check=False)
    graph.metadata = {"timesteps": 4} if rng.random() < 0.8 else {
        str(rng.choice(("timesteps", "layers", "recurrent_edges", "weight_bits"))): str(rng.choice(NASTY))[:99]
    }
    nir.write(folder / "made.nir", graph)
    return (folder / "made.nir").read_bytes()


def chip_text() -> str:
    """A chip whose parts stand in the file itself."""
    chip: dict[str, Any] = read_yaml(PRESETS / "rram-32nm.yaml")
    for part in ("crossbar", "device", "adc", "tile"):
        chip[part] = read_yaml(PRESETS / f"{part}-{chip[part]}.yaml")
    text = as_yaml({name: value for name, value in chip.items() if name not in ("description", "source")}).decode()
    Path("f-chip.yaml").write_text(text)
    with contextlib.redirect_stdout(io.StringIO()):
        told = run_command(["estimate", "whole.yaml", "--hardware", "f-chip.yaml"])
    assert told == 0, "the chip is sound before it is damaged"
    return text


def kinds(folder: Path) -> dict[str, tuple[str, Callable[[random.Random], bytes], list[str]]]:
    """Kind -> name of the file, a damaged one, and what reads it."""
    genotype = Genotype(4, (Edge(0, 3, "conv3x3"), Edge(0, 1, "identity")))
    sound = Architecture((genotype,) * 2, Macro(channels=4, timesteps=2, hidden=0)).to_json()
    chip = ["--hardware", "rram-32nm"]

    def yamls(text: str) -> Callable[[random.Random], bytes]:
        tree = yaml.safe_load(text)
        return lambda rng: as_yaml(damaged(tree, rng)) if rng.random() < 0.7 else scrambled(text.encode(), rng)

    def jsons(rng: random.Random) -> bytes:
        if rng.random() < 0.7:
            return json.dumps(damaged(sound, rng)).encode()
        return scrambled(json.dumps(sound).encode(), rng)

    def nirs(rng: random.Random) -> bytes:
        for _ in range(20):
            with contextlib.suppress(Exception):  # nir's own writer refuses some
                made = nir_bytes(rng, folder)
                return made if rng.random() < 0.7 else scrambled(made, rng)
        return b""

    (folder / "whole.yaml").write_text(LAYERS)
    (folder / "with_space.yaml").write_text(
        "name: b\ndataset: {name: digits}\nspace: {file: f-space.yaml, macro: {channels: 2, timesteps: 2}}\n"
        "hardware: rram-32nm\nsupernet: {enabled: false}\n"
    )
    return {
        "config": ("f-config.yaml", yamls(CONFIG), ["validate", "f-config.yaml"]),
        "space": ("f-space.yaml", yamls(SPACE), ["validate", "with_space.yaml"]),
        "layer list": ("f-layers.yaml", yamls(LAYERS), ["estimate", "f-layers.yaml", *chip]),
        "hardware": ("f-chip.yaml", yamls(chip_text()), ["estimate", "whole.yaml", "--hardware", "f-chip.yaml"]),
        "architecture": ("f-a.json", jsons, ["estimate", "f-a.json", *chip]),
        "nir": ("f-n.nir", nirs, ["estimate", "f-n.nir", *chip]),
    }


def answer(command: list[str]) -> tuple[str, str]:
    """What became of one command: "0", "1", "2", ... or what is wrong; and the line."""
    told = io.StringIO()
    signal.setitimer(signal.ITIMER_PROF, SECONDS)  # of the processor; whoever sleeps is woken later
    signal.alarm(20 * SECONDS)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(told):
            code = run_command(command)
    except LateError:
        return "late", ""
    except BaseException as error:
        return "traceback", f"{type(error).__name__}: {str(error)[:200]}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
    line = told.getvalue().rstrip("\n").rsplit("\n", 1)[-1]
    if code == 1 and "memory" in line:
        return "memory", line
    if code and (not line.startswith("hasnas: error: ") or len(line) > LINE or not line.isprintable()):
        return "line", line[:300]
    return str(code), line


def fuzz(kind: str, each: int, seed: int, folder: Path, keep: Path | None) -> Counter[str]:
    """Try `each` files of a kind; what is wrong is printed and kept."""
    name, make, command = kinds(folder)[kind]
    found: Counter[str] = Counter()
    slowest, begun = 0.0, time.process_time()
    for number in range(each):
        data = make(random.Random(f"{seed}/{kind}/{number}"))
        Path(name).write_bytes(data)
        before = time.process_time()
        code, line = answer(command)
        slowest = max(slowest, time.process_time() - before)
        found[code] += 1
        if not code.isdigit() or int(code) > 3:
            print(f"{kind} {number}: {code} {line}", flush=True)
            if keep is not None:
                (keep / f"{kind}-{number}-{name}").write_bytes(data)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    taken = time.process_time() - begun
    answers = dict(sorted(found.items()))
    print(f"| {kind} | {each} | {answers} | {slowest:.1f} s | {peak:.0f} MB | {taken:.0f} s |", flush=True)
    return found


def main() -> int:
    """Try all kinds; the exit code says whether there was no wrong answer."""
    parser = arguments(__doc__, seed=True)
    parser.add_argument("--each", type=int, default=1700)
    parser.add_argument("--only")
    parser.add_argument("--keep", type=Path, help="a folder for the files that were answered wrongly")
    options = parser.parse_args()
    if options.keep:
        options.keep = options.keep.resolve()
        options.keep.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGALRM, ring)
    signal.signal(signal.SIGPROF, ring)
    wrong = tried = 0
    with tempfile.TemporaryDirectory() as place:
        os.chdir(place)
        sys.stdin = io.StringIO()
        Path("warm.yaml").write_text(CONFIG)
        for command in (["--version"], ["validate", "warm.yaml", "retrain.precision=bfloat16"]):  # imports torch
            run_command(command)
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + BYTES + (1 << 30), used + BYTES + (1 << 30)))
        for kind in kinds(Path(place)):
            if options.only in (None, kind):
                found = fuzz(kind, 20 if options.quick else options.each, options.seed, Path(place), options.keep)
                wrong += sum(count for code, count in found.items() if not code.isdigit() or int(code) > 3)
                tried += found.total()
        os.chdir("/")
    figure = {"files": tried, "tracebacks, late, or too much memory": wrong}
    return told("E13", figure, "0 tracebacks, 0 hangs", wrong == 0)


if __name__ == "__main__":
    sys.exit(main())
