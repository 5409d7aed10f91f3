"""Who else keeps setting a field: the third time a fight becomes `Contested`. Pure.

::

    differs → set back → differs → set back → differs   Contested: left to the other for a while
            … after the back-off → set back → differs   Contested again, for twice as long

Counted is a field that differs although it was set back, within `WINDOW` of the last time; a look
at one that was not set back meanwhile counts nothing. Whoever changed it is named if managedFields
name anybody. Only that field is left alone; the others of the object are still healed. What is
contested outlives the agent: the inventory keeps it (`kept`, `recalled`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from agents.diff import Path, path_text
from clusters.objects import ObjectKey

TIMES = 3
WINDOW = timedelta(minutes=10)
FIRST_BACKOFF = timedelta(minutes=1)
LONGEST_BACKOFF = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Contest:
    """One field that differed, and what became of it."""

    count: int
    last: datetime
    """When it was last seen to differ, or set back."""
    is_set_back: bool = False
    """Did we set it back since it was last seen to differ?"""
    until: datetime | None = None
    """Left to the other until then."""
    backoff: timedelta = timedelta(0)

    def holds(self, now: datetime) -> bool:
        """Is the field left alone now?"""
        return self.until is not None and now < self.until


Contests = Mapping[Path, Contest]
NONE: Contests = {}
Kept = tuple[str, str, str, int]
"""Object, field, when its back-off ends and how many seconds that takes, as inventories have it."""
Disputed = Mapping[tuple[str, str], Contest]
"""By object and field as text: what an earlier agent left and this one has not met yet."""


def sighted(contests: Contests, paths: Iterable[Path], now: datetime) -> dict[Path, Contest]:
    """The contests of one object of which exactly these fields differ now."""
    found = {path: _sighted(contests.get(path), now) for path in paths}
    quiet = {path: item for path, item in contests.items() if path not in found}
    return {path: item for path, item in quiet.items() if _is_recent(item, now)} | found


def _sighted(before: Contest | None, now: datetime) -> Contest:
    if before is None or not _is_recent(before, now):
        return Contest(1, now)
    if not before.is_set_back:
        return before
    again = replace(before, count=before.count + 1, last=now, is_set_back=False, until=None)
    if again.count < TIMES:
        return again
    backoff = min(before.backoff * 2, LONGEST_BACKOFF) if before.backoff else FIRST_BACKOFF
    return replace(again, until=now + backoff, backoff=backoff)


def _is_recent(item: Contest, now: datetime) -> bool:
    return now - item.last <= max(WINDOW, item.backoff * 2)


def set_back(contests: Contests, now: datetime) -> dict[Path, Contest]:
    """The same after a write that set back all fields that are not held."""
    return {
        path: item if item.holds(now) else replace(item, last=now, is_set_back=True, until=None)
        for path, item in contests.items()
    }


def held(contests: Contests, now: datetime) -> dict[Path, Contest]:
    """The fields that are contested now."""
    return {path: item for path, item in contests.items() if item.holds(now)}


def kept(
    contests: Mapping[ObjectKey, Contests],
    disputed: Disputed,
    before: Iterable[Kept],
    now: datetime,
) -> tuple[Kept, ...]:
    """What the inventory is to keep, sorted; `before` is what it has. Changes with a new back-off
    and when one is forgotten, so a fight costs no more than a write for each."""
    known = {(line[0], line[1]): line for line in before}
    found: dict[tuple[str, str], Kept] = {
        name: known[name]
        for name, item in disputed.items()
        if name in known and _is_recent(item, now)
    }
    for key, fields in contests.items():
        for path, item in fields.items():
            if not _is_recent(item, now):
                continue
            name = (str(key), path_text(path))
            if item.until is not None:
                seconds = round(item.backoff.total_seconds())
                found[name] = (*name, item.until.isoformat(), seconds)
            elif item.backoff and name in known:
                found[name] = known[name]
    return tuple(sorted(found.values()))


def recalled(lines: Iterable[Kept], now: datetime) -> dict[tuple[str, str], Contest]:
    """What an inventory kept; never for longer than its back-off, whatever a clock said then."""
    found: dict[tuple[str, str], Contest] = {}
    for name, path, end, seconds in lines:
        backoff = min(timedelta(seconds=seconds), LONGEST_BACKOFF)
        until = min(datetime.fromisoformat(end), now + backoff)
        found[name, path] = Contest(TIMES, until - backoff, until=until, backoff=backoff)
    return found
