"""Ctrl-C and SIGTERM while Lightning trains."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C and SIGTERM stay a KeyboardInterrupt: Lightning would exit the process and leave Ctrl-C ignored."""
    from pytorch_lightning.utilities.exceptions import SIGTERMException

    in_main_thread = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGINT)
    try:
        yield
    except SystemExit as error:
        # Lightning notes a SIGTERM as well, and ends at its next batch where our handler's exception was swallowed.
        if isinstance(error, SIGTERMException) or isinstance(error.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise
    finally:
        if in_main_thread:
            signal.signal(signal.SIGINT, handler)
