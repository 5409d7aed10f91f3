"""Later and later, within bounds, the same for the same dice."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from agents.backoff import delay_seconds
from agents.settings import Settings

PLAIN = replace(Settings(), backoff_jitter=0.0)


def test_delays_double_up_to_the_limit() -> None:
    delays = [delay_seconds(count, PLAIN, Random(0)) for count in range(1, 10)]
    assert delays == [1, 2, 4, 8, 16, 32, 64, 120, 120]


def test_thousands_of_failures_do_no_harm() -> None:
    assert delay_seconds(100_000, PLAIN, Random(0)) == 120


def test_jitter_spreads_within_its_part() -> None:
    drawn = [delay_seconds(4, Settings(), Random(seed)) for seed in range(100)]
    assert all(6.4 <= delay <= 9.6 for delay in drawn)
    assert len(set(drawn)) > 50


def test_equal_dice_give_equal_delays() -> None:
    assert delay_seconds(3, Settings(), Random(7)) == delay_seconds(3, Settings(), Random(7))
