"""Which other tools open an exported NIR file, and how: what its card says of it.

Found by opening random exports in each of them (`experiments/benchmarks/export_elsewhere.py`; spike by spike in
`export_spikes.py` beside it); `tests/nas/export` keeps what is said of those that are installed there.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .nir_writer import TIMESTEP_S

if TYPE_CHECKING:
    import nir

# What was tried; neurons of other packages may write down others.
OURS = {"Input", "Output", "Conv2d", "Affine", "Flatten", "AvgPool2d", "SumPool2d", "Delay", "LIF", "IF", "CubaLIF"}
YES, NO = "yes: ", "no: "
_DELAY = "Delay", "a feedback connection that closes no loop is a Delay, which no other tool knows"
_SUM = "SumPool2d", "it knows no pool that sums"
_POOL = "AvgPool2d", "its pool of many channels over a large window is an AvgPool2d, which it does not know"
_SYNAPSES = "CubaLIF", "it takes synaptic neurons only where r is tau_mem / dt"


@dataclass(frozen=True)
class _Tool:
    """What is known of a tool.

    Args:
        opens: how it opens what it does not refuse.
        refused: node kinds that it does not open or computes otherwise, and why; the first that a file holds is told.
        branches: how it opens what is no chain of nodes, where that is done otherwise.
    """

    opens: str
    refused: tuple[tuple[str, str], ...]
    branches: str = ""


_TOOLS = {
    "SpikingJelly 2.0": _Tool(
        f"{YES}spikingjelly.activation_based.nir_exchange.import_from_nir(file, dt={TIMESTEP_S:g})",
        (_DELAY, _SUM, _SYNAPSES),
    ),
    "snnTorch 1.0": _Tool(
        YES + "snntorch.import_nir.import_from_nir(nir.read(file)), which assumes the same timestep",
        (
            ("IF", "it takes integrate-and-fire neurons only where r is 1, and gives them a leak"),
            _DELAY,
            _SUM,
            _SYNAPSES,
        ),
    ),
    "Norse 1.1": _Tool(
        f"{YES}norse.torch.from_nir(nir.read(file), dt={TIMESTEP_S:g})",
        (_DELAY, _POOL),
        branches=f"{YES}nirtorch.nir_to_torch with the modules of norse.torch.utils.import_nir, dt={TIMESTEP_S:g}; its "
        "own from_nir puts branches together in the wrong order",
    ),
    "sinabs 3.1": _Tool(
        NO + "it opens the file, but its integrate-and-fire neurons subtract the threshold and compute other spikes",
        (
            _DELAY,
            _POOL,
            ("CubaLIF", "it knows no synaptic neurons"),
            ("LIF", "it refuses LIF neurons on maps, and takes time constants as numbers of timesteps"),
        ),
    ),
}


def tools_that_open(graph: nir.NIRGraph) -> dict[str, str]:
    """By tool, whether it computes the same spikes from a file, and how it is opened or why it is not.

    Args:
        graph: as `to_nir` writes it.

    >>> import nir, numpy as np
    >>> chain = nir.NIRGraph.from_list(nir.Input(np.array([2])), nir.Affine(np.eye(2), np.zeros(2)))
    >>> tools_that_open(chain)["Norse 1.1"]
    'yes: norse.torch.from_nir(nir.read(file), dt=0.0001)'
    """
    kinds, chain = {type(node).__name__ for node in graph.nodes.values()}, _is_chain(graph)
    untried = tuple((kind, f"nobody tried its {kind} there") for kind in sorted(kinds - OURS))
    found = {}
    for name, tool in _TOOLS.items():
        reason = next((why for kind, why in (*tool.refused, *untried) if kind in kinds), None)
        opens = tool.opens if chain else tool.branches or tool.opens
        found[name] = opens if reason is None else NO + reason
    return found


def _is_chain(graph: nir.NIRGraph) -> bool:
    """Whether each node has at most one successor and one predecessor."""
    ends = [Counter(edge[end] for edge in graph.edges) for end in (0, 1)]
    return all(count == 1 for counted in ends for count in counted.values())
