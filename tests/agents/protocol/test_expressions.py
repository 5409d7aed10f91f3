"""Pointers and jq paths: what they name, and that none of them can loop."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.protocol.expressions import check_jq, jq_paths, pointer_tokens

DOCUMENT = {
    "metadata": {"annotations": {"a/b": "1"}},
    "spec": {"parts": [{"name": "x", "v": 1}, {"name": "y", "v": 2}]},
}


def test_a_pointer_is_split_and_unescaped() -> None:
    assert pointer_tokens("/a~1b/m~0n/0") == ("a/b", "m~n", "0")
    assert pointer_tokens("/a~01") == ("a~1",)
    assert pointer_tokens("") == ()
    assert pointer_tokens("/") == ("",)


@pytest.mark.parametrize("pointer", ["a", "/~2", "/~", "#/a"])
def test_what_is_no_pointer_is_refused(pointer: str) -> None:
    with pytest.raises(ValueError, match=r"does not begin|has a ~"):
        pointer_tokens(pointer)


@pytest.mark.parametrize(
    ("expression", "places"),
    [
        (".spec.parts[1].v", [("spec", "parts", 1, "v")]),
        (".spec.parts[-1].v", [("spec", "parts", -1, "v")]),
        ('.spec.parts[] | select(.name == "x")', [("spec", "parts", 0)]),
        ('.spec.parts[]?|select(.name|startswith("y")).v', [("spec", "parts", 1, "v")]),
        ('.metadata.annotations["a/b"]', [("metadata", "annotations", "a/b")]),
        (".spec.nothing[].at.all", []),
        (".spec.parts, .metadata", [("spec", "parts"), ("metadata",)]),
        (".. | .v?", None),
    ],
)
def test_jq_names_places(expression: str, places: list[tuple[str | int, ...]] | None) -> None:
    check_jq(expression)
    found = jq_paths(expression, DOCUMENT)
    assert found == places if places is not None else ("spec", "parts", 0, "v") in found


@pytest.mark.parametrize(
    "expression",
    [
        "def f: f; f",
        "[limit(3; repeat(1))]",
        "range(1e9)",
        '"x" * 100000000',
        '.a | select(.b | test("(a+)+$"))',
        ".a as $x | $x",
        "$ENV.PATH",
        "env",
        "input",
        "..|..",
        "(.,.)|" * 60 + ".",
        ".a) | (.b",
        ".a | length",
        ".a[",
        "",
        " ",
        '.a | "\\(1)"',
        "reduce .a as $x (0; .)",
        ".a # comment",
        "." + "a" * 600,
        "@sh",
        "select",
        'include "x"; .a',
    ],
)
def test_what_could_loop_leak_or_is_no_path_is_refused_and_names_nothing(expression: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        check_jq(expression)
    assert jq_paths(expression, DOCUMENT) == []


@settings(max_examples=300, deadline=None)
@given(st.text('.[]()|,:?;"=<>!/ab01selctandry-_', max_size=80))
def test_an_answer_comes_at_once_whatever_the_text(expression: str) -> None:
    start = time.process_time()
    with suppress(ValueError):
        check_jq(expression)
    jq_paths(expression, DOCUMENT)
    assert time.process_time() - start < 1
