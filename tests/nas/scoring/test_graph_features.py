"""Classes that do not see node numbers, and features of them."""

from __future__ import annotations

import numpy as np
import pytest

from hasnas.nas.scoring.cell_arrays import cell_arrays
from hasnas.nas.scoring.graph_features import _mix, canonical_classes, flatten_cell, graph_features
from hasnas.search_spaces import Architecture, Edge, Genotype, Macro
from hasnas.search_spaces.searched_macro import with_searched_macro
from hasnas.search_spaces.snasnet import CellSpace, SNASNetSpace
from hasnas.search_spaces.space import all_codes, sample
from hasnas.search_spaces.spikenas_bench import SpikeNASBenchSpace

SPACE = SpikeNASBenchSpace(Macro())


def test_spikenas_bench_has_5425_classes() -> None:
    codes = np.concatenate(list(all_codes(SPACE)))
    assert len(np.unique(canonical_classes(SPACE, codes))) == 5425


@pytest.mark.parametrize(
    "first, second",
    [
        ((2, 0, 1, 0, 3, 0), (0, 2, 1, 0, 0, 3)),  # through node 1 or node 2
        ((2, 0, 0, 1, 0, 3), (2, 0, 0, 0, 3, 0)),  # an identity between
        ((2, 4, 0, 0, 3, 0), (2, 0, 0, 0, 3, 0)),  # a dead edge
        ((2, 0, 0, 0, 0, 0), (0, 0, 0, 3, 4, 0)),  # no path at all
    ],
)
def test_the_same_cell_drawn_differently(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    one, two = canonical_classes(SPACE, np.array([first, second]))
    assert one == two


@pytest.mark.parametrize(
    "first, second",
    [
        ((2, 0, 1, 0, 3, 0), (3, 0, 1, 0, 2, 0)),  # thresholds in another order
        ((2, 2, 0, 0, 1, 1), (2, 0, 0, 1, 1, 1)),  # two equal convolutions, one convolution twice
        ((2, 0, 1, 0, 3, 0), (2, 0, 0, 0, 3, 0)),  # with and without the input beside
    ],
)
def test_different_cells(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    one, two = canonical_classes(SPACE, np.array([first, second]))
    assert one != two


def test_feedback_tells_cells_apart() -> None:
    space = SNASNetSpace(Macro(), feedback=True)
    labels = space.choices
    back = labels.index("feedback:conv3x3")
    forward = labels.index("conv3x3")
    codes = np.array([[forward, 0, 0, 0, forward, 0], [forward, back, 0, forward, forward, 0]])
    codes = np.vstack([codes, [[forward, 0, back, 0, forward, 0]]])
    assert len(np.unique(canonical_classes(space, codes))) == 3


@pytest.mark.parametrize(
    "space",
    [SPACE, SNASNetSpace(Macro(), feedback=True), CellSpace(Macro(), shared=False, operations=("none", "conv5x5"))],
)
def test_features_of_any_space(space: CellSpace) -> None:
    codes = sample(space, np.random.default_rng(0), 50)
    features = graph_features(space, codes)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, graph_features(space, space.canonical(codes)[0]))
    np.testing.assert_array_equal(features[7:8], graph_features(space, codes[7:8]))


def test_features_by_hand() -> None:
    """0-1 and 1-2 at threshold 0.5, 2-3 at 1.0, 0-3 at 1.5; an identity from 0 to 2, nothing from 1 to 3."""
    row = graph_features(SPACE, np.array([[2, 1, 4, 2, 0, 3]]))[0].tolist()
    take = iter(row)

    def next_ones(count: int) -> list[float]:
        return [next(take) for _ in range(count)]

    assert next_ones(1) == [1]  # connected
    assert next_ones(3) == [2, 1, 1]  # operators at thresholds 0.5, 1.0, 1.5
    assert next_ones(2) == [4, 4]  # operators, convolutions
    # Paths: 0-3 and 0-2-3 of one convolution each, 0-1-2-3 of three.
    assert next_ones(5) == [0, 2, 0, 1, 3]
    assert next_ones(3) == pytest.approx([3, 1, (1 + 1 + 3) / 3])  # longest, shortest, mean
    assert next_ones(3) == [0, 2, 2]  # the output sums 0-3 and 2-3, not the input
    # By threshold: those that read the input alone, with others, not at all.
    assert next_ones(9) == [1, 0, 1, 0, 1, 0, 1, 0, 0]
    assert next_ones(3) == [2, 1, 1]
    assert next_ones(3) == pytest.approx([(0.5 + 0.5 + 1.0 + 1.5) / 4, 0.5, 1.5])
    assert next_ones(3) == [0, 1, 1]  # operators that feed the output, by threshold
    assert next_ones(3) == pytest.approx([5 / 4, 2, 3])  # terms that operators sum: mean, most, the input
    # 0-1 and 0-3 are first on their longest way, 1-2 second, 2-3 third.
    assert next_ones(6) == pytest.approx([2, (0.5 + 1.5) / 2, 1, 0.5, 1, 1.0])
    assert next_ones(1) == [2]  # 1-2 is second even on its shortest way, 2-3 first
    assert next_ones(1) == pytest.approx([(0.5 + 0.5 + 1.0 / 2 + 1.5) / 4])  # threshold by the terms that are summed
    # Pairs 0-1, 0-2, 0-3, 1-2, 1-3, 2-3.
    assert next_ones(6) == [1, 1, 1, 1, 0, 1]  # present
    assert next_ones(6) == [0, 1, 0, 0, 0, 0]  # identity
    assert next_ones(6) == [1, 0, 1, 1, 0, 1]  # convolution
    assert next_ones(6) == [-0.5, 0, 0.5, -0.5, 0, 0]  # threshold above 1
    assert next_ones(6) == [0, 0, 0, 0, 0, 0]  # pool
    assert next_ones(6) == [3, 0, 3, 3, 0, 3]  # kernel of a convolution
    assert next_ones(6) == [0, 0, 0, 0, 0, 0]  # feedback
    assert next_ones(2) == [5, 1]  # live edges, identities
    assert list(take) == []


def codes_of(space: CellSpace, *edges: Edge) -> np.ndarray:
    cell = Genotype(space.nodes, edges)
    return np.array([space.encode(Architecture((cell,) * space.cells, space.macro))])


def test_a_flattened_cell_by_hand() -> None:
    # Pairs are 0-1, 0-2, 1-2, 0-3, 1-3, 2-3. The convolution 2-3 is the third on one way and the second on another.
    space = CellSpace(Macro(), operations=("none", "identity", "conv3x3", "conv1x1", "maxpool3x3"))
    edges = (Edge(0, 1, "conv3x3"), Edge(0, 2, "conv1x1"), Edge(1, 2, "conv3x3"), Edge(2, 3, "conv3x3"),
             Edge(1, 3, "identity"))  # fmt: skip
    flat = flatten_cell(cell_arrays(space, codes_of(space, *edges))[0][0])
    assert flat.depth[0].tolist() == [1, 1, 2, 0, 0, 3]
    assert flat.least_depth[0].tolist() == [1, 1, 2, 0, 0, 2]
    assert flat.source[0, 5].tolist() == [0, 0, 1, 1, 0, 0, 0]  # 2-3 sums what 0-2 and 1-2 give
    assert flat.source[0, 0].tolist() == [1, 0, 0, 0, 0, 0, 0]
    assert flat.output[0].tolist() == [0, 1, 0, 0, 0, 0, 1]
    assert flat.paths[0].tolist() == [0, 1, 1, 1]  # one convolution, two, three
    assert (flat.kind[0] > 0).tolist() == [True, True, True, False, False, True]


def test_the_reader_of_an_output_tells_cells_apart() -> None:
    # A and A' are equal, B reads A and C reads A'; the output holds B, C and either A or A' as well.
    space = CellSpace(Macro(), nodes=5, operations=("none", "identity", "conv3x3", "conv1x1", "avgpool3x3"))
    both = (Edge(0, 1, "conv3x3"), Edge(0, 2, "conv3x3"), Edge(1, 4, "conv1x1"), Edge(2, 4, "avgpool3x3"))
    through = Edge(3, 4, "identity")
    cells = [codes_of(space, *both, Edge(node, 3, "identity"), through) for node in (1, 2)]
    one, two = (int(canonical_classes(space, codes)[0]) for codes in cells)
    assert one != two
    renumbered = (Edge(0, 2, "conv3x3"), Edge(0, 1, "conv3x3"), Edge(2, 4, "conv1x1"), Edge(1, 4, "avgpool3x3"))
    again = canonical_classes(space, codes_of(space, *renumbered, Edge(2, 3, "identity"), through))
    assert int(again[0]) == one


def test_a_searched_macro_is_part_of_the_class() -> None:
    space = with_searched_macro(SPACE, {"threshold": [0.5, 1.0], "timesteps": [2, 4]})
    labels = [gene.label for gene in space.genes]
    first, second = (labels.index(f"macro/{name}") for name in ("threshold", "timesteps"))
    codes = np.zeros((5, len(labels)), int)
    codes[:, labels.index("cell/0_3")] = 3
    codes[1, first], codes[2, second], codes[3, [first, second]] = 1, 1, 1
    classes = canonical_classes(space, codes)
    assert len(set(classes[:4].tolist())) == 4
    assert classes[4] == classes[0] > 0
    dead = np.zeros((4, len(labels)), int)
    dead[1:, first], dead[2:, second] = 1, 1
    assert canonical_classes(space, dead).tolist() == [0, 0, 0, 0]


def test_the_hash_is_the_published_finaliser() -> None:
    # fmix64 of MurmurHash3 in plain integers.
    def fmix64(k: int) -> int:
        k = ((k ^ k >> 33) * 0xFF51AFD7ED558CCD) % 2**64
        k = ((k ^ k >> 33) * 0xC4CEB9FE1A85EC53) % 2**64
        return k ^ k >> 33

    assert fmix64(1) == 0xB456BCFC34C2CB2C
    values = np.array([0, 1, 2, 2**40 + 7, 2**64 - 1], np.uint64)
    assert _mix(values).tolist() == [fmix64(int(value)) for value in values]
