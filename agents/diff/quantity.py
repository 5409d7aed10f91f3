"""Kubernetes quantities as exact numbers: `1000m` = `1`, `1Gi` = `1073741824`, `0.5` = `500m`."""

from __future__ import annotations

import re
from fractions import Fraction

_SHAPE = re.compile(
    r"([+-]?[0-9]+(?:\.[0-9]*)?|[+-]?\.[0-9]+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?[0-9]{1,3})?\Z"
)
_DECIMAL = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
    "k": Fraction(10**3),
    "M": Fraction(10**6),
    "G": Fraction(10**9),
    "T": Fraction(10**12),
    "P": Fraction(10**15),
    "E": Fraction(10**18),
}
_BINARY = {name: Fraction(1024**power) for power, name in enumerate(("Ki", "Mi", "Gi"), 1)} | {
    name: Fraction(1024**power) for power, name in enumerate(("Ti", "Pi", "Ei"), 4)
}


def parse_quantity(value: object) -> Fraction | None:
    """The exact number, or `None` for what is no quantity."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    match = _SHAPE.match(str(value))
    if match is None:
        return None
    digits, suffix = match.groups()
    return Fraction(digits) * _factor(suffix or "")


def _factor(suffix: str) -> Fraction:
    if not suffix:
        return Fraction(1)
    known = _DECIMAL.get(suffix) or _BINARY.get(suffix)
    return known if known is not None else Fraction(10) ** int(suffix[1:])


def equal_quantities(one: object, other: object) -> bool:
    """Are both quantities of the same amount?"""
    left = parse_quantity(one)
    return left is not None and left == parse_quantity(other)
