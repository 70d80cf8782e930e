"""The errors a user may meet: one root, one line each, always with the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HasnasError(Exception):
    """Root of every error meant for a user; the command line prints it as one line and exits with `exit_code`."""

    exit_code = 2


class BadInputError(HasnasError, ValueError):
    """A value, key or file from the user cannot be used; the message says what, where and how to mend it."""


class NothingFitsError(HasnasError):
    """No architecture of the space fits the budget; the message names the nearest miss for each limit."""

    exit_code = 3


class MachineFaultError(HasnasError):
    """The machine failed, not a network: no room, no memory, a dead worker, absent files. Mended, a run goes on."""

    exit_code = 1


OF_MEMORY = ("can't allocate memory", "cannot allocate memory", "bad_alloc", "failed to map segment")
"""How torch, C++ and the loader tell of the processor's memory where they raise no MemoryError, in small letters."""


def one_line(text: str) -> str:
    """The text with line breaks and other control characters written out, for messages that quote a user.

    >>> print(one_line("a" + chr(10) + "b"))
    a\\nb
    """
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def nearest(name: str, known: Iterable[str]) -> str:
    """Text that points an unknown name at the known ones.

    Args:
        name: what the user wrote.
        known: the names that exist.

    Returns:
        A clause to append to an error message.

    >>> nearest("digit", ["digits", "mnist"])
    "; did you mean 'digits'? Known: digits, mnist"
    >>> nearest("x", ["digits", "mnist"])
    '; known: digits, mnist'
    """
    names = sorted(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    listing = ", ".join(names)
    return f"; did you mean '{close[0]}'? Known: {listing}" if close else f"; known: {listing}"
