"""Webhooks: who is asked, how a missing one fails, and what an answer does."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import AdmissionError, InvalidError
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.server import ApiServer, Review, Verdict, denial
from clusters.simulation.server.rejections import WebhookError
from tests.clusters.simulation.samples import (
    SETTINGS,
    WEB,
    config_map,
    deployment,
    managers_of,
    namespace,
    new_server,
    service,
    widget,
    widget_definition,
)
from tests.clusters.simulation.server.admission.policies import (
    HOOK,
    behind,
    keep_from_older_release,
    rule,
    webhook,
)


class Listener:
    """A webhook that admits everything and remembers what it was asked."""

    def __init__(self, server: ApiServer) -> None:
        self.reviews: list[Review] = []
        server.webhooks[HOOK] = self

    def __call__(self, review: Review) -> Verdict:
        self.reviews.append(review)
        return Verdict()

    def asked(self) -> list[str]:
        """What was asked since the last call, as `OPERATION resource/subresource name`."""
        rows = [
            f"{r.operation} {r.resource}{'/' if r.subresource else ''}{r.subresource} {r.name}"
            for r in self.reviews
        ]
        self.reviews.clear()
        return rows


def endpoint_slice(**conditions: bool) -> Object:
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "hook-1",
            "namespace": "default",
            "labels": {"kubernetes.io/service-name": "hook"},
        },
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.2.3"], "conditions": conditions}],
        "ports": [{"port": 8443, "name": "", "protocol": "TCP"}],
    }


HOOK_SERVICE = service("hook", ports=[{"port": 443}])
SLICE = key_of(endpoint_slice())


@pytest.mark.parametrize(
    ("prepare", "config", "trouble"),
    [
        (
            [],
            behind("hook", path="/check"),
            'Post "https://hook.default.svc:443/check?timeout=10s": service "hook" not found',
        ),
        (
            [HOOK_SERVICE],
            behind("hook"),
            'Post "https://hook.default.svc:443/?timeout=10s": no endpoints available for '
            'service "hook"',
        ),
        (
            [HOOK_SERVICE, endpoint_slice(ready=False)],
            behind("hook"),
            'Post "https://hook.default.svc:443/?timeout=10s": no endpoints available for '
            'service "hook"',
        ),
        (
            [HOOK_SERVICE],
            behind("hook", port=8443),
            'Post "https://hook.default.svc:8443/?timeout=10s": no service port 8443 found for '
            'service "hook"',
        ),
        (
            [service("hook", type="ExternalName", externalName="example.com")],
            behind("hook"),
            'Post "https://hook.default.svc:443/?timeout=10s": unsupported service type '
            '"ExternalName"',
        ),
        (
            [HOOK_SERVICE, {**endpoint_slice(ready=True), "ports": []}],
            behind("hook"),
            'Post "https://hook.default.svc:443/?timeout=10s": no endpoints available for '
            'service "hook"',
        ),
        (
            [],
            {"url": "https://policy.example.com/check"},
            'Post "https://policy.example.com/check?timeout=10s": dial tcp: lookup '
            "policy.example.com: no such host",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
def test_a_webhook_that_cannot_be_called_refuses_the_write(
    prepare: list[Object], config: Object, trouble: str, kind: str
) -> None:
    server = new_server()
    for obj in prepare:
        server.create(obj)
    server.create(webhook(kind=kind, clientConfig=config))
    with pytest.raises(WebhookError) as refused:
        server.apply(config_map(), manager="m")
    words = f'failed calling webhook "{HOOK}": failed to call webhook: {trouble}'
    assert str(refused.value) == f"Internal error occurred: {words}"
    assert (refused.value.status_code, refused.value.reason) == (500, "InternalError")
    assert refused.value.retryable
    assert server.peek(SETTINGS) is None


def test_one_that_may_fail_is_passed_over() -> None:
    server = new_server()
    server.create(webhook(failurePolicy="Ignore"))
    server.create(config_map())


@pytest.mark.parametrize("conditions", [{"ready": True}, {}])
def test_one_with_a_ready_endpoint_admits_everything_unchanged(
    conditions: dict[str, bool],
) -> None:
    server = new_server()
    for obj in (HOOK_SERVICE, endpoint_slice(**conditions)):
        server.create(obj)
    server.create(webhook(clientConfig=behind("hook")))
    server.create(config_map())
    server.delete(SLICE)
    with pytest.raises(AdmissionError, match="no endpoints available"):
        server.delete(SETTINGS)
    assert server.peek(SETTINGS) is not None


def test_a_registered_function_behind_a_service_waits_for_its_endpoints() -> None:
    server = new_server()
    listener = Listener(server)
    server.create(HOOK_SERVICE)
    server.create(webhook(clientConfig=behind("hook")))
    with pytest.raises(AdmissionError, match="no endpoints available"):
        server.create(config_map())
    assert listener.asked() == []
    server.create(endpoint_slice(ready=True))
    server.create(config_map())
    assert listener.asked() == ["CREATE configmaps settings"]


def test_a_denial_carries_the_webhooks_words_and_code() -> None:
    server = new_server()
    server.create(webhook(failurePolicy="Ignore"))
    server.webhooks[HOOK] = lambda review: denial("no owner")
    with pytest.raises(WebhookError) as refused:
        server.create(config_map())
    assert str(refused.value) == f'admission webhook "{HOOK}" denied the request: no owner'
    assert (refused.value.status_code, refused.value.reason) == (403, "Forbidden")
    assert not refused.value.retryable
    server.webhooks[HOOK] = lambda review: Verdict(allowed=False, code=200, reason="")
    with pytest.raises(WebhookError, match="denied the request without explanation") as refused:
        server.create(config_map())
    assert refused.value.status_code == 400


def test_a_function_that_raises_an_os_error_is_one_that_did_not_answer() -> None:
    def slow(review: Review) -> Verdict:
        raise TimeoutError("context deadline exceeded")

    server = new_server()
    server.create(webhook(timeoutSeconds=3))
    server.webhooks[HOOK] = slow
    words = r'Post "https://policy.example.com/check\?timeout=3s": context deadline exceeded'
    with pytest.raises(AdmissionError, match=words):
        server.create(config_map())


@pytest.mark.parametrize(
    ("effects", "passes"),
    [("None", True), ("NoneOnDryRun", True), ("Some", False), ("Unknown", False)],
)
@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
def test_a_webhook_with_side_effects_refuses_dry_runs(
    effects: str, passes: bool, kind: str
) -> None:
    server = new_server()
    listener = Listener(server)
    # Even one that may fail: it was not called, so it did not fail.
    keep_from_older_release(server, webhook(kind=kind, failurePolicy="Ignore"), effects)
    if passes:
        server.apply(config_map(), manager="m", dry_run=True)
        assert [review.dry_run for review in listener.reviews] == [True]
    else:
        with pytest.raises(WebhookError) as refused:
            server.apply(config_map(), manager="m", dry_run=True)
        assert str(refused.value) == f'admission webhook "{HOOK}" does not support dry run'
        assert (refused.value.status_code, refused.value.reason) == (400, "BadRequest")
        server.create(config_map())
        with pytest.raises(WebhookError, match="does not support dry run"):
            server.delete(SETTINGS, dry_run=True)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            {"sideEffects": "Some"},
            'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", '
            '"NoneOnDryRun"',
        ),
        (
            {"name": "policy"},
            'webhooks[0].name: Invalid value: "policy": should be a domain with at least three '
            "segments separated by dots",
        ),
        (
            {"clientConfig": {}},
            "webhooks[0].clientConfig: Required value: exactly one of url or service is required",
        ),
        (
            {"timeoutSeconds": 0},
            "webhooks[0].timeoutSeconds: Invalid value: 0: the timeout value must be between 1 "
            "and 30 seconds",
        ),
        (
            {"timeoutSeconds": 31},
            "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 "
            "and 30 seconds",
        ),
    ],
)
def test_a_wrong_configuration_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidError) as refused:
        new_server().create(webhook(**changes))
    kind = "ValidatingWebhookConfiguration.admissionregistration.k8s.io"
    what = f'{kind} "policy" is invalid'
    assert str(refused.value) == f"{what}: {words}"


def test_a_webhook_is_asked_about_every_write_that_matches() -> None:
    server = new_server()
    server.create(deployment())
    listener = Listener(server)
    server.create(webhook(rule("deployments", "deployments/scale", apiGroups=["apps"])))
    server.apply(deployment(3), manager="m", force=True)
    server.patch(WEB, {"spec": {"replicas": 4}}, subresource="scale")
    server.patch(WEB, {"status": {"replicas": 4}}, subresource="status")
    server.create(config_map())
    server.delete(WEB)
    assert listener.asked() == [
        "UPDATE deployments web",
        "UPDATE deployments/scale web",
        "DELETE deployments web",
    ]


def test_a_webhook_is_asked_even_about_an_apply_that_changes_nothing() -> None:
    server = new_server()
    server.apply(config_map(a="1"), manager="m")
    listener = Listener(server)
    server.create(webhook())
    before = server.resource_version
    server.apply(config_map(a="1"), manager="m")
    assert listener.asked() == ["UPDATE configmaps settings"]
    assert server.resource_version == before


def test_a_review_shows_the_old_and_the_new_object_as_copies() -> None:
    server = new_server()
    server.create(config_map(a="1"))

    def meddle(review: Review) -> Verdict:
        assert review.object is not None
        assert review.old_object is not None
        assert (review.object["data"], review.old_object["data"]) == ({"a": "2"}, {"a": "1"})
        review.object["data"]["a"] = review.old_object["data"]["a"] = "3"
        return Verdict(allowed=review.dry_run)

    server.create(webhook())
    server.webhooks[HOOK] = meddle
    would_be = server.patch(SETTINGS, {"data": {"a": "2"}}, dry_run=True)
    assert would_be["data"] == {"a": "2"}
    with pytest.raises(WebhookError):
        server.patch(SETTINGS, {"data": {"a": "2"}})
    assert server.get(SETTINGS)["data"] == {"a": "1"}


@pytest.mark.parametrize(
    ("row", "asked"),
    [
        (rule("*"), ["CREATE namespaces", "CREATE configmaps"]),
        (rule("*", apiGroups=["*"]), ["namespaces", "configmaps", "deployments", "widgets"]),
        (rule("*/*", apiGroups=["apps"]), ["deployments", "deployments/status"]),
        (rule("deployments/*", apiGroups=["apps"]), ["deployments", "deployments/status"]),
        (rule("*/status", apiGroups=["apps"]), ["deployments/status"]),
        (rule("*", apiGroups=["*"], scope="Cluster"), ["namespaces"]),
        (rule("*", apiGroups=["*"], scope="Namespaced"), ["configmaps", "deployments", "widgets"]),
        (rule("*", apiGroups=["*"], apiVersions=["v2"]), []),
        (rule("*", apiGroups=["*"], operations=["DELETE"]), []),
        (rule("secrets"), []),
        (rule("deployments"), []),
    ],
)
def test_rules_say_what_a_webhook_is_asked_about(row: Object, asked: list[str]) -> None:
    server = new_server()
    server.create(widget_definition())
    listener = Listener(server)
    server.create(webhook(row))
    server.create(namespace("shop"))
    for obj in (config_map(), deployment(), widget()):
        server.create(obj)
    server.patch(WEB, {"status": {"replicas": 1}}, subresource="status")
    words = [row.split()[1] for row in listener.asked()]
    assert words == [item.split()[-1] for item in asked]


@pytest.mark.parametrize(("policy", "asked"), [("Equivalent", 1), ("Exact", 0)])
def test_match_policy_says_whether_another_version_of_the_kind_matches(
    policy: str, asked: int
) -> None:
    server = new_server()
    listener = Listener(server)
    row = rule("horizontalpodautoscalers", apiGroups=["autoscaling"])
    server.create(webhook(row, matchPolicy=policy))
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {"scaleTargetRef": target, "maxReplicas": 3},
    }
    server.create(scaler)
    assert len(listener.reviews) == asked


def labelled(obj: Object, **labels: str) -> Object:
    return {**obj, "metadata": {**obj["metadata"], "labels": labels}}


def test_selectors_look_at_the_object_and_at_its_namespace() -> None:
    server = new_server()
    server.create(labelled(namespace("shop"), tier="gold"))
    listener = Listener(server)
    chosen = {"matchLabels": {"checked": "yes"}}
    gold = {"matchExpressions": [{"key": "tier", "operator": "In", "values": ["gold"]}]}
    server.create(webhook(rule("*"), objectSelector=chosen, namespaceSelector=gold))
    server.create(config_map("plain", "shop"))
    server.create(labelled(config_map("elsewhere"), checked="yes"))
    server.create(labelled(config_map("one", "shop"), checked="yes"))
    key = ObjectKey("", "ConfigMap", "shop", "one")
    server.patch(key, {"metadata": {"labels": None}})
    server.delete(key)
    server.create(labelled(namespace("silver"), checked="yes"))
    server.create(labelled(namespace("other"), checked="yes", tier="gold"))
    server.delete(ObjectKey("", "Namespace", "", "other"))
    server.delete(ObjectKey("", "Namespace", "", "silver"))
    volume = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "disk"}}
    spec = {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"]}
    spec["hostPath"] = {"path": "/disk"}
    server.create(labelled({**volume, "spec": spec}, checked="yes"))
    assert listener.asked() == [
        "CREATE configmaps one",
        "UPDATE configmaps one",
        "CREATE namespaces other",
        "DELETE namespaces other",
        "CREATE persistentvolumes disk",
    ]


def test_a_namespace_is_exempted_by_its_name() -> None:
    server = new_server()
    term = {
        "key": "kubernetes.io/metadata.name",
        "operator": "NotIn",
        "values": ["kube-system"],
    }
    server.create(webhook(namespaceSelector={"matchExpressions": [term]}))
    server.create(config_map(namespace="kube-system"))
    with pytest.raises(AdmissionError, match="failed calling webhook"):
        server.create(config_map())


@pytest.mark.parametrize("kind", ["Validating", "Mutating"])
def test_a_broken_webhook_can_always_be_removed(kind: str) -> None:
    server = new_server()
    body = webhook(rule("*/*", apiGroups=["*"], apiVersions=["*"]), kind=kind)
    server.create(body)
    with pytest.raises(AdmissionError):
        server.create(config_map())
    server.patch(key_of(body), {"metadata": {"labels": {"a": "b"}}})
    server.delete(key_of(body))
    server.create(config_map())


def test_a_mutating_webhook_changes_the_object_before_it_is_validated() -> None:
    server = new_server()
    server.create(webhook(rule("deployments", apiGroups=["apps"]), kind="Mutating"))
    side = {"name": "side", "image": "side:1", "ports": [{"containerPort": 1}]}
    add = {"op": "add", "path": "/spec/template/spec/containers/-", "value": side}
    server.webhooks[HOOK] = lambda review: Verdict(patch=(add,))
    made = server.apply(deployment(), manager="m")
    added = made["spec"]["template"]["spec"]["containers"][1]
    assert added["image"] == "side:1"
    assert added["ports"] == [{"containerPort": 1, "protocol": "TCP"}]
    owned = managers_of(made)["m"]["f:spec"]["f:template"]["f:spec"]["f:containers"]
    assert set(owned) == {'k:{"name":"app"}'}
    server.webhooks[HOOK] = lambda review: Verdict(
        patch=({"op": "remove", "path": "/spec/selector"},)
    )
    with pytest.raises(InvalidError, match=r"spec\.selector"):
        server.create(deployment(name="other"))


def test_what_a_mutating_webhook_takes_away_is_filled_in_by_the_kinds_defaults() -> None:
    server = new_server()
    server.create(widget_definition())
    server.create(webhook(rule("widgets", apiGroups=["example.com"]), kind="Mutating"))
    server.webhooks[HOOK] = lambda review: Verdict(patch=({"op": "remove", "path": "/spec/count"},))
    assert server.create(widget(count=7))["spec"]["count"] == 3


def test_mutating_webhooks_follow_each_other_by_the_name_of_their_configuration() -> None:
    server = new_server()

    def sign(review: Review) -> Verdict:
        assert review.object is not None
        path = "/data/signed"
        text = review.object["data"].get("signed", "") + review.webhook[0]
        return Verdict(patch=({"op": "add", "path": path, "value": text},))

    for name in ("z", "b", "m"):
        body = webhook(kind="Mutating")
        body["metadata"]["name"] = f"{name}-config"
        body["webhooks"][0]["name"] = f"{name}.example.com"
        server.create(body)
        server.webhooks[f"{name}.example.com"] = sign
    assert server.create(config_map(a="1"))["data"] == {"a": "1", "signed": "bmz"}


def test_a_delete_cannot_be_changed_by_a_mutating_webhook() -> None:
    server = new_server()
    server.create(config_map())
    server.create(webhook(kind="Mutating"))
    server.webhooks[HOOK] = lambda review: Verdict(
        patch=({"op": "add", "path": "/data", "value": {}},)
    )
    with pytest.raises(WebhookError, match="which is not supported for this operation"):
        server.delete(SETTINGS)


def test_validating_webhooks_see_what_will_be_stored_and_only_if_it_is_valid() -> None:
    server = new_server()
    listener = Listener(server)
    server.create(webhook(rule("services")))
    with pytest.raises(InvalidError, match="is invalid"):
        server.create(service(ports=[]))
    assert listener.asked() == []
    server.create(service())
    (review,) = listener.reviews
    assert review.object is not None
    assert review.object["spec"]["type"] == "ClusterIP"
    assert (review.kind, review.version) == (Kind("", "Service"), "v1")


def test_policies_are_stored_and_bother_nobody() -> None:
    server = new_server()
    metadata = {"name": "p"}
    for kind, spec in (
        ("ValidatingAdmissionPolicy", {"validations": [{"expression": "false"}]}),
        ("ValidatingAdmissionPolicyBinding", {"policyName": "p", "validationActions": ["Deny"]}),
    ):
        body: dict[str, Any] = {
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": kind,
            "metadata": metadata,
            "spec": spec,
        }
        server.create(body)
        assert server.get(key_of(body))["spec"].items() >= spec.items()
    server.create(config_map())
