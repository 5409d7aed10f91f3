"""Windows by the wall clock: tables of clock changes in several zones, and promise I20.

Mutations that must fail here: `instant` takes `fold=1`; the `while not _exists` loop is left out;
`_went_back` answers nothing; `_span` adds the duration to the instant; `found <= at` is forgotten;
deny is judged before allow is cut (`until = max(until, first)`).
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.rollout.gate_kinds import ClosedDays, OpenHours, Window
from fleet.rollout.opening_hours import MINUTE, instant, is_cron, next_open, open_until
from tests.fleet.rollout.wall_clock import by_the_minute

HOUR = timedelta(hours=1)
CHANGES = {
    "Europe/Berlin forward": ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    "Europe/Berlin back": ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "America/New_York forward": ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    "America/New_York back": ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    "Australia/Lord_Howe forward": (
        "Australia/Lord_Howe",
        datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    ),
    "Australia/Lord_Howe back": ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    "Africa/Casablanca back": ("Africa/Casablanca", datetime(2026, 2, 15, 2, tzinfo=UTC)),
    "Africa/Casablanca forward": ("Africa/Casablanca", datetime(2026, 3, 22, 2, tzinfo=UTC)),
    "Antarctica/Troll back": ("Antarctica/Troll", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    "Etc/UTC never": ("Etc/UTC", datetime(2026, 3, 29, 1, tzinfo=UTC)),
}


def local(zone: str, text: str, fold: int = 0) -> datetime:
    shown = datetime.fromisoformat(text)
    return shown.replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def spans(zone: str, cron: str, hours: float, around: datetime) -> list[tuple[str, str]]:
    """Every span of three days as (opens, closes), in local time with its offset."""
    found, at = [], around - timedelta(days=1.5)
    window, where = Window(allow=(OpenHours(cron, hours * 3600),)), ZoneInfo(zone)
    while (opens := next_open(window, where, at, MINUTE)) and opens < around + timedelta(days=1.5):
        at = open_until(window, where, opens, timedelta(days=2))
        found.append(
            (f"{opens.astimezone(where):%d %H:%M %z}", f"{at.astimezone(where):%d %H:%M %z}")
        )
    return found


@pytest.mark.parametrize("change", CHANGES)
def test_the_changes_of_the_table_are_changes(change: str) -> None:
    name, at = CHANGES[change]
    zone = ZoneInfo(name)
    before, after = (at - MINUTE).astimezone(zone).utcoffset(), at.astimezone(zone).utcoffset()
    assert before is not None
    assert after is not None
    way = "forward" if after > before else "back" if after < before else "never"
    assert change.endswith(way)


@pytest.mark.parametrize(
    ("change", "cron", "hours", "expected"),
    [
        # The hour that is missing: the start comes at the next valid minute, for its whole length.
        ("Europe/Berlin forward", "30 2 29 * *", 1, [("29 03:00 +0200", "29 04:00 +0200")]),
        ("America/New_York forward", "0 2 8 * *", 1, [("08 03:00 -0400", "08 04:00 -0400")]),
        ("Australia/Lord_Howe forward", "15 2 4 * *", 0.5, [("04 02:30 +1100", "04 03:00 +1100")]),
        ("Africa/Casablanca forward", "10 2 22 * *", 1, [("22 03:00 +0100", "22 04:00 +0100")]),
        # An end that is missing: the window closes when the clocks jump over it.
        ("Europe/Berlin forward", "30 1 29 * *", 1, [("29 01:30 +0100", "29 03:00 +0200")]),
        # The hour that is there twice: it opens at the first, and once.
        ("Europe/Berlin back", "30 2 25 * *", 0.25, [("25 02:30 +0200", "25 02:45 +0200")]),
        ("America/New_York back", "0 1 1 * *", 0.5, [("01 01:00 -0400", "01 01:30 -0400")]),
        ("Australia/Lord_Howe back", "35 1 5 * *", 0.25, [("05 01:35 +1100", "05 01:50 +1100")]),
        ("Africa/Casablanca back", "0 2 15 * *", 0.5, [("15 02:00 +0100", "15 02:30 +0100")]),
        # Over the change: it closes when the wall clock first shows the end.
        ("Europe/Berlin back", "45 2 25 * *", 0.5, [("25 02:45 +0200", "25 03:15 +0100")]),
        ("Europe/Berlin back", "0 0 25 * *", 7, [("25 00:00 +0200", "25 07:00 +0100")]),
        ("Europe/Berlin forward", "0 0 29 * *", 7, [("29 00:00 +0100", "29 07:00 +0200")]),
        # Nothing changes at that hour.
        ("Etc/UTC never", "30 2 29 * *", 1, [("29 02:30 +0000", "29 03:30 +0000")]),
    ],
)
def test_clock_changes(
    change: str, cron: str, hours: float, expected: list[tuple[str, str]]
) -> None:
    zone, around = CHANGES[change]
    assert spans(zone, cron, hours, around) == expected


def test_a_day_that_a_zone_skipped_opens_at_the_next_one() -> None:
    # Samoa had no 30 December 2011.
    found = instant(datetime.fromisoformat("2011-12-30T09:00"), ZoneInfo("Pacific/Apia"))
    assert found == local("Pacific/Apia", "2011-12-31T00:00")


def test_spans_that_touch_are_one_and_nobody_looks_further_than_asked() -> None:
    halves = Window(allow=(OpenHours("0 9 * * *", 3600), OpenHours("0 10 * * *", 3600)))
    nine = datetime(2026, 6, 1, 9, tzinfo=UTC)
    utc = ZoneInfo("UTC")
    assert open_until(halves, utc, nine, 10 * HOUR) == nine + 2 * HOUR
    assert open_until(halves, utc, nine, HOUR / 2) == nine + HOUR / 2
    always = Window(allow=(OpenHours("* * * * *", 60),))
    assert open_until(always, utc, nine, 3 * HOUR) == nine + 3 * HOUR


def test_deny_beats_allow_for_whole_days_of_the_zone() -> None:
    zone = ZoneInfo("America/New_York")
    year_end = ClosedDays("year-end", date(2026, 12, 24), date(2027, 1, 3))
    for window in (Window(deny=(year_end,)), Window((OpenHours("0 * * * *", 3600),), (year_end,))):
        eve = local("America/New_York", "2026-12-23T22:00")
        assert open_until(window, zone, eve, 9 * HOUR) == local(
            "America/New_York", "2026-12-24T00:00"
        )
        inside = local("America/New_York", "2026-12-31T12:00")
        assert open_until(window, zone, inside, HOUR) == inside
        first = local("America/New_York", "2027-01-04T00:00")
        assert next_open(window, zone, inside, MINUTE) == first
        assert next_open(window, zone, eve, 3 * HOUR) == first


def test_a_window_is_not_used_for_its_last_minutes() -> None:
    window, utc = Window(allow=(OpenHours("0 9 * * MON-THU", 7 * 3600),)), ZoneInfo("UTC")
    thursday = datetime(2026, 6, 4, 15, 45, tzinfo=UTC)
    assert next_open(window, utc, thursday, timedelta(minutes=15)) == thursday
    monday = datetime(2026, 6, 8, 9, tzinfo=UTC)
    assert next_open(window, utc, thursday, timedelta(minutes=16)) == monday
    assert next_open(window, utc, thursday, timedelta(hours=8)) is None


@pytest.mark.parametrize("text", ["0 9 * * MON-THU", "*/5 1,3 1-7 * *", "0 0 L * *"])
def test_expressions_that_come(text: str) -> None:
    assert is_cron(text)


@pytest.mark.parametrize(
    "text", ["61 * * * *", "0 25 * * *", "0 0 30 2 *", "? * * * *", "0 0 0 * *"]
)
def test_expressions_that_never_come(text: str) -> None:
    assert not is_cron(text)


def test_years_at_the_end_of_time_do_not_overflow() -> None:
    window = Window(deny=(ClosedDays("for ever", date(1, 1, 1), date(9999, 12, 31)),))
    now = datetime(2026, 6, 4, tzinfo=UTC)
    for zone in ("Pacific/Kiritimati", "Pacific/Niue"):
        assert open_until(window, ZoneInfo(zone), now, HOUR) == now


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(CHANGES)),
    st.integers(0, 4),
    st.integers(0, 59),
    st.integers(1, 26 * 60),
    st.booleans(),
)
def test_i20_it_is_open_exactly_when_the_wall_clock_says_so(
    change: str, hour: int, minute: int, minutes: int, denies: bool
) -> None:
    name, around = CHANGES[change]
    zone, length = ZoneInfo(name), timedelta(minutes=minutes)
    day = around.astimezone(zone).date()
    window = Window(
        allow=(OpenHours(f"{minute} {hour} * * *", length.total_seconds()),),
        deny=(ClosedDays("the day of the change", day, day),) if denies else (),
    )
    start, count = around - timedelta(days=3), 5 * 1440
    found = [
        on and not (denies and at.astimezone(zone).date() == day)
        for at, on in by_the_minute(zone, (hour,), minute, length, start, count)
    ]
    opens_at, closes_at = _next(found, True), _next(found, False)
    edges = {n + by for n in range(1, count) if found[n] is not found[n - 1] for by in (-2, -1, 0)}
    looks = edges.union(range(0, count, 53)).intersection(range(2 * 1440, 4 * 1440))
    for place in sorted(looks):
        at = start + place * MINUTE
        until = open_until(window, zone, at, 2 * HOUR)
        assert (until > at) == found[place], at.astimezone(zone)
        if found[place]:
            assert until == min(start + closes_at[place] * MINUTE, at + 2 * HOUR)
        else:
            opens = next_open(window, zone, at, MINUTE)
            assert opens is not None
            assert min(opens, start + count * MINUTE) == start + opens_at[place] * MINUTE


def _next(found: list[bool], wanted: bool) -> list[int]:
    """For each minute the first one from it on that is (not) open, else the end."""
    after, places = len(found), []
    for place in range(len(found) - 1, -1, -1):
        after = place if found[place] is wanted else after
        places.append(after)
    return places[::-1]
