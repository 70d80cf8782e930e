"""Checkpoints: tensors and plain data in one safetensors file that notices every flipped bit.

The file's header carries a SHA-256 over the whole file, computed with the digest's own place zeroed. The checkpoint
before the newest is kept beside it, and is what loading falls back to.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hasnas.errors import BadInputError
from hasnas.files import write_atomic

if TYPE_CHECKING:
    from torch import Tensor

logger = logging.getLogger(__name__)

_BLANK = "0" * 64
# One metadata entry holds digest and data: safetensors orders several entries at random, and equal checkpoints shall
# be equal files. Only the header's own metadata can hold this: inside its JSON text every quote is escaped.
_DIGEST = re.compile(rb'"checkpoint":"([0-9a-f]{64})')


def previous_checkpoint(path: Path | str) -> Path:
    """Where the checkpoint before the newest is kept.

    >>> str(previous_checkpoint("checkpoints/supernet.safetensors"))
    'checkpoints/supernet.previous.safetensors'
    """
    newest = Path(path)
    return newest.with_name(f"{newest.stem}.previous{newest.suffix}")


def has_checkpoint(path: Path | str) -> bool:
    """Whether there is something to load, sound or not."""
    return Path(path).exists() or previous_checkpoint(path).exists()


def save_checkpoint(path: Path | str, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write a checkpoint; the sound one that is there becomes the previous one.

    A crash at any moment leaves the old or the new checkpoint.

    Args:
        path: the file, usually `*.safetensors`; its directory must exist.
        tensors: name -> tensor of any device; generator states (uint8) too.
        meta: plain JSON data, e.g. the epoch.

    Raises:
        BadInputError: if `meta` is not plain JSON data or the file cannot be written.
    """
    data = _encode(tensors, meta)
    newest = Path(path)
    try:
        old = newest.read_bytes()
    except OSError:
        old = b""
    if _is_sound(old):
        write_atomic(previous_checkpoint(newest), old)
    write_atomic(newest, data)


def load_checkpoint(path: Path | str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """The tensors and plain data of a checkpoint; of the previous one, with a warning in the log, if it is damaged.

    Raises:
        BadInputError: if neither is sound.
    """
    newest, previous = Path(path), previous_checkpoint(path)
    problems = []
    for candidate in (newest, previous):
        try:
            data = candidate.read_bytes()
        except OSError as error:
            problems.append(f"{candidate}: {error.strerror or error}")
            continue
        if _is_sound(data):
            if problems:
                logger.warning("%s; going on from the previous checkpoint %s", problems[0], candidate)
            return _decode(data)
        problems.append(f"checkpoint {candidate} is damaged or truncated (its checksum does not match)")
    raise BadInputError(f"no sound checkpoint: {'; '.join(problems)}; delete them to start this stage anew")


def _encode(tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> bytes:
    from safetensors.torch import save

    try:
        text = json.dumps(meta, allow_nan=False, sort_keys=True)  # equal data give equal bytes
    except (TypeError, ValueError) as error:
        raise BadInputError(f"the data of a checkpoint must be plain JSON: {error}") from error
    # Clones: safetensors refuses views and tensors that share memory.
    plain = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    blank = save(plain, metadata={"checkpoint": _BLANK + text})
    match = _DIGEST.search(blank)
    if match is None:
        raise BadInputError("this safetensors writes headers that cannot carry a checksum; install version 0.8")
    return _with_digest(blank, match, hashlib.sha256(blank).hexdigest())


def _is_sound(data: bytes) -> bool:
    match = _DIGEST.search(data)
    if match is None:
        return False
    blank = _with_digest(data, match, _BLANK)
    return hashlib.sha256(blank).hexdigest().encode() == match.group(1)


def _with_digest(data: bytes, place: re.Match[bytes], digest: str) -> bytes:
    return data[: place.start(1)] + digest.encode() + data[place.end(1) :]


def _decode(data: bytes) -> tuple[dict[str, Tensor], dict[str, Any]]:
    from safetensors.torch import load

    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    return load(data), json.loads(header["__metadata__"]["checkpoint"][len(_BLANK) :])
