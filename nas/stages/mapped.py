"""What a network costs as mapped: its spikes on samples, put on crossbars and tiles by a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from hasnas.cim_estimator import HardwareSpec
from hasnas.nas.budget.measured import MAPPED, SIMULATED
from hasnas.nas.config.run import RunConfig
from hasnas.nas.data.samples import Splits
from hasnas.search_spaces.network import SpikingNetwork


@dataclass(frozen=True)
class MappingReference:
    """How networks are mapped; small enough to send to a worker.

    Args:
        recipe: its name or YAML file.
        hardware: the chip.
        samples: validation samples whose spikes are mapped.
        simulate: mode in which these samples run on the mapped chip; empty if they do not.
    """

    recipe: str
    hardware: HardwareSpec
    samples: int
    simulate: str = ""


def mapping_reference(config: RunConfig, hardware: HardwareSpec) -> MappingReference | None:
    """How the returned networks of a run are mapped, if its config names a recipe."""
    section = config.retrain
    if not section.mapping:
        return None
    return MappingReference(section.mapping, hardware, section.mapping_samples, section.simulate)


def mapping_in_search(config: RunConfig, hardware: HardwareSpec) -> MappingReference | None:
    """The same for candidates of the search: only where an objective or a limit asks for it."""
    asked = any(part in (*MAPPED, *SIMULATED) for cost in config.costs for part in (cost, *cost.parts))
    return mapping_reference(config, hardware) if asked else None


def mapping_metrics(network: SpikingNetwork, splits: Splits, mapping: MappingReference, seed: int) -> dict[str, float]:
    """Figures of a network as mapped, energy and leakage by sample and chip; what has no value is left out.

    Args:
        network: with its weights.
        splits: the first validation samples are traced.
        mapping: how.
        seed: of the recipe.
    """
    from hasnas.cim_estimator.mapping import chip_of, load_recipe, map_and_evaluate
    from hasnas.nas.export.deploy import deploy
    from hasnas.nas.spikes import trace

    samples = splits.validation.inputs[: mapping.samples].cpu()
    state = {name: value.cpu() for name, value in network.state_dict().items()}
    deployed, chip = deploy(network.graph, state), chip_of(mapping.hardware)
    mapped, found = map_and_evaluate(trace(deployed, samples), load_recipe(mapping.recipe), chip, seed)
    told = {
        "mapped_energy_j": found.communication_energy_j / len(samples),
        "mapped_latency_s": found.latency_s,
        "lifetime_s": found.lifetime_s,
        "temperature_k": found.temperature_k,
        "mapped_leakage_w": found.leakage_w,
        "mapped_crossbars": float(found.clusters),
    }
    known = {name: value for name, value in told.items() if value is not None}
    if not mapping.simulate:
        return known
    from hasnas.cim_estimator.simulator import Settings
    from hasnas.nas.spikes.on_chip import run_on_chip

    run = run_on_chip(deployed, mapped, chip, samples, Settings(mapping.simulate))  # type: ignore[arg-type]
    known["simulated_energy_j"] = sum(run.simulated.energy_j.values())
    known["simulated_latency_s"] = run.simulated.latency_s
    if not splits.validation.is_regression:
        right = run.outputs.argmax(1) == splits.validation.targets[: mapping.samples].cpu().numpy()
        known["simulated_accuracy"] = float(right.mean())
    return known
