"""The general cost model beside measured RRAM macros and chips: latency and energy, as their papers report them.

Nothing here is fitted: each macro is described by what could be read of it and, where that does not suffice, by what is
recalled and not verified (column "recalled"); all else is the preset of the nearest node, clocked at 1 GHz so that
whole clocks matter little. Measured figures are those of abstracts and data that could be read; `READ` says where.
Papers count all operations, whatever the inputs; so does this table, with half of the inputs active. "macro" leaves out
what papers leave out: buffers, wires between arrays, neurons.

    python experiments/benchmarks/measured_macros.py
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hasnas.cim_estimator import Activity, CostReport, LayerSpec, Workload, estimate, load_hardware

IN_A_MACRO = ("crossbar", "adc", "dac", "mux", "wordline", "accumulate")
COMMON = {"crossbar.unrolling": "rows", "interconnect.bus_bits": "65536", "tile.layout": "pes", "clock_hz": "1 GHz"}
SETTLED = {"crossbar.settling": "wait"}
READ = {
    "Wan 2022": "throughput and TOPS/W by bits of Fig. 12 of Nature 608, 504, as tabulated in CiMLoop's "
    "workspace/models/arch/1_macro/wan_nature_2022/_tests.py (128 weights in 256 columns, 48 cores)",
    "Yin 2019": "abstract of arXiv 1909.07514: 128 x 64, all 128 rows at once, flash converters, 158 GOPS, 24 TOPS/W",
    "Xue 2020a": "abstract of IEEE JSSC 55(1), 203: 1 Mb, 55 nm, 14.6 ns, 53.17 TOPS/W",
    "Xue 2020b": "abstract of Nature Electronics 4, 81: 2 Mb, 22 nm, 9.2 to 18.3 ns, 146.21 to 36.61 TOPS/W",
    "Hung 2021": "abstract of Nature Electronics 4, 921: 4 Mb, 22 nm, 5.2 to 15.2 ns, 194.4 to 15.6 TOPS/W",
    "Hung 2023": "abstract of IEEE JSSC 58(1), 303: 8 Mb, 22 nm, 8-bit inputs and weights, 14.4 ns, 21.6 TOPS/W",
    "Liu 2020": "abstract of ISSCC 2020, 33.2: 784-100-10 perceptron, 158.8 kb, 130 nm, 77 us an image, 78.4 TOPS/W",
}


@dataclass(frozen=True)
class Macro:
    """A macro in one mode.

    Args:
        paper: key of `READ`.
        mode: bits of inputs, weights and outputs.
        preset: whose node and converter are nearest.
        settings: what differs from the preset.
        layers: what is computed once.
        latency_s: measured, of one such computation.
        tops_per_watt: measured.
        recalled: what of the settings could not be read.
        parts: of another node.
        operations: of one computation, as the paper counts them; unless given, two for each weight.
    """

    paper: str
    mode: str
    preset: str
    settings: dict[str, str]
    layers: tuple[LayerSpec, ...]
    latency_s: float
    tops_per_watt: float
    recalled: str
    parts: dict[str, str] = field(default_factory=dict)
    operations: float | None = None


OLD_NODES = {node: {"node": f"{node}nm", "adc": f"neurosim-{node}nm"} for node in (90, 130)}
WAN_OPERATIONS = 48 * 256 * 128 * 2  # of all cores in one product


def wan(bits: int, out_bits: int, tops: float, tops_per_watt: float) -> Macro:
    """A core of NeuRRAM; all 48 compute at once."""
    settings = {
        "crossbar.size": "256", "crossbar.columns_per_adc": "1", "crossbar.signed": "differential",
        "device.on_resistance_ohm": "25 kohm", "device.on_off_ratio": "40", "device.cell_bits": "3",
        "precision.weight_bits": "4", "adc.kind": "sar", "adc.bits": str(out_bits), "adc.sampling": "hold",
    }  # fmt: skip
    layer = LayerSpec("linear", 256, 128, input_bits=bits)
    recalled = "cells of 1 to 40 uS; a converter for each column, here a SAR that holds"
    return Macro(
        "Wan 2022", f"{bits} b in, 4 b, {out_bits} b out", "rram-65nm", settings, (layer,),
        WAN_OPERATIONS / (tops * 1e12), tops_per_watt, recalled,
        parts={**OLD_NODES[130], "crossbar.sensing": "charged"},
    )  # fmt: skip


def taiwan(paper: str, mode: str, latency_ns: float, tops_per_watt: float, **changes: str) -> Macro:
    """One access of an ISSCC macro from Hsinchu: one column for each converter, binary cells."""
    settings = {
        "crossbar.rows": "512", "crossbar.columns": "512", "crossbar.columns_per_adc": "1", "device.cell_bits": "1",
        "crossbar.signed": "differential", "crossbar.rows_read": "16", "adc.bits": "4",
        **{name.replace("__", "."): value for name, value in changes.items() if "." in name.replace("__", ".")},
    }  # fmt: skip
    weight_bits = int(settings["precision.weight_bits"])
    inputs = int(settings["crossbar.rows_read"])
    outputs = 512 // (2 * max(weight_bits - 1, 1))
    layer = LayerSpec("linear", inputs, outputs, input_bits=int(changes["inputs"]))
    recalled = f"512 x 512 arrays, {inputs} rows at once, {settings['adc.bits']}-bit converters, cells of 6 kohm"
    return Macro(paper, mode, changes["preset"], settings, (layer,), latency_ns * 1e-9, tops_per_watt, recalled)


MACROS = (
    wan(1, 3, 2.12230988, 43.07875866),
    wan(4, 6, 0.7438677864, 15.95409517),
    wan(8, 10, 0.2638743409, 6.437388185),
    Macro(
        "Yin 2019", "1 b in, 1 b", "rram-65nm",
        {
            "crossbar.rows": "128", "crossbar.columns": "64", "crossbar.columns_per_adc": "8",
            "crossbar.signed": "unsigned", "device": "winbond-90nm", "precision.weight_bits": "1", "adc.bits": "3",
        },
        (LayerSpec("linear", 128, 64),), 2 * 64 * 64 / 158e9, 24.0,
        "two rows for each input (so 64 x 64 products); 3-bit converters, each for 8 columns", OLD_NODES[90],
        operations=2 * 64 * 64,
    ),
    taiwan(
        "Xue 2020a", "1 b in, ternary", 14.6, 53.17,
        preset="rram-65nm", inputs="1", precision__weight_bits="2", crossbar__rows_read="9", adc__bits="3",
    ),
    taiwan("Xue 2020b", "binary", 9.2, 146.21, preset="rram-22nm", inputs="1", precision__weight_bits="1"),
    taiwan("Xue 2020b", "4 b in, 4 b", 18.3, 36.61, preset="rram-22nm", inputs="4", precision__weight_bits="4"),
    taiwan("Hung 2021", "binary", 5.2, 194.4, preset="rram-22nm", inputs="1", precision__weight_bits="1"),
    taiwan("Hung 2021", "8 b in, 8 b", 15.2, 15.6, preset="rram-22nm", inputs="8", precision__weight_bits="8"),
    taiwan("Hung 2023", "8 b in, 8 b", 14.4, 21.6, preset="rram-22nm", inputs="8", precision__weight_bits="8"),
    Macro(
        "Liu 2020", "1 b in, ternary", "rram-65nm",
        {
            "crossbar.rows": "784", "crossbar.columns": "200", "crossbar.columns_per_adc": "1",
            "crossbar.signed": "differential", "device": "tsinghua-130nm", "device.cell_bits": "3",
            "precision.weight_bits": "4", "adc.kind": "sar", "adc.bits": "8", "adc.sampling": "hold",
        },
        (LayerSpec("linear", 784, 100), LayerSpec("linear", 100, 10)), 77e-6, 78.4,
        "1-bit inputs; 8-bit converters, one for each column; 100 kohm", OLD_NODES[130],
    ),
)  # fmt: skip


def price(macro: Macro, settled: bool) -> CostReport:
    """Our report on one computation of a macro."""
    parts = {name: value for name, value in macro.parts.items() if settled or name != "crossbar.sensing"}
    chip = load_hardware(macro.preset, {**parts, **COMMON, **macro.settings, **(SETTLED if settled else {})})
    return estimate(Workload.from_layers(list(macro.layers), timesteps=1), chip, Activity.assumed(0.5))


def efficiencies(macro: Macro, report: CostReport) -> tuple[float, float]:
    """TOPS/W of what a macro holds, and of everything, all operations counted."""
    parts = report.to_dict()["components"]["energy_j"]
    tera = (macro.operations or float(report.operations)) * 1e-12
    return tera / sum(parts[name] for name in IN_A_MACRO), tera / float(report.energy_j)


def main() -> None:
    """Print the table and where its figures come from."""
    columns = (
        "paper", "mode", "measured ns", "ours ns, without settling", "with", "ours / measured", "measured TOPS/W",
        "ours, macro", "ours / measured", "ours, all", "recalled",
    )  # fmt: skip
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|")
    for macro in MACROS:
        before, after = price(macro, False), price(macro, True)
        inside, everything = efficiencies(macro, after)
        measured_ns, times = macro.latency_s * 1e9, [float(each.latency_s) * 1e9 for each in (before, after)]
        cells = [
            macro.paper, macro.mode, f"{measured_ns:.4g}", *(f"{each:.4g}" for each in times),
            f"{times[1] / measured_ns:.2g}", f"{macro.tops_per_watt:.4g}", f"{inside:.4g}",
            f"{inside / macro.tops_per_watt:.2g}", f"{everything:.4g}", macro.recalled,
        ]  # fmt: skip
        print(f"| {' | '.join(cells)} |")
    print("\nRead:\n" + "\n".join(f"- {paper}: {where}" for paper, where in READ.items()))


if __name__ == "__main__":
    main()
