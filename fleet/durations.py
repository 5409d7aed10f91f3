"""Durations as people write them: `90s`, `30m`, `1h30m`, `7d`. Read strictly.

Refuses what looks like a duration and is not one (`1.s`, `-5m`, `0s`, `1e9h`, `15`), with the
reason in words. It never guesses a unit.
"""

from __future__ import annotations

import re

LONGEST_SECONDS = 366 * 86400.0
"""Longer durations are mistakes, and would overflow a date."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)


def read_duration(value: object, longest: float = LONGEST_SECONDS) -> float:
    """Seconds of a text such as `90s`, `1h30m` or `7d`; more than 0. Errors: `ValueError`."""
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no duration: write a number with a unit, for example 30m")
    if len(value) > 64 or not _WHOLE.fullmatch(value):
        raise ValueError(f"{value[:64]!r} is no duration: write it like 90s, 30m, 1h30m or 7d")
    seconds = sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(value))
    if seconds <= 0:
        raise ValueError(f"{value!r} is no time at all: leave the field out, or give it a length")
    if seconds > longest:
        most = "a year" if longest == LONGEST_SECONDS else f"{longest / 86400:g} days"
        raise ValueError(f"{value!r} is more than {most}: that cannot be meant")
    return seconds


def say_duration(seconds: float) -> str:
    """The text that `read_duration` reads as so many seconds: `90s` is `1m30s`, 7200 is `2h`."""
    left = round(seconds * 1000)
    parts = []
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts)
