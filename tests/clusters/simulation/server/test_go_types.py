"""What is written when it is empty, and what a server sets that nobody then owns."""

from __future__ import annotations

import pytest

from clusters.errors import ConflictError, ImmutableError
from clusters.objects import Object, ObjectKey
from clusters.simulation.server.go_types import go_type
from clusters.simulation.server.rejections import BadRequestError, RejectedError
from tests.clusters.simulation.samples import SETTINGS, WEB, config_map, deployment, new_server
from tests.go_types_generation import (
    STRUCT,
    TABLE,
    VERSION,
    grouped,
    sources_are_here,
    table,
)


def owned(live: Object, manager: str) -> Object:
    """The fields that a manager owns."""
    (entry,) = (e for e in live["metadata"]["managedFields"] if e["manager"] == manager)
    fields: Object = entry["fieldsV1"]
    return fields


def role(**rules: object) -> Object:
    """A Role."""
    metadata = {"name": "reader", "namespace": "default"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": metadata,
        **rules,
    }


def job(**metadata: object) -> Object:
    """A Job with one pod."""
    pods = {"restartPolicy": "Never", "containers": [{"name": "main", "image": "job:1"}]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "default", **metadata},
        "spec": {"template": {"spec": pods}},
    }


def test_a_go_type_says_what_is_written_when_it_is_empty() -> None:
    spec = go_type("io.k8s.api.apps.v1.StatefulSetSpec")
    assert spec.structs == ("template", "updateStrategy")
    assert spec.always == {"selector": None, "serviceName": ""}
    assert spec.omitted["minReadySeconds"] == 0
    assert go_type("io.k8s.nothing").structs == ()


def test_the_table_is_what_its_command_makes_of_the_sources_that_are_here() -> None:
    struct = 'type Odd struct {\n\tTypeMeta `json:",inline"`\n\tA string `json:"a,omitempty"`\n'
    body = struct + '\tB *int32 `json:"b"`\n\tC metav1.Time `json:"c,omitempty"`\n}\n'
    structs = dict(STRUCT.findall(body))
    assert grouped("Odd", structs, {}) == {"s": ["a"], "N": ["b", "c"]}
    if sources_are_here(VERSION):
        assert table(VERSION) == TABLE.read_text("utf-8")


def test_structs_held_by_value_are_always_there_and_lists_without_omitempty_are_null() -> None:
    assert new_server().create(deployment())["status"] == {}
    assert new_server().create(role())["rules"] is None
    assert new_server().create(role(rules=[]))["rules"] is None


def test_who_creates_owns_a_struct_by_pointer_and_not_one_by_value() -> None:
    live = new_server().create(deployment(), manager="person")
    strategy = owned(live, "person")["f:spec"]["f:strategy"]
    assert "." not in strategy
    assert "." in strategy["f:rollingUpdate"]


def test_what_the_server_gives_a_job_belongs_to_nobody() -> None:
    live = new_server().create(job(), manager="person")
    uid = live["metadata"]["uid"]
    assert live["spec"]["selector"]["matchLabels"] == {"batch.kubernetes.io/controller-uid": uid}
    assert live["metadata"]["labels"]["job-name"] == "migrate"
    assert "f:selector" not in owned(live, "person")["f:spec"]


def test_an_applied_null_or_empty_map_is_owned_though_it_is_not_there() -> None:
    server = new_server()
    live = server.apply({**config_map(), "data": {}}, manager="one")
    assert "data" not in live
    assert owned(live, "one") == {"f:data": {}}
    with pytest.raises(ConflictError):
        server.apply(config_map(a="1"), manager="two")
    null = server.apply({**config_map("other"), "data": {"a": None}}, manager="one")
    assert null["data"] == {"a": ""}


def test_an_apply_that_changes_nothing_has_no_time() -> None:
    server = new_server()
    server.apply(config_map(a="1"), manager="one")
    live = server.apply(config_map(a="1"), manager="two")
    timed = {entry["manager"]: "time" in entry for entry in live["metadata"]["managedFields"]}
    assert timed == {"one": True, "two": False}


def test_what_nobody_owned_is_owned_as_before_the_first_apply() -> None:
    server = new_server()
    live = server.create(config_map(a="1"), manager="person")
    stripped = server.update({**live, "metadata": {**live["metadata"], "managedFields": [{}]}})
    assert "managedFields" not in stripped["metadata"]
    again = server.update({**stripped, "data": {"a": "2"}}, manager="person")
    assert "managedFields" not in again["metadata"]
    with pytest.raises(ConflictError) as caught:
        server.apply(config_map(a="3"), manager="one")
    assert caught.value.managers == ("before-first-apply",)


def test_a_dry_run_gives_uids_that_do_not_shift_those_of_real_writes() -> None:
    one, other = new_server(), new_server()
    tried = one.create(config_map(), dry_run=True)["metadata"]["uid"]
    assert tried
    made = one.create(config_map())["metadata"]["uid"]
    assert made == other.create(config_map())["metadata"]["uid"] != tried


def test_a_dry_run_of_a_delete_shows_what_would_wait_for_its_finalizers() -> None:
    server = new_server()
    held = config_map()
    held["metadata"]["finalizers"] = ["example.com/hold"]
    server.create(held)
    assert server.delete(SETTINGS, dry_run=True)["metadata"]["deletionTimestamp"]
    assert "deletionTimestamp" not in server.get(SETTINGS)["metadata"]


def test_annotations_of_a_deployment_count_as_a_change_of_what_is_wanted() -> None:
    server = new_server()
    server.create(deployment())
    patch = {"metadata": {"annotations": {"note": "1"}, "labels": {"a": "b"}}}
    assert server.patch(WEB, patch, manager="m")["metadata"]["generation"] == 2
    labels = {"metadata": {"labels": {"a": "c"}}}
    assert server.patch(WEB, labels, manager="m")["metadata"]["generation"] == 2


def test_an_update_creates_what_kubernetes_lets_it_create() -> None:
    server = new_server()
    assert server.update(role(rules=[]), manager="m")["metadata"]["uid"]
    assert server.get(ObjectKey("rbac.authorization.k8s.io", "Role", "default", "reader"))


def test_an_apply_to_an_object_that_went_is_a_conflict() -> None:
    gone = config_map()
    gone["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000"
    with pytest.raises(ConflictError, match="no existing object was found"):
        new_server().apply(gone, manager="m")


def test_what_a_patch_makes_unreadable_is_the_patchs_fault() -> None:
    server = new_server()
    server.create(config_map(a="1"))
    with pytest.raises(RejectedError) as caught:
        server.patch(SETTINGS, {"data": {"a": 1}}, manager="m")
    assert caught.value.fields == ("patch",)
    other = {**config_map(), "apiVersion": "v9"}
    with pytest.raises(BadRequestError, match="invalid object type: /v9, Kind=ConfigMap"):
        server.patch(SETTINGS, other, patch_type="apply", manager="m", version="v1")


def test_bytes_that_are_no_base64_are_refused_unseen() -> None:
    secret = {**config_map("s"), "kind": "Secret", "data": {"password": "hunter2!"}}
    with pytest.raises(BadRequestError) as caught:
        new_server().create(secret)
    assert "hunter2" not in str(caught.value)


def test_nobody_but_a_delete_says_when_an_object_goes() -> None:
    server = new_server()
    server.create(config_map(a="1"))
    going = config_map(a="1")
    going["metadata"]["deletionTimestamp"] = "2020-01-01T00:00:00Z"
    with pytest.raises(ImmutableError, match="field is immutable"):
        server.apply(going, manager="m")


def test_a_probe_by_grpc_names_the_server_itself_unless_it_says_otherwise() -> None:
    body = deployment()
    (container,) = body["spec"]["template"]["spec"]["containers"]
    container["livenessProbe"] = {"grpc": {"port": 5}}
    live = new_server().create(body)
    (stored,) = live["spec"]["template"]["spec"]["containers"]
    assert stored["livenessProbe"]["grpc"] == {"port": 5, "service": ""}


def test_a_jobs_own_labels_stay_and_default_ones_follow_its_template() -> None:
    labelled = job(labels={"a": "b"})
    labelled["spec"]["template"]["metadata"] = {"labels": {"a": "b"}}
    assert new_server().create(labelled)["metadata"]["labels"] == {"a": "b"}
    del labelled["metadata"]["labels"]
    assert set(new_server().create(labelled)["metadata"]["labels"]) > {"a", "job-name"}


def test_an_update_with_items_without_keys_is_stored_and_owned_by_nobody() -> None:
    body = {"apiVersion": "v1", "kind": "ServiceAccount", "secrets": [{}]}
    live = new_server().create({**body, "metadata": {"name": "a", "namespace": "default"}})
    assert live["secrets"] == [{}]
    assert "managedFields" not in live["metadata"]
