"""Architecture: the cells of a network and the macro around them; versioned JSON in and out."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

from hasnas.errors import BadInputError
from hasnas.files import check_listed, read_json, write_atomic

from .cells import Genotype
from .graph import GRAPH_FILE, LayerGraph
from .macro import Macro, expand
from .operations import operation_named

ARCHITECTURE_VERSION = 1
ARCHITECTURE_FILE = "architecture.json"
MOST_CELLS = 1000
REMEMBERED = 64  # architectures that were read


@dataclass(frozen=True)
class Architecture:
    """A network as drawn: one genotype for each cell, and the macro.

    >>> from hasnas.search_spaces.cells import Edge
    >>> cell = Genotype(4, (Edge(0, 3, "conv3x3"), Edge(1, 2, "conv3x3")))
    >>> architecture = Architecture((cell, cell), Macro(timesteps=5, channels=128))
    >>> architecture.drawn_parameter_count - architecture.expand().parameter_count   # the dead edge 1 -> 2
    738048
    """

    genotypes: tuple[Genotype, ...]
    macro: Macro

    def canonical(self) -> Architecture:
        """The same network with dead edges removed, nodes not relabelled."""
        cells = tuple(genotype.canonical(self.macro.timesteps) for genotype in self.genotypes)
        return Architecture(cells, self.macro)

    @property
    def is_connected(self) -> bool:
        """Whether every cell has a path from input to output."""
        return all(genotype.edges for genotype in self.canonical().genotypes)

    @cached_property
    def key(self) -> str:
        """A hash of the canonical form; equal keys mean equal deployed networks."""
        text = json.dumps(self.canonical().to_json(), sort_keys=True)
        return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()

    @property
    def drawn_parameter_count(self) -> int:
        """Trainable parameters as drawn, dead edges included, as the field's papers count them."""
        widths = self.macro.cell_channels(len(self.genotypes))
        cells = sum(
            operation_named(edge.operation).parameters(channels)
            for genotype, channels in zip(self.genotypes, widths, strict=True)
            for edge in genotype.edges
        )
        neurons = {
            (index, edge.source, operation_named(edge.operation).threshold)
            for index, genotype in enumerate(self.genotypes)
            for edge in genotype.edges
            if operation_named(edge.operation).spiking
        }
        learned = len(neurons) * self.macro.parameters_per_neuron_layer
        return cells + learned + self.macro.parameters_without_cells(len(self.genotypes))

    def expand(self) -> LayerGraph:
        """The layers that are deployed and priced; made once.

        Raises:
            BadInputError: if a cell has no path from input to output.
        """
        return self._graph

    @cached_property
    def _graph(self) -> LayerGraph:
        return expand(self.genotypes, self.macro)

    def to_json(self) -> dict[str, Any]:
        """Plain data, read back by `from_json`."""
        cells = [genotype.to_json() for genotype in self.genotypes]
        return {"version": ARCHITECTURE_VERSION, "cells": cells, "macro": self.macro.to_json()}

    @staticmethod
    def from_json(data: Any) -> Architecture:
        """An architecture from plain data; equal data give the same object, which is read and expanded once.

        Raises:
            BadInputError: if the data are of another version or do not describe an architecture.
        """
        if not isinstance(data, dict) or data.get("version") != ARCHITECTURE_VERSION:
            found = data.get("version") if isinstance(data, dict) else type(data).__name__
            raise BadInputError(f"not an architecture of version {ARCHITECTURE_VERSION} (found {found!r})")
        try:
            return _read(json.dumps(data, sort_keys=True))
        except (KeyError, TypeError) as error:
            raise BadInputError(f"an architecture needs 'cells' and 'macro'; problem at {error}") from error

    def to_text(self) -> str:
        """The content of the JSON file."""
        return json.dumps(self.to_json(), indent=1) + "\n"

    def save(self, path: Path | str) -> None:
        """Write the JSON file."""
        write_atomic(path, self.to_text())

    @staticmethod
    def load(path: Path | str) -> Architecture:
        """Read the JSON file.

        Raises:
            BadInputError: naming the file, if it cannot be read or understood.
        """
        check_listed(path)
        data = read_json(path)
        try:
            return Architecture.from_json(data)
        except BadInputError as error:
            raise BadInputError(f"{path}: {error}") from error


@lru_cache(maxsize=REMEMBERED)
def _read(text: str) -> Architecture:
    data = json.loads(text)
    drawn, macro = data["cells"], Macro.from_json(data["macro"])
    if not isinstance(drawn, list) or not 1 <= len(drawn) <= MOST_CELLS:
        raise BadInputError(f"'cells' must be a list of 1 to {MOST_CELLS} cells")
    cells = tuple(Genotype.from_json(item) for item in drawn)
    return Architecture(cells, macro)


def description_in(folder: Path) -> Path | None:
    """The file of a folder that describes its network, as layers or as an architecture; None if there is none."""
    return next((folder / name for name in (GRAPH_FILE, ARCHITECTURE_FILE) if (folder / name).is_file()), None)
