"""Checkpoints are whole or refused, and the one before is never lost."""

import contextlib
import errno
import json
import logging
import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hasnas.errors import BadInputError, MachineFaultError
from hasnas.nas.history.checkpoint import has_checkpoint, load_checkpoint, previous_checkpoint, save_checkpoint

META = {"epoch": 3, "note": '"checkpoint":"' + "0" * 64 + '"', "losses": [0.5, 0.25]}
ON_TMP_PATH = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def tensors(value: float = 1.0) -> dict[str, torch.Tensor]:
    weights = torch.full((3, 2), value)
    return {"stem.conv.weight": weights, "view": weights.T, "generator": torch.Generator().manual_seed(4).get_state()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "supernet.safetensors"
    save_checkpoint(path, {"a": torch.arange(6.0)}, META)
    return path


def test_what_was_saved_is_loaded_bit_for_bit(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    assert not has_checkpoint(path)
    save_checkpoint(path, tensors(0.1), META)
    loaded, meta = load_checkpoint(path)
    assert has_checkpoint(path)
    assert meta == META
    assert loaded.keys() == tensors().keys()
    for name, tensor in tensors(0.1).items():
        assert torch.equal(loaded[name], tensor)
        assert loaded[name].dtype == tensor.dtype


def test_tensors_that_share_memory_are_saved_apart(tmp_path: Path):
    weights = torch.arange(6.0).reshape(2, 3).requires_grad_()
    tied = {"embedding": weights, "classifier": weights, "row": weights[1], "turned": weights.T}
    save_checkpoint(tmp_path / "tied.safetensors", tied, {})
    loaded, _ = load_checkpoint(tmp_path / "tied.safetensors")
    for name, tensor in tied.items():
        assert torch.equal(loaded[name], tensor)
    loaded["embedding"].zero_()
    assert torch.equal(loaded["classifier"], weights)


def test_a_generator_goes_on_where_it_was(tmp_path: Path):
    generator = torch.Generator().manual_seed(1)
    torch.rand(3, generator=generator)
    save_checkpoint(tmp_path / "a.safetensors", {"generator": generator.get_state()}, {})
    expected = torch.rand(3, generator=generator)
    loaded, _ = load_checkpoint(tmp_path / "a.safetensors")
    restored = torch.Generator()
    restored.set_state(loaded["generator"])
    assert torch.equal(torch.rand(3, generator=restored), expected)


def test_other_tools_can_read_it(path: Path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["checkpoint"][64:]) == META
        assert torch.equal(file.get_tensor("a"), torch.arange(6.0))


@ON_TMP_PATH
@given(data=st.data())
def test_any_flipped_bit_is_noticed(path: Path, data: st.DataObject):
    sound = path.read_bytes()
    bit = data.draw(st.integers(0, 8 * len(sound) - 1))
    damaged = bytearray(sound)
    damaged[bit // 8] ^= 1 << bit % 8
    path.write_bytes(damaged)
    try:
        with pytest.raises(BadInputError, match="damaged or truncated") as refused:
            load_checkpoint(path)
        assert "\n" not in str(refused.value)
    finally:
        path.write_bytes(sound)


@ON_TMP_PATH
@given(data=st.data())
def test_any_truncation_is_noticed(path: Path, data: st.DataObject):
    sound = path.read_bytes()
    path.write_bytes(sound[: data.draw(st.integers(0, len(sound) - 1))])
    try:
        with pytest.raises(BadInputError, match="damaged or truncated"):
            load_checkpoint(path)
    finally:
        path.write_bytes(sound)


def test_a_damaged_newest_falls_back_to_the_previous_with_a_message(path: Path, caplog: pytest.LogCaptureFixture):
    save_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 4})
    path.write_bytes(path.read_bytes()[:-1])
    with caplog.at_level(logging.WARNING):
        loaded, meta = load_checkpoint(path)
    assert meta == META
    assert torch.equal(loaded["a"], torch.arange(6.0))
    assert "supernet.safetensors is damaged or truncated" in caplog.text
    assert "going on from the previous checkpoint" in caplog.text


def test_a_missing_newest_falls_back_too(path: Path):
    save_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 4})
    path.unlink()
    assert has_checkpoint(path)
    assert load_checkpoint(path)[1] == META


def test_a_damaged_checkpoint_never_replaces_the_sound_previous_one(path: Path):
    save_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 4})
    path.write_bytes(b"rubbish")
    save_checkpoint(path, {"a": torch.ones(2)}, {"epoch": 5})
    assert load_checkpoint(path)[1] == {"epoch": 5}
    path.unlink()
    assert load_checkpoint(path)[1] == META


def test_nothing_sound_is_one_clear_line(tmp_path: Path):
    with pytest.raises(BadInputError, match=r"no sound checkpoint: .*No such file.*start this stage anew"):
        load_checkpoint(tmp_path / "absent.safetensors")


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_nth_call_that_fails_leaves_the_old_or_the_new(
    path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
):
    original, calls = getattr(os, call), []

    def failing(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == number:
            raise OSError(errno.ENOSPC, "No space left on device")
        original(*arguments)

    monkeypatch.setattr(os, call, failing)
    with contextlib.suppress(MachineFaultError):
        save_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 4})
    assert load_checkpoint(path)[1] in (META, {"epoch": 4})
    assert {file.name for file in path.parent.iterdir()} <= {path.name, previous_checkpoint(path).name}


def test_only_plain_data_goes_into_the_meta(path: Path):
    with pytest.raises(BadInputError, match="plain JSON"):
        save_checkpoint(path, {}, {"loss": float("nan")})
    assert load_checkpoint(path)[1] == META


def test_a_pickle_is_never_opened(path: Path):
    marker = path.with_name("executed")
    payload = b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    path.write_bytes(payload)
    with pytest.raises(BadInputError, match="damaged"):
        load_checkpoint(path)
    assert not marker.exists()
