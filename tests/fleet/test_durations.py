"""Durations are read strictly."""

from __future__ import annotations

import pytest

from fleet.durations import read_duration, say_duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("1h30m", 5400), ("7d", 604800), ("1.5h", 5400), ("500ms", 0.5)],
)
def test_a_duration_is_a_number_with_a_unit(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


@pytest.mark.parametrize(
    "bad",
    [
        *("1.s", "-5m", "0s", "1e9h", "15", "", " 5m", "5 m", "5m ", ".5h", "5M", "5min", "infs"),
        *("999999h", "9" * 400 + "h", "٣m", "0.0s", 30, 1.5, None, True, ["5m"], {"m": 5}),
    ],
)
def test_what_only_looks_like_a_duration_is_refused_in_words(bad: object) -> None:
    with pytest.raises(ValueError, match=r"duration|no time|year"):
        read_duration(bad)


@pytest.mark.parametrize("text", ["500ms", "90s", "30m", "1h30m", "7d", "1d1h1m1s1ms"])
def test_a_duration_is_said_as_it_is_read(text: str) -> None:
    seconds = read_duration(text)
    assert read_duration(say_duration(seconds)) == seconds
    assert say_duration(seconds) == ("1m30s" if text == "90s" else text)
