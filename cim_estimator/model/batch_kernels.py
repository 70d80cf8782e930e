"""Compiled loops over candidates; what they add up is priced elsewhere."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Keys = NDArray[np.uint64]
Codes = NDArray[np.int32]


@njit(cache=True, nogil=True)
def mix(keys: Keys, column: NDArray[np.integer[Any]]) -> None:
    """Fold a column `[N, L]` into the hashes `[N, L]` of all columns so far (FNV-1a over whole numbers)."""
    count, slots = keys.shape
    for row in range(count):
        for slot in range(slots):
            keys[row, slot] = (keys[row, slot] ^ np.uint64(column[row, slot])) * np.uint64(1099511628211)


@njit(cache=True, nogil=True)
def distinct(keys: Keys, most: int) -> tuple[Codes, NDArray[np.int64], int]:
    """Codes `[N, L]` of equal keys in each slot, an example candidate of each `[most, L]`, and the largest count.

    The count is -1 if a slot has more than `most` distinct keys.
    """
    count, slots = keys.shape
    codes = np.empty((count, slots), np.int32)
    examples = np.zeros((most, slots), np.int64)
    size = np.int64(4 * most)  # open addressing, at most a quarter full
    heads = np.full((slots, size), np.int32(-1), np.int32)
    found = np.zeros(slots, np.int32)
    for row in range(count):
        for slot in range(slots):
            key = keys[row, slot]
            place = np.int64((key ^ (key >> np.uint64(32))) % np.uint64(size))
            code = heads[slot, place]
            while code >= 0 and keys[examples[code, slot], slot] != key:
                place = (place + 1) % size
                code = heads[slot, place]
            if code < 0:
                if found[slot] == most:
                    return codes, examples, -1
                code = found[slot]
                heads[slot, place] = code
                examples[code, slot] = row
                found[slot] += 1
            codes[row, slot] = code
    return codes, examples, found.max()


@njit(cache=True, nogil=True)
def agrees(column: NDArray[np.integer[Any]], codes: Codes, examples: NDArray[np.int64]) -> bool:
    """Whether every candidate's value equals its example's, so that no two different layers share a hash."""
    count, slots = codes.shape
    for row in range(count):
        for slot in range(slots):
            if column[row, slot] != column[examples[codes[row, slot], slot], slot]:
                return False
    return True


@njit(cache=True, nogil=True, error_model="numpy")
def sum_general(
    table: Floats, codes: Codes, limit: int, schedule: tuple[bool, float, int], leakage_w_per_m2: float
) -> Floats:
    """Totals `[N, 7]` of the general model: parameters, memory, live values, area, latency, interval, energy.

    Columns of `table[slot, choice]`: parameters, memory, tiles, area of tiles, leaking area of tiles, area beside them,
    energy, energy per metre of path, reload energy, reload time, busy time, evaluations, static, feeds back, level,
    live values.
    `limit`: tiles of the chip, 0 for as many as needed. `schedule`: whether pipelined, T, number of levels.
    """
    pipelined, timesteps, levels = schedule
    count, slots = codes.shape
    totals = np.zeros((count, 7))
    whole, step, once = np.zeros(levels), np.zeros(levels), np.zeros(levels)
    for row in range(count):
        tiles = 0.0
        widest = 0.0
        if limit > 0:
            for slot in range(slots):
                own = table[slot, codes[row, slot], 2]
                tiles += own
                widest = max(widest, own)
        missing = (tiles - limit + min(widest, limit)) / tiles if tiles > limit > 0 else 0.0
        resident = limit / tiles if tiles > limit > 0 else 1.0
        whole[:] = 0.0
        step[:] = 0.0
        once[:] = 0.0
        parameters = memory = live = area = leaking = energy = path = slowest = longest = reload = 0.0
        looped = False
        for slot in range(slots):
            term = table[slot, codes[row, slot]]
            parameters += term[0]
            memory += term[1]
            live = max(live, term[15])
            area += term[3] * resident + term[5]
            leaking += term[4] * resident + term[5]
            energy += term[6] + term[8] * missing
            path += term[7]
            reload += term[9] * missing
            busy = term[10]
            longest = max(longest, busy)
            level = np.int64(term[14])
            whole[level] = max(whole[level], busy)
            if pipelined:
                looped = looped or (term[13] > 0 and busy > 0)
                if term[12] > 0:
                    once[level] = max(once[level], busy)
                else:
                    step[level] = max(step[level], busy / term[11])
                    slowest = max(slowest, busy / term[11])
        latency = interval = whole.sum()
        if pipelined and not looped:
            interval = longest
            latency = min(latency, once.sum() + step.sum() + (timesteps - 1.0) * slowest)
        latency += reload
        interval += reload
        energy += path * 0.5 * np.sqrt(area) + leaking * leakage_w_per_m2 * latency
        totals[row, 0], totals[row, 1], totals[row, 2], totals[row, 3] = parameters, memory, live, area
        totals[row, 4], totals[row, 5], totals[row, 6] = latency, interval, energy
    return totals


@njit(cache=True, nogil=True, error_model="numpy")
def sum_spikesim(
    table: Floats,
    codes: Codes,
    tiles_of: tuple[int, bool],
    first: int,
    areas_m2: tuple[float, float, float],
    cycle_s: float,
) -> Floats:
    """Totals `[N, 7]` of the SpikeSim model, as `sum_general` has them.

    Columns of `table[slot, choice]`: parameters, memory, on a crossbar, PEs, tiles of its own, kernel, inputs, outputs,
    energy, cycles until the next layer, cycles to the end, live values. `tiles_of`: PEs in a tile, and whether layers
    share it.
    `areas_m2`: of one array, of one tile without arrays, of one membrane.
    """
    count, slots = codes.shape
    per_tile, shared = tiles_of
    totals = np.empty((count, 7))
    array_m2, tile_m2, membrane_m2 = areas_m2
    counted = float(first) if first > 0 else float(slots)
    for row in range(count):
        parameters = memory = live = energy = cycles = pes = tiles = values = 0.0
        largest = last = seen = 0.0
        for slot in range(slots):
            code = np.uint32(codes[row, slot])  # unsigned: no test for negative indices
            on = table[slot, code, 2]
            seen += on
            parameters += table[slot, code, 0]
            memory += table[slot, code, 1]
            live = max(live, table[slot, code, 11])
            pes += table[slot, code, 3]
            tiles += table[slot, code, 4]
            largest = max(largest, table[slot, code, 5])
            values += table[slot, code, 6]
            if seen <= counted:
                values += table[slot, code, 7]
            energy += table[slot, code, 8]
            cycles += table[slot, code, 9]
            if on > 0:
                last = table[slot, code, 10] - table[slot, code, 9]
        if shared:
            tiles = np.ceil(pes / per_tile)
        totals[row, 0] = parameters
        totals[row, 1] = memory
        totals[row, 2] = live
        totals[row, 3] = tiles * (tile_m2 + per_tile * largest * array_m2) + values * membrane_m2
        totals[row, 4] = totals[row, 5] = (cycles + last) * cycle_s
        totals[row, 6] = energy
    return totals
