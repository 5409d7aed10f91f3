"""The numbers of a rollout: durations, counts and percentages, read strictly and rounded once.

::

    field                  percentage rounds   0           larger than the group
    parallelism, ramp      down, at least 1    refused     the group
    failureBudget          down, may be 0      none        the group
    minHealthy             up                  refused     refused at plan
    maxUnavailable, …Exposed  down; 0 is 1 with atLeastOne, else refused at plan    the group
    maxRemovalPerRun       up                  every asks  the group

Refuses what looks like a number and is not one (`1.s`, `-5m`, `0s`, `1e9h`, `101%`, `"15"`), with
the reason in words. It never guesses a unit. Errors: `ValueError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from pydantic_core import CoreSchema, core_schema

LONGEST_SECONDS = 366 * 86400.0
"""Longer durations are mistakes, and would overflow a date."""

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", re.ASCII)
_WHOLE = re.compile(rf"(?:{_PART.pattern})+", re.ASCII)
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%", re.ASCII)


@dataclass(frozen=True, slots=True)
class Amount:
    """A count of clusters, or a percentage of a group; prints as it was written."""

    count: int = 0
    percent: Fraction | None = None

    def __str__(self) -> str:
        if self.percent is None:
            return str(self.count)
        text = Decimal(self.percent.numerator) / Decimal(self.percent.denominator)
        return f"{text.normalize():f}%"

    @property
    def is_zero(self) -> bool:
        """Is it 0 or 0%?"""
        return not (self.count if self.percent is None else self.percent)

    def down(self, total: int) -> int:
        """Clusters of `total`, fractions dropped, never more than all."""
        share = self.count if self.percent is None else floor(self.percent * total / 100)
        return min(share, total)

    def up(self, total: int) -> int:
        """Clusters of `total`, fractions counted as one; a count may be more than all."""
        return self.count if self.percent is None else ceil(self.percent * total / 100)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> CoreSchema:
        """Stored as the text that it prints as."""
        return core_schema.no_info_plain_validator_function(
            lambda value: value if isinstance(value, cls) else amount_of(value),
            serialization=core_schema.to_string_ser_schema(),
        )


ONE = Amount(1)
NONE = Amount(0)
TWO = Amount(2)


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


def read_amount(value: object, *, zero: bool = False) -> Amount:
    """A count (`3`) or a percentage (`25%`); 0 only where `zero`. Errors: `ValueError`."""
    amount = _read_count(value) if isinstance(value, int) else _read_percent(value)
    if amount.is_zero and not zero:
        raise ValueError(f"{value!r} is not allowed here: 0 would never move; use pause instead")
    return amount


def amount_of(text: str) -> Amount:
    """The amount that `str` made this text of."""
    return Amount(count=int(text)) if text.isdecimal() else _read_percent(text)


def _read_count(value: int) -> Amount:
    if isinstance(value, bool) or value < 0:
        raise ValueError(f"{value!r} is no number of clusters")
    return Amount(count=value)


def _read_percent(value: object) -> Amount:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is neither a whole number nor a percentage")
    if value.isdecimal():
        raise ValueError(f'"{value[:20]}" is text: write it without quotes, or with a % sign')
    match = _PERCENT.fullmatch(value)
    if match is None:
        raise ValueError(f"{value[:64]!r} is neither a whole number nor a percentage like 25%")
    percent = Fraction(match.group(1))
    if percent > 100:
        raise ValueError(f"{value} is more than all clusters: 100% is the most")
    return Amount(percent=percent)


def parallelism(amount: Amount, members: int) -> int:
    """How many may move at once: rounded down, at least 1, at most the group."""
    return max(1, amount.down(members))


def failure_budget(amount: Amount, denominator: int) -> int:
    """How many may fail: rounded down, may be 0, at most the group."""
    return amount.down(denominator)


def cap(amount: Amount, total: int, *, at_least_one: bool) -> int:
    """How many may be unavailable or exposed: rounded down; 0 only if not `at_least_one`."""
    found = amount.down(total)
    return 1 if found == 0 and at_least_one else found


def removals(amount: Amount, total: int) -> int:
    """How many may be removed without asking: rounded up, may be 0, at most the group."""
    return min(amount.up(total), total)


def min_healthy(amount: Amount, denominator: int) -> int:
    """How many must be Healthy: rounded up, at least 1; not clamped."""
    return max(1, amount.up(denominator))
