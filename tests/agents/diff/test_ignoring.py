"""What is somebody else's is left as it is: neither compared nor overwritten."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from agents.diff import differences, settle
from agents.protocol import IgnoreRule
from clusters.objects import Object
from tests.agents.samples import config_map, deployment

OURS = "fleet/web"
LABEL = "applyset.kubernetes.io/part-of"


def owned_by(live: Object, manager: str, fields: dict[str, Any]) -> Object:
    """The live object with a manager that owns these fields."""
    entry = {"manager": manager, "operation": "Update", "fieldsV1": fields}
    live["metadata"].setdefault("managedFields", []).append(entry)
    return live


def settled(wanted: Object, live: Object | None, *rules: IgnoreRule) -> Object:
    """What is compared and sent; `wanted` itself is never changed."""
    before = deepcopy(wanted)
    found = settle(wanted, live, scaled=False, rules=rules, manager=OURS)
    assert wanted == before
    if live is not None and rules:
        assert all(item.path for item in differences(found, live))
    return found


def pointer(*pointers: str) -> IgnoreRule:
    """A rule for all objects."""
    return IgnoreRule(pointers=pointers)


def test_what_another_manager_owns_is_left_out_of_the_apply() -> None:
    live = owned_by(deployment(replicas=7), "scaler", {"f:spec": {"f:replicas": {}}})
    found = settled(deployment(), live, pointer("/spec/replicas"))
    assert "replicas" not in found["spec"]
    assert differences(found, live) == ()


def test_what_nobody_else_owns_is_applied_as_it_is_since_leaving_it_out_would_remove_it() -> None:
    live = owned_by(deployment(replicas=7), OURS, {"f:spec": {"f:replicas": {}}})
    assert settled(deployment(), live, pointer("/spec/replicas"))["spec"]["replicas"] == 7


def test_what_is_not_there_is_not_made() -> None:
    live = config_map()
    del live["data"]
    found = settled(config_map(), live, pointer("/data/colour"))
    assert "data" not in found


def test_an_object_that_is_not_there_is_made_as_git_says() -> None:
    assert settled(deployment(), None, pointer("/spec/replicas")) == deployment()


def test_other_fields_still_differ() -> None:
    live = deployment(image="other", replicas=7)
    found = differences(settled(deployment(), live, pointer("/spec/replicas")), live)
    assert [item.path[-1] for item in found] == ["image"]


def test_a_map_is_left_entry_by_entry() -> None:
    wanted = config_map(ours="1", theirs="2", gone="3")
    live = config_map(ours="9", theirs="8", added="7")
    owned_by(live, "they", {"f:data": {"f:theirs": {}, "f:added": {}}})
    assert settled(wanted, live, pointer("/data"))["data"] == {"ours": "9"}


def test_an_element_of_a_map_list_is_found_by_its_name_wherever_it_stands() -> None:
    wanted, live = deployment(), deployment()
    containers = live["spec"]["template"]["spec"]["containers"]
    containers[0]["image"] = "changed"
    containers.insert(0, {"name": "injected", "image": "proxy"})
    path = "/spec/template/spec/containers/0/image"
    assert differences(settled(wanted, live, pointer(path)), live) == ()


def test_an_element_that_was_taken_out_is_not_put_back() -> None:
    wanted, live = deployment(), deployment()
    sidecar = {"name": "sidecar", "image": "x"}
    wanted["spec"]["template"]["spec"]["containers"].append(sidecar)
    found = settled(wanted, live, pointer("/spec/template/spec/containers/1"))
    assert found == live


def test_a_key_field_stays_with_its_element() -> None:
    wanted, live = deployment(), deployment(image="changed")
    owned: Object = {"f:containers": {'k:{"name":"main"}': {".": {}, "f:name": {}, "f:image": {}}}}
    owned_by(live, "they", {"f:spec": {"f:template": {"f:spec": owned}}})
    found = settled(wanted, live, pointer("/spec/template/spec/containers"))
    assert found["spec"]["template"]["spec"]["containers"] == [{"name": "main"}]


def test_a_field_in_an_atomic_list_is_applied_as_it_is() -> None:
    wanted, live = _rules("a.example", "/"), _rules("b.example", "/")
    owned_by(live, "they", {"f:spec": {"f:rules": {}}})
    found = settled(wanted, live, pointer("/spec/rules/0/host"))
    assert found["spec"]["rules"] == [{"host": "b.example", "path": "/"}]


def test_jq_selects_elements_by_their_fields() -> None:
    wanted, live = deployment(), deployment(image="changed")
    rule = IgnoreRule(jq=('.spec.template.spec.containers[] | select(.name == "main") | .image',))
    assert differences(settled(wanted, live, rule), live) == ()
    other = IgnoreRule(jq=('.spec.template.spec.containers[] | select(.name == "x") | .image',))
    assert differences(settled(wanted, live, other), live)


def test_jq_may_select_by_what_is_live() -> None:
    wanted, live = _rules("a.example", "/"), _rules("b.example", "/")
    rule = IgnoreRule(jq=('.spec.rules[] | select(.host == "b.example") | .host',))
    assert differences(settled(wanted, live, rule), live) == ()


def test_what_a_trusted_manager_owns_is_its() -> None:
    wanted, live = config_map(a="1", b="2"), config_map(a="8", b="9")
    owned_by(live, "they", {"f:data": {"f:a": {}}})
    rule = IgnoreRule(managers=("they",))
    found = settled(wanted, live, rule)
    assert [item.path for item in differences(found, live)] == [("data", "b")]
    assert "a" not in found["data"]


def test_a_trusted_manager_may_own_elements_and_whole_lists() -> None:
    wanted, live = deployment(), deployment(image="changed")
    owned: Object = {"f:containers": {'k:{"name":"main"}': {"f:image": {}}}}
    owned_by(live, "they", {"f:spec": {"f:template": {"f:spec": owned}}})
    assert differences(settled(wanted, live, IgnoreRule(managers=("they",))), live) == ()
    wanted, live = _rules("a.example"), _rules("b.example")
    owned_by(live, "they", {"f:spec": {"f:rules": {}}})
    assert "rules" not in settled(wanted, live, IgnoreRule(managers=("they",)))["spec"]


def test_the_whole_object_is_as_it_is_but_for_the_owners_label() -> None:
    wanted, live = config_map(), config_map(colour="red")
    wanted["metadata"]["labels"] = {LABEL: "ours", "team": "a"}
    found = settled(wanted, live, IgnoreRule(everything=True))
    assert found["data"] == {"colour": "red"}
    assert found["metadata"]["labels"] == {LABEL: "ours"}
    assert found["kind"] == "ConfigMap"


@pytest.mark.parametrize(
    "path", ["/metadata/labels", "/metadata", f"/metadata/labels/{LABEL.replace('/', '~1')}"]
)
def test_the_owners_label_cannot_be_ignored(path: str) -> None:
    wanted, live = config_map(), config_map()
    wanted["metadata"]["labels"] = {LABEL: "ours"}
    live["metadata"]["labels"] = {LABEL: "theirs"}
    found = settled(wanted, live, pointer(path))
    assert found["metadata"]["labels"] == {LABEL: "ours"}
    assert found["metadata"]["name"] == "settings"
    assert differences(found, live)


@pytest.mark.parametrize(
    "path",
    ["/", "//", "/nothing", "/spec/replicas/deeper", "/spec/template/spec/containers/-1", "/~2",
     "/spec/template/spec/containers/01", "/spec/template/spec/containers/99999999999", "x",
     "/spec/template/spec/containers/-", "/spec/template/spec/containers/٣"],
)  # fmt: skip
def test_a_pointer_to_nothing_ignores_nothing(path: str) -> None:
    wanted, live = deployment(), deployment(image="other", replicas=7)
    assert settled(wanted, live, pointer(path)) == wanted


def test_custom_resources_are_compared_strictly_and_still_no_empty_map_is_left() -> None:
    wanted: Object = {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "w"},
        "spec": {"deep": {"a": 1}, "b": 2},
    }
    live = {**wanted, "spec": {"b": 2}}
    assert differences(settled(wanted, live, pointer("/spec/deep/a")), live) == ()


def _rules(host: str, path: str = "") -> Object:
    rule = {"host": host, **({"path": path} if path else {})}
    return {
        "apiVersion": "example.com/v1",
        "kind": "Route",
        "metadata": {"name": "r"},
        "spec": {"rules": [rule]},
    }
