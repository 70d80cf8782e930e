"""Network, chip and training as one space: any space, with fields of the chip and of the training as further genes.

The genes are those of the inner space, then `hardware/<field>` for each searched field of the chip, then
`training/<field>` for each searched field of the training. A gene that other choices make meaningless is set to its
first value, and candidates whose chip contradicts itself count as not connected, so that nothing is run for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hasnas.cim_estimator import HardwareSpec
from hasnas.cim_estimator.hardware.searched import SearchedChip

from .architecture import Architecture
from .cell_groups import CellGroup, cell_groups
from .macro import Macro
from .searched_macro import MACRO_PREFIX
from .space import Codes, Gene, Scale, SearchSpace, check_codes, distinct_rows, numbered, radices, sample

JOINT_PREFIXES = HARDWARE_PREFIX, TRAINING_PREFIX = "hardware/", "training/"

Value = int | float | str | bool | None


@dataclass(frozen=True)
class SearchedField:
    """A field and the values that it may take.

    Args:
        name: dotted, e.g. `surrogate.width`.
        values: in the order of the gene's choices.
        scale: on which numbers were spread; None where they were listed.

    >>> SearchedField("learning_rate", (1e-4, 1e-3), "log").gene("training/").kind
    'numeric'
    """

    name: str
    values: tuple[Value, ...]
    scale: Scale | None = None

    def gene(self, prefix: str, numbers: tuple[float, ...] | None = None) -> Gene:
        """The gene; numbers that were spread have distances, listed ones an order, and the rest neither.

        Args:
            prefix: of its label.
            numbers: the values in SI units, where they are texts with a unit.
        """
        label, choices = prefix + self.name, tuple(str(value) for value in self.values)
        if numbers is None and all(isinstance(value, int | float) and value is not True for value in self.values):
            numbers = tuple(float(value) for value in self.values if value is not None)
        if numbers is None or any(isinstance(value, bool) for value in self.values):
            return Gene(label, choices)
        steps = np.diff(numbers)
        if self.scale is None and bool((steps > 0).all() or (steps < 0).all()):
            return Gene(label, choices, "ordered", numbers)
        return Gene(label, choices, "numeric", numbers, self.scale or "linear")


@dataclass(frozen=True)
class DeadTraining:
    """Fields of the training that change nothing where another field has one of some values.

    Args:
        fields: their names.
        where: the other field.
        values: of the other field.
    """

    fields: tuple[str, ...]
    where: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class JointSpace:
    """A space of networks together with a searched chip and a searched training.

    Args:
        inner: the networks.
        chip: the chip; what is searched of it becomes genes.
        training: fields of the training that become genes.
        dead: which of these change nothing where another has some value.
        scales: hardware field -> scale on which its values were spread.
    """

    inner: SearchSpace
    chip: SearchedChip
    training: tuple[SearchedField, ...] = ()
    dead: tuple[DeadTraining, ...] = ()
    scales: tuple[tuple[str, Scale], ...] = ()

    @property
    def macro(self) -> Macro:
        """That of the networks, where it is not searched."""
        return self.inner.macro

    @property
    def cells(self) -> int:
        """Number of cells of a network."""
        return self.inner.cells

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """Those of the networks, of the chip and of the training; numbers of the macro have an order here."""
        scales = dict(self.scales)
        chip = (
            SearchedField(key, values, scales.get(key)).gene(HARDWARE_PREFIX, self.chip.numbers(key))
            for key, values in self.chip.searched
        )
        training = (field.gene(TRAINING_PREFIX) for field in self.training)
        return (*(_with_order(gene) for gene in self.inner.genes), *chip, *training)

    @cached_property
    def _network_genes(self) -> int:
        return len(self.inner.genes)

    @property
    def hardware_genes(self) -> slice:
        """Which genes are the chip's."""
        return slice(self._network_genes, self._network_genes + len(self.chip.searched))

    @property
    def training_genes(self) -> slice:
        """Which genes are the training's."""
        return slice(self.hardware_genes.stop, self.hardware_genes.stop + len(self.training))

    def network(self, codes: Codes) -> Codes:
        """The codes of the networks in the inner space, `[N, inner genes]` of `[N, genes]`, or one row of one."""
        return np.asarray(codes)[..., : self._network_genes]

    def hardware_of(self, codes: Sequence[int]) -> HardwareSpec:
        """The chip of one candidate.

        Raises:
            BadInputError: if its fields contradict each other.
        """
        return self.chip.variant(check_codes(self, codes)[self.hardware_genes])

    def hardware_choices(self, codes: Sequence[int]) -> dict[str, Any]:
        """The searched fields of one candidate's chip, as they were given."""
        return dict(self.chip.chosen(check_codes(self, codes)[self.hardware_genes]))

    def training_of(self, codes: Sequence[int]) -> dict[str, Value]:
        """What one candidate changes in the settings of its training: dotted field -> value."""
        own = check_codes(self, codes)[self.training_genes]
        return {field.name: field.values[code] for field, code in zip(self.training, own, strict=True)}

    def decode(self, codes: Sequence[int]) -> Architecture:
        """The network with these choices."""
        return self.inner.decode(check_codes(self, codes)[: self._network_genes])

    def encode(self, architecture: Architecture) -> tuple[int, ...]:
        """The codes of a network on the first chip, trained in the first way.

        Raises:
            BadInputError: if it is not of the inner space.
        """
        return (*self.inner.encode(architecture), *(0,) * (len(self.genes) - self._network_genes))

    def canonical(self, codes: Codes) -> tuple[Codes, NDArray[np.bool_]]:
        """Codes with dead choices at 0, and which networks are connected and have a chip that is one."""
        array = np.atleast_2d(np.asarray(codes)).copy()
        networks, place = distinct_rows(self.network(array), radices(self.inner).tolist())
        found, connected = self.inner.canonical(networks)
        array[:, : self._network_genes] = found[place]
        alive = connected[place]
        bits = self._weight_bits(array)
        for own, rows in self.chips(array):
            if self.chip.contradiction(own) is not None:
                alive[rows] = False
            elif bits is not None:
                alive[rows] &= self.chip.holds(own, bits[rows])
            for number in self.chip.dead(own):
                array[rows, self._network_genes + number] = 0
        for column, unless, values in self._dead_columns:
            array[np.isin(array[:, unless], values), column] = 0
        return array, alive

    def _weight_bits(self, codes: Codes) -> NDArray[np.int64] | None:
        """Bits of each network's weights, `[N]`; None if they are as the chip says, which it does not contradict."""
        place = next((n for n, gene in enumerate(self.genes) if gene.label == f"{MACRO_PREFIX}weight_bits"), None)
        if place is not None:
            return np.array([int(choice) for choice in self.genes[place].choices])[codes[:, place]]
        bits = self.macro.weight_bits
        return np.full(len(codes), bits) if bits else None

    @cached_property
    def _dead_columns(self) -> list[tuple[int, int, list[int]]]:
        """Column of a gene, column of the gene that makes it dead, and the codes that do."""
        start = self.training_genes.start
        places = {field.name: (start + number, field.values) for number, field in enumerate(self.training)}
        columns = []
        for rule in self.dead:
            if rule.where in places:
                unless, values = places[rule.where]
                codes = [code for code, value in enumerate(values) if value in rule.values]
                columns += [(places[name][0], unless, codes) for name in rule.fields if name in places]
        return columns

    def chips(self, codes: Codes) -> list[tuple[tuple[int, ...], NDArray[np.int64]]]:
        """The chips that candidates `[N, genes]` choose, by their codes, and the rows of each."""
        return numbered(np.atleast_2d(codes)[:, self.hardware_genes], self.chip.sizes)

    def cell_groups(self, codes: Codes) -> list[CellGroup]:
        """How the networks read as cells; chip and training do not count.

        Raises:
            BadInputError: if the inner space does not read as cells.
        """
        return cell_groups(self.inner, self.network(np.atleast_2d(np.asarray(codes))))


def with_searched_chip(
    space: SearchSpace,
    reference: str,
    overrides: Mapping[str, Any] | None = None,
    hardware: Sequence[SearchedField] = (),
    training: Sequence[SearchedField] = (),
    dead: Sequence[DeadTraining] = (),
) -> SearchSpace:
    """A space with fields of the chip and of the training searched as well; the space itself if there are none.

    Args:
        space: any space.
        reference: preset or description of the chip.
        overrides: field -> value of the chip's fields that are fixed.
        hardware: fields of the chip that are searched.
        training: fields of the training that are searched.
        dead: see `JointSpace`.

    Raises:
        BadInputError: see `SearchedChip`.

    >>> from hasnas.search_spaces.snasnet import SNASNetSpace
    >>> searched = [SearchedField("crossbar.size", (64, 128)), SearchedField("device", ("neurosim-rram", "intel-22nm"))]
    >>> space = with_searched_chip(SNASNetSpace(Macro()), "rram-32nm", hardware=searched)
    >>> [(gene.label, gene.kind) for gene in space.genes[-2:]]
    [('hardware/crossbar.size', 'ordered'), ('hardware/device', 'categorical')]
    >>> space.hardware_of([0, 0, 3, 0, 0, 0, 1, 0]).crossbar.rows
    128
    """
    if not hardware and not training:
        return space
    fields: Any = tuple((field.name, field.values) for field in hardware)
    chip = SearchedChip(reference, tuple((overrides or {}).items()), fields)
    scales = tuple((field.name, field.scale) for field in hardware if field.scale is not None)
    return JointSpace(space, chip, tuple(training), tuple(dead), scales)


def sample_on_few_chips(space: SearchSpace, rng: np.random.Generator, count: int, chips: int) -> Codes:
    """The same as `sample`, but candidates of a joint space share a few chips, so that they are priced together.

    Args:
        space: any space.
        rng: source of the draws.
        count: candidates.
        chips: how many chips there are among them at most; some of these may contradict themselves.

    Returns:
        Codes `[count, genes]`.
    """
    codes = sample(space, rng, count)
    if isinstance(space, JointSpace) and chips < count:
        own = space.hardware_genes
        codes[:, own] = codes[rng.integers(0, chips, count), own]
    return codes


def _with_order(gene: Gene) -> Gene:
    """A gene of the macro whose choices are rising numbers, as an ordered one."""
    if not gene.label.startswith(MACRO_PREFIX):
        return gene
    try:
        numbers = tuple(float(choice) for choice in gene.choices)
    except ValueError:
        return gene
    return replace(gene, kind="ordered", values=numbers) if numbers == tuple(sorted(numbers)) else gene
