"""Signals that reach a training of Lightning."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from torch import Tensor

from hasnas.nas.training.interrupts import interruptible
from hasnas.nas.training.loop import lightning

BoringModel = pytest.importorskip("pytorch_lightning.demos.boring_classes").BoringModel


@pytest.mark.parametrize("swallowed", [True, False])
def test_sigterm_stays_an_interrupt_whatever_becomes_of_our_handler(swallowed: bool, tmp_path: Path) -> None:
    def stop(number: int, frame: object) -> None:
        if not swallowed:
            raise KeyboardInterrupt

    class Stopped(BoringModel):
        def training_step(self, batch: Tensor, batch_idx: int) -> object:
            os.kill(os.getpid(), signal.SIGTERM)
            return super().training_step(batch, batch_idx)

    former = signal.signal(signal.SIGTERM, stop)
    trainer = lightning.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path,
    )  # fmt: skip
    try:
        with pytest.raises(KeyboardInterrupt), interruptible():
            trainer.fit(Stopped())
    finally:
        signal.signal(signal.SIGTERM, former)
