"""Is a window open? Answered by watching the wall clock go, minute by minute: the oracle for I20.

Knows nothing of cron libraries or of how the engine finds an opening. A span opens when the clock
first shows its start (or jumps over it), and closes when the clock first shows its end.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)


def by_the_minute(
    zone: ZoneInfo,
    hours: Collection[int],
    minute: int,
    length: timedelta,
    start: datetime,
    minutes: int,
) -> Iterator[tuple[datetime, bool]]:
    """Every minute and whether it is open; what opened before `start` is not known."""
    ends: list[datetime] = []
    highest = (start - MINUTE).astimezone(zone).replace(tzinfo=None)
    for count in range(minutes):
        at = start + count * MINUTE
        shown = at.astimezone(zone).replace(tzinfo=None)
        ends = [end for end in ends if shown < end]
        while highest < shown:
            highest += MINUTE
            if highest.minute == minute and highest.hour in hours:
                ends.append(shown + length)
        yield at, bool(ends)


@cache
def is_open(zone: str, hours: frozenset[int], minute: int, length: timedelta, at: datetime) -> bool:
    """Is a window that opens every day at these hours open in the minute of `at`?"""
    last = at.replace(second=0, microsecond=0)
    back = int(length / MINUTE) + 180
    start = last - back * MINUTE
    *_, (_, found) = by_the_minute(ZoneInfo(zone), hours, minute, length, start, back + 1)
    return found
