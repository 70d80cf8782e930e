"""What a simulation found: outputs, spikes, latency, energy, and where packets had to wait."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .machine import TICK_S, Machine

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class SampleRun:
    """What one sample left behind, in ticks and counts; both event loops answer with it.

    Args:
        log: time, kind, component, number; `[entries, 4]`; empty unless it was wanted.
        ended: when the last event happened.
        events: how many there were.
        delivered: packets that reached another core; `latency` the sum of their times, `worst` the longest.
        channels: packets that passed, ticks that they waited in turn for the channel, longest queue at its end;
            links, then cores, then outboxes, `[channels, 3]`.
        cores: packets received, rows written, reads, synaptic operations, spikes fired; `[clusters, 5]`.
        outputs: totals of the outputs over time.
        raster: spikes by timestep and unit, `[steps, units]`.
        done: whether the sample came to its end.
    """

    log: Ints
    ended: int
    events: int
    delivered: int
    latency: int
    worst: int
    channels: Ints
    cores: Ints
    outputs: Floats
    raster: Ints
    done: bool


@dataclass(frozen=True, eq=False)
class Simulated:
    """Samples on a machine.

    Args:
        machine: what it ran on.
        links: channels that are links.
        runs: one a sample.
    """

    machine: Machine
    links: int
    runs: list[SampleRun]

    @property
    def latencies_s(self) -> Floats:
        """From the start of each sample until nothing happens any more, `[samples]`."""
        return np.array([run.ended for run in self.runs]) * TICK_S

    @property
    def latency_s(self) -> float:
        """Mean over samples."""
        return float(self.latencies_s.mean())

    @property
    def packet_latency_s(self) -> float:
        """Mean over packets between cores, from the spike to the arrival; 0 if there are none."""
        delivered = sum(run.delivered for run in self.runs)
        return sum(run.latency for run in self.runs) / max(delivered, 1) * TICK_S

    @property
    def worst_packet_latency_s(self) -> float:
        """The longest."""
        return max((run.worst for run in self.runs), default=0) * TICK_S

    @property
    def packets(self) -> int:
        """Delivered to other cores, all samples together."""
        return sum(run.delivered for run in self.runs)

    @property
    def events(self) -> int:
        """All samples together."""
        return sum(run.events for run in self.runs)

    @property
    def channel_counts(self) -> Ints:
        """`SampleRun.channels` over all samples; queues the longest."""
        stacked = np.stack([run.channels for run in self.runs])
        return np.concatenate([stacked[..., :2].sum(axis=0), stacked[..., 2:].max(axis=0)], axis=1)

    @property
    def core_counts(self) -> Ints:
        """`SampleRun.cores` over all samples."""
        return np.sum([run.cores for run in self.runs], axis=0)

    @property
    def link_use(self) -> Floats:
        """Share of the time for which each link is taken, `[links]`."""
        time = max(sum(run.ended for run in self.runs), 1)
        return self.channel_counts[: self.links, 0] * self.machine.link_ticks / time

    @property
    def energy_j(self) -> dict[str, float]:
        """A sample's mean energy by component: network, reads, rows, leakage."""
        cores, samples = self.core_counts, len(self.runs)
        hops = int(self.channel_counts[: self.links, 0].sum())
        parts = {
            "network": hops * self.machine.network.hop_energy_j,
            "reads": float(cores[:, 2] @ self.machine.read_j),
            "rows": float(cores[:, 1] @ self.machine.row_j),
            "leakage": float(self.machine.leakage_w.sum() * self.latencies_s.sum()),
        }
        return {name: joules / samples for name, joules in parts.items()}

    @property
    def edp_js(self) -> float:
        """Energy of a sample times its latency."""
        return sum(self.energy_j.values()) * self.latency_s

    @property
    def answers(self) -> Ints:
        """The largest output of each sample, the first of equals."""
        return np.array([int(run.outputs.argmax()) for run in self.runs])
