"""Variables: declared names only, values as text, nothing looked at twice."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.protocol import substitute


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("${region}", "eu"),
        ("a-${region}-b-${region}", "a-eu-b-eu"),
        ("${region:=us}", "eu"),
        ("${empty:=fallback}", "fallback"),
        ("${empty}", ""),
        ("${HOME}", "${HOME}"),
        ("${HOME:=x}", "${HOME:=x}"),
        ("${HOME:-x}", "${HOME:-x}"),
        ("$${region}", "${region}"),
        ("$${HOME}", "$${HOME}"),
        ("$region", "$region"),
        ("${1x}", "${1x}"),
        ("${region", "${region"),
        ("${tricky}", "${region}"),
        ("${x:=${region}}", "${x:=eu}"),
    ],
)
def test_text(text: str, result: str) -> None:
    variables = {"region": "eu", "empty": "", "tricky": "${region}"}
    assert substitute(text, variables) == result


def test_keys_and_other_values_are_never_touched() -> None:
    value = {"${a}": ["${a}", 1, True, None, {"b": "${a}"}]}
    assert substitute(value, {"a": "x"}) == {"${a}": ["x", 1, True, None, {"b": "x"}]}


def test_without_variables_the_value_itself_comes_back() -> None:
    value = {"a": "${a}"}
    assert substitute(value, {}) is value


def test_the_original_is_not_changed() -> None:
    value = {"a": ["${a}"]}
    substitute(value, {"a": "x"})
    assert value == {"a": ["${a}"]}


@given(value=st.text())
def test_no_value_can_change_the_structure(value: str) -> None:
    assert substitute({"a": "${v}", "b": 1}, {"v": value}) == {"a": value, "b": 1}
