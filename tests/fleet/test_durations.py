"""Durations are read strictly."""

from __future__ import annotations

import pytest

from fleet.durations import read_duration


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
