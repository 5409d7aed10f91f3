"""Counts and percentages are read strictly and rounded by one table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.rollout import numbers
from fleet.rollout.numbers import Amount, amount_of, read_amount


@pytest.mark.parametrize(
    "bad",
    ["0%", "101%", "15", "", "%", "-5%", "1e1%", "5 %", "٣%", "1.%", -1, 0, 1.5, None, True, []],
)
def test_what_only_looks_like_an_amount_is_refused_in_words(bad: object) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_amount(bad)


def test_text_without_a_percent_sign_is_no_number_and_the_cure_is_named() -> None:
    with pytest.raises(ValueError, match="without quotes"):
        read_amount("15")


def test_zero_is_an_amount_only_where_it_means_none() -> None:
    assert read_amount(0, zero=True).is_zero
    assert read_amount("0%", zero=True).is_zero


@pytest.mark.parametrize(
    ("said", "total", "parallelism", "budget", "healthy"),
    [
        (3, 10, 3, 3, 3),
        (30, 10, 10, 10, 30),
        ("25%", 10, 2, 2, 3),
        ("1%", 10, 1, 0, 1),
        ("100%", 7, 7, 7, 7),
        ("33.4%", 3, 1, 1, 2),
        ("25%", 0, 1, 0, 1),
    ],
)
def test_every_field_rounds_as_the_table_says(
    said: int | str, total: int, parallelism: int, budget: int, healthy: int
) -> None:
    amount = read_amount(said)
    assert numbers.parallelism(amount, total) == max(1, min(parallelism, max(total, 1)))
    assert numbers.failure_budget(amount, total) == budget
    assert numbers.min_healthy(amount, total) == healthy


@given(st.one_of(st.integers(1, 10**6), st.decimals(0, 100, places=4).map(lambda d: f"{d}%")))
def test_an_amount_prints_as_something_that_reads_as_itself(said: int | str) -> None:
    amount = read_amount(said, zero=True)
    assert amount_of(str(amount)) == amount


@given(st.integers(0, 100), st.integers(1, 5000))
def test_no_percentage_is_ever_more_than_the_group(percent: int, total: int) -> None:
    amount = read_amount(f"{percent}%", zero=True)
    assert 0 <= amount.down(total) <= amount.up(total) <= total
    assert amount.up(total) - amount.down(total) <= 1


def test_an_amount_is_a_value() -> None:
    assert read_amount("25%") == read_amount("25.0%")
    assert Amount(2) != read_amount("2%")


def test_a_cap_in_percent_is_rounded_down_and_at_least_one_only_if_that_is_said() -> None:
    tenth = read_amount("10%")
    assert [numbers.cap(tenth, n, at_least_one=False) for n in (9, 10, 19, 20)] == [0, 1, 1, 2]
    assert [numbers.cap(tenth, n, at_least_one=True) for n in (9, 10, 20)] == [1, 1, 2]
    assert numbers.cap(read_amount(7), 3, at_least_one=False) == 3


def test_removals_without_asking_are_rounded_up_and_may_be_none() -> None:
    assert [numbers.removals(read_amount("5%"), n) for n in (1, 20, 21)] == [1, 1, 2]
    assert numbers.removals(read_amount(0, zero=True), 100) == 0
    assert numbers.removals(read_amount(7), 3) == 3
