"""Cron expressions mean what they mean to Kubernetes, clock changes included."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusters.simulation.schedules import read_schedule

NEW_YEAR = datetime(2030, 1, 1, tzinfo=UTC)  # a Tuesday


def times(text: str, count: int = 3, start: datetime = NEW_YEAR, zone: str = "") -> list[str]:
    """The next moments after `start`, in UTC."""
    schedule, found = read_schedule(text, zone), []
    for _ in range(count):
        start = schedule.next(start) or datetime.max.replace(tzinfo=UTC)
        found.append(f"{start:%m-%d %H:%M:%S}")
    return found


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("*/15 * * * *", ["01-01 00:15:00", "01-01 00:30:00"]),
        ("50/5 * * * *", ["01-01 00:50:00", "01-01 00:55:00"]),
        ("0 9-17/4 * * *", ["01-01 09:00:00", "01-01 13:00:00"]),
        ("0 0 ? JAN,feb mon-FRI", ["01-02 00:00:00", "01-03 00:00:00"]),
        ("@weekly", ["01-06 00:00:00", "01-13 00:00:00"]),
        ("@hourly", ["01-01 01:00:00", "01-01 02:00:00"]),
        ("@every 1h30m", ["01-01 01:30:00", "01-01 03:00:00"]),
        ("@every 10ms", ["01-01 00:00:01", "01-01 00:00:02"]),
        # Both days restricted: either will do.
        ("0 0 13 * 5", ["01-04 00:00:00", "01-11 00:00:00"]),
        # A star with a step restricts, so either will do here too.
        ("0 0 */20 * 5", ["01-04 00:00:00", "01-11 00:00:00"]),
        ("0 0 */1 * 5", ["01-04 00:00:00", "01-11 00:00:00"]),
        ("0 0 1 1 5/1", ["01-04 00:00:00", "01-05 00:00:00"]),
    ],
)
def test_an_expression_is_due_when_kubernetes_says_so(text: str, first: list[str]) -> None:
    assert times(text, 2) == first


@pytest.mark.parametrize(
    "text",
    [
        "",
        "daily",
        "* * * *",
        "0 * * * * *",
        "60 * * * *",
        "0 0 * * 7",
        "0 0 L * *",
        "0 0 * * 5#2",
        "*-5 * * * *",
        "9-5 * * * *",
        "*/0 * * * *",
        ", * * * *",
        "0 0 1 MON *",
        "@reboot",
        "@every soon",
        "@every 1h 30m",
        "TZ=UTC 0 0 * * *",
    ],
)
def test_what_kubernetes_does_not_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        read_schedule(text)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "../etc/passwd", "/etc/localtime"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(ValueError, match="unknown time zone"):
        read_schedule("@daily", zone)


def test_a_day_that_never_comes_is_never_due() -> None:
    schedule = read_schedule("0 0 31 2 *")
    assert schedule.next(NEW_YEAR) is None
    assert schedule.latest(NEW_YEAR, NEW_YEAR + timedelta(days=4000)) is None


def test_a_zone_says_when_nine_o_clock_is() -> None:
    summer = datetime(2030, 7, 1, tzinfo=UTC)
    assert times("0 9 * * *", 1, zone="America/New_York") == ["01-01 14:00:00"]
    assert times("0 9 * * *", 1, summer, zone="America/New_York") == ["07-01 13:00:00"]


def test_a_clock_change_leaves_times_out_and_brings_others_twice() -> None:
    spring = datetime(2030, 3, 10, 5, tzinfo=UTC)  # New York goes from 2 to 3 o'clock at 7 UTC
    assert times("30 2 * * *", 1, spring, "America/New_York") == ["03-11 06:30:00"]
    autumn = datetime(2030, 11, 3, 4, tzinfo=UTC)
    twice = ["11-03 05:30:00", "11-03 06:30:00"]
    assert times("30 1 * * *", 2, autumn, "America/New_York") == twice


@given(
    text=st.sampled_from(
        ["*/7 * * * *", "30 6-16/4 * * 1-5", "0 0 29 2 *", "@every 90s", "5 4 1 * 0"]
    ),
    minutes=st.integers(0, 3_000_000),
    zone=st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kolkata"]),
)
def test_the_latest_time_is_the_last_before_the_next(text: str, minutes: int, zone: str) -> None:
    schedule, now = read_schedule(text, zone), NEW_YEAR + timedelta(minutes=minutes, seconds=7)
    latest = schedule.latest(NEW_YEAR, now)
    assert latest is None or NEW_YEAR < latest <= now
    following = schedule.next(latest or NEW_YEAR)
    assert following is not None
    assert following > now
