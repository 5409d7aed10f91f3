"""`${ … }` in values and variables: what it means, what it looks at, what is refused."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.model import merge_values
from fleet.placement.functions import TemplateError
from fleet.placement.template import read_template
from fleet.placement.values import fill_text, fill_values, value_refs

CONTEXT: dict[str, Any] = {
    "ClusterName": "prd-eu-1",
    "ClusterNamespace": "fleet-default",
    "ClusterLabels": {"region": "eu", "size": "3", "with-dash": "d", "yes": "no", "empty": ""},
    "ClusterAnnotations": {"note": "a: b\nc: d"},
    "ClusterValues": {"port": 8080, "on": True, "tags": ["a", "b"], "net": {"cidr": "10.0.0.0/8"}},
}

FILLED: dict[str, Any] = {
    "plain": "plain",
    "${ .ClusterName }": "prd-eu-1",
    "${.ClusterNamespace}": "fleet-default",
    "a-${ .ClusterLabels.region }-${ .ClusterName }-z": "a-eu-prd-eu-1-z",
    "${ .ClusterLabels.region | upper }": "EU",
    "${ .ClusterLabels.region | upper | lower | title }": "Eu",
    "${ .ClusterValues.port }": 8080,
    "${ .ClusterLabels.size }": 3,
    "${ .ClusterLabels.size | quote }": "3",
    "${ .ClusterLabels.size | squote }": "3",
    "${ .ClusterLabels.yes }": False,
    "${ .ClusterLabels.empty }": None,
    "${ .ClusterValues.net.cidr }": "10.0.0.0/8",
    "${ .ClusterValues.tags | toJson }": ["a", "b"],
    "${ .ClusterValues.net | toJson }": {"cidr": "10.0.0.0/8"},
    '${ index .ClusterLabels "with-dash" }': "d",
    '${ index .ClusterLabels "none" | default "x" }': "x",
    '${ get .ClusterLabels "none" }': None,
    '${ .ClusterLabels.empty | default "fallback" }': "fallback",
    '${ replace "prd" "p" .ClusterName }': "p-eu-1",
    '${ .ClusterName | replace "-" "_" | trunc 6 }': "prd_eu",
    '${ ternary "yes!" "no!" (eq .ClusterLabels.region "eu") }': "yes!",
    '${ printf "%s:%d" .ClusterLabels.region .ClusterValues.port }': "eu:8080",
    '${ join "," .ClusterValues.tags }': "a,b",
    "${ `raw \\ text` }": "raw \\ text",
    '${ "}" }': "}",
    "${ hasKey .ClusterLabels `region` }": True,
    "${ add 1 .ClusterLabels.size 10 }": 14,
    "a ${- .ClusterLabels.region -} b": "aeub",
    "x # ${ .ClusterLabels.region }": "x # eu",
    "k: ${ .ClusterLabels.region }": "k: eu",
    "line\n${ .ClusterLabels.size }": "line\n3",
    "${ .ClusterAnnotations.note }": "a: b\nc: d",
    "global.fleet.clusterLabels.region": "eu",
    "global.fleet.clusterLabels.none": "",
    "$(shell) $HOME {{ .Values.x }}": "$(shell) $HOME {{ .Values.x }}",
}


@pytest.mark.parametrize("text", FILLED)
def test_a_template_becomes(text: str) -> None:
    assert fill_values({"k": [text]}, CONTEXT) == {"k": [FILLED[text]]}


REFUSED = {
    "${ .ClusterLabels.none }": "there is no .ClusterLabels.none",
    "${ .ClusterValues.net.none }": "there is no .ClusterValues.net.none",
    "${ .ClusterValues.port.x }": "there is no .ClusterValues.port.x",
    "${ .Values.x }": "there is no .Values",
    "${HOME}": "there is no function 'HOME'",
    "${ env `PATH` }": "there is no function 'env'",
    "${ uuidv4 }": "there is no function 'uuidv4'",
    "${ if .ClusterName }x${ end }": "`if` is not supported",
    "${ }": "a value is missing",
    "${ .ClusterName": "it cannot be read",
    "${ .ClusterName | }": "a value is missing",
    "${ ( .ClusterName }": "`(` without `)`",
    "${ .ClusterName ) }": "`)` without `(`",
    "${ .ClusterName .ClusterName }": "a value in the place of a function",
    '${ "x" | .ClusterName }': "a value in the place of a function",
    "${ quote }": "quote with 0 arguments",
    "${ .ClusterValues.net }": "use toJson",
    "${ .ClusterLabels.region | int }": "no whole number",
    '${ required "say it" .ClusterLabels.empty }': "say it",
    '${ printf "%q" .ClusterName }': "printf knows",
    "${ $x }": "it cannot be read",
    "${ := }": "it cannot be read",
    "${" + "(" * 100 + "1": "nested too deeply",
    "${ .ClusterName }" + "x" * 70_000: "longer than",
    "${ trunc 99999999 .ClusterName }": "too large a number",
    '${ "\\z" }': "no text in quotes",
}


@pytest.mark.parametrize("text", REFUSED)
def test_a_template_that_cannot_be_filled_in_says_why(text: str) -> None:
    with pytest.raises(TemplateError) as caught:
        fill_values({"k": text}, CONTEXT)
    assert REFUSED[text] in str(caught.value)


def test_keys_are_filled_in_and_may_not_meet() -> None:
    key = "${ .ClusterLabels.region }"
    assert fill_values({key: {"x": key}}, CONTEXT) == {"eu": {"x": "eu"}}
    with pytest.raises(TemplateError, match="two keys become the same"):
        fill_values({key: 1, "eu": 2}, CONTEXT)


def test_no_label_breaks_out_of_its_place() -> None:
    evil = {**CONTEXT, "ClusterLabels": {"a": '"\nadmin: true\nx: "', "b": "${ .ClusterName }"}}
    filled = fill_values({"l": "${ .ClusterLabels.a }", "m": "${ .ClusterLabels.b }"}, evil)
    assert filled == {"l": '"\nadmin: true\nx: "', "m": "${ .ClusterName }"}


def test_variables_stay_text() -> None:
    assert fill_text("${ .ClusterLabels.size }", CONTEXT) == "3"


REFS = {
    "${ .ClusterLabels.region }": {("ClusterLabels", "region")},
    "${ .ClusterValues.a.b.c }": {("ClusterValues", "a")},
    "${ .ClusterName }x${ .ClusterNamespace }": {("ClusterName",), ("ClusterNamespace",)},
    '${ index .ClusterLabels "a-b" | default .ClusterName }': {
        ("ClusterLabels", "a-b"),
        ("ClusterName",),
    },
    "${ index .ClusterLabels .ClusterName }": {("ClusterLabels",), ("ClusterName",)},
    "${ toJson .ClusterLabels }": {("ClusterLabels",)},
    "global.fleet.clusterLabels.x": {("ClusterLabels", "x")},
    "${ broken": set(),
    "none": set(),
}


@pytest.mark.parametrize("text", REFS)
def test_it_is_known_what_a_template_looks_at(text: str) -> None:
    assert value_refs({"a": [{"b": text}]}) == REFS[text]
    assert value_refs({text: 1}) == REFS[text]


@given(st.text(max_size=40))
def test_reading_never_fails_but_as_a_template_error(text: str) -> None:
    with suppress(TemplateError):
        read_template("${" + text).fill(CONTEXT)


@given(st.text(alphabet=st.characters(exclude_characters="$"), max_size=20))
def test_what_stands_outside_stays_byte_for_byte(text: str) -> None:
    assert fill_text(text + "${ .ClusterName }" + text, CONTEXT) == f"{text}prd-eu-1{text}"


json = st.recursive(
    st.none() | st.integers(-5, 5) | st.text("ab", max_size=2),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text("xyz", max_size=1), inner),
    max_leaves=8,
)
mappings = st.dictionaries(st.text("xyz", max_size=1), json)


@given(mappings, mappings, mappings)
def test_merging_is_layering(low: Any, middle: Any, high: Any) -> None:
    assert merge_values(low, {}) == low
    assert merge_values({}, low) == low
    once = merge_values(merge_values(low, middle), high)
    assert merge_values(once, high) == once
    assert all(once[k] == v for k, v in high.items() if not isinstance(v, dict))


def test_null_stays_for_helm_to_delete() -> None:
    assert merge_values({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"b": None, "c": 2}}
