"""Conductances by crossbar, and layers as other cost models list them."""

import csv
import io

import numpy as np
import pytest

from hasnas.cim_estimator import LayerSpec, Workload, load_hardware
from hasnas.cim_estimator.nonideal import NonidealSpec, to_conductances, to_weights
from hasnas.errors import BadInputError
from hasnas.nas.export.conductances import conductance_files, device_of
from hasnas.nas.export.deploy import deploy
from hasnas.nas.export.layer_tables import neurosim_table, spikesim_lists
from hasnas.nas.export.target import NotExpressibleError

DEVICE = NonidealSpec(on_resistance_ohm=1e4, off_resistance_ohm=1e6, cell_bits=2, weight_bits=5, rows=10, columns=3)


@pytest.mark.parametrize("signed", ["differential", "offset"])
def test_crossbars_together_hold_the_weights(trained, signed: str) -> None:
    network = trained(2, False)[1]
    deployed, device = deploy(network.graph, network.state_dict()), DEVICE.with_changes({"signed": signed})
    files = conductance_files(deployed, device)
    with np.load(io.BytesIO(files["conductances.npz"])) as arrays:
        stored = dict(arrays)
    assert not any("norm" in name or "vote" in name for name in stored), "digital layers have no cells"
    layer = "stem.conv"
    matrix = deployed.tensors[f"{layer}.weight"].numpy().reshape(1, deployed.tensors[f"{layer}.weight"].shape[0], -1)
    whole = to_conductances(matrix.astype(np.float32), device)
    for sign, width in (
        ("positive", 3 if signed == "differential" else 2),
        ("negative", 3 if signed == "differential" else 1),
    ):
        cells = getattr(whole, sign)[0]
        for slice_, full in enumerate(cells):
            for row in range(-(-full.shape[0] // 10)):
                for column in range(-(-full.shape[1] // width)):
                    part = stored[f"{layer}/g0/s{slice_}/r{row}c{column}/{sign}"]
                    wanted = full[10 * row : 10 * row + 10, width * column : width * column + width]
                    np.testing.assert_allclose(part, wanted, rtol=1e-6)
    step = np.abs(matrix).max() / 15
    assert np.abs(to_weights(whole) - matrix).max() <= 0.51 * step
    lines = list(csv.reader(io.StringIO(files["conductances.csv"].decode())))
    first = next(line for line in lines[1:] if line[0] == layer)
    np.testing.assert_allclose(
        [float(value) for value in first[7:]], stored[f"{layer}/g0/s0/r0c0/positive"][0], rtol=1e-5
    )
    assert sum(len(line) - 7 for line in lines[1:]) == sum(array.size for name, array in stored.items() if "/g" in name)


def test_a_chip_says_its_cells_or_that_it_has_none() -> None:
    device = device_of(load_hardware("rram-32nm"))
    assert (device.rows, device.columns) == (128, 128)
    assert device.off_resistance_ohm > device.on_resistance_ohm > 0
    with pytest.raises(BadInputError, match=r"does not describe its memory cells; set nonideal\.device"):
        device_of(load_hardware("spikesim-65nm-rram"))
    with pytest.raises(NotExpressibleError, match=r"crossbar\.signed of chip 'rram-32nm' is unsigned"):
        device_of(load_hardware("rram-32nm", {"crossbar.signed": "unsigned"}))


# VGG9 of SpikeSim's script, its last pool left out.
SHAPES = [(3, 64, 32, 32), (64, 64, 32, 16), (64, 128, 16, 16), (128, 128, 16, 8), (128, 256, 8, 8)]


def vgg() -> Workload:
    layers = [
        LayerSpec("conv", inputs, outputs, kernel_size=3, in_size=size, out_size=after)
        for inputs, outputs, size, after in SHAPES
    ]
    pool = LayerSpec("pool", 256, 256, kernel_size=2, stride=2, in_size=8, out_size=4, name="pool")
    return Workload.from_layers([*layers, pool, LayerSpec("linear", 4096, 10, name="fc")], timesteps=5)


def test_spikesims_lists_are_those_of_its_script() -> None:
    told: dict[str, object] = {}
    exec(spikesim_lists(vgg()), told)
    assert told["in_ch_list"] == [3, 64, 64, 128, 128]
    assert told["out_ch_list"] == [64, 64, 128, 128, 256]
    assert told["in_dim_list"] == [32, 32, 16, 16, 8]
    assert told["out_dim_list"] == [32, 16, 16, 8, 8]
    assert (told["kernel_size"], told["time_steps"]) == (3, 5)
    assert "# Not in the script's model: the fully connected fc." in spikesim_lists(vgg())


def test_neurosims_table_has_a_line_for_each_layer_on_crossbars() -> None:
    assert neurosim_table(vgg()).splitlines() == [
        "32,32,3,3,3,64,0,1",
        "32,32,64,3,3,64,0,1",
        "16,16,64,3,3,128,0,1",
        "16,16,128,3,3,128,0,1",
        "8,8,128,3,3,256,1,1",
        "1,1,4096,1,1,10,0,1",
    ]


def test_a_pool_that_keeps_the_map_is_not_what_neurosim_calls_pooling() -> None:
    smooth = LayerSpec("pool", 8, 8, kernel_size=3, in_size=8, name="smooth")
    layers = [LayerSpec("conv", 3, 8, kernel_size=3, in_size=8), smooth, LayerSpec("linear", 512, 10)]
    assert neurosim_table(Workload.from_layers(layers, timesteps=2)).splitlines()[0] == "8,8,3,3,3,8,0,1"


def test_what_their_models_have_no_word_for_is_refused_by_name() -> None:
    def stack(**changes: int) -> Workload:
        other = LayerSpec("conv", 8, 8, in_size=8, name="odd", **{"kernel_size": 3, **changes})
        return Workload.from_layers(
            [LayerSpec("conv", 3, 8, kernel_size=3, in_size=8, name="stem"), other], timesteps=2
        )

    with pytest.raises(NotExpressibleError, match="'odd' has kernels of 1 x 1, 'stem' of 3 x 3"):
        spikesim_lists(stack(kernel_size=1))
    for table in (spikesim_lists, neurosim_table):
        with pytest.raises(NotExpressibleError, match="'odd' is a convolution of 8 groups"):
            table(stack(groups=8))
    with pytest.raises(NotExpressibleError, match="this network has none"):
        spikesim_lists(Workload.from_layers([LayerSpec("linear", 4, 2)], timesteps=2))
