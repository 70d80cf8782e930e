"""From one design to many chips: variation, programming error, retention and stuck cells, drawn chip by chip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from hasnas.errors import BadInputError

from .conductance import Conductances, FloatArray
from .spec import NonidealSpec

Seed = int | Sequence[int]


def vary(conductance_s: FloatArray, relative: float, normals: FloatArray, spec: NonidealSpec) -> FloatArray:
    """Conductances spread by a relative standard deviation.

        G' = G + relative * n * (G or G_on, as `variation_scales_with` says)

    >>> vary(np.array([1e-5]), 0.1, np.array([2.0]), NonidealSpec())
    array([1.2e-05])
    """
    reference = conductance_s if spec.variation_scales_with == "conductance" else spec.on_conductance_s
    return conductance_s + (relative * reference) * normals


def misprogram(conductance_s: FloatArray, normals: FloatArray, spec: NonidealSpec) -> FloatArray:
    """Conductances after a write whose error depends on the target: sigma(G) = max(0, c0 + c1 G + c2 G^2 + ...).

    Args:
        conductance_s: the targets.
        normals: standard normal draws of the same shape.
        spec: the device; `programming_error_s` holds c0, c1, ...

    >>> misprogram(np.array([1e-5]), np.array([1.0]), NonidealSpec(programming_error_s=(1e-6, 0.1)))
    array([1.2e-05])
    """
    sigma_s = np.zeros_like(conductance_s)
    for coefficient in reversed(spec.programming_error_s):
        sigma_s = sigma_s * conductance_s + coefficient
    return conductance_s + np.maximum(sigma_s, 0) * normals


def retain(conductance_s: FloatArray, normals: FloatArray, spec: NonidealSpec) -> FloatArray:
    """Conductances after `retention_time_s`.

        G(t) = G (t / t0)^-(nu + nu_std n0) + (mean + std n1) ln(t / t0)          for t > t0

    Args:
        conductance_s: as programmed.
        normals: standard normal draws n0 and n1, shape `[2, ...]`.
        spec: the device; before t0 nothing changes.

    >>> spec = NonidealSpec(retention_time_s=100.0, drift_exponent=0.5)
    >>> retain(np.array([1e-5]), np.zeros((2, 1)), spec)
    array([1.e-06])
    """
    if spec.retention_time_s <= spec.retention_reference_s:
        return conductance_s
    elapsed = float(np.log(spec.retention_time_s / spec.retention_reference_s))
    decay = np.exp(-elapsed * (spec.drift_exponent + spec.drift_exponent_std * normals[0]))
    shift_s = (spec.relaxation_mean_s + spec.relaxation_std_s * normals[1]) * elapsed
    return conductance_s * decay + shift_s


def stick(conductance_s: FloatArray, uniforms: FloatArray, spec: NonidealSpec) -> FloatArray:
    """Conductances with the cells that do not switch: the lowest draws stay at G_on, the highest at G_off.

    >>> spec = NonidealSpec(stuck_on=0.1, stuck_off=0.2)
    >>> stick(np.full(3, 5e-5), np.array([0.05, 0.5, 0.85]), spec).tolist()
    [0.0001, 5e-05, 0.0]
    """
    stuck_on = np.where(uniforms < spec.stuck_on, spec.on_conductance_s, conductance_s)
    stuck = np.where(uniforms >= 1.0 - spec.stuck_off, spec.off_conductance_s, stuck_on)
    return stuck.astype(conductance_s.dtype)


def program(design: Conductances, chips: int | Sequence[int], seed: Seed, programming: int = 0) -> Conductances:
    """Write a layer's conductances to many chips.

    The effects follow each other as in time: device-to-device and cycle-to-cycle variation, programming error,
    retention; no conductance falls below zero; stuck cells ignore all of it. A chip's draws depend on the seed and
    on its own number only, so chip 3 is the same alone or among 20, and a stronger effect hits the same cells.

    Args:
        design: what an error-free chip would store, see `to_conductances`.
        chips: how many, or the numbers of the chips.
        seed: an integer, or several (e.g. run seed and layer index).
        programming: which write it is; another number redraws the cycle-to-cycle variation and nothing else fixed
            in the devices.

    Returns:
        Conductances with a leading axis of chips.

    >>> from .conductance import to_conductances, to_weights
    >>> design = to_conductances([[1.0, -0.5]], NonidealSpec(device_variation=0.1))
    >>> to_weights(program(design, chips=20, seed=0)).shape
    (20, 1, 2)
    """
    numbers = list(range(chips)) if isinstance(chips, int) else [int(chip) for chip in chips]
    if not numbers or min(numbers) < 0:
        raise BadInputError(f"chips is {chips!r}; give a positive count or chip numbers from 0")
    keys = [_key(seed, chip) for chip in numbers]
    return replace(
        design,
        positive=_write(design.positive, design.spec, [[*key, 0] for key in keys], programming),
        negative=_write(design.negative, design.spec, [[*key, 1] for key in keys], programming),
    )


def _write(target_s: FloatArray, spec: NonidealSpec, keys: list[list[int]], programming: int) -> FloatArray:
    cells = np.broadcast_to(target_s, (len(keys), *target_s.shape))
    cycle, error = _CYCLES + 2 * programming, _CYCLES + 2 * programming + 1
    if any(spec.programming_error_s):
        cells = misprogram(cells, _normals(keys, error, target_s), spec)
    if spec.device_variation:
        cells = vary(cells, spec.device_variation, _normals(keys, _DEVICE, target_s), spec)
    if spec.cycle_variation:
        cells = vary(cells, spec.cycle_variation, _normals(keys, cycle, target_s), spec)
    if spec.retention_time_s > spec.retention_reference_s:
        draws = np.stack([_normals(keys, _DRIFT, target_s), _normals(keys, _RELAXATION, target_s)])
        cells = retain(cells, draws, spec)
    cells = np.maximum(cells, 0)
    if spec.stuck_on or spec.stuck_off:
        cells = stick(cells, _uniforms(keys, _STUCK, target_s), spec)
    return cells


# One stream of draws per effect; each programming takes two more from _CYCLES on.
_DEVICE, _DRIFT, _RELAXATION, _STUCK, _CYCLES = 0, 1, 2, 3, 16


def _normals(keys: list[list[int]], effect: int, like: FloatArray) -> FloatArray:
    drawn = np.empty((len(keys), *like.shape), like.dtype)
    for key, out in zip(keys, drawn, strict=True):
        np.random.default_rng([*key, effect]).standard_normal(dtype=like.dtype.type, out=out)
    return drawn


def _uniforms(keys: list[list[int]], effect: int, like: FloatArray) -> FloatArray:
    drawn = np.empty((len(keys), *like.shape), like.dtype)
    for key, out in zip(keys, drawn, strict=True):
        np.random.default_rng([*key, effect]).random(dtype=like.dtype.type, out=out)
    return drawn


def _key(seed: Seed, chip: int) -> list[int]:
    parts = [seed] if isinstance(seed, int) else [int(part) for part in seed]
    if min(parts) < 0:
        raise BadInputError(f"seed is {seed!r}; give integers from 0")
    return [*parts, chip]
