"""NIR graphs whose numbers, shapes, edges or metadata do not fit each other are refused, and the node is named."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np
import pytest

from hasnas.errors import BadInputError
from hasnas.search_spaces.nir import read_nir
from hasnas.search_spaces.nir.reader import nir_network

ONE = np.ones(12)
NAN = float("nan")


def lif(size: int = 12, **changes: Any) -> nir.LIF:
    one = np.ones(size)
    values = {"tau": 1e-3 * one, "r": one, "v_leak": 0 * one, "v_threshold": one, "v_reset": 0 * one}
    return nir.LIF(**(values | changes))


def dense(**changes: Any) -> nir.Affine:
    return nir.Affine(**({"weight": np.ones((12, 20)), "bias": 0 * ONE} | changes))


def conv(**changes: Any) -> nir.Conv2d:
    values = {"input_shape": (4, 5), "weight": np.ones((4, 1, 1, 1)), "stride": 1, "padding": 0, "dilation": 1}
    return nir.Conv2d(**(values | {"groups": 1, "bias": np.zeros(4)} | changes))


def chain(*nodes: Any, shape: Any = (20,), more: Any = (), **metadata: Any) -> nir.NIRGraph:
    names = ["input", *(f"n{number}" for number in range(len(nodes))), "output"]
    held = dict(zip(names, [nir.Input(np.array(shape)), *nodes, nir.Output(np.array([12]))], strict=True))
    edges = [*itertools.pairwise(names), *more]
    return nir.NIRGraph(held, edges, metadata=metadata, type_check=False)


def part(*names: str) -> nir.NIRGraph:
    ends = {"input": nir.Input(np.array([12])), "output": nir.Output(np.array([12]))}
    edges = list(zip(["input", *names], [*names, "output"], strict=True))
    return nir.NIRGraph({**ends, **{name: lif() for name in names}}, edges, type_check=False)


def clash() -> nir.NIRGraph:
    graph = chain(dense(), part("a"))
    graph.nodes["n1.a"] = lif()
    return graph


BAD = {
    "n0': weight holds NaN, in 240 places": chain(dense(weight=np.full((12, 20), NAN)), lif()),
    "n0': bias holds infinite values": chain(dense(bias=np.inf * ONE), lif()),
    "n0': bias holds 11 values for 12 outputs": chain(dense(bias=np.zeros(11)), lif()),
    "n0': weight is of the type complex128": chain(dense(weight=np.ones((12, 20)) * 1j), lif()),
    "n0' makes .0., no values at all": chain(nir.Linear(np.ones((0, 20))), lif()),
    "n1': tau holds 10 values, but 12 arrive": chain(dense(), lif(10)),
    "n1': v_threshold holds NaN": chain(dense(), lif(v_threshold=NAN * ONE)),
    "n1': tau is of the type .S": chain(dense(), lif(tau=np.array([b"0.001"] * 12))),
    "input' has the shape .20.5.": chain(dense(), lif(), shape=(20.5,)),
    "input' has the shape .-20.": chain(dense(), lif(), shape=(-20,)),
    "stride is .1.5, 1.5.": chain(conv(stride=(1.5, 1.5)), shape=(1, 4, 5)),
    "padding is .-1, -1.": chain(conv(padding=(-1, -1)), shape=(1, 4, 5)),
    "4 outputs in 3 groups": chain(conv(groups=3), shape=(3, 4, 5)),
    "kernel_size is .0, 2.": chain(
        nir.SumPool2d(np.array([0, 2]), np.array([1, 1]), np.array([0, 0])), shape=(1, 4, 5)
    ),
    "padded by .2, 2.": chain(nir.AvgPool2d(np.array([2, 2]), np.array([1, 1]), np.array([2, 2])), shape=(1, 4, 5)),
    "edge from 'input' to 'n0' stands twice": chain(dense(), lif(), more=[("input", "n0")]),
    "leaves the output 'output'": chain(dense(), lif(), more=[("output", "n0")]),
    "enters the input 'input'": chain(dense(), lif(), more=[("n1", "input")]),
    "meets at node 'n0' has no one shape: .20. from 'input', .12. from 'n1'": chain(
        dense(), lif(), more=[("n1", "n0")]
    ),
    "two nodes are called 'n1.a'": clash(),
    "timesteps is '2.7'": chain(dense(), lif(), timesteps=2.7),
    "timesteps is 'True'": chain(dense(), lif(), timesteps=True),
    "timestep_s is '1 ms'": chain(dense(), lif(), timesteps=4, timestep_s="1 ms"),
    "timestep_s is -0.001": chain(dense(), lif(), timesteps=4, timestep_s=-1e-3),
    "static_input is 'false'": chain(dense(), lif(), timesteps=4, static_input="false"),
    "weight_bits of 'n0' is 4.5": chain(dense(), lif(), timesteps=4, weight_bits='{"n0": 4.5}'),
    "weight_bits of 'n0' is 99": chain(dense(), lif(), timesteps=4, weight_bits='{"n0": 99}'),
    "membrane_bits of 'n1' is 1": chain(dense(), lif(), timesteps=4, membrane_bits='{"n1": 1}'),
    "weight_bits names the node 'n7', which is not there": chain(dense(), lif(), timesteps=4, weight_bits='{"n7": 4}'),
    "recurrent_edges names the node 'x'": chain(dense(), lif(), timesteps=4, recurrent_edges='[["n1", "x"]]'),
}


@pytest.mark.parametrize("message", BAD)
def test_what_does_not_fit_is_refused(message: str):
    told = {} if "timesteps" in BAD[message].metadata else {"timesteps": 4}
    with pytest.raises(BadInputError, match=message):
        nir_network(BAD[message], **told)


def test_infinite_time_constants_and_thresholds_are_neurons_without_leak_or_spikes():
    found = nir_network(chain(dense(), lif(tau=np.inf * ONE, v_threshold=np.inf * ONE)), 4)
    assert not found.ignored
    assert found.graph.parameter_count == 252


def test_what_no_input_reaches_is_left_out_loops_included():
    graph = chain(dense(), lif())
    graph.nodes |= {"lost": lif(), "there": lif()}
    graph.edges += [("lost", "there"), ("there", "lost"), ("there", "n1")]
    found = nir_network(graph, 4)
    assert found.graph.parameter_count == 252
    assert sum("connected to no input" in note for note in found.ignored) == 2


@pytest.mark.parametrize("kind, message", [(None, "does not say its type"), ("Cells", "of the type 'Cells'")])
def test_nodes_that_nir_does_not_know_are_named(tmp_path: Path, kind: str | None, message: str):
    nir.write(str(tmp_path / "m.nir"), chain(dense(), lif()))
    with h5py.File(tmp_path / "m.nir", "r+") as file:
        node = file["node/nodes/n1"]
        del node["type"]
        if kind is not None:
            node["type"] = kind
    with pytest.raises(BadInputError, match=f"node 'n1' (is )?{message}"):
        read_nir(tmp_path / "m.nir", timesteps=4)
