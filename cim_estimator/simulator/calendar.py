"""A calendar queue: events by (time, priority, sequence), put in and taken out in constant time on average; compiled.

Days of a year that repeats each hold their events in order. There are about as many days as events, and days are so
long that the nearer events lie about one a day; both are set anew when that is no longer so. On a chip with a clock
many events share a moment; they stand in the order in which they came, so a new one goes behind the last of its day.

Source: Brown, "Calendar queues: a fast O(1) priority queue implementation for the simulation event set problem",
Communications of the ACM 31(10), 1988.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Ints = NDArray[np.int64]

FEWEST_DAYS, MOST_DAYS = 32, 1 << 13  # the latter 128 KiB: looking for a day stays within a processor's cache
PRIORITY_BITS = 3
PRIORITIES = 1 << PRIORITY_BITS  # a moment is time * PRIORITIES + priority
LONGEST_DAY = 40 + PRIORITY_BITS  # log2 of moments: a second of ticks of 1 ps, longer than chips are simulated
FIRST_DAY = 7 + PRIORITY_BITS  # the same, before anything was dealt: 128 ticks, the period of a fast clock
TRIED = 256  # events after which it is asked how far they had to be walked: dealing them anew takes about as long
NOTHING = -1
MOMENT, _SEQUENCE_OF, ARGUMENT, _NEXT, _DEALT = range(5)
_FIRST, _LAST = range(2)
_COUNT, _FREE, _NOW, _MASK, _SHIFT, _SEQUENCE, _WALKED, _PUSHED = range(8)

_SOURCES = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in ("calendar", "network", "kernel"))
_VERSION = hashlib.sha256(_SOURCES).hexdigest()[:12]


def _compile(function: Callable[..., Any], inline: bool) -> Any:
    """Compile a function, or find it as it was compiled of the same three files.

    Numba asks whether a function's own file has changed, not those of the functions that it calls, so all of them are
    part of the name under which it keeps the result. Nothing here allocates, so numba's reference counting is switched
    off: it would take ten times as long as the work.
    """
    function.__qualname__ = f"{function.__name__}_{_VERSION}"
    return njit(cache=True, nogil=True, _nrt=False, forceinline=inline)(function)  # type: ignore[call-overload]


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that is called now and then."""
    return _compile(function, inline=False)


def inlined(function: Callable[..., Any]) -> Any:
    """Compile what happens at every event into its callers: a call hands over all arrays, 70 words and more."""
    return _compile(function, inline=True)


class Calendar(NamedTuple):
    """Events in linked lists, one a day.

    Args:
        days: first event of each day, -1 for none, and the last one; shape `[days that may be, 2]`.
        event: moment, sequence number, argument, the next event of the same day or the next free place, and a column
            for dealing events anew; shape `[room, 5]`.
        numbers: how many events wait, the free place, moment of the last event, days - 1, log2 of a day's length, the
            next sequence number, steps walked, events put in since that was asked.
    """

    days: Ints
    event: Ints
    numbers: Ints


def calendar(room: int) -> Calendar:
    """An empty calendar with room for so many events."""
    event, numbers = np.zeros((room, _DEALT + 1), np.int64), np.zeros(_PUSHED + 1, np.int64)
    event[:, _NEXT] = np.append(np.arange(1, room), NOTHING)
    numbers[_MASK], numbers[_SHIFT] = FEWEST_DAYS - 1, FIRST_DAY
    days = min(MOST_DAYS, max(FEWEST_DAYS, 1 << (room - 1).bit_length()))
    return Calendar(np.full((days, 2), NOTHING, np.int64), event, numbers)


@inlined
def push(events: Calendar, time: int, priority: int, argument: int) -> bool:
    """Put an event in; false if there is no room for it."""
    event, numbers = events.event, events.numbers
    place = numbers[_FREE]
    if place != NOTHING:
        numbers[_FREE] = event[place, _NEXT]
        event[place, MOMENT] = time * PRIORITIES + priority
        event[place, _SEQUENCE_OF] = numbers[_SEQUENCE]
        event[place, ARGUMENT] = argument
        numbers[_SEQUENCE] += 1
        numbers[_COUNT] += 1
        numbers[_PUSHED] += 1
        insert(events, place)
    return place != NOTHING


@inlined
def pop(events: Calendar) -> int:
    """Take the next event out: its place, to be read before the next push; -1 if none waits.

    Of events at one time the lowest priority number comes first, then the one that was put in first.
    """
    days, event, numbers = events.days, events.event, events.numbers
    mask, shift = numbers[_MASK], numbers[_SHIFT]
    place = NOTHING
    if numbers[_COUNT] > 0:
        date = numbers[_NOW] >> shift
        for day in range(date, date + mask + 1):
            earliest = days[day & mask, _FIRST]
            if earliest != NOTHING and event[earliest, MOMENT] >> shift == day:
                place = earliest
                break
            numbers[_WALKED] += 1
        if place == NOTHING:
            place = earliest_of_all(events)
        days[(event[place, MOMENT] >> shift) & mask, _FIRST] = event[place, _NEXT]
        event[place, _NEXT] = numbers[_FREE]
        numbers[_FREE] = place
        numbers[_COUNT] -= 1
        numbers[_NOW] = event[place, MOMENT]
    return place


@compiled
def earliest_of_all(events: Calendar) -> int:
    """The next event where a whole year is empty: the earliest of the firsts of all days."""
    place = NOTHING
    for day in range(events.numbers[_MASK] + 1):
        other = events.days[day, _FIRST]
        if other != NOTHING and (place == NOTHING or earlier(events.event, other, place)):
            place = other
    return place


@inlined
def earlier(event: Ints, one: int, other: int) -> bool:
    """Whether one event comes before another."""
    return event[one, MOMENT] < event[other, MOMENT] or (
        event[one, MOMENT] == event[other, MOMENT] and event[one, _SEQUENCE_OF] < event[other, _SEQUENCE_OF]
    )


@inlined
def insert(events: Calendar, place: int) -> None:
    """Put an event into its day, in order."""
    days, event, numbers = events.days, events.event, events.numbers
    day = (event[place, MOMENT] >> numbers[_SHIFT]) & numbers[_MASK]
    before, following = NOTHING, days[day, _FIRST]
    if following != NOTHING and not earlier(event, place, days[day, _LAST]):
        before, following = days[day, _LAST], NOTHING
    while following != NOTHING and earlier(event, following, place):
        before, following = following, event[following, _NEXT]
        numbers[_WALKED] += 1
    event[place, _NEXT] = following
    if before == NOTHING:
        days[day, _FIRST] = place
    else:
        event[before, _NEXT] = place
    if following == NOTHING:
        days[day, _LAST] = place


@inlined
def needs_other_days(events: Calendar) -> bool:
    """Whether to ask `adapt`: after every event that is taken out, or pushing would take longer and longer."""
    days = events.numbers[_MASK] + 1
    crowded = events.numbers[_COUNT] > 2 * days and days < len(events.days)
    return crowded or events.numbers[_PUSHED] >= TRIED


@compiled
def adapt(events: Calendar) -> None:
    """More or fewer days if there are many or few events; other days if much was walked."""
    numbers = events.numbers
    days = numbers[_MASK] + 1
    wanted = days
    while numbers[_COUNT] > 2 * wanted and wanted < len(events.days):
        wanted *= 2
    while 4 * numbers[_COUNT] < wanted and wanted > FEWEST_DAYS:
        wanted //= 2
    if wanted != days or numbers[_WALKED] > 4 * numbers[_PUSHED]:
        _deal(events, wanted)
    numbers[_WALKED] = numbers[_PUSHED] = 0


@compiled
def _deal(events: Calendar, days: int) -> None:
    """Deal the events anew; three quarters of them lie within as many days as there are events, or fewer."""
    year, event, numbers = events
    count, now = 0, numbers[_NOW]
    for day in range(numbers[_MASK] + 1):
        place = year[day, _FIRST]
        while place != NOTHING:
            event[count, _DEALT] = place
            count += 1
            place = event[place, _NEXT]
        year[day, _FIRST] = NOTHING
    shift, near = 0, 0
    while shift < LONGEST_DAY:
        near = 0
        for at in range(count):
            near += (event[event[at, _DEALT], MOMENT] - now) >> shift < count
        if 4 * near >= 3 * count:
            break
        shift += 1
    numbers[_MASK], numbers[_SHIFT] = days - 1, shift
    for at in range(count):
        insert(events, event[at, _DEALT])
