"""Create, update and patch: what the server fills in, what it refuses, and in what words."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import (
    AlreadyExistsError,
    ConflictError,
    ForbiddenError,
    ImmutableError,
    InvalidError,
    KindNotFoundError,
    NotFoundError,
)
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.server.rejections import BadRequestError, RejectedError
from tests.clusters.simulation.samples import (
    SETTINGS,
    WEB,
    config_map,
    deployment,
    managers_of,
    namespace,
    new_server,
    service,
)


def test_a_new_cluster_has_the_four_namespaces() -> None:
    items, _, _ = new_server().list(Kind("", "Namespace"))
    names = [item["metadata"]["name"] for item in items]
    assert names == ["default", "kube-node-lease", "kube-public", "kube-system"]
    assert all(item["status"] == {"phase": "Active"} for item in items)


def test_equal_seeds_make_equal_clusters_and_other_seeds_other_uids() -> None:
    one, same = new_server(), new_server()
    assert one.create(config_map()) == same.create(config_map())
    namespaces = [item["metadata"]["uid"] for item in one.peek_all(Kind("", "Namespace"))]
    assert len(set(namespaces)) == 4


def test_a_created_object_has_identity_and_version() -> None:
    server = new_server()
    made = server.create(config_map(a="1"), manager="me")["metadata"]
    assert made["creationTimestamp"] == "2030-01-01T00:00:00Z"
    assert made["resourceVersion"] == server.resource_version
    assert len(made["uid"]) == 36
    assert "generation" not in made


def test_a_generated_name_starts_with_its_prefix_and_is_never_the_same() -> None:
    server = new_server()
    body = config_map()
    body["metadata"] = {"generateName": "job-", "namespace": "default"}
    names = {server.create(body)["metadata"]["name"] for _ in range(3)}
    assert len(names) == 3
    assert all(name.startswith("job-") and len(name) == 9 for name in names)


def test_creating_what_exists_is_refused() -> None:
    server = new_server()
    server.create(config_map())
    with pytest.raises(AlreadyExistsError, match='configmaps "settings" already exists'):
        server.create(config_map())


@pytest.mark.parametrize("verb", ["create", "apply"])
def test_nothing_can_be_made_in_a_namespace_that_is_not_there(verb: str) -> None:
    server = new_server()
    body = config_map(namespace="nowhere")
    with pytest.raises(NotFoundError, match='namespaces "nowhere" not found'):
        server.create(body) if verb == "create" else server.apply(body, manager="m")
    server.create(namespace("nowhere"))
    assert server.create(body)["metadata"]["namespace"] == "nowhere"


def test_an_unknown_kind_or_version_is_told_as_such() -> None:
    server = new_server()
    for api_version, kind in (("v1", "Widget"), ("apps/v1beta1", "Deployment")):
        body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}
        with pytest.raises(KindNotFoundError, match=f'no matches for kind "{kind}"'):
            server.create(body)


@pytest.mark.parametrize("body", [{"kind": "Pod"}, {"apiVersion": "v1", "kind": "Pod"}, []])
def test_what_is_no_object_is_a_bad_request(body: Any) -> None:
    with pytest.raises(BadRequestError):
        new_server().apply(body, manager="m")


def test_a_deployment_is_completed_as_a_real_server_does() -> None:
    live = new_server().create(deployment(replicas=None))
    spec = live["spec"]
    assert (spec["replicas"], spec["progressDeadlineSeconds"]) == (1, 600)
    assert spec["strategy"] == {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": "25%"},
    }
    pod = spec["template"]["spec"]
    assert {key: value for key, value in pod.items() if key != "containers"} == {
        "restartPolicy": "Always",
        "dnsPolicy": "ClusterFirst",
        "schedulerName": "default-scheduler",
        "securityContext": {},
        "terminationGracePeriodSeconds": 30,
    }
    container = pod["containers"][0]
    assert container["terminationMessagePath"] == "/dev/termination-log"
    assert container["ports"] == [{"containerPort": 80, "protocol": "TCP"}]
    assert container["resources"] == {}


def test_a_pod_on_the_nodes_network_holds_its_ports_and_a_template_does_not() -> None:
    spec = {
        "hostNetwork": True,
        "containers": [{"name": "a", "image": "a:1", "ports": [{"containerPort": 9100}]}],
    }
    metadata = {"name": "exporter", "namespace": "default"}
    server = new_server()
    server.create(
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": "default", "namespace": "default"},
        }
    )
    pod = server.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    assert pod["spec"]["containers"][0]["ports"][0]["hostPort"] == 9100
    live = server.create(daemon_set() | {"spec": daemon_set()["spec"] | {"template": _with(spec)}})
    assert "hostPort" not in live["spec"]["template"]["spec"]["containers"][0]["ports"][0]


def test_annotations_of_a_deployment_alone_count_as_a_generation() -> None:
    server = new_server()

    def generations(body: Object) -> list[int]:
        found = []
        for note in ("example.com/a", "deployment.kubernetes.io/revision"):
            body["metadata"].setdefault("annotations", {})[note] = "1"
            found.append(server.apply(body, manager="one")["metadata"]["generation"])
        body["metadata"]["annotations"]["example.com/a"] = "2"
        return [*found, server.apply(body, manager="one")["metadata"]["generation"]]

    server.apply(deployment(), manager="one")
    assert generations(deployment()) == [2, 2, 3]
    assert generations(daemon_set()) == [1, 1, 1]


def test_the_templates_of_a_daemon_set_are_counted_for_nobody() -> None:
    server = new_server()

    def count(obj: Object) -> str:
        return str(obj["metadata"]["annotations"]["deprecated.daemonset.template.generation"])

    first = server.apply(daemon_set(), manager="one")
    assert count(first) == "1"
    assert "f:metadata" not in managers_of(first)["one"]
    assert server.apply(daemon_set(), manager="one") == first
    paused = daemon_set()
    paused["spec"]["minReadySeconds"] = 5
    assert count(server.apply(paused, manager="one")) == "1"
    newer = daemon_set("a:2")
    newer["metadata"]["annotations"] = {"deprecated.daemonset.template.generation": "9"}
    assert count(server.update(newer, manager="two")) == "2"
    live = server.update(daemon_set("a:3"), manager="three")
    assert count(live) == "3"
    assert "f:metadata" not in managers_of(live)["three"]


def test_an_autoscaler_counts_the_generations_of_its_spec() -> None:
    server = new_server()
    body: Object = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        },
    }
    assert server.apply(body, manager="one")["metadata"]["generation"] == 1
    body["spec"]["maxReplicas"] = 4
    assert server.apply(body, manager="one")["metadata"]["generation"] == 2


def daemon_set(image: str = "a:1") -> Object:
    template = _with({"containers": [{"name": "a", "image": image}]})
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "exporter", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "exporter"}}, "template": template},
    }


def _with(pod_spec: Object) -> Object:
    return {"metadata": {"labels": {"app": "exporter"}}, "spec": pod_spec}


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("nginx", "Always"),
        ("nginx:latest", "Always"),
        ("nginx:1.27", "IfNotPresent"),
        ("registry:5000/nginx", "Always"),
        ("nginx@sha256:0", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    live = new_server().create(deployment(image=image))
    assert live["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == policy


def test_services_get_addresses_that_stay_and_differ() -> None:
    server = new_server()
    first = server.create(service("one"))
    second = server.create(service("two", type="NodePort"))
    addresses = {first["spec"]["clusterIP"], second["spec"]["clusterIP"]}
    assert len(addresses) == 2
    assert first["spec"]["ports"] == [{"port": 80, "protocol": "TCP", "targetPort": 80}]
    assert 30000 <= second["spec"]["ports"][0]["nodePort"] < 32768
    replaced = server.update(service("two", type="NodePort"))
    assert replaced["spec"] == second["spec"]
    headless = server.create(service("three", clusterIP="None"))
    assert headless["spec"]["clusterIPs"] == ["None"]


def test_a_secret_is_stored_encoded_and_never_shown_when_refused() -> None:
    server = new_server()
    secret: Object = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "default"},
        "stringData": {"password": "hunter2"},
    }
    live = server.apply(secret, manager="m")
    assert live["data"] == {"password": "aHVudGVyMg=="}
    assert live["type"] == "Opaque"
    assert "stringData" not in live
    with pytest.raises(InvalidError) as caught:
        server.update({**live, "data": {"password": "hunter2!"}})
    assert caught.value.fields == ("data.password",)
    assert "hunter2" not in str(caught.value)


def test_a_job_gets_a_selector_of_its_own() -> None:
    pod = {"containers": [{"name": "c", "image": "i:1"}], "restartPolicy": "Never"}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "once", "namespace": "default"},
        "spec": {"template": {"spec": pod}},
    }
    live = new_server().create(job)
    uid = live["metadata"]["uid"]
    assert live["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert live["spec"]["template"]["metadata"]["labels"]["job-name"] == "once"
    assert live["spec"]["backoffLimit"] == 6


def test_empty_optional_fields_and_quantities_are_stored_in_their_own_form() -> None:
    body = deployment()
    container = body["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"cpu": "1000m", "memory": "1024Mi"}}
    container["env"] = [{"name": "EMPTY", "value": ""}]
    container["args"] = []
    body["metadata"]["annotations"] = {}
    live = new_server().create(body)
    stored = live["spec"]["template"]["spec"]["containers"][0]
    assert stored["resources"]["limits"] == {"cpu": "1", "memory": "1Gi"}
    assert stored["env"] == [{"name": "EMPTY"}]
    assert "args" not in stored
    assert "annotations" not in live["metadata"]


def broken(**changes: Any) -> Object:
    """A Deployment with parts of its spec, template or container replaced."""
    body = deployment()
    spec = body["spec"]
    spec["template"]["spec"]["containers"][0].update(changes.pop("container", {}))
    spec["template"]["spec"].update(changes.pop("pod", {}))
    body["metadata"].update(changes.pop("metadata", {}))
    spec.update(changes)
    return body


CONTAINER = "spec.template.spec.containers[0]"
CASES = [
    (broken(metadata={"name": "Web"}), "metadata.name", "Invalid value"),
    (broken(metadata={"name": "a_b"}), "metadata.name", "RFC 1123 subdomain"),
    (broken(metadata={"labels": {"a b": "c"}}), "metadata.labels", "Invalid value"),
    (broken(metadata={"labels": {"a": "b/c"}}), "metadata.labels", "Invalid value"),
    (broken(metadata={"labels": {"a": "x" * 64}}), "metadata.labels", "Invalid value"),
    (broken(selector={"matchLabels": {"app": "other"}}),
     "spec.template.metadata.labels", "does not match"),
    (broken(selector={}), "spec.selector", "empty selector"),
    (broken(pod={"containers": []}), "spec.template.spec.containers", "Required value"),
    (broken(pod={"restartPolicy": "Never"}),
     "spec.template.spec.restartPolicy", "Unsupported value"),
    (broken(container={"image": ""}), f"{CONTAINER}.image", "Required value"),
    (broken(container={"name": "A"}), f"{CONTAINER}.name", "Invalid value"),
    (broken(container={"ports": [{"containerPort": 99999}]}),
     f"{CONTAINER}.ports[0].containerPort", "between 1 and 65535"),
    (broken(container={"volumeMounts": [{"name": "no", "mountPath": "/x"}]}),
     f"{CONTAINER}.volumeMounts[0].name", "Not found"),
    (broken(replicas=-1), "spec.replicas", "greater than or equal to 0"),
    (service(ports=[]), "spec.ports", "Required value"),
    (service(ports=[{"port": 1}, {"port": 2}]), "spec.ports[0].name", "Required value"),
    (service(type="Magic"), "spec.type", "Unsupported value"),
    (namespace("a.b"), "metadata.name", "RFC 1123 label"),
    ({**namespace("x"), "metadata": {"name": "x", "namespace": "y"}},
     "metadata.namespace", "not allowed on this type"),
]  # fmt: skip


@pytest.mark.parametrize(("body", "field", "words"), CASES)
def test_a_wrong_object_is_refused_at_its_field(body: Object, field: str, words: str) -> None:
    server = new_server()
    with pytest.raises(RejectedError) as caught:
        server.create(body)
    assert field in caught.value.fields
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"{body['kind']}")
    assert server.peek(key_of(body)) is None


def test_everything_wrong_is_told_at_once() -> None:
    body = broken(replicas=-1, container={"image": ""})
    del body["spec"]["selector"]
    with pytest.raises(RejectedError) as caught:
        new_server().create(body)
    labels = "spec.template.metadata.labels"
    assert set(caught.value.fields) == {
        "spec.selector",
        f"{CONTAINER}.image",
        "spec.replicas",
        labels,
    }


def test_unknown_fields_are_dropped_or_refused_as_asked() -> None:
    server = new_server()
    body = {**config_map(a="1"), "spec": {"x": 1}}
    with pytest.raises(BadRequestError, match='strict decoding error: unknown field "spec"'):
        server.create(body, validation="Strict")
    assert "spec" not in server.create(body)


def test_a_wrong_type_names_the_field_and_not_the_value() -> None:
    with pytest.raises(BadRequestError) as caught:
        new_server().create({**config_map(), "data": {"port": 80}})
    assert caught.value.fields == ("data.port",)
    assert "cannot unmarshal number into Go struct field ConfigMap.data.port" in str(caught.value)


def changed(obj: Object, path: str, value: Any) -> Object:
    *above, last = path.split(".")
    inner = obj
    for name in above:
        inner = inner[name]
    inner[last] = value
    return obj


IMMUTABLE = [
    (deployment(), "spec.selector", {"matchLabels": {"app": "web", "x": "y"}}),
    (service(), "spec.clusterIP", "10.96.9.9"),
    ({**config_map(a="1"), "immutable": True}, "data", {"a": "2"}),
    ({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
      "metadata": {"name": "r", "namespace": "default"},
      "roleRef": {"kind": "Role", "name": "a"}}, "roleRef", {"kind": "Role", "name": "b"}),
    ({"apiVersion": "v1", "kind": "PersistentVolumeClaim",
      "metadata": {"name": "c", "namespace": "default"},
      "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}},
     "spec.accessModes", ["ReadWriteMany"]),
]  # fmt: skip


@pytest.mark.parametrize(("body", "path", "value"), IMMUTABLE)
def test_a_field_that_never_changes_is_refused_as_immutable(
    body: Object, path: str, value: Any
) -> None:
    server = new_server()
    live = server.create(body)
    if path == "spec.selector":
        live["spec"]["template"]["metadata"]["labels"]["x"] = "y"
    with pytest.raises(ImmutableError):
        server.update(changed(live, path, value))


def test_a_claim_may_ask_for_more_storage_once_it_is_bound() -> None:
    server = new_server()
    live = server.create(IMMUTABLE[4][0])
    live["spec"]["resources"]["requests"]["storage"] = "2Gi"
    with pytest.raises(ImmutableError):
        server.update(live)
    bound = server.update({**live, "status": {"phase": "Bound"}}, subresource="status")
    live["metadata"]["resourceVersion"] = bound["metadata"]["resourceVersion"]
    assert server.update(live)["spec"]["resources"]["requests"]["storage"] == "2Gi"


def test_an_update_of_a_stale_object_is_a_conflict() -> None:
    server = new_server()
    stale = server.create(config_map(a="1"))
    server.patch(SETTINGS, {"data": {"a": "2"}}, manager="me")
    with pytest.raises(ConflictError, match="the object has been modified"):
        server.update(stale)
    del stale["metadata"]["resourceVersion"]
    assert server.update(stale)["data"] == {"a": "1"}


def test_an_update_names_the_writer_of_what_it_changed() -> None:
    server = new_server()
    live = server.create(config_map(a="1", b="1"), manager="maker")
    live["data"]["a"] = "2"
    owners = managers_of(server.update(live, manager="editor"))
    assert owners["editor"] == {"f:data": {"f:a": {}}}
    assert "f:a" not in owners["maker"]["f:data"]


def test_an_update_of_status_changes_status_alone() -> None:
    server = new_server()
    live = server.create(deployment())
    live["spec"]["replicas"] = 9
    live["status"] = {"readyReplicas": 1}
    after = server.update(live, subresource="status", manager="kcm")
    assert (after["spec"]["replicas"], after["status"]) == (2, {"readyReplicas": 1})


@pytest.mark.parametrize("name", ["default", "kube-system"])
def test_the_namespaces_of_the_system_cannot_go(name: str) -> None:
    with pytest.raises(ForbiddenError):
        new_server().delete(ObjectKey("", "Namespace", "", name))


def test_a_patch_cannot_move_an_object() -> None:
    server = new_server()
    server.create(deployment())
    with pytest.raises(BadRequestError, match="cannot be patched"):
        server.patch(WEB, {"metadata": {"name": "other"}}, manager="me")
