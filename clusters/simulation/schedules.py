"""The schedule of a CronJob: cron expressions as Kubernetes reads them, in a time zone.

::

    minute hour day-of-month month day-of-week      `*` `?` `1,2` `1-5` `*/15` `JAN` `MON-FRI`
    @yearly @annually @monthly @weekly @daily @midnight @hourly    @every 1h30m

`cronsim` does the arithmetic; what is Kubernetes' own is here. Sunday is 0 and never 7; where both
days are restricted either will do, and `*/2` counts as restricted. A time that a clock change
leaves out is left out, one that comes twice is due twice.

Never asks what time it is.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 6))
_MONTHS = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC".split()
_NAMES = {
    "month": {name: number for number, name in enumerate(_MONTHS, 1)},
    "weekday": {name: number for number, name in enumerate("SUN MON TUE WED THU FRI SAT".split())},
}
_DESCRIPTORS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?|\.\d+)(h|ms|m|s|us|ns)")
_TERM = re.compile(r"(\*|\?|\w+)(?:-(\w+))?(?:/(\d+))?")


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a CronJob is due: an expression in a zone, or every so many seconds."""

    expression: str
    zone: tzinfo
    every_seconds: float = 0.0

    def next(self, after: datetime) -> datetime | None:
        """The first moment after `after`; `None` if there is none (31 February)."""
        if self.every_seconds:
            return after.replace(microsecond=0) + timedelta(seconds=self.every_seconds)
        return self._seek(after)

    def latest(self, since: datetime, now: datetime) -> datetime | None:
        """The last moment after `since` that is not after `now`; `None` if none was due."""
        if self.every_seconds:
            count = int((now - since).total_seconds() // self.every_seconds)
            return since + timedelta(seconds=count * self.every_seconds) if count > 0 else None
        # One second on, because going back leaves out the moment that it begins with.
        found = self._seek(now.replace(microsecond=0) + timedelta(seconds=1), back=True)
        return found if found and found > since else None

    def _seek(self, start: datetime, *, back: bool = False) -> datetime | None:
        try:
            moments = CronSim(self.expression, start.astimezone(self.zone), reverse=back)
        except CronSimError:  # the fields have been checked: it is the 31st of February
            return None
        found = next(moments, None)
        return found.astimezone(UTC) if found else None


def read_schedule(text: str, zone: str = "") -> Schedule:
    """The schedule that a CronJob's `schedule` and `timeZone` ask for (UTC if they name no zone).

    Errors: `ValueError` for one that Kubernetes would not read, and for an unknown zone.
    """
    place = _read_zone(zone) if zone else UTC
    if text.startswith("@every "):
        return Schedule("", place, _read_duration(text.removeprefix("@every ")))
    if text.startswith("@"):
        if text not in _DESCRIPTORS:
            raise ValueError(f"unrecognized descriptor: {text}")
        text = _DESCRIPTORS[text]
    fields = text.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"expected exactly {len(_FIELDS)} fields, found {len(fields)}: [{text}]")
    read = (_read_field(field, *of) for field, of in zip(fields, _FIELDS, strict=True))
    # With seconds, cronsim goes by the clock alone and not by Debian's rules for clock changes.
    expression = " ".join(("0", *read))
    return Schedule(expression, place)


def _read_zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # not found, not a name, not a file
        raise ValueError(f"unknown time zone {name}") from error


def _read_duration(text: str) -> float:
    """Seconds of a duration as Go writes it; whole ones, and at least one."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"failed to parse duration {text!r}")
    return max(1.0, float(int(sum(float(number) * _UNITS[unit] for number, unit in parts))))


def _read_field(text: str, name: str, low: int, high: int) -> str:
    """One field in numbers, `*` only where Kubernetes sees a star."""
    terms = [_read_term(term, name, low, high) for term in text.split(",") if term]
    if not terms:
        raise ValueError(f"empty {name} field")
    return "*" if "*" in terms else ",".join(terms)


def _read_term(text: str, name: str, low: int, high: int) -> str:
    match = _TERM.fullmatch(text)
    if match is None or (match[1] in ("*", "?") and match[2]):
        raise ValueError(f"failed to parse {text!r} in the {name} field")
    step = int(match[3] or 1)
    if match[1] in ("*", "?"):
        first, last = low, high
    else:
        first = _read_number(match[1], name)
        last = _read_number(match[2], name) if match[2] else high if match[3] else first
    if not low <= first <= last <= high:
        raise ValueError(f"{text!r} is not within {low} to {high} in the {name} field")
    if step < 1:
        raise ValueError(f"a step of 0 in the {name} field: {text!r}")
    if match[1] in ("*", "?") and step == 1:
        return "*"
    return ",".join(map(str, range(first, last + 1, step)))


def _read_number(text: str, name: str) -> int:
    known = _NAMES.get(name, {}).get(text.upper())
    if known is not None:
        return known
    if not text.isdecimal():
        raise ValueError(f"failed to parse {text!r} in the {name} field")
    return int(text)
