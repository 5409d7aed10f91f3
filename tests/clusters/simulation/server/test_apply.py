"""Server-side apply keeps ownership as Kubernetes does, field by field."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from clusters.clock import FakeClock
from clusters.errors import ConflictError, InvalidError
from clusters.objects import Object
from clusters.simulation.server import ApiServer
from clusters.simulation.server.rejections import BadRequestError, TypedPatchError
from tests.clusters.simulation.samples import (
    SETTINGS,
    WEB,
    config_map,
    deployment,
    managers_of,
    new_server,
    service,
    widget,
    widget_definition,
)


def container(obj: Object) -> dict[str, Any]:
    found: dict[str, Any] = obj["spec"]["template"]["spec"]["containers"][0]
    return found


def test_an_applier_owns_what_it_sent_and_no_default() -> None:
    live = new_server().apply(deployment(), manager="fleet/shop")
    fields = managers_of(live)["fleet/shop"]
    assert fields["f:spec"]["f:replicas"] == {}
    assert "f:revisionHistoryLimit" not in fields["f:spec"]
    assert fields["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"app"}'] == {
        ".": {},
        "f:name": {},
        "f:image": {},
        "f:ports": {'k:{"containerPort":80,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
        "f:env": {
            'k:{"name":"A"}': {".": {}, "f:name": {}, "f:value": {}},
            'k:{"name":"B"}': {".": {}, "f:name": {}, "f:value": {}},
        },
    }
    assert "f:name" not in fields.get("f:metadata", {})
    assert live["spec"]["revisionHistoryLimit"] == 10


def test_applying_the_same_again_changes_nothing_even_later() -> None:
    clock = FakeClock()
    server = ApiServer(clock)
    first = server.apply(deployment(), manager="fleet/shop")
    clock.advance(3600)
    assert server.apply(deployment(), manager="fleet/shop") == first
    assert server.get(WEB) == first


def test_a_field_of_another_manager_is_a_conflict_that_names_it() -> None:
    server = new_server()
    server.apply(deployment(), manager="fleet/shop")
    server.patch(WEB, {"spec": {"replicas": 5}}, manager="kubectl-edit")
    with pytest.raises(ConflictError) as caught:
        server.apply(deployment(replicas=3), manager="fleet/shop")
    assert caught.value.managers == ("kubectl-edit",)
    assert caught.value.fields == (".spec.replicas",)
    assert str(caught.value) == (
        'Apply failed with 1 conflict: conflict with "kubectl-edit" using apps/v1: .spec.replicas'
    )
    assert server.get(WEB)["spec"]["replicas"] == 5


def test_several_conflicts_are_told_by_manager() -> None:
    server = new_server()
    server.apply(config_map(a="1", b="1"), manager="one")
    server.apply(config_map(c="1"), manager="two")
    with pytest.raises(ConflictError) as caught:
        server.apply(config_map(a="2", b="2", c="2"), manager="three")
    assert str(caught.value) == (
        'Apply failed with 3 conflicts: conflicts with "one":\n- .data.a\n- .data.b\n'
        'conflicts with "two":\n- .data.c'
    )
    assert caught.value.managers == ("one", "two")


def test_force_takes_the_field_away_from_the_other_manager() -> None:
    server = new_server()
    server.apply(config_map(a="1", b="1"), manager="one")
    live = server.apply(config_map(a="2"), manager="two", force=True)
    assert live["data"] == {"a": "2", "b": "1"}
    assert managers_of(live) == {
        "one": {"f:data": {"f:b": {}}},
        "two": {"f:data": {"f:a": {}}},
    }


def test_the_same_value_is_shared_without_a_conflict() -> None:
    server = new_server()
    server.apply(config_map(a="1"), manager="one")
    live = server.apply(config_map(a="1"), manager="two")
    assert managers_of(live) == {
        "one": {"f:data": {"f:a": {}}},
        "two": {"f:data": {"f:a": {}}},
    }
    kept = server.apply(config_map(), manager="one")
    assert kept["data"] == {"a": "1"}
    assert managers_of(kept) == {"two": {"f:data": {"f:a": {}}}}
    assert "data" not in server.apply(config_map(), manager="two")


def test_what_a_manager_sends_no_more_goes_if_nobody_else_owns_it() -> None:
    server = new_server()
    server.apply(deployment(), manager="fleet/shop")
    shorter = deployment(replicas=None)
    container(shorter)["env"].pop()
    live = server.apply(shorter, manager="fleet/shop")
    assert container(live)["env"] == [{"name": "A", "value": "1"}]
    assert live["spec"]["replicas"] == 1, "a field let go falls back to its default"


def test_a_list_item_goes_with_what_others_did_not_own_in_it() -> None:
    server = new_server()
    two = deployment()
    sidecar = {"name": "sidecar", "image": "envoy:1"}
    two["spec"]["template"]["spec"]["containers"].append(sidecar)
    server.apply(two, manager="fleet/shop")
    live = server.apply(deployment(), manager="fleet/shop")
    assert [item["name"] for item in live["spec"]["template"]["spec"]["containers"]] == ["app"]


def test_items_of_two_managers_merge_by_key_and_keep_their_order() -> None:
    server = new_server()
    server.apply(deployment(), manager="fleet/shop")
    extra = deployment()
    container(extra)["env"] = [{"name": "Z", "value": "9"}, {"name": "B", "value": "2"}]
    live = server.apply(extra, manager="mesh")
    assert [item["name"] for item in container(live)["env"]] == ["A", "Z", "B"]
    assert managers_of(server.apply(deployment(), manager="fleet/shop")).keys() == {
        "fleet/shop",
        "mesh",
    }


def test_ports_are_told_apart_by_protocol_which_defaults_to_tcp() -> None:
    server = new_server()
    both = service(ports=[{"port": 53}, {"port": 53, "protocol": "UDP", "name": "udp"}])
    both["spec"]["ports"][0]["name"] = "tcp"
    live = server.apply(both, manager="dns")
    assert [port["protocol"] for port in live["spec"]["ports"]] == ["TCP", "UDP"]
    assert set(managers_of(live)["dns"]["f:spec"]["f:ports"]) == {
        'k:{"port":53,"protocol":"TCP"}',
        'k:{"port":53,"protocol":"UDP"}',
    }


def test_atomic_lists_are_replaced_as_one_and_owned_as_one() -> None:
    server = new_server()
    first, second = deployment(), deployment()
    container(first)["args"] = ["a", "b"]
    container(second)["args"] = ["b"]
    server.apply(first, manager="one")
    with pytest.raises(ConflictError) as caught:
        server.apply(second, manager="two")
    assert caught.value.fields == ('.spec.template.spec.containers[name="app"].args',)
    live = server.apply(second, manager="two", force=True)
    assert container(live)["args"] == ["b"]


def test_finalizers_are_a_set_to_which_managers_add() -> None:
    server = new_server()
    one, two = config_map(a="1"), config_map(a="1")
    one["metadata"]["finalizers"] = ["a.io/x"]
    two["metadata"]["finalizers"] = ["b.io/y"]
    server.apply(one, manager="one")
    live = server.apply(two, manager="two")
    assert sorted(live["metadata"]["finalizers"]) == ["a.io/x", "b.io/y"]
    left = server.apply(config_map(a="1"), manager="one")
    assert left["metadata"]["finalizers"] == ["b.io/y"]


@pytest.mark.parametrize("nothing", [{}, None])
def test_what_is_sent_empty_or_null_is_owned_though_nothing_is_stored(nothing: Any) -> None:
    server = new_server()
    first = server.apply(config_map() | {"data": nothing}, manager="one")
    assert "data" not in first
    assert managers_of(first) == {"one": {"f:data": {}}}
    assert server.apply(config_map() | {"data": nothing}, manager="one") == first
    for again in ({}, {"a": "1"}):
        with pytest.raises(ConflictError) as refused:
            server.apply(config_map() | {"data": again}, manager="two")
        assert (refused.value.managers, refused.value.fields) == (("one",), (".data",))
    live = server.apply(config_map(a="1"), manager="two", force=True)
    assert managers_of(live) == {"two": {"f:data": {"f:a": {}}}}
    kept = server.apply(config_map() | {"data": nothing}, manager="one")
    assert kept["data"] == {"a": "1"}, "an empty map takes nothing away"


def test_a_null_scalar_is_owned_and_defaulted() -> None:
    server = new_server()
    wanted = deployment()
    wanted["spec"] |= {"revisionHistoryLimit": None, "minReadySeconds": None}
    live = server.apply(wanted, manager="one")
    assert live["spec"]["revisionHistoryLimit"] == 10
    owned = managers_of(live)["one"]["f:spec"]
    assert owned["f:revisionHistoryLimit"] == owned["f:minReadySeconds"] == {}
    other = deployment()
    other["spec"]["minReadySeconds"] = 5
    with pytest.raises(ConflictError) as refused:
        server.apply(other, manager="two")
    assert refused.value.fields == (".spec.minReadySeconds",)


def test_a_struct_sent_as_null_is_in_conflict_with_one_that_is_there() -> None:
    server = new_server()
    mine, theirs = deployment(), deployment()
    container(mine)["securityContext"] = None
    container(theirs)["securityContext"] = {"runAsUser": 3}
    server.apply(mine, manager="one")
    with pytest.raises(ConflictError) as refused:
        server.apply(theirs, manager="two")
    assert refused.value.fields == ('.spec.template.spec.containers[name="app"].securityContext',)


def test_an_empty_list_of_items_is_owned_only_where_it_is_one_value() -> None:
    server = new_server()
    wanted = deployment()
    container(wanted).update(env=[], args=[])
    owned = managers_of(server.apply(wanted, manager="one"))["one"]
    item = owned["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"app"}']
    assert "f:env" not in item
    assert item["f:args"] == {}


@pytest.mark.parametrize("write", ["create", "apply"])
def test_a_null_among_the_texts_of_a_map_is_the_empty_text(write: str) -> None:
    body = config_map() | {"data": {"a": None}}
    assert getattr(new_server(), write)(body, manager="one")["data"] == {"a": ""}


def test_letting_go_of_all_metadata_keeps_the_object_itself() -> None:
    server = new_server()
    labelled = config_map(a="1")
    labelled["metadata"]["labels"] = {"app": "x"}
    before = server.apply(labelled, manager="one")
    after = server.apply(config_map(a="1"), manager="one")
    assert "labels" not in after["metadata"]
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert after["metadata"]["name"] == "settings"


def test_a_manual_edit_takes_the_field_and_leaves_the_rest() -> None:
    server = new_server()
    server.apply(config_map(a="1", b="1"), manager="fleet/shop")
    live = server.patch(SETTINGS, {"data": {"a": "2"}}, manager="kubectl-edit")
    assert managers_of(live) == {
        "fleet/shop": {"f:data": {"f:b": {}}},
        "kubectl-edit": {"f:data": {"f:a": {}}},
    }


def test_status_is_owned_apart_and_out_of_an_appliers_reach() -> None:
    server = new_server()
    server.apply(deployment(), manager="fleet/shop")
    server.patch(WEB, {"status": {"replicas": 2}}, manager="kcm", subresource="status")
    sneaky = {**deployment(), "status": {"replicas": 99}}
    live = server.apply(sneaky, manager="fleet/shop")
    assert live["status"] == {"replicas": 2}
    assert managers_of(live)["kcm/status"] == {"f:status": {"f:replicas": {}}}
    assert "f:status" not in managers_of(live)["fleet/shop"]


def test_a_changed_status_or_label_is_no_new_generation_but_a_changed_spec_is() -> None:
    server = new_server()
    server.apply(deployment(), manager="fleet/shop")
    server.patch(WEB, {"status": {"replicas": 2}}, manager="kcm", subresource="status")
    server.patch(WEB, {"metadata": {"labels": {"a": "b"}}}, manager="me")
    assert server.get(WEB)["metadata"]["generation"] == 1
    server.patch(WEB, {"spec": {"replicas": 4}}, manager="me")
    assert server.get(WEB)["metadata"]["generation"] == 2


def test_a_dry_run_shows_the_outcome_and_leaves_no_trace() -> None:
    server = new_server()
    before = server.resource_version
    shown = server.apply(deployment(), manager="fleet/shop", dry_run=True)
    assert shown["spec"]["revisionHistoryLimit"] == 10
    assert server.peek(WEB) is None
    first = server.apply(service(), manager="fleet/shop", dry_run=True)
    assert server.resource_version == before
    assert server.apply(service(), manager="fleet/shop")["spec"] == first["spec"]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"replicsa": 2}, ".spec.replicsa: field not declared in schema"),
        ({"replicas": "two"}, ".spec.replicas: expected integer, got string"),
        ({"template": []}, ".spec.template: expected object, got array"),
        ({"paused": 1}, ".spec.paused: expected boolean, got number"),
        ({"replicas": True}, ".spec.replicas: expected integer, got bool"),
    ],
)
def test_an_applied_field_that_does_not_fit_the_schema_is_refused(
    change: dict[str, Any], complaint: str
) -> None:
    wrong = deployment()
    wrong["spec"] |= change
    with pytest.raises(TypedPatchError) as caught:
        new_server().apply(wrong, manager="fleet/shop")
    expected = "failed to create typed patch object (default/web; apps/v1, Kind=Deployment): "
    assert str(caught.value) == expected + complaint


def test_two_items_with_one_key_are_refused() -> None:
    twice = deployment()
    container(twice)["env"].append({"name": "A", "value": "3"})
    with pytest.raises(InvalidError, match="duplicate entries for key"):
        new_server().apply(twice, manager="fleet/shop")


def test_an_apply_needs_a_manager_and_no_managed_fields() -> None:
    server = new_server()
    with pytest.raises(BadRequestError, match="fieldManager is required"):
        server.apply(config_map(), manager="")
    live = server.apply(config_map(a="1"), manager="one")
    with pytest.raises(BadRequestError, match="managedFields must be nil"):
        server.apply(live, manager="one")


def test_custom_kinds_merge_by_the_keys_of_their_own_schema() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="fleet/crds")
    server.apply(widget(parts=[{"name": "a", "size": 1}], tags=["x"]), manager="one")
    live = server.apply(widget(parts=[{"name": "b", "size": 2}]), manager="two")
    assert [part["name"] for part in live["spec"]["parts"]] == ["a", "b"]
    with pytest.raises(ConflictError) as caught:
        server.apply(widget(tags=["y"]), manager="two")
    assert caught.value.fields == (".spec.tags",)


def test_fields_without_a_schema_merge_key_by_key() -> None:
    server = new_server()
    server.apply(widget_definition(), manager="fleet/crds")
    server.apply(widget(free={"a": {"b": 1}, "list": [1, 2]}), manager="one")
    live = server.apply(widget(free={"a": {"c": 2}}), manager="two")
    assert live["spec"]["free"] == {"a": {"b": 1, "c": 2}, "list": [1, 2]}
    assert server.apply(widget(), manager="two")["spec"]["free"] == {
        "a": {"b": 1},
        "list": [1, 2],
    }


def test_nothing_that_goes_in_or_comes_out_is_the_servers_own() -> None:
    server = new_server()
    sent = config_map(a="1")
    shown = server.apply(sent, manager="one")
    pristine = copy.deepcopy(shown)
    sent["data"]["a"] = "changed"
    shown["data"]["a"] = "changed"
    shown["metadata"]["managedFields"][0]["fieldsV1"].clear()
    listed, _, _ = server.list(SETTINGS.kind_key)
    listed[0]["data"]["a"] = "changed"
    assert server.get(SETTINGS) == pristine


def test_an_autoscaler_applied_in_its_old_version_is_kept_in_the_new_one() -> None:
    server = new_server()
    old = {
        "apiVersion": "autoscaling/v1",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
            "maxReplicas": 4,
            "targetCPUUtilizationPercentage": 70,
        },
    }
    shown = server.apply(old, manager="fleet/shop")
    assert shown["apiVersion"] == "autoscaling/v1"
    assert shown["spec"]["targetCPUUtilizationPercentage"] == 70
    stored = server.get(WEB.__class__("autoscaling", "HorizontalPodAutoscaler", "default", "web"))
    assert stored["apiVersion"] == "autoscaling/v2"
    target = {"type": "Utilization", "averageUtilization": 70}
    assert stored["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": target}}
    ]
