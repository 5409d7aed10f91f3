"""When a window is open, by the wall clock of a time zone. Pure; the zone's rules are data.

::

    opens       at each local time of the cron expression
    closes      that many hours later by the same wall clock
    a local time that is missing (clocks go forward)    → the next valid minute
    a local time that is there twice (clocks go back)   → the first of the two
    deny        whole local days, both ends included; beats every allow

So a start in the missing hour opens late and stays open for its whole length, and a repeated hour
opens once: from its first time on, until the wall clock first shows the end. Spans that touch or
overlap are one. Nothing here looks further than `horizon`, so no expression takes for ever.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from fleet.rollout.gate_kinds import ClosedDays, OpenHours, Window

MINUTE = timedelta(minutes=1)
LONGEST_SHIFT = timedelta(hours=3)
LOOKED_BACK = 3
"""Occurrences before a moment that may still be open: shifted ones can change places."""
STEPS = 500
"""Spans looked at for the next opening; a window without one among them never opens."""
_FIRST, _LAST = datetime(2, 1, 1).toordinal(), datetime(9998, 1, 1).toordinal()  # noqa: DTZ001


def instant(local: datetime, zone: ZoneInfo) -> datetime:
    """When the wall clock shows this (naive) time; see the table for what is missing or twice."""
    while not _exists(local, zone):
        local = local.replace(second=0, microsecond=0) + MINUTE
    return local.replace(tzinfo=zone, fold=0).astimezone(UTC)


def _exists(local: datetime, zone: ZoneInfo) -> bool:
    there = local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone)
    return there.replace(tzinfo=None) == local


def open_until(window: Window, zone: ZoneInfo, now: datetime, horizon: timedelta) -> datetime:
    """Until when it is open without a break; `now` if it is closed, at most `now + horizon`."""
    far = now + horizon
    until = far if not window.allow else now
    while until < far and (later := max(_ends(window, zone, until), default=until)) > until:
        until = later
    for days in window.deny:
        first, end = _closed(days, zone)
        if first < until and end > now:
            until = max(now, first)
    return min(until, far)


def _ends(window: Window, zone: ZoneInfo, at: datetime) -> Iterator[datetime]:
    """When the spans that are open at that moment close."""
    for hours in window.allow:
        for opens in _before(hours.cron, zone, at):
            found, closes = _span(hours, zone, opens)
            if found <= at < closes:
                yield closes


def _span(hours: OpenHours, zone: ZoneInfo, opens: datetime) -> tuple[datetime, datetime]:
    """One span as instants, from its local start; never shorter than by the shifted wall clock."""
    start = instant(opens, zone)
    shown = start.astimezone(zone).replace(tzinfo=None)
    return start, instant(shown + timedelta(seconds=hours.duration_seconds), zone)


def next_open(window: Window, zone: ZoneInfo, now: datetime, wanted: timedelta) -> datetime | None:
    """The first moment from `now` on at which it stays open for `wanted`; `None`: none in sight."""
    at = now
    for _ in range(STEPS):
        spans = [_closed(days, zone) for days in window.deny]
        at = max((end for first, end in spans if first <= at < end), default=at)
        until = open_until(window, zone, at, max(wanted, MINUTE))
        if until > at and until - at >= wanted:
            return at
        later = _next_change(window, zone, at, until)
        if later is None:
            return None
        at = later
    return None


def _next_change(window: Window, zone: ZoneInfo, at: datetime, until: datetime) -> datetime | None:
    """The next moment at which a span opens, or the days end that closed it early."""
    if until > at and any(_closed(days, zone)[0] == until for days in window.deny):
        return until
    opens = (_after(hours.cron, zone, until) for hours in window.allow)
    return min((moment for moment in opens if moment is not None), default=None)


def _closed(days: ClosedDays, zone: ZoneInfo) -> tuple[datetime, datetime]:
    return _day(days.first.toordinal(), zone), _day(days.last.toordinal() + 1, zone)


@lru_cache(maxsize=4096)
def _day(ordinal: int, zone: ZoneInfo) -> datetime:
    return instant(datetime.fromordinal(min(max(ordinal, _FIRST), _LAST)), zone)


def _before(cron: str, zone: ZoneInfo, at: datetime) -> list[datetime]:
    """The last local times of the expression that are not after the moment, newest first."""
    local = at.astimezone(zone).replace(tzinfo=None)
    back = _went_back(zone, at)
    start = local.replace(second=0, microsecond=0) + MINUTE + back
    return list(islice(_times(cron, start, reverse=True), LOOKED_BACK + back // MINUTE))


def _went_back(zone: ZoneInfo, at: datetime) -> timedelta:
    """How far clocks went back in the last hours: as much that was shown already comes again."""
    then, now = ((at - ago).astimezone(zone).utcoffset() for ago in (LONGEST_SHIFT, timedelta()))
    return max(timedelta(), (then or timedelta()) - (now or timedelta()))


def _after(cron: str, zone: ZoneInfo, at: datetime) -> datetime | None:
    """The first moment after `at` at which the expression opens."""
    local = at.astimezone(zone).replace(tzinfo=None, second=0, microsecond=0)
    # What is shown for the second time has opened already: it is passed over, minute by minute.
    most = LOOKED_BACK + LONGEST_SHIFT // MINUTE
    moments = (instant(found, zone) for found in _times(cron, local - MINUTE, reverse=False))
    return next((moment for moment in islice(moments, most) if moment > at), None)


def _times(cron: str, start: datetime, *, reverse: bool) -> Iterator[datetime]:
    try:
        yield from CronSim(cron, start, reverse=reverse)
    except CronSimError:
        return


def is_cron(text: str) -> bool:
    """Does the expression ever come true? For five fields that `cronsim` understands."""
    try:
        next(CronSim(text, datetime(2024, 1, 1)))  # noqa: DTZ001 - local times are naive here
    except (CronSimError, StopIteration, OverflowError):
        return False
    return True
