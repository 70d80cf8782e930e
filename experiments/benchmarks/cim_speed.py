"""Speed of the cost model beside the published SpikeSim script, on the same stacks in one run.

The script (`ela_spikesim.py` of the public SpikeSim repository) is not part of this project; give its path:

    python experiments/benchmarks/cim_speed.py --script SpikeSim/SNN_train_infer_quantization_ela/ela_spikesim.py

Its functions run as published, printing to nowhere. All sides price random stacks whose PE counts are sorted (the
script refuses others; it prices the first 200), in alternating rounds; all results are compared before speeds are.
Between them stands the strongest simple opponent: the script's own formulas on whole arrays in numpy, which anybody
would write who has many stacks to price (`vectorised_prices`). Without the script only our own figures are measured:
genotypes per second from integer codes, and the time of one full report.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import io
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import Activity, LayerKind, LayerSpec, Workload, estimate, estimate_costs, load_hardware
from hasnas.cim_estimator.model.batch import price_choices, stack_choices

ROUNDS, THEIR_STACKS, OUR_STACKS = 7, 200, 200_000
LAYERS, TIMESTEPS = 7, 5
SIDES = np.array([32, 32, 16, 16, 8, 8, 8])


def main() -> None:
    """Measure and print one markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--script", type=Path, help="path of the published ela_spikesim.py")
    script = parser.parse_args().script
    rows = [] if script is None else against_script(script)
    rows += [codes_per_second(name) for name in ("spikesim-65nm-rram", "rram-22nm")] + report_times()
    print("| what | median | spread over rounds |\n|---|---|---|")
    print("\n".join(f"| {what} | {median} | {spread} |" for what, median, spread in rows))


def against_script(path: Path) -> list[tuple[str, str, str]]:
    """Ratios of estimates per second, ours over the script's."""
    functions = published_functions(path)
    stacks, hardware = random_stacks(OUR_STACKS), load_hardware("spikesim-65nm-rram")
    few = stacks[:THEIR_STACKS]
    choices, codes = as_choices(stacks)
    simply = vectorised_prices(stacks)
    np.testing.assert_allclose(simply[:THEIR_STACKS], [script_prices(functions, one) for one in few], rtol=1e-9)
    dense = as_workload(stacks)
    ours = {
        "compiled, from codes": lambda: price_choices(choices, codes, hardware, Activity.dense()),
        "numpy, from arrays": lambda: estimate_costs(dense, hardware, engine="numpy"),
        "compiled, from arrays": lambda: estimate_costs(dense, hardware, engine="compiled"),
    }
    for price in ours.values():  # also compiles
        costs = price()
        found = np.stack([costs["energy_j"] * 1e12, costs["latency_s"] * 1e9, costs["area_m2"] * 1e12], axis=-1)
        np.testing.assert_allclose(found, simply, rtol=1e-9)
    simple, published = "its formulas in vectorised numpy", "the script"
    ratios: dict[tuple[str, str], list[float]] = {}
    opponents: dict[str, list[float]] = {simple: [], published: []}
    for _ in range(ROUNDS):
        opponents[simple].append(seconds(lambda: vectorised_prices(stacks)) / OUR_STACKS * 1e6)
        opponents[published].append(
            seconds(lambda: [script_prices(functions, stack) for stack in few]) / THEIR_STACKS * 1e6
        )
        for name, price in ours.items():
            own = seconds(price) / OUR_STACKS * 1e6
            for opponent, values in opponents.items():
                ratios.setdefault((opponent, f"ours, {name}"), []).append(values[-1] / own)
        ratios.setdefault((published, simple), []).append(opponents[published][-1] / opponents[simple][-1])
    rows = [(f"{name}, one stack of 7 layers", *summary(values, "us")) for name, values in opponents.items()]
    for opponent in opponents:
        against = [(who, values) for (other, who), values in ratios.items() if other == opponent]
        rows += [(f"{who} over {opponent}", *summary(values, "x")) for who, values in against]
    return rows


def published_functions(path: Path) -> dict[str, Callable[..., Any]]:
    """The script's functions, without the example that runs on import."""
    tree = ast.parse(path.read_text())
    kept: list[ast.stmt] = [
        node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom, ast.FunctionDef))
    ]
    scope: dict[str, Any] = {}
    exec(compile(ast.Module(kept, []), str(path), "exec"), scope)
    return {name: scope[name] for name in ("pe_tile_count", "compute_area", "compute_energy", "latency_gen")}


def script_prices(functions: dict[str, Callable[..., Any]], stack: NDArray[np.int64]) -> tuple[float, float, float]:
    """Energy (pJ), latency (ns) and area (um2) of one stack by the published functions, which print the latency."""
    out = stack.tolist()
    into, sides, size, pes = [3, *out[:-1]], SIDES.tolist(), 64, 8
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        tiles = functions["pe_tile_count"](into, out, sides, 3, size, pes)
        area = functions["compute_area"](into, sides, out, sides, size, 3, pes, tiles, "rram")[3]
        energy = sum(functions["compute_energy"](into, sides, out, sides, size, 3, tiles, "rram", TIMESTEPS))
        functions["latency_gen"](into, out, sides, 3, size, pes, 26 * 4.0, TIMESTEPS)
    latency = float(printed.getvalue().rsplit("Final Latency", 1)[1].split()[0])
    return energy, latency, area


def vectorised_prices(stacks: NDArray[np.int64]) -> NDArray[np.float64]:
    """Energy (pJ), latency (ns) and area (um2) `[N, 3]` of stacks `[N, 7]`: the script's formulas on arrays."""
    into = np.concatenate([np.full((len(stacks), 1), 3), stacks[:, :-1]], axis=1)
    places, groups = SIDES**2, 64 / 8
    elements = np.ceil(into / 64) * np.ceil(stacks / 64)
    array_j = 9 * 1.76423 + groups * (2.03084 + 0.094245)
    cycle_j = 19.64 * 8 + 4.64 + 1.274 * 4 + groups * (array_j + 16 * 1.15e-6 + 0.2) + 397
    element = 9 * 26.2144 + groups * (693.633 + 45.9)
    tile = groups * 13411.41498 + 484.643999 + 0.7391 * 64 * 128 + 8 * element + 216830 * 2
    area = tile * np.ceil(elements.sum(axis=1) / 8) + 0.7391 * 22 * (into @ places + stacks[:, :5] @ places[:5])
    waited = (0.75 * places[:-1] * stacks[:, :-1]).astype(np.int64).sum(axis=1)
    latency = (waited + places[-1] * stacks[:, -1]) * TIMESTEPS * 26 * 4.0
    return np.stack([(elements @ places) * cycle_j * TIMESTEPS, latency, area], axis=-1)


def random_stacks(count: int) -> NDArray[np.int64]:
    """Output channels `[count, 7]` whose PE counts grow, as the script demands; multiples of the crossbar's side."""
    rng = np.random.default_rng(0)
    return np.sort(rng.choice([64, 128, 192, 256], (count, LAYERS)), axis=1)


def _layer(into: Any, out: Any) -> dict[str, Any]:
    one = np.ones(LAYERS, np.int64)
    return {
        "kind": one * LayerKind.CONV, "in_channels": into, "out_channels": out, "kernel_size": 3 * one, "stride": one,
        "groups": one, "in_height": SIDES, "in_width": SIDES, "out_height": SIDES, "out_width": SIDES,
        "evaluations": TIMESTEPS * one, "input_bits": one, "weight_bits": 0 * one, "biases": 0 * one,
        "parameters": 9 * into * out, "input_rate": np.full(LAYERS, np.nan), "level": np.arange(LAYERS),
    }  # fmt: skip


def as_workload(stacks: NDArray[np.int64]) -> Workload:
    """The stacks as arrays."""
    into = np.concatenate([np.full((len(stacks), 1), 3), stacks[:, :-1]], axis=1)
    return Workload(names=tuple("1234567"), timesteps=TIMESTEPS, **_layer(into, stacks))


def as_choices(stacks: NDArray[np.int64]) -> tuple[Workload, NDArray[np.int32]]:
    """The 16 layers that pairs of widths allow, and each stack's codes into them."""
    widths = np.array([64, 128, 192, 256])
    into, out = np.repeat(widths, 4)[:, None] + 0 * SIDES, np.tile(widths, 4)[:, None] + 0 * SIDES
    into[:, 0] = 3
    place = np.searchsorted(widths, stacks)
    before = np.concatenate([np.zeros((len(stacks), 1), int), place[:, :-1]], axis=1)
    return Workload(names=tuple("1234567"), timesteps=TIMESTEPS, **_layer(into, out)), (4 * before + place).astype(
        np.int32
    )


def codes_per_second(name: str, count: int = 1_000_000) -> tuple[str, str, str]:
    """Genotypes priced per second from integer codes, for a macro of 16 layers with five operations each."""
    kernels = [("conv", 1), ("conv", 3), ("conv", 5), ("pool", 3), ("add", 1)]
    options = [
        Workload.from_layers([LayerSpec(kind, 64, 64, kernel_size=kernel, in_size=16)] * 16, TIMESTEPS)
        for kind, kernel in kernels
    ]
    choices, hardware = stack_choices(options), load_hardware(name)
    codes = np.random.default_rng(0).integers(0, len(options), (count, 16)).astype(np.int32)
    price_choices(choices, codes[:10], hardware, Activity.dense())
    speeds = [
        count / seconds(lambda: price_choices(choices, codes, hardware, Activity.dense())) / 1e6 for _ in range(ROUNDS)
    ]
    return f"genotypes of 16 layers from codes, {name}", *summary(speeds, "M/s")


def report_times() -> list[tuple[str, str, str]]:
    """Time of one full report, by layer and component, of a network of 16 convolutions with neurons."""
    layers = [
        layer
        for index in range(16)
        for layer in (LayerSpec("conv", 64, 64, kernel_size=3, in_size=16, level=2 * index),
                      LayerSpec("lif", 64, 64, in_size=16, level=2 * index + 1))
    ]  # fmt: skip
    network, hardware = Workload.from_layers(layers, TIMESTEPS), load_hardware("rram-22nm")
    estimate(network, hardware)
    plain = [seconds(lambda: estimate(network, hardware)) * 1e3 for _ in range(5 * ROUNDS)]
    written = [seconds(lambda: estimate(network, hardware).to_json()) * 1e3 for _ in range(5 * ROUNDS)]
    what = "full report of one network, 32 layers"
    return [(what, *summary(plain, "ms")), (f"{what}, written as JSON", *summary(written, "ms"))]


def seconds(work: Callable[[], Any]) -> float:
    """Processor time of one call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def summary(values: list[float], unit: str) -> tuple[str, str]:
    """Median and range."""
    return f"{statistics.median(values):,.4g} {unit}", f"{min(values):,.4g} to {max(values):,.4g}"


if __name__ == "__main__":
    main()
