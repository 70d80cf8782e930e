"""What this machine can compute with, against what a training asks for."""

from __future__ import annotations

import torch

from hasnas.errors import BadInputError
from hasnas.nas.config.training import RetrainSection


def check_machine(settings: RetrainSection) -> None:
    """Refuse settings that this machine cannot follow.

    Raises:
        BadInputError: if there is no GPU, or no arithmetic in bfloat16, where it is asked for.
    """
    has_gpu = torch.cuda.is_available()
    if settings.accelerator == "gpu" and not has_gpu:
        raise BadInputError("retrain.accelerator is gpu, but torch finds no GPU here; choose cpu or auto")
    on_gpu = has_gpu and settings.accelerator != "cpu"
    if settings.precision == "bfloat16" and not has_bfloat16(on_gpu):
        device = "this GPU" if on_gpu else "this CPU (it has neither AVX512-BF16 nor AMX)"
        raise BadInputError(f"retrain.precision is bfloat16, but {device} does not compute in it; choose float32")


def has_bfloat16(gpu: bool) -> bool:
    """Whether the hardware multiplies in bfloat16."""
    if gpu:
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
