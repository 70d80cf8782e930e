"""The macro: how stem, cells, reductions and classifier are put together around the cells of an architecture."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from numbers import Integral, Real
from typing import Any

from hasnas.errors import BadInputError, nearest

from .cells import Edge, Genotype
from .graph import Connection, LayerGraph, Node
from .layers import (
    Add,
    AvgPool2d,
    BatchNorm,
    Conv2d,
    Dropout,
    Flatten,
    Input,
    Linear,
    MaxPool2d,
    Neuron,
    Operation,
    Output,
    Sides,
    Vote,
    check_membrane_bits,
    check_weight_bits,
)
from .neurons import NEURONS, neuron_of
from .operations import operation_named

CONV_AVG_POOL, MAX_POOL = "conv_avg_pool", "max_pool"
REDUCTIONS = (CONV_AVG_POOL, MAX_POOL)
MEMBRANE, RATE = "membrane", "rate"
READOUTS = (MEMBRANE, RATE)
# Rates from 0 to 1 stand for values from -2 to 2: standardised targets lie there, and so do scores of classes.
READOUT_SPAN = 4.0
# Fields that came after the first release, with their defaults: files and keys of older architectures stay as they are.
ADDED: dict[str, Any] = {
    "neuron": "lif",
    "weight_bits": 0,
    "membrane_bits": 0,
    "reduction": CONV_AVG_POOL,
    "reductions": None,
    "largest_count": 0,
    "readout": MEMBRANE,
    "growth": 2.0,
}
_COUNTS = {
    "classes": (1, 10**6), "timesteps": (1, 10**4), "channels": (1, 10**6), "stem_stride": (1, 10**6),
    "final_pool": (1, 10**6), "hidden": (0, 10**6), "votes": (1, 10**6), "largest_count": (0, 10**6),
}  # fmt: skip
MOST_OF_A_NEURON = 1e6
MOST_GROWTH = 16.0
MOST_SIDE = 1_000_000  # of an image, and of its channels


def _is_side(side: Any) -> bool:
    return isinstance(side, Integral) and not isinstance(side, bool) and 1 <= int(side) <= MOST_SIDE


@dataclass(frozen=True)
class Macro:
    """Everything about a network that its cells do not say.

    Stem Conv3x3-BN (static images: computed once, used at every timestep) -> cell 1 on c channels -> reduction
    (BN-LIF-Conv3x3 (c -> gc)-BN-AvgPool2) -> cell 2 on gc -> ... -> BN-LIF-AvgPool(p)-Dropout -> Linear(hidden)-LIF ->
    Linear(classes * votes) -> mean over votes -> mean over T. On maps of one row all windows and strides go along it:
    Conv1x3, AvgPool1x2.

    Args:
        input_shape: channels, height, width of one frame.
        classes: number of classes, or of regressed values.
        timesteps: T, how often a sample is shown to the network, or its frames.
        channels: of the first cell (c).
        static_input: images (True) or a frame for every timestep (False).
        stem_stride: stride of the stem.
        final_pool: window and stride of the last pooling (p).
        hidden: neurons of the hidden fully connected layer, 0 for none.
        votes: output neurons for each class.
        dropout: probability of a zero before the classifier, in training.
        tau: membrane time constant in timesteps, above 1 (at 1 a membrane would remember nothing).
        threshold: firing threshold where the operation names none.
        neuron: the kind of all neurons, a registered one: `"lif"`, `"plif"` (tau is learned, from `tau` on), `"if"`
            (no leak, `tau` plays no part), `"alif"` (adaptive threshold), `"lif_soft_reset"`, `"synaptic_lif"`. "LIF"
            above stands for any of them.
        weight_bits: bits of all weights, those of stem and classifier included; 0 means float in training and the
            hardware's bits in prices.
        membrane_bits: bits of the registers that hold membrane potentials, 2 to 16, which saturate at two
            thresholds; 0 means float in training and the hardware's bits in prices.
        reduction: what shrinks maps between cells: `"conv_avg_pool"` (BN-LIF-Conv3x3-BN-AvgPool2, channels grow) or
            `"max_pool"` (MaxPool2, channels stay).
        growth: factor by which channels grow at each reduction that convolves (g); 1 keeps them, 2 is SNASNet's.
        reductions: numbers of the cells that a reduction follows, from 1; null means every cell but the last.
        readout: how the last layer answers: `"membrane"`, output neurons that never fire and add up what arrives (the
            mean over T), or `"rate"`, output neurons like all others, whose mean rate r over `votes` and T stands for
            the value 4 (r - 1/2): votes times T + 1 levels from -2 to 2.
        largest_count: of the input's values: 1 for spikes, more for counts, 0 for real values; see
            `hasnas.search_spaces.layers.Input`.

    Raises:
        BadInputError: if a value is out of range or the maps shrink to nothing.

    Source: SNASNet (Kim et al., ECCV 2022), released code.

    >>> Macro(input_shape=(3, 32, 32), classes=10, timesteps=5, channels=128).map_sizes(cells=2)
    ((32, 32), (16, 16))
    """

    input_shape: tuple[int, int, int] = (3, 32, 32)
    classes: int = 10
    timesteps: int = 5
    channels: int = 128
    static_input: bool = True
    stem_stride: int = 1
    final_pool: int = 2
    hidden: int = 1024
    votes: int = 10
    dropout: float = 0.5
    tau: float = 4 / 3
    threshold: float = 1.0
    neuron: str = "lif"
    weight_bits: int = 0
    reduction: str = CONV_AVG_POOL
    reductions: tuple[int, ...] | None = None
    membrane_bits: int = 0
    largest_count: int = 0
    readout: str = MEMBRANE
    growth: float = 2.0

    def __post_init__(self) -> None:
        shape = tuple(self.input_shape)
        if len(shape) != 3 or not all(_is_side(side) for side in shape):
            raise BadInputError(
                f"macro.input_shape is {self.input_shape!r:.60}; give channels, height, width: whole numbers from 1 to "
                f"{MOST_SIDE:,}"
            )
        object.__setattr__(self, "input_shape", shape)
        for name, (least, most) in _COUNTS.items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or not least <= int(value) <= most:
                raise BadInputError(f"macro.{name} is {value!r}; give a whole number, at least {least}, at most {most}")
        for name in ("dropout", "tau", "threshold", "growth"):
            value = getattr(self, name)
            if not isinstance(value, Real) or isinstance(value, bool) or not float(value) <= MOST_OF_A_NEURON:
                raise BadInputError(f"macro.{name} is {value!r}; give a number of at most {MOST_OF_A_NEURON:g}")
        if not 0 <= self.dropout < 1:
            raise BadInputError(f"macro.dropout is {self.dropout}; give a probability from 0 to below 1")
        if not 1 <= self.growth <= MOST_GROWTH:
            raise BadInputError(f"macro.growth is {self.growth}; give a factor from 1 to {MOST_GROWTH:g}")
        if self.neuron not in NEURONS.builtin_names and self.neuron not in NEURONS.names():
            raise BadInputError(f"macro.neuron is '{self.neuron}'{nearest(str(self.neuron), NEURONS.names())}")
        if self.readout not in READOUTS:
            raise BadInputError(f"macro.readout is '{self.readout}'{nearest(str(self.readout), READOUTS)}")
        if not self.tau > 1 and NEURONS.get(self.neuron).leaks:
            raise BadInputError(f"macro.tau is {self.tau}; give more than 1 timestep")
        if not self.threshold > 0:
            raise BadInputError(f"macro.threshold is {self.threshold}; give a positive threshold")
        check_weight_bits(self.weight_bits, "macro.weight_bits")
        check_membrane_bits(self.membrane_bits, "macro.membrane_bits")
        self._check_reductions()

    def neurons(self, threshold: float | None = None) -> Neuron:
        """The operation of a layer of neurons, with a threshold of its own if one is given."""
        own = self.threshold if threshold is None else threshold
        return neuron_of(self.neuron, self.tau, own, self.membrane_bits)

    @property
    def parameters_per_neuron_layer(self) -> int:
        """Trainable parameters of a layer of neurons, as the learned time constant."""
        return NEURONS.get(self.neuron).trained_parameters

    def _check_reductions(self) -> None:
        if self.reduction not in REDUCTIONS:
            raise BadInputError(f"macro.reduction is '{self.reduction}'{nearest(str(self.reduction), REDUCTIONS)}")
        if self.reductions is None:
            return
        cells = tuple(self.reductions)
        if any(not isinstance(cell, int) or cell < 1 for cell in cells) or list(cells) != sorted(set(cells)):
            raise BadInputError(f"macro.reductions is {cells}; give rising numbers of cells, the first cell is 1")
        object.__setattr__(self, "reductions", cells)

    def reductions_of(self, cells: int) -> tuple[int, ...]:
        """Numbers of the cells that a reduction follows.

        Raises:
            BadInputError: if there is no such cell, or none after it.

        >>> Macro(reductions=(2, 4), reduction="max_pool").cell_channels(5), Macro().reductions_of(3)
        ((128, 128, 128, 128, 128), (1, 2))
        """
        if self.reductions is None:
            return tuple(range(1, cells))
        if self.reductions and self.reductions[-1] >= cells:
            raise BadInputError(
                f"macro.reductions is {self.reductions}, but with {cells} cells the last reduction may follow cell "
                f"{cells - 1}; lower the numbers or add cells"
            )
        return self.reductions

    @property
    def is_line(self) -> bool:
        """Whether maps have a single row: windows and strides of stem, reductions and head then go along it only."""
        return self.input_shape[1] == 1

    def along(self, side: int, across: int = 1) -> Sides:
        """A window's, stride's or padding's sides: equal on maps; along a line, `across` is what there is of rows.

        >>> Macro().along(3), Macro((1, 1, 64)).along(3), Macro((1, 1, 64)).along(1, across=0)
        (3, (1, 3), (0, 1))
        """
        return (across, side) if self.is_line and side != across else side

    def places(self, side: int) -> int:
        """Places of such a window."""
        return side if self.is_line else side**2

    def shrunk(self, height: int, width: int, by: int) -> tuple[int, int]:
        """Height and width of maps after a pooling with such windows."""
        return (height if self.is_line else height // by), width // by

    def _shorter(self, sides: tuple[int, int]) -> int:
        """The side of a map that poolings make to nothing first."""
        return sides[1] if self.is_line else min(sides)

    def _halvings(self, cells: int) -> list[int]:
        """Reductions before each cell."""
        after = self.reductions_of(cells)
        return [sum(number <= index for number in after) for index in range(cells)]

    def map_sizes(self, cells: int) -> tuple[tuple[int, int], ...]:
        """Height and width of each cell's maps.

        Raises:
            BadInputError: if a map, or the one after the last pooling, has no pixel left.
        """
        height, width = (1 + (side - 1) // self.stem_stride for side in self.input_shape[1:])
        sizes = tuple(self.shrunk(height, width, 2**times) for times in self._halvings(cells))
        if self._shorter(sizes[-1]) < self.final_pool:
            raise BadInputError(
                f"macro.final_pool {self.final_pool} does not fit on the last cell's {sizes[-1][0]} x {sizes[-1][1]} "
                f"maps; {self._remedy(self._shorter((height, width)), self._shorter(sizes[-1]))}"
            )
        return sizes

    def _remedy(self, entering: int, last: int) -> str:
        """What makes maps large enough, of which the shorter side is `entering` before and `last` after reductions."""
        if last >= 1:
            return f"set macro.final_pool to {last}, or use fewer reductions"
        strides = self.stem_stride > 1 and self._shorter(self.input_shape[1:]) > 1
        stride = " and a smaller macro.stem_stride" if strides else ""
        fewer = f"fewer reductions (at most {entering.bit_length() - 1})" if entering > 1 else "macro.reductions: []"
        return f"set macro.final_pool to 1 and use {fewer}{stride}"

    def cell_channels(self, cells: int) -> tuple[int, ...]:
        """Channels of each cell.

        >>> Macro(channels=18, growth=1.5).cell_channels(3), Macro(channels=16).cell_channels(3)
        ((18, 27, 40), (16, 32, 64))
        """
        growth = 1.0 if self.reduction == MAX_POOL else self.growth
        return tuple(round(self.channels * growth**times) for times in self._halvings(cells))

    def classifier_inputs(self, cells: int) -> int:
        """Values that enter the first fully connected layer."""
        height, width = self.map_sizes(cells)[-1]
        height, width = self.shrunk(height, width, self.final_pool)
        return self.cell_channels(cells)[-1] * height * width

    def parameters_without_cells(self, cells: int) -> int:
        """Trainable parameters of stem, reductions and classifier."""
        widths = self.cell_channels(cells)
        stem = self.places(3) * self.input_shape[0] * self.channels + 2 * self.channels
        after = () if self.reduction == MAX_POOL else self.reductions_of(cells)
        shrunk = [(widths[number - 1], widths[number]) for number in after]
        reductions = sum(2 * c + self.places(3) * c * wide + 2 * wide for c, wide in shrunk)
        outputs = self.classes * self.votes
        inputs = self.classifier_inputs(cells)
        last = self.hidden or inputs
        head = 2 * widths[-1] + inputs * self.hidden + last * outputs + outputs
        neurons = (len(shrunk) + 1 + (self.hidden > 0) + (self.readout == RATE)) * self.parameters_per_neuron_layer
        return stem + reductions + head + neurons

    def to_json(self) -> dict[str, Any]:
        """Plain data, read back by `from_json`; `ADDED` fields are left out where they have their default."""
        data = {**asdict(self), "input_shape": list(self.input_shape)}
        if self.reductions is not None:
            data["reductions"] = list(self.reductions)
        return {key: value for key, value in data.items() if key not in ADDED or value != ADDED[key]}

    @staticmethod
    def from_json(data: dict[str, Any]) -> Macro:
        """A macro from plain data.

        Raises:
            BadInputError: for unknown keys or values out of range.
        """
        known = {item.name for item in fields(Macro)}
        for key in data:
            if key not in known:
                raise BadInputError(f"unknown key 'macro.{key}'{nearest(key, known)}")
        return Macro(**{**data, "input_shape": tuple(data["input_shape"])})


def expand(genotypes: tuple[Genotype, ...], macro: Macro) -> LayerGraph:
    """The network that is deployed and priced: the live part of each cell inside the macro.

    Raises:
        BadInputError: if a cell has no path from input to output.
    """
    builder = _Builder(macro.weight_bits)
    value = builder.add("input", Input(macro.static_input, macro.largest_count), macro.input_shape)
    sizes, widths = macro.map_sizes(len(genotypes)), macro.cell_channels(len(genotypes))
    after = macro.reductions_of(len(genotypes))
    stride, padding = macro.along(macro.stem_stride), macro.along(1, across=0)
    stem = Conv2d(macro.input_shape[0], macro.channels, macro.along(3), stride, padding)
    value = builder.add("stem.conv", stem, (widths[0], *sizes[0]), value)
    value = builder.add("stem.norm", BatchNorm(widths[0]), (widths[0], *sizes[0]), value)
    for index, genotype in enumerate(genotypes):
        shape = (widths[index], *sizes[index])
        value = _expand_cell(builder, f"cell{index + 1}", genotype, macro, shape, value)
        if index + 1 in after:
            value = _expand_reduction(builder, f"reduction{index + 1}", macro, shape, widths[index + 1], value)
    _expand_head(builder, macro, (widths[-1], *sizes[-1]), value)
    return LayerGraph(tuple(builder.nodes), tuple(builder.connections), macro.timesteps)


@dataclass
class _Builder:
    weight_bits: int
    nodes: list[Node] = field(default_factory=list)
    connections: list[Connection] = field(default_factory=list)

    def add(self, name: str, operation: Operation, shape: tuple[int, ...], *sources: str) -> str:
        if self.weight_bits and isinstance(operation, Conv2d | Linear):
            operation = replace(operation, weight_bits=self.weight_bits)
        self.nodes.append(Node(name, operation, shape))
        self.connections.extend(Connection(source, name) for source in sources)
        return name


def _expand_cell(
    builder: _Builder, cell: str, genotype: Genotype, macro: Macro, shape: tuple[int, int, int], cell_input: str
) -> str:
    live = genotype.canonical(macro.timesteps)
    if not live.edges:
        raise BadInputError(f"{cell} has no path from input to output; connect node 0 to node {genotype.nodes - 1}")
    forward: dict[int, list[str]] = {0: [cell_input]}
    awaiting: list[tuple[Edge, str]] = []
    values: dict[int, str] = {}
    for number in range(live.nodes):
        arriving = forward.get(number, [])
        delayed = any(edge.delay and edge.target == number for edge in live.edges)
        if not arriving and not delayed:
            continue
        if delayed or len(arriving) > 1:
            values[number] = builder.add(f"{cell}.{number}.sum", Add(), shape, *arriving)
        else:
            values[number] = arriving[0]
        leaving = [edge for edge in live.edges if edge.source == number]
        spikes = _expand_neurons(builder, f"{cell}.{number}", leaving, macro, (shape, values[number]))
        for edge in leaving:
            result = _expand_edge(builder, cell, edge, shape, (values[number], spikes))
            if edge.delay:
                awaiting.append((edge, result))
            else:
                forward.setdefault(edge.target, []).append(result)
    for edge, result in awaiting:
        builder.connections.append(Connection(result, f"{cell}.{edge.target}.sum", delay=1))
    return values[live.nodes - 1]


def _expand_neurons(
    builder: _Builder, prefix: str, leaving: list[Edge], macro: Macro, value: tuple[tuple[int, ...], str]
) -> dict[float | None, str]:
    """A layer of neurons for each threshold among the operations that read its spikes: equal ones are built once."""
    spikes: dict[float | None, str] = {}
    shape, source = value
    for edge in leaving:
        operation = operation_named(edge.operation)
        if operation.spiking and operation.threshold not in spikes:
            own = operation.threshold
            name = f"{prefix}.lif" if own is None else f"{prefix}.lif_t{str(own).replace('.', '_')}"
            neuron = macro.neurons(own)
            spikes[own] = builder.add(name, neuron, shape, source)
    return spikes


def _expand_edge(
    builder: _Builder,
    cell: str,
    edge: Edge,
    shape: tuple[int, int, int],
    source: tuple[str, dict[float | None, str]],
) -> str:
    operation = operation_named(edge.operation)
    value, spikes = source
    if operation.spiking:
        value = spikes[operation.threshold]
    prefix = f"{cell}.{edge.source}_{edge.target}.{operation.name.replace('.', '_')}"
    for name, layer in operation.layers(shape[0]):
        value = builder.add(f"{prefix}.{name}", layer, shape, value)
    return value


def _expand_reduction(
    builder: _Builder, prefix: str, macro: Macro, shape: tuple[int, int, int], wider: int, value: str
) -> str:
    channels, height, width = shape
    half, smaller = macro.along(2), macro.shrunk(height, width, 2)
    if macro.reduction == MAX_POOL:
        return builder.add(f"{prefix}.pool", MaxPool2d(half, half), (channels, *smaller), value)
    wide = (wider, height, width)
    kernel = Conv2d(channels, wider, macro.along(3), 1, macro.along(1, across=0))
    value = builder.add(f"{prefix}.norm_in", BatchNorm(channels), shape, value)
    value = builder.add(f"{prefix}.lif", macro.neurons(), shape, value)
    value = builder.add(f"{prefix}.conv", kernel, wide, value)
    value = builder.add(f"{prefix}.norm", BatchNorm(wider), wide, value)
    return builder.add(f"{prefix}.pool", AvgPool2d(half, half), (wider, *smaller), value)


def _expand_head(builder: _Builder, macro: Macro, shape: tuple[int, int, int], value: str) -> None:
    channels, height, width = shape
    window, pooled = macro.along(macro.final_pool), (channels, *macro.shrunk(height, width, macro.final_pool))
    features = pooled[0] * pooled[1] * pooled[2]
    outputs = macro.classes * macro.votes
    value = builder.add("head.norm", BatchNorm(channels), shape, value)
    value = builder.add("head.lif", macro.neurons(), shape, value)
    value = builder.add("head.pool", AvgPool2d(window, window), pooled, value)
    value = builder.add("head.flatten", Flatten(), (features,), value)
    value = builder.add("head.dropout", Dropout(macro.dropout), (features,), value)
    if macro.hidden:
        value = builder.add("head.hidden", Linear(features, macro.hidden), (macro.hidden,), value)
        value = builder.add("head.hidden_lif", macro.neurons(), (macro.hidden,), value)
    last = macro.hidden or features
    value = builder.add("head.classifier", Linear(last, outputs, bias=True), (outputs,), value)
    if macro.readout == RATE:
        value = builder.add("head.readout_lif", macro.neurons(), (outputs,), value)
    vote = Vote(macro.votes, READOUT_SPAN if macro.readout == RATE else 0.0)
    value = builder.add("head.vote", vote, (macro.classes,), value)
    builder.add("output", Output(), (macro.classes,), value)
