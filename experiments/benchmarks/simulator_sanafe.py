"""Spikes per second of the simulator with barriers beside SANA-FE, which simulates timestep by timestep.

`python -m hasnas.experiments.benchmarks.simulator_sanafe [--steps 400] [--repeats 5]`   (needs sanafe, GPL)

Sources on a mesh of 8 x 8 tiles spike at random in a tenth of the timesteps and reach one neuron on another tile each,
which integrates and stays silent. SANA-FE's chip has the same mesh, hops and links; its timing model "detailed"
schedules each message, but knows no queues event by event: for orientation, not the same work. Both count the spikes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from hasnas.cim_estimator.mapping import load_network, mesh
from hasnas.cim_estimator.simulator import (
    Emissions,
    Kind,
    Machine,
    NeuronArrays,
    Placement,
    Program,
    Settings,
    Synapses,
    simulation,
)
from hasnas.cim_estimator.simulator.prepare import prepare

SIDE, SOURCES, RATE = 8, 16, 0.1  # sources on each tile
CHIP = """
architecture:
  name: mesh
  attributes: {link_buffer_size: 4, width: 8, height: 8}
  tile:
    - name: tile[0..63]
      attributes: {energy_north_hop: 2.4e-12, latency_north_hop: 4.0e-9, energy_east_hop: 2.4e-12,
        latency_east_hop: 4.0e-9, energy_south_hop: 2.4e-12, latency_south_hop: 4.0e-9, energy_west_hop: 2.4e-12,
        latency_west_hop: 4.0e-9}
      core:
        - name: core[0..0]
          attributes: {buffer_position: soma, max_neurons_supported: 64}
          axon_in: [{name: axon_in, attributes: {energy_message_in: 0.0, latency_message_in: 2.0e-9}}]
          synapse: [{name: synapse, attributes: {model: current_based, energy_process_spike: 0.0,
            latency_process_spike: 0.0}}]
          dendrite: [{name: dendrite, attributes: {model: accumulator, energy_update: 0.0, latency_update: 0.0}}]
          soma:
            - {name: lif, attributes: {model: leaky_integrate_fire, energy_access_neuron: 0.0,
                latency_access_neuron: 0.0, energy_update_neuron: 0.0, latency_update_neuron: 0.0,
                energy_spike_out: 0.0, latency_spike_out: 0.0}}
            - {name: "source[0..15]", attributes: {model: input, energy_access_neuron: 0.0,
                latency_access_neuron: 0.0, energy_update_neuron: 0.0, latency_update_neuron: 0.0,
                energy_spike_out: 0.0, latency_spike_out: 0.0}}
          axon_out: [{name: axon_out, attributes: {energy_message_out: 0.0, latency_message_out: 2.0e-9}}]
"""


def ours(to: np.ndarray, fires: np.ndarray) -> tuple[int, float]:
    """Spikes delivered and processor seconds: sources, then a neuron on each tile."""
    tiles, count = SIDE * SIDE, len(to)
    units, zero = count + tiles, np.zeros(count + tiles)
    kinds = np.repeat([Kind.SOURCE, Kind.NEURON], [count, tiles]).astype(np.int64)
    homes = np.concatenate([np.repeat(np.arange(tiles), SOURCES), np.arange(tiles)])
    synapses = Synapses(np.arange(count), count + to, np.full(count, 1e-9), np.zeros(count, np.int64))
    program = Program(kinds, kinds, zero, zero, NeuronArrays.plain(units), np.zeros(units, bool), synapses, len(fires))
    ones = np.ones(tiles)
    machine = Machine(load_network(), 5e8, 4, 4, 2e-9, 12e-9 * ones, 2e-9, ones, ones, ones)
    placement = Placement(homes, np.arange(tiles), mesh(SIDE, SIDE))
    prepared = prepare(program, placement, machine, Settings("barrier"))
    sample = Emissions.of(*np.nonzero(fires))
    start = time.process_time()
    found = simulation.Compiled().run(prepared, sample)
    return found.delivered, time.process_time() - start


def theirs(to: np.ndarray, fires: np.ndarray) -> tuple[int, float]:
    """The same in SANA-FE, on one thread."""
    import sanafe

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chip.yaml"
        path.write_text(CHIP)
        chip_of = sanafe.load_arch(path)
    net = sanafe.Network()
    sources, neurons = net.create_neuron_group("in", len(to)), net.create_neuron_group("out", SIDE * SIDE)
    for number, neuron in enumerate(sources):
        place = chip_of.tiles[number // SOURCES].cores[0]
        neuron.set_attributes(
            soma_hw_name=f"source[{number % SOURCES}]", model_attributes={"spikes": fires[:, number].tolist()}
        )
        neuron.map_to_core(place)
    for number, neuron in enumerate(neurons):
        neuron.set_attributes(soma_hw_name="lif", model_attributes={"threshold": 1e9})
        neuron.map_to_core(chip_of.tiles[number].cores[0])
    for number, neuron in enumerate(sources):
        neuron.connect_to_neuron(neurons[int(to[number])], {"weight": 1.0})
    chip = sanafe.SpikingChip(chip_of)
    chip.load(net)
    start = time.process_time()
    found = chip.sim(len(fires), timing_model="detailed", processing_threads=1, scheduler_threads=0)
    return int(found["spikes"]), time.process_time() - start


def main() -> None:
    """Print both rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    rates: dict[str, list[float]] = {"ours": [], "SANA-FE": []}
    for seed in range(arguments.repeats + 1):
        rng, tiles = np.random.default_rng(seed), SIDE * SIDE
        homes = np.repeat(np.arange(tiles), SOURCES)
        to = rng.integers(0, tiles - 1, len(homes))
        to += to >= homes
        fires = rng.random((arguments.steps, len(homes))) < RATE
        for name, run in (("ours", ours), ("SANA-FE", theirs)):
            spikes, seconds = run(to, fires)
            if spikes != fires.sum():
                raise SystemExit(f"seed {seed}: {name} counts {spikes} spikes of {fires.sum()}")
            if seed:  # the first compiles
                rates[name].append(spikes / seconds)
    for name, found in rates.items():
        middle, least, most = (one / 1e3 for one in (statistics.median(found), min(found), max(found)))
        print(f"{name}: {middle:,.0f} thousand spikes a second ({least:,.0f} to {most:,.0f})")
    ratios = [one / other for one, other in zip(*rates.values(), strict=True)]
    print(f"ours / SANA-FE: {statistics.median(ratios):.1f} ({min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
