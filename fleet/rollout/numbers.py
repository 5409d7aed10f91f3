"""The numbers of a rollout: counts and percentages, read strictly and rounded once.

::

    field                  percentage rounds   0           larger than the group
    parallelism, ramp      down, at least 1    refused     the group
    failureBudget          down, may be 0      none        the group
    minHealthy             up                  refused     refused at plan
    maxUnavailable, …Exposed  down; 0 is 1 with atLeastOne, else refused at plan    the group
    maxRemovalPerRun       up                  every asks  the group

Refuses what looks like a number and is not one (`101%`, `"15"`), with the reason in words; as
`fleet.durations` does for times. Errors: `ValueError`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor
from typing import Any

from pydantic_core import CoreSchema, core_schema

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
