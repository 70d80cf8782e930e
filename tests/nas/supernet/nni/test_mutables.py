"""Genes that have an order take small steps as NNI's variables."""

from collections import Counter

from numpy.random import RandomState

from hasnas.nas.supernet.nni.mutables import Stepping, categorical
from hasnas.search_spaces.space import Gene

BITS = Gene("hardware/adc.bits", ("3", "4", "5", "6", "7"), "ordered")


def test_a_gene_with_an_order_is_drawn_near_a_choice() -> None:
    variable, state = categorical(BITS, BITS.choices), RandomState(0)
    assert isinstance(variable, Stepping)
    free = Counter(variable.random(random_state=state) for _ in range(500))
    assert min(free.values()) > 50
    variable.near = "5"
    near = Counter(variable.random(random_state=state) for _ in range(500))
    assert near["4"] + near["6"] > 2 * (near["3"] + near["7"]) > 0
    assert near["5"] == 0
    variable.near = "3"
    assert Counter(variable.random(random_state=state) for _ in range(200)).most_common(1)[0][0] == "4"


def test_a_gene_without_is_drawn_anew() -> None:
    assert not isinstance(categorical(Gene("cell/0_1", ("none", "conv3x3")), ("none", "conv3x3")), Stepping)
