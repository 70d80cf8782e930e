"""Whole mappings: recipes from data, one record of metrics, files, and the order that the papers' systems must have."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hasnas.cim_estimator import load_hardware
from hasnas.cim_estimator.mapping import (
    RECIPES,
    Chip,
    SpikeGraph,
    SpikeTimes,
    check_clusters,
    chip_of,
    evaluate,
    global_spikes,
    load_recipe,
    map_and_evaluate,
    map_graph,
    open_mapping,
    save_mapping,
)
from hasnas.errors import BadInputError

from .graphs import local_layers


@pytest.fixture(scope="module")
def chip() -> Chip:
    return chip_of(load_hardware("rram-32nm", {"crossbar.size": "24"}))


@pytest.fixture(scope="module")
def graph() -> SpikeGraph:
    """Layers with windows and a full one that is wider than a crossbar; spike times over two samples."""
    net = local_layers(width=48, depth=4, reach=4, outputs=6, seed=3)
    draws = np.random.default_rng(1)
    fires = draws.random((net.neurons, 2 * 20)) < draws.beta(1, 4, (net.neurons, 1))
    moment = np.nonzero(fires)[1]
    offsets = np.concatenate([[0], np.cumsum(fires.sum(1))])
    times = SpikeTimes(offsets, (moment // 20).astype(np.int32), (moment % 20).astype(np.int32))
    return SpikeGraph(net.offsets, net.destinations, fires.sum(1), 20, 2, 1e-3, times)


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_maps_within_limits_and_repeats_itself(name: str, graph: SpikeGraph, chip: Chip) -> None:
    mapped, metrics = map_and_evaluate(graph, load_recipe(name), chip, seed=3)
    check_clusters(mapped.graph, mapped.clusters, chip.limits)
    assert mapped.graph.neurons > graph.neurons, "some neurons are wider than a crossbar"
    again = evaluate(map_graph(graph, load_recipe(name), chip, seed=3), chip, name, metrics.seconds)
    assert again == metrics
    assert metrics.recipe == name
    assert metrics.clusters == len(mapped.tiles) == mapped.clusters.max() + 1
    assert metrics.global_spikes == global_spikes(mapped.graph, mapped.clusters) > 0
    assert metrics.isi_distortion_s is not None
    assert metrics.isi_distortion_s > 0
    assert metrics.lifetime_s is not None
    assert metrics.temperature_k > 300
    cells = metrics.clusters * 24 * 24
    assert metrics.leakage_w > cells * chip.cell_leakage_w
    assert metrics.seconds > 0


def test_systems_are_better_than_what_they_are_compared_with(graph: SpikeGraph, chip: Chip) -> None:
    found = {name: map_and_evaluate(graph, recipe, chip)[1] for name, recipe in RECIPES.items()}
    spinemap, espine, thermal = (found[name] for name in ("spinemap", "espine", "thermal"))
    assert spinemap.global_spikes <= found["naive"].global_spikes < found["random"].global_spikes
    assert spinemap.communication_energy_j < 0.9 * found["naive"].communication_energy_j
    assert spinemap.latency_s < found["naive"].latency_s < found["random"].latency_s
    assert espine.global_spikes == spinemap.global_spikes
    assert espine.communication_energy_j <= 1.1 * spinemap.communication_energy_j
    assert espine.lifetime_s > spinemap.lifetime_s  # type: ignore[operator]
    assert thermal.temperature_k < spinemap.temperature_k
    assert thermal.leakage_w < spinemap.leakage_w


def test_mappings_are_saved_and_only_open_for_their_own_network(graph: SpikeGraph, chip: Chip, tmp_path: Path) -> None:
    mapped, metrics = map_and_evaluate(graph, load_recipe("espine"), chip)
    save_mapping(mapped, tmp_path / "m.npz")
    opened = open_mapping(tmp_path / "m.npz", mapped.graph)
    assert evaluate(opened, chip, "espine", metrics.seconds) == metrics
    whole = open_mapping(tmp_path / "m.npz", graph)  # its wide neurons are spread again
    assert whole.graph.neurons == mapped.graph.neurons > graph.neurons
    with pytest.raises(BadInputError, match="mapping of another network"):
        open_mapping(tmp_path / "m.npz", local_layers(width=48, depth=4, reach=3, outputs=6, seed=3))
    np.savez(tmp_path / "other.npz", clusters=mapped.clusters)
    with pytest.raises(BadInputError, match="is not a mapping: it lacks columns"):
        open_mapping(tmp_path / "other.npz", graph)
    smaller = chip_of(load_hardware("rram-32nm", {"crossbar.size": "16"}))
    with pytest.raises(BadInputError, match="cannot fit"):
        evaluate(mapped, smaller)


def test_silent_networks_never_wear_out(chip: Chip) -> None:
    silent = SpikeGraph.from_edges([0, 1], [2, 2], [0, 0, 0], 5)
    _, metrics = map_and_evaluate(silent, load_recipe("espine"), chip)
    assert metrics.lifetime_s is None
    assert metrics.temperature_k == 300
    assert metrics.communication_energy_j == metrics.latency_s == 0
    assert metrics.leakage_w == pytest.approx(24 * 24 * chip.cell_leakage_w)


def test_a_recipe_is_data(tmp_path: Path, graph: SpikeGraph, chip: Chip) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(
        "partitioner: greedy\nplacer: anneal\nobjective: {congestion: 1, energy: 0.1}\norder: heat\ntopology: tree\n"
        "splitting: chain\n"
    )
    recipe = load_recipe(path)
    assert (recipe.name, recipe.partitioner, recipe.refined) == ("mine", "greedy", False)
    assert map_and_evaluate(graph, recipe, chip)[0].topology.kind == 1


@pytest.mark.parametrize(
    "text, message",
    [
        ("placr: climb", "unknown key 'placr'; did you mean 'placer'"),
        ("refined: 3", "refined is 3; give true or false"),
        ("objective: energy", "give names with weights"),
        ("order: [heat]", "give a name"),
        ("placer: climber", "mine.yaml: placer: unknown placer 'climber'; did you mean 'climb'"),
        ("objective: {energi: 1}", "mine.yaml: objective: unknown objective 'energi'; did you mean 'energy'"),
        ("objective: {energy: -1}", "give weights from 0"),
    ],
)
def test_bad_recipes_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "mine.yaml").write_text(text + "\n")
    with pytest.raises(BadInputError, match=message):
        load_recipe(tmp_path / "mine.yaml")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"partitioner": "x"}, "unknown partitioner 'x'"),
        ({"placer": "x"}, "unknown placer 'x'"),
        ({"order": "heet"}, "unknown order 'heet'; did you mean 'heat'"),
        ({"topology": "x"}, "unknown topology 'x'"),
        ({"splitting": "x"}, "unknown splitting 'x'"),
        ({"objective": {"x": 1}}, "unknown objective 'x'"),
    ],
)
def test_unknown_parts_are_named(graph: SpikeGraph, chip: Chip, change: dict[str, object], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        map_graph(graph, replace(load_recipe("naive"), **change), chip)  # type: ignore[arg-type]


def test_hardware_without_cells_is_refused() -> None:
    with pytest.raises(BadInputError, match="does not say what its cells carry"):
        chip_of(load_hardware("spikesim-65nm-rram"))
