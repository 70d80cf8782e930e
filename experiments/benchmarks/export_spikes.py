"""Exported files of random networks of every exportable space, spike by spike: in other tools and in ONNX Runtime.

Each network is exported as NIR and run step by step on the same inputs in SpikingJelly, snnTorch and Norse (its modules
put together by nirtorch), with the spikes of every layer of neurons taken from the tool's modules. They are compared
with the network as it is deployed, batch norm folded, in single precision. Of the space with feedback, networks are
drawn until as many hold no delay, which no other tool knows. ONNX: `network.onnx` with every comparison of a
membrane with its threshold as a further output, against the plain torch form of the same network.

    python experiments/benchmarks/export_spikes.py OUT.jsonl [networks]     # adds what is missing, a line a network
    python experiments/benchmarks/export_spikes.py OUT.jsonl --table
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from experiments.benchmarks.export_elsewhere import norse_together, snntorch, spikingjelly
from hasnas.nas.data.samples import Normalisation
from hasnas.nas.export.deploy import Deployed, deploy
from hasnas.nas.export.expressible import kept_to_targets
from hasnas.nas.export.nir_writer import to_nir, write_nir
from hasnas.nas.export.onnx_writer import UNROLLED_FILE, onnx_files
from hasnas.nas.export.standalone import plain_torch
from hasnas.nas.export.target import NotExpressibleError, probe
from hasnas.search_spaces.autosnn import AutoSNNSpace
from hasnas.search_spaces.hasnas import HASNASSpace
from hasnas.search_spaces.layers import Neuron
from hasnas.search_spaces.macro import CONV_AVG_POOL, Macro
from hasnas.search_spaces.network import build_network
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import SearchSpace, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace
from tests.nas.export.conftest import train_a_little

SAMPLES = 16
MACRO = Macro((2, 8, 8), classes=4, timesteps=4, channels=6, hidden=8, votes=2, dropout=0.1)
BLOCKS = replace(MACRO, reduction=CONV_AVG_POOL, reductions=(2,))
SPACES: dict[str, SearchSpace] = {
    "snasnet": SNASNetSpace(MACRO),
    "snasnet, feedback": SNASNetSpace(MACRO, feedback=True),
    "hasnas": HASNASSpace(MACRO),
    "spikenas_bench": SpikeNASBenchSpace(MACRO),
    "autosnn": AutoSNNSpace(BLOCKS),
    "snasnet, macro searched": with_searched_macro(
        SNASNetSpace(MACRO), {"neuron": ("lif", "plif", "if", "alif"), "threshold": (0.75, 1.0), "tau": (1.5, 3.0)}
    ),
}
TOOLS = {"SpikingJelly": spikingjelly, "snnTorch": snntorch, "Norse": norse_together}
ONNX_OF_SPACE = 2  # networks of each space that ONNX Runtime computes, too
MORE = 6  # times as many are drawn of the space with feedback


def drawn(name: str, count: int) -> Iterator[tuple[int, Deployed]]:
    """The networks of a space that NIR can say, trained a little."""
    space = kept_to_targets(SPACES[name], ["nir"]).space
    codes, connected = space.canonical(sample(space, np.random.default_rng(0), 20 * count))
    rows = list(dict.fromkeys(map(tuple, codes[connected].tolist())))[:count]
    for seed, row in enumerate(rows):
        network = train_a_little(build_network(space.decode(row).expand(), seed), seed)
        yield seed, deploy(network.graph, network.state_dict())


@torch.no_grad()
def ours(deployed: Deployed, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Spikes of every layer of neurons and the output, `[T, B, ...]`."""
    network = deployed.network()
    values = network.run(inputs)
    names = [node.name for node in deployed.graph.nodes if isinstance(node.operation, Neuron)]
    return {name: network.at_every_step(values, name) for name in [*names, "output"]}


@torch.no_grad()
def theirs(
    opened: Callable[[Path], Any], path: Path, deployed: Deployed, inputs: torch.Tensor
) -> dict[str, torch.Tensor]:
    """The same of a tool."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        module = opened(path)
    steps: dict[str, list[torch.Tensor]] = defaultdict(list)
    modules = {name.replace(".", "_"): part for name, part in module.named_modules()}

    def note(name: str) -> Callable[..., None]:
        return lambda part, given, result: steps[name].append(result[0] if isinstance(result, tuple) else result)

    for node in deployed.graph.nodes:
        if isinstance(node.operation, Neuron):
            modules[node.name.replace(".", "_")].register_forward_hook(note(node.name))
    state = None
    for step in range(deployed.graph.timesteps):
        result = module(inputs if deployed.graph.takes_static else inputs[step], state)
        output, state = result if isinstance(result, tuple) else (result, None)
        steps["output"].append(output)
    return {name: torch.stack(found) for name, found in steps.items()}


def compared(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> dict[str, float]:
    """How many spikes are equal, and how far apart the outputs are."""
    layers = [name for name in expected if name != "output"]
    places = sum(expected[name].numel() for name in layers)
    equal = sum(int((found[name] == expected[name]).sum()) for name in layers)
    spikes = sum(float(expected[name].sum()) for name in layers)
    difference = float((found["output"] - expected["output"]).abs().max())
    return {"places": places, "unequal": places - equal, "spikes": spikes, "difference": difference}


def in_tools(deployed: Deployed, folder: Path) -> dict[str, Any]:
    """Every tool; of one that refuses the file, its words."""
    path, inputs = folder / "network.nir", probe(deployed.network(), SAMPLES)
    write_nir(path, deployed)
    told: dict[str, Any] = {}
    for name, opened in TOOLS.items():
        try:
            told[f"{name}, float32"] = compared(theirs(opened, path, deployed, inputs), ours(deployed, inputs))
        except Exception as error:  # importers raise whatever comes
            told[name] = f"{type(error).__name__}: {str(error).splitlines()[0][:120] if str(error) else ''}"
    return told


@torch.no_grad()
def in_onnx(deployed: Deployed) -> dict[str, float]:
    """ONNX Runtime beside the plain torch form: scores, and the spikes of every layer at every timestep."""
    import onnx
    import onnxruntime

    normalisation = Normalisation((0.0,) * 2, (1.0,) * 2)
    model = onnx.load_from_string(onnx_files(deployed, normalisation)[UNROLLED_FILE])
    fired = [node.output[0] for node in model.graph.node if node.op_type in ("GreaterOrEqual", "Less")]
    for name in fired:
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.BOOL, None))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = probe(deployed.network(), SAMPLES)
    scores, *theirs = session.run(["scores", *fired], {"samples": inputs.numpy()})
    network = plain_torch(deployed, normalisation)
    spikes: list[torch.Tensor] = []
    functions = type(network).step.__globals__
    for name in [name for name in functions if name.startswith("neurons_")]:
        functions[name] = _noting(functions[name], spikes)
    expected = network(inputs)
    unequal = sum(int((torch.from_numpy(one) != (own > 0)).sum()) for one, own in zip(theirs, spikes, strict=True))
    places = sum(own.numel() for own in spikes)
    difference = float((torch.from_numpy(scores) - expected).abs().max())
    return {"places": places, "unequal": unequal, "spikes": float(sum(own.sum() for own in spikes)),
            "difference": difference}  # fmt: skip


def _noting(function: Callable[..., Any], spikes: list[torch.Tensor]) -> Callable[..., Any]:
    def noted(*given: torch.Tensor) -> Any:
        result = function(*given)
        spikes.append(result[0])
        return result

    return noted


def table(lines: list[dict[str, Any]]) -> str:
    """The results as Markdown: a row for each space and tool."""
    rows = ["| space | tool | networks opened | spikes equal | networks with all spikes equal | largest difference of "
            "the output |", "|---|---|---|---|---|---|"]  # fmt: skip
    for space in dict.fromkeys(line["space"] for line in lines):
        of_space = [line for line in lines if line["space"] == space]
        for tool in (*TOOLS, "ONNX Runtime"):
            found = [line[f"{tool}, float32"] for line in of_space if f"{tool}, float32" in line]
            asked = sum(f"{tool}, float32" in line or tool in line for line in of_space)
            rows.append(f"| {space} | {tool} | {len(found)} of {asked} | {_cells(found)} |")
            for words in sorted({line[tool] for line in of_space if tool in line} if len(found) < asked else ()):
                rows.append(f"|  | {tool} refuses: {words} |  |  |  |  |")
    return "\n".join(rows)


def _cells(found: list[dict[str, float]]) -> str:
    if not found:
        return "- | - | -"
    places, unequal = (int(sum(one[key] for one in found)) for key in ("places", "unequal"))
    equal = sum(not one["unequal"] for one in found)
    share = "all" if not unequal else f"{1 - unequal / places:.6%}"
    return f"{share} of {places:,} | {equal} | {max(one['difference'] for one in found):.1e}"


def main() -> None:
    """Measure what is not in the file yet, or print what is."""
    path = Path(sys.argv[1])
    lines = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    if "--table" in sys.argv:
        print(table(lines))
        return
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 10
    done = {(line["space"], line["seed"]) for line in lines}
    with tempfile.TemporaryDirectory() as folder, path.open("a") as file:
        for space in SPACES:
            feedback = "feedback" in space
            for seed, deployed in drawn(space, count * (MORE if feedback else 1)):
                delayed = any(type(node).__name__ == "Delay" for node in to_nir(deployed).nodes.values())
                if (space, seed) in done or (delayed and seed >= count):
                    continue
                told = {"space": space, "seed": seed, **in_tools(deployed, Path(folder))}
                if seed < ONNX_OF_SPACE:
                    with contextlib.suppress(NotExpressibleError):
                        told["ONNX Runtime, float32"] = in_onnx(deployed)
                file.write(json.dumps(told) + "\n")
                file.flush()


if __name__ == "__main__":
    main()
