"""NIR files as workloads."""

from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
import torch
from torch.nn import functional

from hasnas.cim_estimator import LayerKind, Workload, estimate, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.export.nir_reader import read_nir as run_nir
from hasnas.search_spaces import read_nir
from hasnas.search_spaces.lowering import lower
from hasnas.search_spaces.neurons.synaptic import SynapticLIF


def lif(*shape: int) -> nir.LIF:
    one = np.ones(shape)
    return nir.LIF(tau=one, r=one, v_leak=0 * one, v_threshold=one)


def conv(cin: int, cout: int, kernel: int = 3, groups: int = 1, bias: bool = True, size: int = 4):
    weight = np.ones((cout, cin // groups, kernel, kernel))
    values = np.ones(cout) if bias else np.zeros(cout)
    return nir.Conv2d((size, size), weight, 1, kernel // 2, 1, groups, values)


def line(channels: int, kernel: int) -> nir.Conv1d:
    return nir.Conv1d(4, np.ones((2, channels, kernel)), 1, 0, 1, 1, np.zeros(2))


def pool(window: int, kind=nir.AvgPool2d):
    return kind(np.array([window, window]), np.array([window, window]), np.array([0, 0]))


def chain(**nodes) -> tuple[dict, list]:
    names = ["input", *nodes, "output"]
    return nodes, list(pairwise(names))


def write(tmp_path: Path, nodes: dict, edges: list, shape: tuple[int, ...], outputs: int = 10, **metadata) -> Path:
    ends = {"input": nir.Input(np.array(shape)), "output": nir.Output(np.array([outputs]))}
    path = tmp_path / "net.nir"
    nir.write(str(path), nir.NIRGraph({**ends, **nodes}, edges, metadata=metadata, type_check=False))
    return path


def workload(path: Path, timesteps: int | None = None) -> Workload:
    return lower(read_nir(path, timesteps).graph)


def columns(network, *names: str) -> list[tuple]:
    return list(zip(*(np.broadcast_to(getattr(network, name), network.shape).tolist() for name in names), strict=True))


def test_a_convolutional_network_becomes_layers(tmp_path: Path):
    nodes, edges = chain(
        conv=conv(2, 8, size=6), neurons=lif(8, 6, 6), pool=pool(2), flat=nir.Flatten(np.array([8, 3, 3]), 0, -1),
        dense=nir.Affine(np.ones((10, 72)), np.ones(10)), last=lif(10),
    )  # fmt: skip
    network = workload(write(tmp_path, nodes, edges, (2, 6, 6)), timesteps=5)
    assert network.names == ("conv", "neurons", "pool", "dense", "last")
    assert network.kind.tolist() == [LayerKind.CONV, LayerKind.LIF, LayerKind.POOL, LayerKind.LINEAR, LayerKind.LIF]
    assert columns(network, "in_channels", "out_channels", "in_height", "out_width") == [
        (2, 8, 6, 6), (8, 8, 6, 6), (8, 8, 6, 3), (72, 10, 1, 1), (10, 10, 1, 1),
    ]  # fmt: skip
    # Pixels enter with 8 bits, spikes with 1, the mean of four spikes has five levels.
    assert network.input_bits.tolist() == [8, 8, 1, 3, 8]
    assert network.biases.tolist() == [8, 0, 0, 10, 0]
    assert network.level.tolist() == [1, 2, 3, 4, 5]
    assert float(estimate(network, load_hardware("rram-22nm")).energy_j) > 0


def test_metadata_says_timesteps_and_static_input(tmp_path: Path):
    nodes, edges = chain(conv=conv(1, 4, bias=False), neurons=lif(4, 4, 4), next=conv(4, 4), last=lif(4, 4, 4))
    network = workload(write(tmp_path, nodes, edges, (1, 4, 4), timesteps=7, static_input=True))
    assert network.timesteps == 7
    assert network.evaluations.tolist() == [1, 7, 7, 7]
    assert network.biases.tolist() == [0, 0, 4, 0]
    assert workload(tmp_path / "net.nir", timesteps=3).timesteps == 3


def test_edges_that_meet_are_summed_and_branches_share_a_level(tmp_path: Path):
    nodes = {"a": conv(2, 2), "b": conv(2, 2, kernel=1), "join": pool(1), "neurons": lif(2, 4, 4)}
    edges = [("input", "a"), ("input", "b"), ("a", "join"), ("b", "join"), ("join", "neurons"), ("neurons", "output")]
    network = workload(write(tmp_path, nodes, edges, (2, 4, 4)), timesteps=2)
    assert network.names == ("a", "b", "join", "neurons")
    assert network.level.tolist() == [1, 1, 2, 3]
    assert columns(network, "kind", "in_channels", "out_channels")[2] == (LayerKind.ADD, 4, 2)


def test_loops_act_one_timestep_later(tmp_path: Path):
    nodes, edges = chain(dense=nir.Linear(np.ones((4, 4))), neurons=lif(4))
    recurrent = {"back": nir.Linear(np.ones((4, 4)))}
    loop = [("neurons", "back"), ("back", "dense")]
    network = workload(write(tmp_path, {**nodes, **recurrent}, edges + loop, (4,)), timesteps=2)
    assert set(network.names) == {"dense.sum", "dense", "neurons", "back"}
    held = dict(columns(network, "delay", "kind"))
    assert held[1] == LayerKind.ADD
    delayed = {"wait": nir.Delay(np.ones(4) * 1e-4)}
    loop = [("neurons", "wait"), ("wait", "dense")]
    network = workload(write(tmp_path, {**nodes, **delayed}, edges + loop, (4,)), timesteps=2)
    assert dict(zip(network.names, network.delay.tolist(), strict=True)) == {"dense.sum": 1, "dense": 0, "neurons": 0}


@pytest.mark.parametrize(
    "neuron", [nir.IF(r=np.ones(4), v_threshold=np.ones(4)), nir.LI(np.ones(4), np.ones(4), np.ones(4))]
)
def test_any_neuron_has_a_membrane(tmp_path: Path, neuron):
    nodes, edges = chain(neurons=neuron)
    assert workload(write(tmp_path, nodes, edges, (4,)), timesteps=1).neurons.tolist() == [4]


def test_bits_of_weights_come_from_the_metadata(tmp_path: Path):
    nodes, edges = chain(conv=conv(2, 8), neurons=lif(8, 4, 4), flat=nir.Flatten(np.array([8, 4, 4]), 0, -1),
                         dense=nir.Linear(np.ones((10, 128))))  # fmt: skip
    path = write(tmp_path, nodes, edges, (2, 4, 4), weight_bits='{"conv": 4, "dense": 2}')
    few = workload(path, timesteps=2)
    assert few.weight_bits.tolist() == [4, 0, 2]
    full = workload(write(tmp_path, nodes, edges, (2, 4, 4)), timesteps=2)
    assert full.weight_bits.tolist() == [0, 0, 0]
    chip = load_hardware("rram-22nm")
    assert float(estimate(few, chip).energy_j) < float(estimate(full, chip).energy_j)
    for damaged, told in (("[1]", ""), ("{", ""), ('{"conv": "many"}', "of 'conv' ")):
        with pytest.raises(BadInputError, match=f"net.nir: metadata weight_bits {told}is"):
            workload(write(tmp_path, nodes, edges, (2, 4, 4), weight_bits=damaged), timesteps=2)


def test_bits_of_membranes_come_from_the_metadata(tmp_path: Path):
    nodes, edges = chain(neurons=lif(4))
    few = workload(write(tmp_path, nodes, edges, (4,), membrane_bits='{"neurons": 6}'), timesteps=2)
    assert few.membrane_bits.tolist() == [6]
    full = workload(write(tmp_path, nodes, edges, (4,)), timesteps=2)
    assert int(estimate(full, load_hardware("rram-22nm")).memory_bits) == 4 * 16
    assert int(estimate(few, load_hardware("rram-22nm")).memory_bits) == 4 * 6
    with pytest.raises(BadInputError, match=r"metadata membrane_bits is"):
        workload(write(tmp_path, nodes, edges, (4,), membrane_bits="[6]"), timesteps=2)


def test_scales_and_grouped_convolutions(tmp_path: Path):
    nodes, edges = chain(
        depthwise=conv(4, 4, groups=4), neurons=lif(4, 4, 4), scale=nir.Scale(np.ones((4, 4, 4))),
        sums=pool(2, nir.SumPool2d),
    )  # fmt: skip
    network = workload(write(tmp_path, nodes, edges, (4, 4, 4)), timesteps=1)
    assert network.kind.tolist() == [LayerKind.CONV, LayerKind.LIF, LayerKind.SCALE, LayerKind.POOL]
    assert network.groups.tolist() == [4, 1, 1, 1]
    # A scale that follows a convolution alone is folded into it, as a batch norm is.
    nodes, edges = chain(conv=conv(4, 4, bias=False), scale=nir.Scale(np.ones((4, 4, 4))))
    folded = workload(write(tmp_path, nodes, edges, (4, 4, 4)), timesteps=1)
    assert (folded.kind.tolist(), folded.biases.tolist()) == ([LayerKind.CONV], [4])


@pytest.mark.parametrize(
    "nodes, shape, message",
    [
        ({"dense": nir.Linear(np.ones((4, 5)))}, (4,), "node 'dense' takes 5 values, but 4 arrive"),
        ({"conv": conv(3, 4)}, (2, 4, 4), "node 'conv' takes 3 channels, but (2, 4, 4) arrives"),
        ({"conv": line(3, 3)}, (2, 4), "takes 3 channels, but (2, 1, 4) arrives"),
        ({"conv": line(2, 5)}, (2, 4), "kernel of 1 x 5, but (2, 1, 4) arrives"),
        ({"neurons": lif(2, 4)}, (2, 4), "input 'input' has shape [2, 4]; only vectors, [C, L] lines"),
    ],
)
def test_what_cannot_be_priced_is_named(tmp_path: Path, nodes: dict, shape: tuple[int, ...], message: str):
    path = write(tmp_path, *chain(**nodes), shape)
    with pytest.raises(BadInputError) as refused:
        workload(path, timesteps=1)
    assert message in str(refused.value)
    assert str(path) in str(refused.value)


def test_files_that_are_no_networks_are_refused(tmp_path: Path):
    with pytest.raises(BadInputError, match="there is no such file"):
        workload(tmp_path / "absent.nir")
    (tmp_path / "text.nir").write_text("not HDF5")
    with pytest.raises(BadInputError, match="is not a readable NIR file"):
        workload(tmp_path / "text.nir")
    path = write(tmp_path, *chain(neurons=lif(4)), (4,))
    with pytest.raises(BadInputError, match="does not say how many timesteps"):
        workload(path)


def neurons(kind: str) -> nir.NIRNode:
    """Twelve neurons whose dynamics no layer of this project has, or that it has in another unit."""
    one = np.ones(12)
    return {
        "v_leak = 0.5": nir.LIF(tau=1e-3 * one, r=10 * one, v_leak=0.5 * one, v_threshold=one),
        "different thresholds": nir.LIF(tau=1e-3 * one, r=one, v_leak=0 * one, v_threshold=np.arange(12.0)),
        "r = 1;": nir.IF(r=one, v_threshold=one),
    }[kind]


@pytest.mark.parametrize("kind", ["v_leak = 0.5", "different thresholds", "r = 1;"])
def test_dynamics_that_change_no_price_are_told_and_priced(tmp_path: Path, kind: str):
    ends = {"input": nir.Input(np.array([1, 20])), "output": nir.Output(np.array([12]))}  # a batch axis, as Norse's
    nodes = {**ends, "dense": nir.Affine(np.ones((12, 20)), np.zeros(12)), "neurons": neurons(kind)}
    edges = [("input", "dense"), ("dense", "neurons"), ("neurons", "output")]
    nir.write(str(tmp_path / "a.nir"), nir.NIRGraph(nodes, edges, type_check=False))
    found = read_nir(tmp_path / "a.nir", timesteps=8)
    assert any("node 'neurons'" in text and kind.strip(";").split(" ")[0] in text for text in found.ignored)
    report = estimate(lower(found.graph), load_hardware("rram-22nm"))
    assert (int(report.parameters), f"{report.energy_j * 1e9:.3f}", f"{report.area_m2 * 1e6:.4f}") == (
        252, "1.872", "0.2863",
    )  # fmt: skip


@pytest.mark.parametrize("gain", [1.0, 5.0])
def test_current_based_neurons_have_a_second_state(tmp_path: Path, gain: float):
    one = np.ones(12)
    values = {"tau_syn": 2e-4 * one, "tau_mem": 4e-4 * one, "r": one, "v_leak": 0 * one, "v_threshold": 0.5 * one}
    node = nir.CubaLIF(**values, w_in=gain * one)
    dense = nir.Affine(np.ones((12, 20)), np.zeros(12))
    path = write(tmp_path, *chain(dense=dense, neurons=node), (20,))
    found = read_nir(path, timesteps=8)
    assert not found.ignored
    told = next(one.operation for one in found.graph.nodes if isinstance(one.operation, SynapticLIF))
    assert told == SynapticLIF(4.0, 0.5 / gain, 0.0, 2.0)
    names = lower(found.graph).names
    assert "neurons.current" in names


def test_a_recurrent_loop_of_another_tool_is_priced_as_one_timestep_late(tmp_path: Path):
    nodes, edges = chain(dense=nir.Affine(np.ones((4, 4)), np.ones(4)), neurons=lif(4))
    loop = {"again": nir.Affine(np.ones((4, 4)), np.ones(4))}
    path = write(tmp_path, {**nodes, **loop}, [*edges, ("neurons", "again"), ("again", "neurons")], (4,))
    found = read_nir(path, timesteps=3)
    assert "the loop through 'neurons' does not say where it takes a timestep" in found.ignored[0]
    network = lower(found.graph)
    held = dict(zip(network.names, zip(network.kind.tolist(), network.delay.tolist(), strict=True), strict=True))
    assert held == {
        "dense": (LayerKind.LINEAR, 0), "neurons.sum": (LayerKind.ADD, 1), "neurons": (LayerKind.LIF, 0),
        "again": (LayerKind.LINEAR, 0),
    }  # fmt: skip


def test_a_part_that_is_a_graph_itself_is_taken_apart(tmp_path: Path):
    inner = nir.NIRGraph(
        {"in": nir.Input(np.array([4])), "lif": lif(4), "again": nir.Linear(np.ones((4, 4))),
         "out": nir.Output(np.array([4]))},
        [("in", "lif"), ("lif", "again"), ("again", "lif"), ("lif", "out")],
        type_check=False,
    )  # fmt: skip
    nodes, edges = chain(dense=nir.Linear(np.ones((4, 4))), part=inner, last=nir.Linear(np.ones((2, 4))))
    network = workload(write(tmp_path, nodes, edges, (4,)), timesteps=3)
    assert network.names == ("dense", "part.lif.sum", "part.lif", "part.again", "last")
    assert dict(zip(network.names, network.input_bits.tolist(), strict=True))["last"] == 1


def test_metadata_that_do_not_fit_the_weights_are_refused(tmp_path: Path):
    nodes, edges = chain(conv=conv(2, 8), neurons=lif(8, 4, 4))
    told = '{"conv": [{"name": "conv", "kind": "Conv2d", "in_channels": 2, "out_channels": 4, "kernel_size": 3}]}'
    for text, message in [
        (told, "metadata layers say that 'conv' is Conv2d"),
        ('{"conv": [{"name": "conv", "kind": "Vote", "group_size": 2}]}', "'conv' is Vote, which its Conv2d is not"),
        ('{"conv": [3]}', "metadata layers: 'conv' is"),
        ('{"conv": []}', "'conv' is nothing"),
        ("[]", "metadata layers is"),
    ]:
        with pytest.raises(BadInputError, match=message):
            read_nir(write(tmp_path, nodes, edges, (2, 4, 4), layers=text), timesteps=2)


@pytest.mark.parametrize(
    "padding, kernel, stride, after, around",
    [("same", 3, 1, 7, 1), ("same", 5, 1, 7, 2), ("same", 1, 2, 4, 0), ("valid", 3, 1, 5, 0), ((2, 2), 3, 1, 9, 2)],
)
def test_padding_in_words_and_in_numbers(padding, kernel: int, stride: int, after: int, around: int, tmp_path: Path):
    layer = nir.Conv2d((7, 7), np.ones((4, 2, kernel, kernel)), stride, padding, 1, 1, np.zeros(4))
    nodes, edges = chain(conv=layer, neurons=lif(4, after, after))
    found = read_nir(write(tmp_path, nodes, edges, (2, 7, 7)), 1)
    assert next(node.operation.padding for node in found.graph.nodes if node.name == "conv") == around
    assert columns(workload(tmp_path / "net.nir", 1), "out_height", "out_width")[0] == (after, after)
    assert not found.ignored


@pytest.mark.parametrize("kernel, stride, after", [(2, 1, 7), (3, 2, 4)])
def test_uneven_padding_is_priced_and_told(kernel: int, stride: int, after: int, tmp_path: Path):
    layer = nir.Conv2d((7, 7), np.ones((4, 2, kernel, kernel)), stride, "same", 1, 1, np.zeros(4))
    nodes, edges = chain(conv=layer, neurons=lif(4, after, after))
    found = read_nir(write(tmp_path, nodes, edges, (2, 7, 7)), 1)
    assert columns(lower(found.graph), "out_height", "out_width")[0] == (after, after)
    assert any("padded unevenly" in note for note in found.ignored)


@pytest.mark.parametrize(
    "factors, by_channel",
    [
        (np.ones(1), True),
        (np.arange(4.0), True),
        (np.arange(4.0)[:, None, None] * np.ones((4, 3, 3)), True),
        (np.ones((4, 3, 3)) + np.eye(3), False),
        (np.ones((4, 3)), False),
    ],
)
def test_factors_of_a_channel_can_be_run(factors: np.ndarray, by_channel: bool, tmp_path: Path):
    nodes, edges = chain(neurons=lif(4, 3, 3), scale=nir.Scale(factors))
    ignored = read_nir(write(tmp_path, nodes, edges, (4, 3, 3)), 1).ignored
    assert any("scales single values" in note for note in ignored) != by_channel


def test_a_resistance_is_a_unit_of_thresholds(tmp_path: Path):
    node = nir.LIF(tau=1e-3 * np.ones(4), r=10 * np.ones(4), v_leak=np.zeros(4), v_threshold=0.5 * np.ones(4))
    path = write(tmp_path, *chain(dense=nir.Affine(np.eye(4), np.zeros(4)), neurons=node), (4,))
    network = run_nir(path, torch.float64, timesteps=30)
    generator = torch.Generator().manual_seed(0)
    samples, v = torch.rand(30, 1, 4, dtype=torch.float64, generator=generator), torch.zeros(4).double()
    spikes = []
    for x in samples[:, 0]:
        v = v + 0.1 * (10 * x - v)
        spikes.append((v >= 0.5).double())
        v = v * (1 - spikes[-1])
    expected = torch.stack(spikes)
    assert 0 < expected.mean() < 1
    torch.testing.assert_close(network(samples)[0], expected.mean(0))


@pytest.mark.parametrize(("stride", "padding"), [(1, 0), (2, 1), (3, "valid"), (1, "same")])
def test_convolutions_along_a_line(tmp_path: Path, stride: int, padding: int | str):
    weight = np.random.default_rng(0).normal(size=(4, 2, 3))
    layer = nir.Conv1d(9, weight, stride, padding, 1, 1, np.ones(4))
    samples, kernel = torch.rand(2, 1, 2, 1, 9, dtype=torch.float64), torch.tensor(weight)
    expected = functional.conv1d(samples[:, 0, :, 0], kernel, torch.ones(4).double(), stride, padding)
    path = write(tmp_path, *chain(conv=layer), (2, 9))
    found = read_nir(path, timesteps=2)
    assert found.graph.node("conv").shape == (4, 1, expected.shape[-1])
    assert lower(found.graph).fan_in.max() == 6
    torch.testing.assert_close(run_nir(path, torch.float64, timesteps=2)(samples)[0, :, 0], expected.mean(0))


def test_rectangular_windows(tmp_path: Path):
    weight = np.random.default_rng(0).normal(size=(4, 2, 3, 1))
    layer = nir.Conv2d((8, 6), weight, (2, 1), (1, 0), 1, 1, np.zeros(4))
    pool = nir.AvgPool2d(np.array([1, 2]), np.array([1, 2]), np.array([0, 0]))
    path = write(tmp_path, *chain(conv=layer, pool=pool), (2, 8, 6))
    samples = torch.rand(2, 1, 2, 8, 6, dtype=torch.float64)
    conv = functional.conv2d(samples[:, 0], torch.tensor(weight), stride=(2, 1), padding=(1, 0))
    expected = functional.avg_pool2d(conv, (1, 2)).mean(0)
    torch.testing.assert_close(run_nir(path, torch.float64, timesteps=2)(samples)[0], expected)


def test_a_loop_that_is_the_same_wherever_its_timestep_lies_runs(tmp_path: Path):
    weight, again = np.eye(3), np.array([[0, 0.9, 0], [0, 0, 0.9], [0.9, 0, 0]])
    one = np.ones(3)
    node = nir.LIF(tau=2e-4 * one, r=one, v_leak=0 * one, v_threshold=0.7 * one)
    nodes, edges = chain(dense=nir.Linear(weight), neurons=node)
    loop = {"again": nir.Affine(again, np.zeros(3))}
    path = write(tmp_path, {**nodes, **loop}, [*edges, ("neurons", "again"), ("again", "neurons")], (3,))
    network = run_nir(path, torch.float64, timesteps=12)
    samples = torch.rand(12, 1, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v, spikes, total = torch.zeros(3).double(), torch.zeros(3).double(), torch.zeros(3).double()
    for x in samples[:, 0]:
        v = v + 0.5 * (x + torch.tensor(again) @ spikes - v)
        spikes = (v >= 0.7).double()
        v, total = v * (1 - spikes), total + spikes
    assert 0 < total.min() <= total.max() < 12
    torch.testing.assert_close(network(samples)[0], total / 12)


def test_sums_of_windows_and_another_timestep_run(tmp_path: Path):
    """As sinabs writes them: integrators of r = 1, whose timestep is 1, behind sums over windows."""
    one = np.ones((2, 4, 4))
    nodes, edges = chain(neurons=nir.IF(r=one, v_threshold=one), sums=pool(2, nir.SumPool2d))
    path = write(tmp_path, nodes, edges, (2, 4, 4))
    assert "a timestep of 1 s, timestep_s, it can" in read_nir(path, 6).ignored[0]
    samples = torch.rand(6, 1, 2, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    v, total = torch.zeros(2, 4, 4).double(), torch.zeros(2, 4, 4).double()
    for x in samples[:, 0]:
        v = v + x
        total, v = total + (v >= 1), v * (v < 1)
    assert 0 < total.mean() < 6
    expected = 4 * functional.avg_pool2d(total[None] / 6, 2)
    torch.testing.assert_close(run_nir(path, torch.float64, timesteps=6, timestep_s=1.0)(samples), expected)
    with pytest.raises(BadInputError, match="timestep_s is 0; give seconds above 0"):
        run_nir(path, timesteps=6, timestep_s=0)
