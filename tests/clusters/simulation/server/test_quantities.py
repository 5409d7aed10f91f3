"""Quantities are numbers with Kubernetes' suffixes."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.simulation.server.quantities import amount_of, canonical_quantity, read_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [("500m", "0.5"), ("2", "2"), ("1.5Gi", "1610612736"), ("3k", "3000"), ("1e3", "1000")],
)
def test_a_quantity_stands_for_a_number(text: str, amount: str) -> None:
    assert amount_of(text) == Decimal(amount)


@pytest.mark.parametrize("text", ["", "a lot", "1 Gi", "5x"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        amount_of(text)


@given(st.integers(0, 10**6), st.sampled_from(["n", "m", "", "k", "M", "Ki", "Mi", "Gi"]))
def test_the_canonical_form_stands_for_the_same_number(number: int, suffix: str) -> None:
    text = f"{number}{suffix}"
    assert amount_of(canonical_quantity(text)) == amount_of(text)


@pytest.mark.parametrize(
    ("one", "other", "total"),
    [
        ("100m", "900m", "1"),
        ("1Gi", "1Gi", "2Gi"),
        ("1Gi", "500M", "1573741824"),
        ("0", "64Mi", "64Mi"),
        ("1k", "0.5", "1000500m"),
        ("1e3", "1", "1001"),
    ],
)
def test_quantities_add_up_as_kubernetes_writes_them(one: str, other: str, total: str) -> None:
    assert str(read_quantity(one).plus(read_quantity(other))) == total
