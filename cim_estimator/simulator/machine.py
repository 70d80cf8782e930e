"""How long a chip takes for what it does, and what that costs: seconds, and ticks for the simulator.

The network's constants are those that mapping uses; the cores' come from the cost model: a cluster is priced as a fully
connected layer of as many inputs and outputs as it takes rows and columns, read once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator.hardware.spec import GeneralHardware
from hasnas.cim_estimator.mapping.clusters import usage
from hasnas.cim_estimator.mapping.constants import NetworkConstants
from hasnas.cim_estimator.mapping.mapping import Chip, Mapped
from hasnas.cim_estimator.model.components import leakage_w_per_m2
from hasnas.cim_estimator.model.estimator import estimate
from hasnas.cim_estimator.model.general import POWERED_DOWN
from hasnas.cim_estimator.workload.activity import Activity
from hasnas.cim_estimator.workload.workload import LayerSpec, Workload
from hasnas.errors import BadInputError

TICK_S = 1e-12
UNLIMITED = 1 << 40  # packets that a queue holds: more than a simulation has room for
NOT_ON_CORES = ("interconnect", "reload", "leakage")


@dataclass(frozen=True, eq=False)
class Machine:
    """What a mapped chip does, in seconds and joules.

    Args:
        network: constants of the network between tiles.
        clock_hz: of the network and the cores.
        router_room: packets that the queue at the end of a link holds.
        inbox_room: packets that wait in front of a core.
        write_s: to note a packet in the row registers: one clock.
        read_s: of each core's crossbar: drive the rows, convert, accumulate; shape `[clusters]`.
        sync_s: of a barrier.
        read_j: for each read, whatever arrived, neurons included, shape `[clusters]`.
        row_j: for each row that was driven, shape `[clusters]`.
        leakage_w: of each core, shape `[clusters]`.
    """

    network: NetworkConstants
    clock_hz: float
    router_room: int
    inbox_room: int
    write_s: float
    read_s: NDArray[np.float64]
    sync_s: float
    read_j: NDArray[np.float64]
    row_j: NDArray[np.float64]
    leakage_w: NDArray[np.float64]

    def __post_init__(self) -> None:
        times = (self.write_s, self.sync_s, float(np.min(self.read_s, initial=0.0)))
        if min(times) < 0 or not np.isfinite(max(*times, float(np.max(self.read_s, initial=0.0)))):
            raise BadInputError(f"writing, synchronising and reading take {times} s; give times of at least 0")
        if not self.clock_hz > 0 or self.hop_ticks < self.link_ticks:
            raise BadInputError(
                f"at {self.clock_hz} Hz a hop takes {self.network.hop_cycles} cycles, "
                f"its link {self.network.link_cycles}; give a clock above 0 and links no slower than hops"
            )
        if min(self.router_room, self.inbox_room) < 1:
            raise BadInputError(
                f"queues with room for {self.router_room} and {self.inbox_room} packets let none pass; give at least 1"
            )

    @property
    def hop_ticks(self) -> int:
        """From one router to the next."""
        return ticks(self.network.hop_cycles / self.clock_hz)

    @property
    def link_ticks(self) -> int:
        """For which a packet takes a link."""
        return ticks(self.network.link_cycles / self.clock_hz)

    def with_room(self, router_room: int, inbox_room: int) -> Machine:
        """The same chip with other queues."""
        return replace(self, router_room=router_room, inbox_room=inbox_room)


def ticks(seconds: float) -> int:
    """Whole ticks of a picosecond.

    >>> ticks(2e-9)
    2000
    """
    return round(seconds / TICK_S)


def machine_of(chip: Chip, mapped: Mapped, router_room: int = 4, inbox_room: int = 4) -> Machine:
    """The machine that a mapping makes of a chip.

    Args:
        chip: constants.
        mapped: clusters, whose rows and columns are priced.
        router_room: packets in a router's queue; 4 as in SpiNeMap's Noxim (github.com/drexel-DISCO/SpiNeMap).
        inbox_room: packets in front of a core; as much as a router's queue, a design choice.
    """
    used = usage(mapped.graph, mapped.clusters)
    hardware = chip.hardware
    clock_s = 1.0 / chip.clock_hz
    read_s, read_j, row_j, leakage_w = core_costs(hardware, used.rows, used.columns)
    return Machine(
        chip.network, chip.clock_hz, router_room, inbox_room, clock_s, read_s, clock_s, read_j, row_j, leakage_w
    )


def core_costs(
    hardware: GeneralHardware, rows: NDArray[np.integer], columns: NDArray[np.integer]
) -> tuple[NDArray[np.float64], ...]:
    """Seconds and joules of a read, joules for each driven row, watts of leakage; each of shape `[clusters]`.

    The cost model's energy of a read rises nearly linearly with the share of active rows; the line through no rows and
    all rows is taken.
    """
    inputs, outputs = np.maximum(rows, 1), np.maximum(columns, 1)
    shapes = list(zip(inputs.tolist(), outputs.tolist(), strict=True))
    distinct = sorted(set(shapes))
    layers = [LayerSpec("linear", wide, high) for wide, high in distinct]
    neurons = [LayerSpec("lif", high, high) for _, high in distinct]
    workload = Workload.from_layers(layers + neurons, timesteps=1)
    idle, busy = (estimate(workload, hardware, Activity.assumed(rate)) for rate in (0.0, 1.0))
    counted = np.array([name not in NOT_ON_CORES for name in idle.energy_components])
    count = len(distinct)
    idle_j, busy_j = (report.energy_by_layer_j[:, counted].sum(axis=1) for report in (idle, busy))
    leaking = np.array([name not in POWERED_DOWN for name in idle.area_components])
    area = busy.area_by_layer_m2[:, leaking].sum(axis=1)
    index = {shape: place for place, shape in enumerate(distinct)}
    order = np.array([index[shape] for shape in shapes])
    read_j = (idle_j[:count] + busy_j[count:])[order]
    row_j = ((busy_j - idle_j)[:count])[order] / inputs
    seconds = (busy.latency_by_layer_s[:count])[order]
    watts = ((area[:count] + area[count:]) * leakage_w_per_m2(hardware))[order]
    return seconds, read_j, row_j, watts
