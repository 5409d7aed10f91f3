"""Later and later, within bounds, the same for the same dice."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from agents.backoff import delay_seconds
from agents.protocol import Retry
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


def test_a_bundle_chooses_its_own_delays_and_keeps_the_jitter() -> None:
    own = Retry(duration_seconds=5, factor=3, max_duration_seconds=60)
    assert [delay_seconds(n, PLAIN, Random(0), own) for n in range(1, 5)] == [5, 15, 45, 60]
    drawn = {delay_seconds(2, Settings(), Random(seed), own) for seed in range(50)}
    assert all(12 <= delay <= 18 for delay in drawn)
    assert len(drawn) > 20


def test_what_a_bundle_does_not_say_of_its_delays_is_the_agents_to_choose() -> None:
    assert delay_seconds(3, PLAIN, Random(0), Retry(factor=10)) == 100
    assert delay_seconds(9, PLAIN, Random(0), Retry(max_duration_seconds=7)) == 7
    late = Retry(duration_seconds=600)
    assert [delay_seconds(n, PLAIN, Random(0), late) for n in (1, 2)] == [600, 600]
