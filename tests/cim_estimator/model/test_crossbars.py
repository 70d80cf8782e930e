"""Where weights lie."""

import numpy as np
import pytest

from hasnas.cim_estimator import LayerSpec, Workload, estimate, load_hardware
from hasnas.cim_estimator.model.crossbars import place, rectangle
from hasnas.errors import BadInputError


def placed(layer: LayerSpec, **overrides: str):
    chip = load_hardware("rram-22nm", {key.replace("__", "."): value for key, value in overrides.items()})
    return place(Workload.from_layers([layer], 1), chip)


def counts(placement) -> tuple[int, ...]:
    names = ("row_blocks", "columns", "arrays", "tiles")
    return tuple(int(np.broadcast_to(getattr(placement, name), (1,))[0]) for name in names)


def test_a_convolution_is_unrolled_along_the_rows():
    # 9 * 64 = 576 rows on 5 arrays; 128 weights of 4 cells on 4 arrays of 32 weights; a tile holds 4 x 4 arrays.
    assert counts(placed(LayerSpec("conv", 64, 128, kernel_size=3, in_size=8))) == (5, 512, 20, 2)


def test_kernel_positions_may_have_arrays_of_their_own():
    layer = LayerSpec("conv", 64, 128, kernel_size=3, in_size=8)
    placement = placed(layer, crossbar__unrolling="kernel")
    assert counts(placement) == (9, 512, 36, 2)  # 9 positions; a PE of 2 x 2 arrays takes 64 of the 128 outputs
    assert int(placement.allotted[0]) == 2 * 9 * 4
    small = LayerSpec("conv", 3, 128, kernel_size=3, in_size=8)  # 27 rows do not fill an array
    assert counts(placed(small, crossbar__unrolling="kernel")) == counts(placed(small))


@pytest.mark.parametrize("signed, cells", [("offset", 4), ("differential", 8), ("unsigned", 4)])
def test_signed_weights_take_more_columns(signed: str, cells: int):
    placement = placed(LayerSpec("linear", 128, 32), crossbar__signed=signed)
    assert counts(placement)[:3] == (1, 32 * cells, cells // 4)


def test_a_layer_may_have_weights_of_its_own_width():
    assert counts(placed(LayerSpec("linear", 128, 32, weight_bits=2)))[:3] == (1, 32, 1)
    assert counts(placed(LayerSpec("linear", 128, 128, weight_bits=2)))[2] == 1


def test_small_groups_share_an_array():
    depthwise = LayerSpec("conv", 64, 64, kernel_size=3, groups=64, in_size=8)
    # 9 rows and one weight each: 14 groups fit along the rows, 32 along the columns.
    assert counts(placed(depthwise))[:3] == (1, 256, 5)
    halves = LayerSpec("conv", 20, 64, kernel_size=1, groups=2, in_size=8)  # 10 rows, 32 weights: one group fills it
    assert counts(placed(halves))[:3] == (1, 256, 2)


def test_tiles_may_be_shared():
    network = Workload.from_layers([LayerSpec("linear", 128, 32)] * 40, 1)
    chip = load_hardware("rram-22nm", {"tile.sharing": "layers"})
    assert float(place(network, chip).tiles.sum()) == pytest.approx(3)  # 40 arrays on tiles of 16
    assert float(place(network, load_hardware("rram-22nm")).tiles.sum()) == 40


def test_idle_arrays_may_hold_copies_that_are_read_side_by_side():
    network = Workload.from_layers([LayerSpec("conv", 128, 32, in_size=16)], 1)  # one array of the tile's 16
    wide = {"interconnect.bus_bits": "4096"}  # or bringing the inputs would take longer than reading them
    chips = [load_hardware("rram-22nm", wide | {"tile.copies": copies}) for copies in ("one", "fill")]
    one, fill = (estimate(network, chip) for chip in chips)
    assert float(one.latency_s / fill.latency_s) == pytest.approx(16)
    assert float(one.energy_j) == pytest.approx(float(fill.energy_j), rel=1e-2)  # leakage lasts less long


@pytest.mark.parametrize(
    "layer, overrides, message",
    [
        (LayerSpec("conv", 256, 4, kernel_size=3, groups=2, in_size=4), {}, "one group of the convolution is larger"),
        (LayerSpec("conv", 4, 256, kernel_size=1, groups=2, in_size=4), {}, "one group of the convolution is larger"),
        (LayerSpec("linear", 4, 4, weight_bits=300), {}, "one weight is wider"),
    ],
)
def test_what_cannot_be_mapped_is_refused_by_name(layer: LayerSpec, overrides: dict, message: str):
    with pytest.raises(BadInputError) as refused:
        placed(layer, **overrides)
    assert f"layer '{layer.kind}0' cannot be mapped: {message}" in str(refused.value)
    assert "raise crossbar.rows" in str(refused.value)


@pytest.mark.parametrize("count, sides", [(1, (1, 1)), (4, (2, 2)), (8, (2, 4)), (7, (1, 7)), (144, (12, 12))])
def test_blocks_are_as_square_as_they_can_be(count: int, sides: tuple[int, int]):
    assert rectangle(count) == sides


def test_an_array_may_hold_a_single_weight_in_each_row():
    narrow = {"crossbar__columns": "4", "crossbar__columns_per_adc": "4"}
    assert counts(placed(LayerSpec("linear", 128, 3), **narrow))[:3] == (1, 12, 3)
    assert counts(placed(LayerSpec("conv", 6, 6, kernel_size=3, groups=6, in_size=4), **narrow))[:3] == (1, 24, 6)
