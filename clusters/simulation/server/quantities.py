"""Quantities as Kubernetes writes them back: `1000m` → `1`, `1024Mi` → `1Gi`, `0.5` → `500m`.

A stored object holds the canonical form, so it differs from what was applied, as on a real
server. Text that is no quantity is returned as it is; `decoding` refuses it before.

A `Quantity` is one to reckon with: quotas and limits add and compare them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from functools import lru_cache

_PATTERN = re.compile(r"^([+-]?(?:\d+\.?\d*|\.\d+))([eE][+-]?\d+|[numkMGTPE]|[KMGTPE]i)?$")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_DECIMAL = {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}


@dataclass(frozen=True, slots=True)
class Quantity:
    """An amount; `binary` says that it is written with Ki, Mi …, as long as it is a whole one."""

    value: Decimal = Decimal(0)
    binary: bool = False

    def plus(self, other: Quantity) -> Quantity:
        """The sum, written like the first of the two that is not zero."""
        like = self if self.value else other
        return Quantity(self.value + other.value, like.binary)

    def minus(self, other: Quantity) -> Quantity:
        """The difference, written as `plus` does."""
        return self.plus(Quantity(-other.value, other.binary))

    def rounded_up(self) -> Quantity:
        """The next whole amount."""
        return Quantity(self.value.to_integral_value(ROUND_CEILING), self.binary)

    def __str__(self) -> str:
        return _binary(self.value) if self.binary else _decimal(self.value)


def is_quantity(text: str) -> bool:
    """Whether a text stands for an amount."""
    return bool(_PATTERN.match(text))


@lru_cache(maxsize=4096)
def read_quantity(text: str) -> Quantity:
    """The amount that a text stands for; zero if it is no quantity."""
    match = _PATTERN.match(text)
    if not match:
        return Quantity()
    number, suffix = Decimal(match[1]), match[2] or ""
    if suffix in _BINARY and suffix:
        return Quantity(number * 1024 ** _BINARY.index(suffix), True)
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return Quantity(number.scaleb(int(suffix[1:])))
    return Quantity(number.scaleb(_DECIMAL[suffix]))


@lru_cache(maxsize=4096)
def canonical_quantity(text: str) -> str:
    """The form in which the server stores a quantity."""
    match = _PATTERN.match(text)
    if not match:
        return text
    suffix = match[2] or ""
    if suffix[:1] in ("e", "E") and len(suffix) > 1:
        return f"{_plain(Decimal(match[1]))}{suffix}"
    return str(read_quantity(text))


def amount_of(text: str) -> Decimal:
    """The number that a quantity stands for: `500m` → 0.5. Errors: `ValueError`."""
    if not _PATTERN.match(text):
        raise ValueError(f"{text!r} is no quantity, such as 500m or 1.5")
    return read_quantity(text).value


def _binary(value: Decimal) -> str:
    if value != value.to_integral_value():
        return _decimal(value)
    whole, power = int(value), 0
    while whole and whole % 1024 == 0 and power < len(_BINARY) - 1:
        whole, power = whole // 1024, power + 1
    return f"{whole}{_BINARY[power]}"


def _decimal(value: Decimal) -> str:
    if value == 0:
        return "0"
    for suffix, exponent in reversed(_DECIMAL.items()):
        scaled = value.scaleb(-exponent)
        if scaled == scaled.to_integral_value():
            return f"{int(scaled)}{suffix}"
    return f"{int(value.scaleb(9).to_integral_value(rounding='ROUND_UP'))}n"


def _plain(number: Decimal) -> str:
    return format(number.normalize(), "f")
