"""Numbers that spikes are convolved with: chosen by what the processor can do, rounded as far as they say."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from hasnas.errors import BadInputError
from hasnas.nas.scoring import arithmetic
from hasnas.nas.scoring.arithmetic import ARITHMETICS, TOLERANCE, chosen, convolve, detected, error_of, pack


@pytest.fixture
def processor(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    detected.cache_clear()
    yield monkeypatch
    detected.cache_clear()


def test_a_processor_without_such_instructions_takes_single_precision(processor: pytest.MonkeyPatch) -> None:
    processor.setattr(arithmetic, "_processor_flags", lambda: frozenset({"sse4_1", "avx2"}))
    assert detected() == chosen(None) == "float32"
    assert chosen("bf16") == "bf16"
    with pytest.raises(BadInputError, match="unknown arithmetic 'int9'; did you mean 'int8'"):
        chosen("int9")


@pytest.mark.parametrize("flag, kind", [("avx512_vnni", "int8"), ("avx512_bf16", "bf16"), ("amx_bf16", "bf16")])
def test_instructions_count_where_their_result_is_near_enough(
    processor: pytest.MonkeyPatch, flag: str, kind: str
) -> None:
    processor.setattr(arithmetic, "_processor_flags", lambda: frozenset({flag}))
    assert detected() == (kind if error_of(kind) <= TOLERANCE[kind] else "float32")


def test_results_that_are_too_far_off_are_not_taken(processor: pytest.MonkeyPatch) -> None:
    processor.setattr(arithmetic, "_processor_flags", lambda: frozenset({"avx512_vnni", "avx512_bf16"}))
    processor.setitem(TOLERANCE, "int8", -1.0)
    processor.setitem(TOLERANCE, "bf16", -1.0)
    assert detected() == "float32"


@pytest.mark.parametrize("share", [0.01, 0.3])
@pytest.mark.parametrize("kind", ARITHMETICS)
def test_a_convolution_by_hand(kind: str, share: float) -> None:
    generator = torch.Generator().manual_seed(1)
    weight = torch.rand(4, 3, 3, 3, generator=generator) - 0.5
    spikes = (torch.rand(2, 9, 9, 3, generator=generator) < share).to(torch.uint8)
    expected = torch.conv2d(spikes.permute(0, 3, 1, 2).double(), weight.double(), stride=2, padding=1)
    if error_of(kind) == float("inf"):
        pytest.skip(f"this build of torch has no convolution of {kind}")
    terms = convolve(spikes, pack(weight, 2, 1, kind))
    found = sum(term.double() * scale.double() for term, scale in terms).permute(0, 3, 1, 2)
    # Weights of 8 bits are off by half a step of 0.5 / 127; rare spikes take 16 bits, or single precision.
    step = 0.5 / 127 if share > 0.02 else 0.5 / 127 / 254
    limit = {"float32": 1e-6, "bf16": 2e-3 if share > 0.02 else 1e-6, "int8": step / 2}[kind]
    most = int(torch.conv2d(spikes.permute(0, 3, 1, 2).float(), torch.ones(1, 3, 3, 3), stride=2, padding=1).max())
    assert float((found - expected).abs().max()) <= most * limit + 1e-6


def test_rare_spikes_take_the_finer_weights() -> None:
    if error_of("int8") == float("inf"):
        pytest.skip("this build of torch has no convolution of int8")
    packed = pack(torch.rand(4, 3, 3, 3, generator=torch.Generator().manual_seed(1)) - 0.5, 1, 1, "int8")
    spikes = torch.zeros(1, 10, 10, 3, dtype=torch.uint8)
    spikes.view(-1)[:5] = 1  # of 300, less than one in fifty
    assert len(convolve(spikes, packed)) == 2
    spikes.view(-1)[:6] = 1
    assert len(convolve(spikes, packed)) == 1
