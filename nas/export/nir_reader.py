"""A NIR file as a network that runs: our own files, and those of other tools whose neurons are ours."""

from __future__ import annotations

from pathlib import Path

import torch

from hasnas.errors import BadInputError
from hasnas.search_spaces.network import SpikingNetwork
from hasnas.search_spaces.nir import read_nir as read_layers

from .deploy import Deployed


def read_nir(
    path: Path | str,
    dtype: torch.dtype = torch.float32,
    timesteps: int | None = None,
    timestep_s: float | None = None,
) -> SpikingNetwork:
    """A network from a NIR file, in evaluation mode.

    Args:
        path: the file.
        dtype: precision to compute in; files of this project hold double precision.
        timesteps: T of a sample, for files of other tools, which do not say; their input is a frame per timestep.
        timestep_s: duration of a timestep, likewise; sinabs means 1.

    Raises:
        BadInputError: naming the file, if it cannot be read or says more than the layers of this project can do.
    """
    return read_deployed(path, timesteps, timestep_s).network(dtype)


def read_deployed(path: Path | str, timesteps: int | None = None, timestep_s: float | None = None) -> Deployed:
    """The layers and weights of a NIR file; see `read_nir`."""
    found = read_layers(path, timesteps, timestep_s)
    if found.ignored:
        raise BadInputError(f"{path}: {found.ignored[0]}")
    return Deployed(found.graph, {name: torch.from_numpy(values) for name, values in found.tensors.items()})
