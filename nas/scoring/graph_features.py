"""Features of a cell's graph that do not depend on how its nodes are numbered, and those that do."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hasnas.search_spaces.cell_groups import by_group, cell_groups
from hasnas.search_spaces.joint import JOINT_PREFIXES
from hasnas.search_spaces.searched_macro import MACRO_PREFIX
from hasnas.search_spaces.snasnet import CellSpace
from hasnas.search_spaces.space import Codes, SearchSpace

from .cell_arrays import CellArrays, distinct_cells

FloatArray = NDArray[np.float64]
FEW = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class FlatCell:
    """N cells with identity edges flattened: every operator (convolution or pool) sums terms, and so does the output.

    A term is the cell's input or an operator's result. Feedback edges are left out; they are described by position.

    Args:
        kind: type of each operator among the space's operations, 0 where there is none, `[N, operators]`.
        conv: whether it is a convolution, `[N, operators]`.
        threshold: of a convolution's neurons, `[N, operators]`.
        source: how often each operator sums each term, `[N, operators, 1 + operators]`; term 0 is the input.
        output: how often the output sums each term, `[N, 1 + operators]`.
        depth, least_depth: convolutions on the longest and shortest way from the input through the operator.
        paths: input-to-output paths by their number of convolutions, `[N, nodes]`.
    """

    kind: NDArray[np.int64]
    conv: NDArray[np.bool_]
    threshold: FloatArray
    source: FloatArray
    output: FloatArray
    depth: NDArray[np.int64]
    least_depth: NDArray[np.int64]
    paths: FloatArray


def flatten_cell(cell: CellArrays) -> FlatCell:
    """Identity edges replaced by the terms they carry."""
    count, nodes = len(cell), cell.nodes
    pairs = [(source, target) for target in range(nodes) for source in range(target)]
    terms = np.zeros((count, nodes, 1 + len(pairs)))
    terms[:, 0, 0] = 1
    longest = np.zeros((count, nodes), np.int64)
    shortest = np.zeros((count, nodes), np.int64)
    paths = np.zeros((count, nodes, nodes))
    paths[:, 0, 0] = 1
    shortest[:, 1:] = FEW
    operator = cell.conv | cell.pool
    for index, (source, target) in enumerate(pairs, start=1):
        live, conv = cell.live[:, source, target], cell.conv[:, source, target]
        terms[:, target] += terms[:, source] * cell.identity[:, source, target, None]
        terms[:, target, index] += operator[:, source, target]
        further = np.maximum(longest[:, target], longest[:, source] + conv)
        longest[:, target] = np.where(live, further, longest[:, target])
        nearer = np.minimum(shortest[:, target], shortest[:, source] + conv)
        shortest[:, target] = np.where(live, nearer, shortest[:, target])
        one_more = np.roll(paths[:, source], 1, axis=1)
        paths[:, target] += live[:, None] * np.where(conv[:, None], one_more, paths[:, source])
    rows, columns = np.array(pairs).T
    code = cell.code * 1_000_000 + cell.kernel_size * 10_000 + np.rint(cell.threshold * 1000).astype(np.int64)
    present = operator[:, rows, columns]
    conv_edges = cell.conv[:, rows, columns]
    return FlatCell(
        np.where(present, code[:, rows, columns], 0),
        conv_edges,
        cell.threshold[:, rows, columns],
        terms[:, rows] * present[:, :, None],
        terms[:, -1],
        np.where(present, longest[:, rows] + conv_edges, 0),
        np.where(present, shortest[:, rows] + conv_edges, 0),
        paths[:, -1],
    )


def graph_features(space: SearchSpace, codes: Codes) -> FloatArray:
    """What a predictor sees of each candidate, `[N, features]`; unstandardised, dead edges removed.

    Invariant under renumbering, of each distinct cell: operators by type; paths by convolutions on them; terms of the
    output; operators whose source is the input alone, with others, or without it; thresholds; operators that feed the
    output; source sizes; operators by depth. By position, for each pair of nodes: present, identity, convolution,
    threshold, pool, feedback, kinds beyond the first ones. The benchmark's accuracies do not fully respect renumbering,
    so both help. Genes that are not about cells (`macro/...`, `hardware/...`, `training/...`) follow, as numbers where
    their choices are numbers or have an order, else one column a choice.

    >>> from hasnas.search_spaces import Macro
    >>> graph_features(CellSpace(Macro()), np.zeros((2, 6), int)).shape[0]
    2
    """
    array = np.atleast_2d(np.asarray(codes))
    threshold = space.macro.threshold
    cells = by_group(space, array, lambda group, part: _cell_features(_with_threshold(group, threshold), part))
    return np.concatenate([cells, *_further_columns(space, array)], axis=1)


def _with_threshold(space: CellSpace, threshold: float) -> CellSpace:
    """Candidates of all groups are described with the same operator types."""
    if space.macro.threshold == threshold:
        return space
    return replace(space, macro=replace(space.macro, threshold=threshold))


def _further_columns(space: SearchSpace, codes: Codes) -> list[FloatArray]:
    columns: list[FloatArray] = []
    for index, gene in enumerate(space.genes):
        if gene.has_order:
            columns.append(gene.coordinates[codes[:, index], None])
        elif gene.label.startswith((MACRO_PREFIX, *JOINT_PREFIXES)):
            try:
                columns.append(np.array([float(choice) for choice in gene.choices])[codes[:, index], None])
            except ValueError:
                columns.append(np.eye(len(gene.choices))[codes[:, index]])
    return columns


def _cell_features(space: CellSpace, codes: Codes) -> FloatArray:
    distinct, connected = distinct_cells(space, codes)
    parts = [connected[:, None].astype(float)]
    for cell in distinct:
        parts += [_invariant(space, flatten_cell(cell)), _positional(cell, _own_columns(space))]
        parts.append(np.stack([cell.live.sum(axis=(1, 2)), cell.identity.sum(axis=(1, 2))], axis=1).astype(float))
    return np.concatenate(parts, axis=1)


def _invariant(space: CellSpace, flat: FlatCell) -> FloatArray:
    present = flat.kind > 0
    types = [flat.kind == value for value in _type_codes(space)]
    conv, total = flat.conv, present.sum(axis=1)
    alone = present & (flat.source[:, :, 0] > 0) & (flat.source[:, :, 1:].sum(axis=2) == 0)
    mixed = present & (flat.source[:, :, 0] > 0) & ~alone
    without = present & (flat.source[:, :, 0] == 0)
    feeds = flat.output[:, 1:] > 0
    size = flat.source.sum(axis=2)
    columns = [mask.sum(axis=1) for mask in types] + [total, conv.sum(axis=1)]
    columns += [flat.paths[:, number] for number in range(flat.paths.shape[1])] + [flat.paths.sum(axis=1)]
    columns += _path_lengths(flat.paths)
    columns += [flat.output[:, 0], flat.output[:, 1:].sum(axis=1), flat.output.sum(axis=1)]
    columns += [(mask & group).sum(axis=1) for mask in types for group in (alone, mixed, without)]
    columns += [group.sum(axis=1) for group in (alone, mixed, without)]
    columns += [_mean(flat.threshold, conv), _extreme(flat.threshold, conv, 1), _extreme(flat.threshold, conv, -1)]
    columns += [(mask & feeds).sum(axis=1) for mask in types]
    columns += [_mean(size, present), size.max(axis=1), flat.source[:, :, 0].sum(axis=1)]
    for depth in range(1, space.nodes):
        here = conv & (flat.depth == depth)
        columns += [here.sum(axis=1), _mean(flat.threshold, here)]
    columns.append(np.where(conv, flat.least_depth, 0).max(axis=1))
    columns.append(_mean(flat.threshold / np.maximum(size, 1), conv))
    return np.stack(columns, axis=1).astype(float)


def _own_columns(space: CellSpace) -> list[int]:
    """Codes of the kinds that features by position tell apart by a column of their own."""
    operations = [space.operation_of(choice) for choice in range(len(space.operations))]
    return sorted({operation.code for operation in operations if operation.own_column})


def _positional(cell: CellArrays, own_columns: list[int]) -> FloatArray:
    low, high = np.triu_indices(cell.nodes, 1)
    backward = cell.live[:, high, low]

    def either(array: NDArray[np.generic]) -> FloatArray:
        return np.where(backward, array[:, high, low], array[:, low, high]).astype(float)

    conv = either(cell.conv)
    parts = [
        either(cell.live), either(cell.identity), conv, (either(cell.threshold) - 1) * conv,
        either(cell.pool), either(cell.kernel_size) * conv, backward.astype(float),
    ]  # fmt: skip
    parts += [either(cell.live & (cell.code == code)) for code in own_columns]
    return np.concatenate(parts, axis=1)


def _type_codes(space: CellSpace) -> list[int]:
    """The operator types of a space, coded as in `flatten_cell`."""
    codes: list[int] = []
    for choice in range(len(space.operations)):
        operation = space.operation_of(choice)
        if operation.code > 0:
            threshold = operation.threshold if operation.threshold is not None else space.macro.threshold
            level = round(threshold * 1000) * operation.spiking
            codes.append(operation.code * 1_000_000 + operation.kernel_size * 10_000 + level)
    return sorted(set(codes))


def _path_lengths(paths: FloatArray) -> list[FloatArray]:
    """Longest, shortest and mean number of convolutions on a path."""
    lengths = np.arange(paths.shape[1])
    some = paths > 0
    longest = np.where(some, lengths, 0).max(axis=1)
    shortest = np.where(some.any(axis=1), np.where(some, lengths, len(lengths)).min(axis=1), 0)
    mean = (paths * lengths).sum(axis=1) / np.maximum(paths.sum(axis=1), 1)
    return [longest, shortest, mean]


def _mean(values: FloatArray, mask: NDArray[np.bool_]) -> FloatArray:
    return np.where(mask, values, 0).sum(axis=1) / np.maximum(mask.sum(axis=1), 1)


def _extreme(values: FloatArray, mask: NDArray[np.bool_], sign: int) -> FloatArray:
    """Smallest (sign 1) or largest (sign -1) masked value, 0 where there is none."""
    found = sign * np.where(mask, sign * values, np.inf).min(axis=1)
    return np.where(mask.any(axis=1), found, 0.0)


def canonical_classes(space: SearchSpace, codes: Codes) -> NDArray[np.uint64]:
    """A number for each candidate, equal for cells that differ only in dead edges, identity edges and node numbers.

    Where chip and training are searched, candidates that differ in them differ.

    Each operator is hashed with the terms it sums, then again with the operators that read it; candidates with feedback
    are hashed by their canonical codes. Cells without a path share one class.

    Returns:
        `[N]`.
    """
    groups = cell_groups(space, codes)
    result = np.zeros(sum(len(group.rows) for group in groups), np.uint64)
    searched = any(gene.label.startswith(MACRO_PREFIX) for gene in space.genes)
    for group in groups:
        classes = _cell_classes(group.space, group.codes)
        if searched:
            classes = np.where(classes > 0, _mix(classes + _mix(_macro_hash(group.space))), np.uint64(0))
        result[group.rows] = classes
    array = np.atleast_2d(np.asarray(codes))
    for index, gene in enumerate(space.genes):
        if gene.label.startswith(JOINT_PREFIXES):
            chosen = _mix(array[:, index].astype(np.uint64) + np.uint64(1))
            result = np.where(result > 0, _mix(result + chosen), np.uint64(0))
    return result


def _macro_hash(space: CellSpace) -> NDArray[np.uint64]:
    text = json.dumps(space.macro.to_json(), sort_keys=True).encode()
    return np.array([int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")], np.uint64)


def _cell_classes(space: CellSpace, codes: Codes) -> NDArray[np.uint64]:
    cells, connected = distinct_cells(space, codes)
    result = np.zeros(len(connected), np.uint64)
    for cell in cells:
        result = _mix(result + _cell_hash(cell))
    return np.where(connected, result, np.uint64(0))


def _cell_hash(cell: CellArrays) -> NDArray[np.uint64]:
    flat = flatten_cell(cell)
    kind = flat.kind.astype(np.uint64)
    operators = kind.shape[1]
    counts = flat.source.astype(np.uint64)
    upward = np.zeros(kind.shape, np.uint64)
    for index in range(operators):
        upward[:, index] = _mix(kind[:, index] + _sum_of_terms(counts[:, index], upward))
    output = _sum_of_terms(flat.output.astype(np.uint64), upward)
    downward = np.zeros(kind.shape, np.uint64)
    for index in reversed(range(operators)):
        # Readers of this operator, with how often they read it and who reads them in turn.
        reading = counts[:, :, index + 1]
        from_readers = np.where(reading > 0, _mix(_mix(upward + _mix(downward)) + reading), np.uint64(0))
        by_output = _mix(flat.output[:, index + 1].astype(np.uint64))
        downward[:, index] = from_readers.sum(axis=1, dtype=np.uint64) + by_output
    both = np.where(kind > 0, _mix(_mix(upward) + downward), np.uint64(0)).sum(axis=1, dtype=np.uint64)
    plain = _mix(output + _mix(both))
    if not cell.has_feedback:
        return plain
    looped = (cell.live & cell.feedback).any(axis=(1, 2))
    weights = _mix(np.arange(1, cell.nodes**2 + 1, dtype=np.uint64))
    drawn = (cell.live * (1 + cell.code)).astype(np.uint64)
    label = drawn * np.uint64(10_000_000) + (cell.threshold * 1000).astype(np.uint64) * np.uint64(100)
    label = (label + cell.kernel_size.astype(np.uint64)).reshape(len(cell), -1)
    exact = _mix((_mix(label) * weights).sum(axis=1, dtype=np.uint64))
    return np.where(looped, exact, plain)


def _sum_of_terms(counts: NDArray[np.uint64], upward: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """An order-free hash of a multiset: the input and operators, each with how often it occurs."""
    inputs = _mix(counts[:, 0] + np.uint64(7))
    operators = np.where(counts[:, 1:] > 0, _mix(upward + _mix(counts[:, 1:])), np.uint64(0))
    return inputs + operators.sum(axis=1, dtype=np.uint64)


def _mix(value: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Finaliser of MurmurHash3: a bijection of 64-bit numbers that spreads every bit."""
    mixed = value ^ (value >> np.uint64(33))
    mixed = mixed * np.uint64(0xFF51AFD7ED558CCD)
    mixed = mixed ^ (mixed >> np.uint64(33))
    mixed = mixed * np.uint64(0xC4CEB9FE1A85EC53)
    return mixed ^ (mixed >> np.uint64(33))
