"""Samples of a network on its mapped chip: what it answers there, against what it answers by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hasnas.cim_estimator.mapping import Chip, Mapped
from hasnas.cim_estimator.simulator import Kind, Settings, Simulated, machine_of, simulate
from hasnas.nas.export.deploy import Deployed

from .program import Built, program_of


@dataclass(frozen=True, eq=False)
class OnChip:
    """What a chip made of samples.

    Args:
        built: the network as the simulator's program.
        simulated: what happened.
        settings: with which; the period is the one that was taken.
        outputs: of the chip, the mean over time, `[N, outputs]`.
        own_outputs: of the network itself, in double precision, `[N, outputs]`.
        other_spikes: spikes of neurons, by sample and timestep, that only one of the two fired; 0 if they agree.
        spikes: that the network itself fires.
    """

    built: Built
    simulated: Simulated
    settings: Settings
    outputs: NDArray[np.float64]
    own_outputs: NDArray[np.float64]
    other_spikes: int
    spikes: int

    @property
    def agreement(self) -> float:
        """Share of samples on which the largest output is the same."""
        return float(np.mean(self.outputs.argmax(1) == self.own_outputs.argmax(1)))


def run_on_chip(
    deployed: Deployed,
    mapped: Mapped,
    chip: Chip,
    inputs: Tensor,
    settings: Settings | None = None,
    period_s: float | None = None,
    room: int = 4,
) -> OnChip:
    """Simulate a mapped network on samples.

    Args:
        deployed: the network.
        mapped: a mapping of its spike graph.
        chip: what it was mapped for.
        inputs: `[N, C, H, W]` or `[N, T, C, H, W]`.
        settings: mode and routing.
        period_s: a timestep in free-running mode; by default as long as a timestep takes on the same chip with
            barriers.
        room: packets that fit each queue.

    Raises:
        BadInputError: if the mapping is of another network, or the simulator cannot run it.
    """
    wanted = settings or Settings()
    built, machine = program_of(deployed, mapped), machine_of(chip, mapped, room, room)
    samples = [built.emissions(sample.double().numpy()) for sample in inputs]
    if wanted.mode == "free":
        if period_s is None:
            locked = simulate(built.program, samples, built.placement, machine, Settings("barrier", wanted.multicast))
            period_s = locked.latency_s / built.program.steps
        wanted = replace(wanted, period_s=period_s)
    found = simulate(built.program, samples, built.placement, machine, wanted)
    own, rasters = _by_itself(deployed, inputs, built)
    neurons = built.program.kinds == Kind.NEURON
    other = sum(int(np.abs(run.raster - own_raster)[:, neurons].sum())
                for run, own_raster in zip(found.runs, rasters, strict=True))  # fmt: skip
    outputs = np.stack([run.outputs for run in found.runs]) / built.program.steps
    return OnChip(built, found, wanted, outputs, own, other, int(sum(raster.sum() for raster in rasters)))


@torch.no_grad()
def _by_itself(deployed: Deployed, inputs: Tensor, built: Built) -> tuple[NDArray[np.float64], list[NDArray[np.int64]]]:
    """Outputs and spikes by timestep and unit of the network, in double precision."""
    network = deployed.network(torch.float64)
    batch = inputs.double() if built.static else inputs.double().transpose(0, 1)
    values = network.run(batch)
    rasters = np.zeros((len(inputs), built.program.steps, built.program.units), np.int64)
    for name, first in built.first.items():
        if built.program.kinds[first] == Kind.NEURON:
            spikes = network.at_every_step(values, name).flatten(2).transpose(0, 1).numpy()
            rasters[:, :, first : first + spikes.shape[2]] = spikes
    return network.at_every_step(values, "output").mean(0).numpy(), list(rasters)
