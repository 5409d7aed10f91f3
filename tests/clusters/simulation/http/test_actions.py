"""What is asked or done by POST: protobuf bodies, reviews, bindings, evictions, approvals."""

from __future__ import annotations

import pytest

from clusters.objects import ObjectKey
from clusters.simulation.http.protobuf import message_class
from tests.clusters.simulation.http.client import CONFIG_MAPS, Client
from tests.clusters.simulation.samples import config_map


async def test_a_body_may_be_protobuf_and_the_answer_is_json(client: Client) -> None:
    config = message_class("k8s.io.api.core.v1.ConfigMap")(data={"a": "1"})
    config.metadata.name = "settings"
    status, made = await client.send(CONFIG_MAPS, "v1", "ConfigMap", config)
    assert (status, made["kind"], made["data"]) == (201, "ConfigMap", {"a": "1"})
    cbor = {"Content-Type": "application/cbor"}
    status, refused = await client.ask("POST", CONFIG_MAPS, config_map("other"), **cbor)
    assert (status, refused["reason"]) == (415, "UnsupportedMediaType")


@pytest.mark.parametrize(
    ("path", "kind", "part"),
    [
        ("authorization.k8s.io/v1/selfsubjectaccessreviews", "SelfSubjectAccessReview", "allowed"),
        ("authorization.k8s.io/v1/subjectaccessreviews", "SubjectAccessReview", "allowed"),
        (
            "authorization.k8s.io/v1/namespaces/default/localsubjectaccessreviews",
            "LocalSubjectAccessReview",
            "allowed",
        ),
        ("authentication.k8s.io/v1/selfsubjectreviews", "SelfSubjectReview", "userInfo"),
    ],
)
async def test_a_review_is_answered_and_not_stored(
    client: Client, path: str, kind: str, part: str
) -> None:
    before = client.clusters["lab"].server.resource_version
    spec = {"resourceAttributes": {"verb": "get", "resource": "pods"}}
    status, answer = await client.ask("POST", f"/apis/{path}", {"kind": kind, "spec": spec})
    assert (status, answer["kind"], answer["spec"]) == (201, kind, spec)
    assert answer["status"][part]
    assert client.clusters["lab"].server.resource_version == before
    assert (await client.ask("GET", f"/apis/{path}"))[0] == 405
    assert (await client.ask("POST", f"/apis/{path}", {"kind": "Pod"}))[0] == 400
    discovered = await client.get(f"/apis/{path.partition('/')[0]}/v1")
    assert kind in {resource["kind"] for resource in discovered["resources"]}


async def test_a_pod_can_be_bound_to_a_node_and_evicted(client: Client) -> None:
    server = client.clusters["lab"].server
    spec = {"containers": [{"name": "app", "image": "nginx"}]}
    key = ObjectKey("", "Pod", "default", "alone")
    metadata = {"name": "alone", "namespace": "default", "labels": {"app": "alone"}}
    server.create({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    pod = "/api/v1/namespaces/default/pods/alone"
    assert (await client.ask("POST", f"{pod}/binding", {"target": {}}))[0] == 400
    assert (await client.ask("POST", f"{pod}/binding", {"target": {"name": "node-7"}}))[0] == 201
    assert server.get(key)["spec"]["nodeName"] == "node-7"
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "calm", "namespace": "default"},
        "spec": {"selector": {"matchLabels": {"app": "alone"}}, "minAvailable": 1},
    }
    server.create(budget)
    status, refused = await client.ask("POST", f"{pod}/eviction", {})
    assert (status, refused["reason"]) == (429, "TooManyRequests")
    assert refused["details"]["retryAfterSeconds"] == 10
    calm = ObjectKey("policy", "PodDisruptionBudget", "default", "calm")
    allowed = {"status": {"disruptionsAllowed": 1}}
    server.patch(calm, allowed, manager="m", subresource="status")
    trial = {"deleteOptions": {"dryRun": ["All"]}}
    assert (await client.ask("POST", f"{pod}/eviction", trial))[0] == 201
    assert server.peek(key) is not None
    assert (await client.ask("POST", f"{pod}/eviction", {}))[0] == 201
    assert server.peek(key) is None


async def test_the_approval_of_a_certificate_is_a_condition(client: Client) -> None:
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    request = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "me"},
        "spec": {"request": "eA==", "signerName": "example.com/x", "usages": ["client auth"]},
    }
    _, made = await client.ask("POST", path, request)
    approved = {"type": "Approved", "status": "True", "reason": "x", "message": "x"}
    made["status"] = {"conditions": [approved]}
    status, answer = await client.ask("PUT", f"{path}/me/approval", made)
    assert (status, answer["status"]["conditions"][0]["type"]) == (200, "Approved")
