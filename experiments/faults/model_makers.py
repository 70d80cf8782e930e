"""Makes what people bring to the commands: layer lists, NIR files, modules, architectures, runs, graphs; a few kB each.

For `model_situations.py`, which tries them.
"""

from __future__ import annotations

import copy
import itertools
import json
import shutil
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from situations import BASE, Situation, command

DIGITS = "{name: digits}"
CHIP = ["--hardware", "rram-32nm"]
LAYER = "{kind: linear, in_channels: 64, out_channels: 10}"
ONE = np.ones(12)
Make = Callable[[Path], object]


def text(name: str, content: str | bytes) -> Make:
    return lambda folder: (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def together(*makes: Make) -> Make:
    return lambda folder: [make(folder) for make in makes]


def layers(*given: str, head: str = "timesteps: 4") -> Make:
    """A layer list, `l.yaml`; by default one that is sound."""
    return text("l.yaml", "\n".join([head, "layers:", *(f"  - {layer}" for layer in given or (LAYER,)), ""]))


def estimate(*options: str, source: str = "l.yaml", chip: list[str] = CHIP) -> list[list[str]]:
    return [["estimate", source, *chip, *options]]


def priced(name: str, right: str, *options: str, make: Make = layers(), kind: str = "E12, own") -> Situation:
    """The sound layer list, with options."""
    return Situation(kind, name, make, right, estimate(*options), DIGITS)


def module(kind: str, name: str, body: str, right: str, shape: str = "20", more: str = "") -> Situation:
    """A torch module as a user's file; `body` is what its function returns."""
    code = f"import torch\nfrom torch import nn\n{more}\n\ndef net():\n    return {body}\n"
    commands = estimate("--input", shape, "--timesteps", "4", source="net.py:net")
    return Situation(kind, name, text("net.py", code), right, commands, DIGITS)


def graph(kind: str, name: str, right: str, nodes: Callable[[Any], dict[str, Any]], shape: tuple[int, ...] = (20,),
          loop: list[tuple[str, str]] | None = None, told: bool = True, **metadata: Any) -> Situation:  # fmt: skip
    """A chain of NIR nodes and the edges of a loop; `--timesteps 8` unless the file says it."""

    def make(folder: Path) -> None:
        import nir

        found = nodes(nir)
        names = ["input", *(each for each in found if not each.startswith("back")), "output"]
        ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array([12]))}
        edges = [*itertools.pairwise(names), *(loop or [])]
        nir.write(str(folder / "m.nir"), nir.NIRGraph({**ends, **found}, edges, metadata=metadata, type_check=False))

    steps = [] if metadata or not told else ["--timesteps", "8"]
    return Situation(
        kind, name, make, right, estimate(*steps, source="m.nir", chip=["--hardware", "rram-22nm"]), DIGITS
    )


def lif(nir: Any, **changes: Any) -> Any:
    return nir.LIF(
        **({"tau": 1e-3 * ONE, "r": ONE, "v_leak": 0 * ONE, "v_threshold": ONE, "v_reset": 0 * ONE} | changes)
    )


def dense(nir: Any, last: Any = None, **changes: Any) -> dict[str, Any]:
    """Twelve neurons behind a layer of 20 inputs."""
    return {"dense": nir.Affine(np.ones((12, 20)), 0 * ONE), "fire": last or lif(nir, **changes)}


def changed_nir(kind: str, name: str, right: str, change: Callable[[Any], object]) -> Situation:
    """A sound NIR file that is changed with h5py."""
    sound = graph(kind, name, right, dense, timesteps=4)

    def make(folder: Path) -> None:
        import h5py

        sound.make(folder)
        (folder / "secret").write_bytes(np.ones((12, 20)).tobytes())
        with h5py.File(folder / "m.nir", "r+") as file:
            change(next(node for node in file["node/nodes"].values() if "weight" in node))

    return Situation(kind, name, make, right, sound.commands, DIGITS)


def other_weight(node: Any, *arguments: Any, **options: Any) -> None:
    del node["weight"]
    node.create_dataset("weight", *arguments, **options)


def circle(node: Any) -> None:
    node["again"] = node


def architecture(kind: str, name: str, right: str, change: Callable[[Any], Any] | str) -> Situation:
    """`a.json`, a sound architecture that is changed; or a text."""

    def make(folder: Path) -> None:
        from hasnas.search_spaces.architecture import Architecture
        from hasnas.search_spaces.cells import Edge, Genotype
        from hasnas.search_spaces.macro import Macro

        cells = (Genotype(4, (Edge(0, 3, "conv3x3"),)),) * 2
        sound = copy.deepcopy(Architecture(cells, Macro(channels=4, timesteps=2, hidden=0)).to_json())
        (folder / "a.json").write_text(change if isinstance(change, str) else json.dumps(change(sound)))

    return Situation(kind, name, make, right, estimate(source="a.json"), DIGITS)


def with_cells(*cells: Any) -> Callable[[Any], Any]:
    return lambda sound: {**sound, "cells": list(cells)}


def with_macro(**values: Any) -> Callable[[Any], Any]:
    return lambda sound: {**sound, "macro": {**sound["macro"], **values}}


@cache
def finished() -> Path:
    """A run of this version: one network, one epoch, exported."""
    place = Path(tempfile.mkdtemp())
    (place / "b.yaml").write_text(BASE.replace("DATASET", DIGITS))
    said = command(["search", str(place / "b.yaml"), "--run-dir", str(place / "r"), "supernet.enabled=false",
                    "search.enabled=false", "retrain.baselines=0"])  # fmt: skip
    if not said.startswith("0 "):
        said = command(["search", str(place / "b.yaml"), "--run-dir", str(place / "r"), "supernet.enabled=false",
                        "search.enabled=false"])  # fmt: skip
    if not said.startswith("0 "):
        raise RuntimeError(said)
    return place / "r"


def exported(change: Callable[[Path], object]) -> Callable[[Path], str]:
    """Change an exported network, then load it."""

    def probe(folder: Path) -> str:
        from hasnas.nas.export.saved_network import load_network

        shutil.copytree(finished(), folder / "r")
        network = sorted((folder / "r" / "export").glob("*/weights.safetensors"))[0].parent
        change(network)
        load_network(network)
        return "loaded"

    return probe


def tensors(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """The weights of an exported network, changed and written with the same header."""

    def write(network: Path) -> None:
        from safetensors import safe_open
        from safetensors.torch import load_file, save_file

        path = network / "weights.safetensors"
        with safe_open(path, "pt") as file:
            header = file.metadata()
        held = load_file(path)
        change(held)
        save_file(held, path, metadata=header)

    return write


def first_float(held: dict[str, Any]) -> str:
    return next(name for name, tensor in held.items() if tensor.is_floating_point() and tensor.numel() > 1)


def to_double(held: dict[str, Any]) -> None:
    name = first_float(held)
    held[name] = held[name].double()


def to_nan(held: dict[str, Any]) -> None:
    held[first_float(held)].view(-1)[0] = float("nan")


def scaled(held: dict[str, Any]) -> None:
    held[first_float(held)].mul_(1.01)


def flip(path: Path, at: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(at * len(data))] ^= 4
    path.write_bytes(data)


def renamed_key(network: Path) -> None:
    path = network / "weights.safetensors"
    path.write_bytes(path.read_bytes().replace(network.name.encode(), network.name[::-1].encode()))


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def write(network: Path) -> None:
        content = (network / name).read_text()
        assert old in content, content
        (network / name).write_text(content.replace(old, new, 1))

    return write


def on_run(write: Callable[[Path], object], *commands: list[str]) -> Callable[[Path], str]:
    """A finished run, changed; then commands."""

    def probe(folder: Path) -> str:
        shutil.copytree(finished(), folder / "r")
        write(folder / "r")
        return [command(list(each)) for each in commands][-1]

    return probe


def on_card(folder: Path) -> str:
    card = json.loads(sorted((finished() / "export").glob("*/card.json"))[0].read_text())
    said = json.dumps(card)
    return "; ".join(f"{name} {'named' if name in said else 'not named'}" for name in ("Norse", "sinabs", "snnTorch"))


def kinds_of_nodes(folder: Path) -> str:
    import nir

    path = sorted((finished() / "export").glob("*/network.nir"))[0]
    return " ".join(sorted({type(node).__name__ for node in nir.read(str(path)).nodes.values()}))


def absent_csv(folder: Path) -> str:
    layers()(folder)
    said = command(["estimate", "l.yaml", *CHIP, "--sweep", "adc.bits=4,5", "--csv", "s.csv", "--plot", "p"])
    return f"{said} / {'s.csv was written' if (folder / 's.csv').exists() else 'no file was written'}"


def colours(folder: Path) -> str:
    """Parts and colours of two pictures; a part has one colour in both."""
    from hasnas.cim_estimator import estimate, load_hardware, read_layers
    from hasnas.cim_estimator.report.plots import draw_breakdown

    layers()(folder)
    report = estimate(read_layers(folder / "l.yaml"), load_hardware("rram-32nm"))
    held: dict[str, set[Any]] = {}
    for quantity in ("energy", "area"):
        drawn, names = draw_breakdown(report, quantity).axes[0].get_legend_handles_labels()
        for one, name in zip(drawn, names, strict=True):
            held.setdefault(name, set()).add(one.patches[0].get_facecolor())
    several = sum(len(each) > 1 for each in held.values())
    return f"{len(held)} parts, {len(set.union(*held.values()))} colours, {several} parts of two colours"


def own_device(folder: Path) -> None:
    import hasnas.cim_estimator.hardware.presets as presets

    (folder / "hw").mkdir()
    shutil.copy(Path(str(presets.__file__)).parent / "device-neurosim-rram.yaml", folder / "hw" / "mine.yaml")


def other_mean(network: Path) -> None:
    card = json.loads((network / "card.json").read_text())
    card["normalisation"]["mean"] = 0.5
    (network / "card.json").write_text(json.dumps(card, indent=2))


def csv_cell(name: str) -> Callable[[Path], str]:
    def probe(folder: Path) -> str:
        layers(LAYER.replace("{", f'{{name: "{name}", '))(folder)
        said = command(["estimate", "l.yaml", *CHIP, "--csv", "s.csv"])
        return (folder / "s.csv").read_text().splitlines()[1] if said.startswith("0 ") else said

    return probe


def by_size(*settings: str) -> Callable[[Path], str]:
    """Latencies of arrays of 16 and of 1,024 rows and columns."""

    def probe(folder: Path) -> str:
        layers()(folder)
        more = [option for each in settings for option in ("--set", each)]
        found = []
        for size in (16, 1024):
            said = command(["estimate", "l.yaml", *CHIP, "--json", "--set", f"crossbar.size={size}", *more])
            if not said.startswith("0 "):
                return said
            found.append(json.loads(said[2:].replace(" / ", "\n"))["latency_s"])
        return "slower with size" if found[1] > 1.2 * found[0] else f"equal: {found}"

    return probe


def drawn_graph(edges: str, spikes: str) -> Make:
    return together(text("g.txt", edges), text("s.txt", spikes))


MAP = ["map", "g.txt", "--spikes", "s.txt", "--recipe", "naive"]
RING = "0 1\n1 2\n2 0\n"
FIRE = "0 1\n1 2\n2 3\n"
PORT = """<port name="{0}" type="{0}" rate="1"/>"""
ACTOR = """<actor name="{0}" type="x">""" + PORT.format("in") + PORT.format("out") + "</actor>"
CHANNEL = """<channel name="{0}" srcActor="{1}" srcPort="out" dstActor="{2}" dstPort="in" initialTokens="{3}"/>"""
TIME = """<actorProperties actor="{0}"><processor type="x"><executionTime time="{1}"/></processor></actorProperties>"""


def sdf(tokens: str = "1", time: str = "3", before: str = "") -> Make:
    """Two actors in a ring."""
    actors = "".join(ACTOR.format(name) for name in "ab")
    channels = CHANNEL.format("ab", "a", "b", 0) + CHANNEL.format("ba", "b", "a", tokens)
    times = TIME.format("a", time) + TIME.format("b", 5)
    return text("g.xml", f"{before}<sdf3><applicationGraph><sdf name='ring'>{actors}{channels}</sdf>"
                         f"<sdfProperties>{times}</sdfProperties></applicationGraph></sdf3>")  # fmt: skip


def mapped(name: str, right: str, make: Make, *commands: list[str], kind: str = "F4, own") -> Situation:
    return Situation(kind, name, make, right, list(commands), DIGITS)
