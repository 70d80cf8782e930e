"""Pairs of a network and a chip cost what the network costs on that chip."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from hasnas.cim_estimator import Activity, load_hardware
from hasnas.errors import BadInputError
from hasnas.nas.budget.pricer import Pricer
from hasnas.search_spaces.architecture import Architecture
from hasnas.search_spaces.joint import JointSpace, SearchedField, with_searched_chip
from hasnas.search_spaces.macro import Macro
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import SNASNetSpace
from hasnas.search_spaces.space import Codes, SearchSpace, sample

NETWORKS = SNASNetSpace(Macro((1, 8, 8), timesteps=2, channels=4, hidden=0))
FIELDS = (
    SearchedField("crossbar.size", (64, 128)),
    SearchedField("crossbar.columns_per_adc", (8, 128)),
    SearchedField("device", ("neurosim-rram", "intel-22nm")),
    SearchedField("tile.sharing", ("none", "layers")),
)


@dataclass(frozen=True)
class OneByOne:
    """A space that does not say how its codes read as cells."""

    macro: Macro
    genes = NETWORKS.genes
    cells = NETWORKS.cells

    def decode(self, codes: tuple[int, ...]) -> Architecture:
        return NETWORKS.decode(codes)

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        return NETWORKS.encode(architecture)

    def canonical(self, codes: Codes) -> tuple[Codes, np.ndarray]:
        return NETWORKS.canonical(codes)


def pairs(networks: SearchSpace, count: int) -> tuple[JointSpace, Codes]:
    space = with_searched_chip(networks, "rram-32nm", hardware=FIELDS)
    assert isinstance(space, JointSpace)
    canonical, alive = space.canonical(sample(space, np.random.default_rng(0), count))
    return space, canonical[alive]


def one_chip_after_another(space: JointSpace, codes: Codes) -> np.ndarray:
    """Prices by the plain pricer, on chips read from their files."""
    found = np.full((len(codes), 5), np.nan)
    for row in {tuple(one) for one in codes[:, space.hardware_genes].tolist()}:
        rows = (codes[:, space.hardware_genes] == row).all(axis=1)
        chip = load_hardware("rram-32nm", space.chip.chosen(row))
        found[rows] = Pricer(space.inner, chip, Activity.dense()).costs(space.network(codes[rows])).values
    return found


@pytest.mark.parametrize(
    ("networks", "count"),
    [
        (NETWORKS, 200),
        (with_searched_macro(NETWORKS, {"timesteps": [2, 3], "channels": [4, 8]}), 200),
        (OneByOne(NETWORKS.macro), 20),
    ],
    ids=["cells", "searched macro", "one by one"],
)
def test_each_pair_costs_what_the_network_costs_on_that_chip(networks: SearchSpace, count: int) -> None:
    space, codes = pairs(networks, count)
    found = Pricer(space, load_hardware("rram-32nm"), Activity.dense()).costs(codes).values
    np.testing.assert_allclose(found, one_chip_after_another(space, codes), rtol=1e-12)
    assert len(np.unique(found[:, 4])) > 10


@pytest.mark.slow
def test_many_pairs_are_summed_by_compiled_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    space, codes = pairs(NETWORKS, 40_000)
    pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    found = pricer.costs(codes).values
    np.testing.assert_allclose(found, one_chip_after_another(space, codes), rtol=1e-9)
    monkeypatch.setattr("hasnas.nas.budget.joint_prices.NETWORKS", 1000)  # more networks than are lowered at a time
    np.testing.assert_allclose(pricer.costs(codes).values, found, rtol=1e-9)


def test_nothing_costs_nothing_and_a_chip_that_is_none_has_no_price() -> None:
    space, codes = pairs(NETWORKS, 20)
    pricer = Pricer(space, load_hardware("rram-32nm"), Activity.dense())
    assert pricer.costs(codes[:0]).values.shape == (0, 5)
    wide = codes[:1].copy()
    wide[0, space.hardware_genes] = (0, 1, 0, 0)
    with pytest.raises(BadInputError, match="columns_per_adc"):
        pricer.costs(wide)


def test_every_chip_has_its_own_prices_whatever_else_is_asked() -> None:
    space, codes = pairs(NETWORKS, 50)
    pricer = Pricer(space, replace(load_hardware("rram-22nm")), Activity.dense())  # the plain chip is not looked at
    together = pricer.costs(codes).values
    alone = np.concatenate([pricer.costs(row[None]).values for row in codes])
    np.testing.assert_allclose(together, alone, rtol=1e-12)
