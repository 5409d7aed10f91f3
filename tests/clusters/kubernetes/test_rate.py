"""The bucket: a burst at once, then the rate, in the order of asking."""

from __future__ import annotations

from datetime import timedelta

from clusters.clock import FakeClock
from clusters.kubernetes.rate import Bucket, Rate

NOW = FakeClock().now()


def later(seconds: float) -> timedelta:
    """Seconds after NOW."""
    return timedelta(seconds=seconds)


def test_a_burst_goes_at_once_and_then_each_waits_for_its_token() -> None:
    bucket = Bucket(Rate(per_second=2, burst=3), NOW)
    assert [bucket.take(NOW) for _ in range(6)] == [0, 0, 0, 0.5, 1.0, 1.5]


def test_tokens_come_back_with_time_and_never_more_than_a_burst() -> None:
    bucket = Bucket(Rate(per_second=2, burst=3), NOW)
    for _ in range(3):
        bucket.take(NOW)
    assert bucket.take(NOW + later(0.5)) == 0
    assert bucket.take(NOW + later(0.5)) == 0.5
    late = NOW + later(3600)
    assert [bucket.take(late) for _ in range(4)] == [0, 0, 0, 0.5]


def test_a_clock_that_goes_back_gives_no_tokens() -> None:
    bucket = Bucket(Rate(per_second=1, burst=1), NOW)
    assert bucket.take(NOW) == 0
    assert bucket.take(NOW - later(60)) == 1.0
    assert bucket.take(NOW) == 2.0


def test_without_a_rate_nobody_waits() -> None:
    bucket = Bucket(Rate(), NOW)
    assert {bucket.take(NOW) for _ in range(1000)} == {0.0}
