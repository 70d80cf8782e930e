"""What the packets of each layer of a network cost between tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hasnas.errors import BadInputError

from .mapping import Chip, Mapped
from .topology import distances


@dataclass(frozen=True)
class LayerTraffic:
    """What a layer hears through the network between tiles, for the whole recording.

    Args:
        layer: its name.
        packets: spikes sent to its neurons in other clusters than the sender's, and partial sums of wide neurons. One
            that serves several layers of a cluster counts for each with an equal share.
        energy_j: of these packets.
    """

    layer: str
    packets: float
    energy_j: float


def traffic_by_layer(mapped: Mapped, chip: Chip) -> list[LayerTraffic]:
    """The communication energy of a mapping, split among the layers that hear; in the order of the layers.

    Raises:
        BadInputError: if the graph does not say of which layers its neurons are.
    """
    graph, clusters = mapped.graph, np.asarray(mapped.clusters, np.int64)
    if graph.layers is None:
        raise BadInputError("this graph knows no layers; map a run, an exported network or a NIR file")
    names, count = graph.layers.names, len(mapped.tiles)
    sources, targets = np.asarray(graph.sources, np.int64), graph.destinations
    heard = np.unique((sources * count + clusters[targets]) * len(names) + graph.layers.of[targets])
    ways, layer = np.divmod(heard, len(names))
    _, way, shared = np.unique(ways, return_inverse=True, return_counts=True)
    source, cluster = np.divmod(ways, count)
    packets = graph.spikes[source] * (clusters[source] != cluster) / shared[way]
    hops = distances(mapped.topology)[mapped.tiles[clusters[source]], mapped.tiles[cluster]]
    by_layer = np.bincount(layer, packets, len(names))
    energy_j = np.bincount(layer, packets * hops, len(names)) * chip.network.hop_energy_j
    return [LayerTraffic(*row) for row in zip(names, by_layer.tolist(), energy_j.tolist(), strict=True)]
