"""Ranges of versions over tags."""

from __future__ import annotations

import pytest

from fleet.versions import highest, range_of

TAGS = (
    "v1.9.0",
    "v2.0.0",
    "v2.10.0",
    "v2.9.3",
    "v3.0.0-rc.1",
    "v3.0.0",
    "latest",
    "v2",
    "nightly-2",
)


@pytest.mark.parametrize(
    ("said", "tag"),
    [
        (">=2 <3", "v2.10.0"),
        (">=2, <2.10", "v2.9.3"),
        (">= 2 , < 3", "v2.10.0"),
        ("<2", "v1.9.0"),
        ("2.9.3", "v2.9.3"),
        ("=v2.0.0", "v2.0.0"),
        (">=2 !=3.0.0", "v2.10.0"),
        (">=1", "v3.0.0"),
        (">=3.0.0-rc.1", "v3.0.0"),
        (">=4", None),
    ],
)
def test_the_highest_version_of_the_range_is_chosen(said: str, tag: str | None) -> None:
    assert highest(TAGS, said) == tag


def test_a_pre_release_is_chosen_only_if_the_range_names_one() -> None:
    assert highest(("v2.0.0", "v2.1.0-rc.1"), ">=2") == "v2.0.0"
    assert highest(("v2.1.0-rc.1",), ">=2") is None
    assert highest(("v2.0.0", "v2.1.0-rc.1"), ">=2.1.0-rc.1") == "v2.1.0-rc.1"


def test_of_two_tags_of_one_version_always_the_same_is_chosen() -> None:
    assert highest(("2.0.0", "v2.0.0"), ">=2") == highest(("v2.0.0", "2.0.0"), ">=2") == "v2.0.0"


def test_what_semver_allows_and_nobody_can_order_is_passed_over() -> None:
    assert highest(("v2.0.0-x.y.z", "v2.0.0-alpha.1", "v1.0.0"), ">=1") == "v1.0.0"


@pytest.mark.parametrize(
    "said", ["", " ", "two", ">=2 ||<3", "^2", ">=2 <", "1.2.3.4", "<3<", ">=2;"]
)
def test_what_is_no_range_is_refused_with_an_example(said: str) -> None:
    with pytest.raises(ValueError, match=">=2 <3"):
        range_of(said)
