"""Quantities are exact numbers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from agents.diff import equal_quantities, parse_quantity


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1000m", "1"),
        ("1", 1),
        ("0.5", "500m"),
        (".5", "0.5"),
        ("1Gi", "1073741824"),
        ("1Ei", str(1024**6)),
        ("1k", "1e3"),
        ("1E3", "1000"),
        ("100u", "0.0001"),
        ("-1", "-1000m"),
    ],
)
def test_the_same_amount_in_two_spellings_is_equal(one: object, other: object) -> None:
    assert equal_quantities(one, other)


@pytest.mark.parametrize(("one", "other"), [("1G", "1Gi"), ("1m", "1"), ("1", "2"), ("a", "a")])
def test_different_amounts_and_texts_are_not_equal(one: object, other: object) -> None:
    assert not equal_quantities(one, other)


@pytest.mark.parametrize("value", ["", "1x", "m", "1e", "1 Gi", True, None, [], "1e9999"])
def test_what_is_no_quantity_is_none(value: object) -> None:
    assert parse_quantity(value) is None


def test_nothing_is_rounded() -> None:
    assert parse_quantity("0.1") == Fraction(1, 10)
