"""Label selectors as kubectl reads them."""

from __future__ import annotations

import pytest

from fleet.api.selectors import read_selector
from fleet.errors import RequestError

LABELS = {"env": "production", "region": "eu", "example.com/tier": "web"}


@pytest.mark.parametrize(
    ("text", "matches"),
    [
        ("", True),
        ("env=production", True),
        ("env==production", True),
        ("env=staging", False),
        ("env!=staging,region=eu", True),
        ("env!=production", False),
        ("missing!=x", True),
        ("env in (staging, production)", True),
        ("env in (staging)", False),
        ("env notin (staging),region", True),
        ("!missing", True),
        ("! env", False),
        ("example.com/tier=web", True),
        ("empty=", False),
    ],
)
def test_selectors_match_as_in_kubectl(text: str, matches: bool) -> None:
    assert read_selector(text).matches(LABELS) is matches


@pytest.mark.parametrize(
    "text", ["=", "a=b=c", "env in production", "a b", "a=(", ",", "a=b,,c=d", "env in (a", "é=1"]
)
def test_what_is_no_selector_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(RequestError) as refused:
        read_selector(text)
    assert refused.value.code == "bad-selector"
    assert "env=production" in refused.value.fix
