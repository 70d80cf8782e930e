"""Whether NNI can be used here, and how to import it without noise."""

from __future__ import annotations

import importlib
import logging
import warnings

from hasnas.errors import HasnasError
from hasnas.nas.environment.torchvision_repair import repair_imports

_QUIET_LOGGERS = ("nni", "pytorch_lightning", "lightning", "lightning.pytorch", "lightning.fabric")
_MODULES = ("nni.nas.strategy", "nni.nas.evaluator.pytorch", "nni.nas.execution")


class NniMissingError(HasnasError):
    """NNI is not installed or cannot be imported; the message names the strategy that works without it."""


def require_nni() -> None:
    """Import NNI once, after repairing what would break it, and without its messages on the terminal.

    Raises:
        NniMissingError: if NNI or Lightning is missing or broken.

    >>> require_nni()
    """
    repair_imports()
    try:
        with warnings.catch_warnings():
            # NNI wraps every class of torch.nn when first imported and warns about those younger than itself.
            warnings.simplefilter("ignore")
            for name in _MODULES:
                importlib.import_module(name)
    except ImportError as error:
        raise NniMissingError(
            f"NNI cannot be used here ({error}): install nni==3.0 and pytorch-lightning<2.7 "
            "(wheels exist for x86-64 only), or choose strategy 'random' and switch the supernet off"
        ) from error
    for name in _QUIET_LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
