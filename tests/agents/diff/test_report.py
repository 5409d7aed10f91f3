"""Differences as a report says them."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.diff import REDACTED, describe, differences, redacted
from agents.diff.report import LIMIT
from clusters.objects import Object
from tests.agents.samples import config_map, deployment, secret, widget


def _managed(live: Object, manager: str, fields: dict[str, object], time: str = "1") -> Object:
    entry = {"manager": manager, "time": time, "fieldsV1": fields, "operation": "Update"}
    live["metadata"].setdefault("managedFields", []).append(entry)
    return live


def test_the_manager_that_owns_the_field_now_is_to_blame() -> None:
    live = deployment(replicas=5)
    _managed(live, "fleet/web", {"f:spec": {"f:template": {}}})
    _managed(live, "kubectl-edit", {"f:spec": {"f:replicas": {}}})
    (found,) = describe(differences(deployment(), live), live, "fleet/web")
    assert found.manager == "kubectl-edit"
    assert (found.wanted, found.live) == ("2", "5")


def test_a_field_in_a_list_is_found_by_its_key() -> None:
    live = deployment(image="bad")
    image: dict[str, object] = {"f:containers": {'k:{"name":"main"}': {"f:image": {}}}}
    _managed(live, "kubectl-set", {"f:spec": {"f:template": {"f:spec": image}}})
    (found,) = describe(differences(deployment(), live), live, "fleet/web")
    assert found.manager == "kubectl-set"


def test_the_latest_of_several_managers_is_named() -> None:
    live = config_map(colour="red")
    _managed(live, "early", {"f:data": {"f:colour": {}}}, "1")
    _managed(live, "late", {"f:data": {"f:colour": {}}}, "2")
    (found,) = describe(differences(config_map(), live), live, "fleet/web")
    assert found.manager == "late"


def test_an_atomic_parent_counts_as_owned() -> None:
    live = config_map(colour="red")
    _managed(live, "whole", {"f:data": {}})
    (found,) = describe(differences(config_map(), live), live, "fleet/web")
    assert found.manager == "whole"


def test_nobody_is_blamed_for_our_own_field() -> None:
    live = _managed(config_map(colour="red"), "fleet/web", {"f:data": {"f:colour": {}}})
    (found,) = describe(differences(config_map(), live), live, "fleet/web")
    assert found.manager == ""


def test_long_values_are_cut() -> None:
    live = config_map(colour="x" * 1000)
    (found,) = describe(differences(config_map(), live), live, "")
    assert found.live is not None
    assert len(found.live) == 200


@pytest.mark.parametrize("field", ["stringData", "data"])
def test_the_values_of_a_secret_are_never_said(field: str) -> None:
    plain = "canary" if field == "stringData" else base64.b64encode(b"canary").decode()
    wanted = {**secret(), field: {"word": plain}}
    live = {**secret(), "data": {"word": "bGl2ZQ=="}}
    live["metadata"] = {"name": "password", "annotations": {"last": "bGl2ZQ=="}}
    wanted["metadata"] = {"name": "password", "annotations": {"last": "canary"}}
    said = describe(differences(wanted, live), live, "")
    assert len(said) == 2
    assert {item.wanted for item in said} == {REDACTED}
    assert {item.live for item in said} == {REDACTED}


def test_the_servers_message_about_a_secret_loses_its_values() -> None:
    wanted = secret(word="canary", other="canary-longer")
    encoded = base64.b64encode(b"canary").decode()
    message = redacted(f"invalid value canary-longer, {encoded} and canary", wanted)
    assert message == f"invalid value {REDACTED}, {REDACTED} and {REDACTED}"


def test_the_decoded_form_is_removed_too() -> None:
    wanted = {**secret(), "data": {"word": base64.b64encode(b"canary").decode()}}
    assert redacted("got canary", wanted) == f"got {REDACTED}"


def test_other_kinds_keep_their_message() -> None:
    assert redacted("blue is invalid", config_map()) == "blue is invalid"


scalars = st.none() | st.booleans() | st.integers(-3, 3) | st.text("ab1", max_size=3)
scalars |= st.text("ab", min_size=190, max_size=420) | st.sampled_from(["1", "true", "null", 1.5])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=8,
)


@settings(max_examples=400, deadline=None)
@given(values, values, st.sampled_from(["ConfigMap", "Widget"]))
def test_what_is_reported_always_differs_in_what_is_said(one: Any, other: Any, kind: str) -> None:
    version = "v1" if kind == "ConfigMap" else "example.com/v1"
    wanted: Object = {"apiVersion": version, "kind": kind, "metadata": {}, "spec": {"x": one}}
    live = {**wanted, "spec": {"x": other}}
    found = differences(wanted, live)
    said = describe(found, live, "fleet/web")
    assert len(said) == len(found)
    for item in said:
        assert item.path
        assert item.wanted != item.live
        assert max(len(item.wanted or ""), len(item.live or "")) <= LIMIT


def test_long_values_are_shown_where_they_begin_to_differ() -> None:
    wanted, live = config_map(colour="x" * 500 + "wanted"), config_map(colour="x" * 500 + "live")
    (found,) = describe(differences(wanted, live), live, "")
    assert found.wanted == "…" + "x" * 20 + "wanted"
    assert found.live == "…" + "x" * 20 + "live"


def test_a_number_and_its_text_are_told_apart() -> None:
    wanted, live = widget(size=1), widget()
    live["spec"]["size"] = "1"
    (found,) = describe(differences(wanted, live), live, "")
    assert (found.wanted, found.live) == ("1", '"1"')
