"""`FILE.py:FACTORY`: a module that a user wrote in PyTorch or SpikingJelly, as a graph of layers."""

from __future__ import annotations

import contextlib
import importlib.util
import math
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from hasnas.errors import BadInputError, nearest
from hasnas.nas.environment.torchvision_repair import repair_imports
from hasnas.nas.tracing.run import LayerRunError
from hasnas.nas.tracing.trace import runs_over_time, takes_lines, trace_module
from hasnas.nas.tracing.weights import TracedNetwork, traced_network
from hasnas.search_spaces.graph import LayerGraph

BATCH, COMPARED = 2, 16  # samples that are shown to a module whose layers are read, or that is compared with ours
Read = TypeVar("Read")


def read_graph(
    source: Path,
    input_shape: tuple[int, ...],
    timesteps: int,
    largest_count: int = 0,
    note: Callable[[str], None] = lambda text: None,
) -> LayerGraph:
    """The layers of the module that a function in a user's file returns.

    Args:
        source: `FILE.py:FACTORY`; the file is run, then `FACTORY()` is called.
        input_shape: of one image `[C, H, W]` or vector `[F]`, shown at every timestep; `[T, C, H, W]` means a frame
            for each timestep. Of a module with layers along a line `[C, L]` or `[T, C, L]`.
        timesteps: T of a sample.
        largest_count: of the input's values, see `trace_module`.
        note: is told what layers do beyond what is priced.

    Raises:
        BadInputError: if the file or function fails, or the module cannot be traced.
    """

    def read(module: nn.Module, example: Tensor, static: bool) -> LayerGraph:
        notes: list[str] = []
        graph = trace_module(module, example, timesteps, static, largest_count, notes.append)
        for text in notes:
            note(text)
        return graph

    return _tried(source, input_shape, timesteps, BATCH, read)


def read_network(source: Path, input_shape: tuple[int, ...], timesteps: int, largest_count: int = 0) -> TracedNetwork:
    """The module that a function in a user's file returns, as a network of ours with its weights.

    Args:
        source, input_shape, timesteps, largest_count: see `read_graph`.

    Raises:
        BadInputError: as `read_graph`, or if weights of a layer have no place.
    """

    def read(module: nn.Module, example: Tensor, static: bool) -> TracedNetwork:
        return traced_network(module, example, timesteps, static, largest_count)

    return _tried(source, input_shape, timesteps, COMPARED, read)


def _tried(
    source: Path,
    input_shape: tuple[int, ...],
    timesteps: int,
    samples: int,
    read: Callable[[nn.Module, Tensor, bool], Read],
) -> Read:
    """What is read off a module with the first example that it takes: one image, or one for each timestep."""
    module = load_module(source)
    axes = 2 if takes_lines(module) else 3
    static, frame = len(input_shape) <= axes, input_shape[-axes:]
    if len(input_shape) not in ((2, 3) if axes == 2 else (1, 3, 4)):
        known = "lines: give C,L or T,C,L" if axes == 2 else "no lines: give C,H,W, T,C,H,W or F"
        raise BadInputError(f"--input has {len(input_shape)} numbers, but {source} takes {known}")
    if not static and input_shape[0] != timesteps:
        raise BadInputError(
            f"--input begins with {input_shape[0]} timesteps, --timesteps is {timesteps}; let them agree"
        )
    samples += samples == timesteps  # else nobody could tell the axes of time and batch apart
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(samples, *frame, generator=generator)
    over_time = image.expand(timesteps, *image.shape)
    # A module in multi-step mode takes all timesteps, unless it repeats the image by itself; another takes one, unless
    # it loops over all of them by itself.
    steps = runs_over_time(module)
    failures: list[BadInputError] = []
    for example in [over_time, image] if steps else [image, over_time]:
        try:
            with contextlib.redirect_stdout(sys.stderr):  # what the module prints stays out of our output
                return read(module, example, static)
        except BadInputError as error:
            failures.append(error)
    failures = failures if steps else failures[:1]
    told = max(failures, key=lambda error: error.reached if isinstance(error, LayerRunError) else math.inf)
    raise BadInputError(f"{source}: {told}") from told


def load_module(source: Path) -> nn.Module:
    """Run a user's file and call the function in it that makes the module.

    Args:
        source: `FILE.py:FACTORY`; `FACTORY` may be a class, a function, or the module itself.

    Raises:
        BadInputError: if the file cannot be read, raises, lacks the function, or that returns no module.
    """
    file, _, factory = str(source).rpartition(":")
    path = Path(file)
    if not path.is_file():
        raise BadInputError(f"cannot read {path}: there is no such file; check the path")
    repair_imports()  # before the file imports what fails beside a CPU build of torch
    with _as_script(path):
        names = _run(path)
        if factory not in names:
            functions = [name for name, value in names.items() if callable(value) and not name.startswith("_")]
            raise BadInputError(f"{path} defines no '{factory}'{nearest(factory, functions)}")
        made = names[factory]
        if not isinstance(made, nn.Module):
            made = _call(path, factory, made)
    if not isinstance(made, nn.Module):
        raise BadInputError(f"{source} gives a {type(made).__name__}; it must return a torch.nn.Module")
    return _plain(source, made)


def _plain(source: Path, module: nn.Module) -> nn.Module:
    """The module itself without what compiles or spreads it, on the processor and in 32-bit floats."""
    inside = module.module if isinstance(module, nn.DataParallel) else getattr(module, "_orig_mod", None)
    if isinstance(inside, nn.Module):
        return _plain(source, inside)
    held = [*module.named_parameters(), *module.named_buffers()]
    for name, tensor in held:
        if nn.parameter.is_lazy(tensor):
            continue
        if tensor.is_meta or tensor.is_complex():
            what = "has no values (device meta)" if tensor.is_meta else "holds complex numbers"
            raise BadInputError(f"{source}: '{name}' {what}; make the module of real numbers, on the processor")
        if bool(tensor.isnan().any()) or (isinstance(tensor, nn.Parameter) and bool(tensor.isinf().any())):
            raise BadInputError(f"{source}: '{name}' holds values that are NaN or infinite; train it anew")
    if any(tensor.is_floating_point() and tensor.dtype != torch.float32 for _, tensor in held):
        module = module.float()
    return module.cpu() if any(tensor.device.type != "cpu" for _, tensor in held) else module


@contextlib.contextmanager
def _as_script(path: Path) -> Iterator[None]:
    """The file's folder can be imported from, as if it were a script; what it prints stays out of our output."""
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        sys.path.remove(folder)


def _run(path: Path) -> dict[str, object]:
    name = "hasnas_user_" + re.sub(r"\W", "_", path.stem)
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise BadInputError(f"{path} is no Python file; give FILE.py:FACTORY")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise BadInputError(f"{_where(path, error)} fails: {type(error).__name__}: {error}") from error
    return vars(module)


def _call(path: Path, factory: str, function: object) -> object:
    if not callable(function):
        raise BadInputError(f"'{factory}' in {path} is a {type(function).__name__}; name a function or a class")
    try:
        return function()
    except (Exception, SystemExit) as error:
        raise BadInputError(f"{_where(path, error)}: {factory}() fails: {type(error).__name__}: {error}") from error


def _where(path: Path, error: BaseException) -> str:
    """`file:line` of the last frame in the file itself."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    lines = [line for file, line in places if Path(file).resolve() == path.resolve()]
    return f"{path}:{lines[-1]}" if lines else str(path)
