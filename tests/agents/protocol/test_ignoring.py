"""Which objects a rule is about, and which patterns are let in."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocol import IgnoreRule, Options, deployment_digest
from agents.protocol.ignoring import check_pattern
from clusters.objects import ObjectKey

WEB = ObjectKey("apps", "Deployment", "shop", "web")
names = st.text("abc-.", max_size=253)


def test_a_rule_that_names_nothing_is_about_everything() -> None:
    assert IgnoreRule(pointers=("/a",)).is_about(WEB)


def test_patterns_are_for_the_whole_name() -> None:
    assert IgnoreRule(name="w.b").is_about(WEB)
    assert not IgnoreRule(name="w").is_about(WEB)


def test_the_core_group_is_not_any_group() -> None:
    assert not IgnoreRule(group="").is_about(WEB)
    assert IgnoreRule(group="").is_about(ObjectKey("", "Service", "shop", "web"))


@pytest.mark.parametrize(
    "pattern", ["(a+)+b", "(a|aa)*b", r"(a)\1", "(?=a)", "a*b*c*d*e", "[", "a" * 254]
)
def test_patterns_that_could_take_for_ever_are_refused_and_match_nothing(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"repeats|longer|regular"):
        check_pattern(pattern)
    assert not IgnoreRule(name=pattern).is_about(ObjectKey("", "A", "", "aab"))


@given(st.text("ab.*+?|()[]{}^$\\1", max_size=30), names)
def test_no_pattern_keeps_anybody_busy(pattern: str, name: str) -> None:
    start = time.process_time()
    IgnoreRule(name=pattern).is_about(ObjectKey("", "A", "", name * 3))
    assert time.process_time() - start < 2


def test_a_rule_is_part_of_the_digest_and_none_is_not() -> None:
    plain = deployment_digest("sha256:a", {}, Options())
    ruled = deployment_digest("sha256:a", {}, Options(ignore=(IgnoreRule(pointers=("/a",)),)))
    assert plain != ruled
    assert plain == deployment_digest("sha256:a", {}, Options(ignore=()))
