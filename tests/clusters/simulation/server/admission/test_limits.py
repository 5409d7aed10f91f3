"""LimitRange: what is filled in, what is out of bounds, and in what words."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.errors import AdmissionError, QuotaError
from clusters.objects import Object, ObjectKey, key_of
from tests.clusters.simulation.samples import managers_of, new_server
from tests.clusters.simulation.server.admission.policies import (
    claim,
    container,
    limit_range,
    pod,
    quota,
    used,
)

BOUNDS = ObjectKey("", "LimitRange", "default", "bounds")


def resources(obj: Object, index: int = 0) -> Object:
    found: Object = obj["spec"]["containers"][index]["resources"]
    return found


def test_containers_that_ask_for_nothing_get_the_defaults_of_the_namespace() -> None:
    server = new_server()
    server.create(limit_range(default={"cpu": "1"}, defaultRequest={"cpu": "500m"}))
    given = container("own", requests={"cpu": "100m"}, limits={"cpu": "200m"})
    made = server.create(
        pod(containers=[container(), given], initContainers=[container("init")]), manager="m"
    )
    wanted = {"requests": {"cpu": "500m"}, "limits": {"cpu": "1"}}
    assert resources(made) == wanted
    assert resources(made, 1) == {"requests": {"cpu": "100m"}, "limits": {"cpu": "200m"}}
    assert made["spec"]["initContainers"][0]["resources"] == wanted
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container app; "
        "cpu limit for container app; cpu request for init container init; "
        "cpu limit for init container init"
    }


def test_what_admission_fills_in_belongs_to_nobody() -> None:
    server = new_server()
    server.create(limit_range(default={"cpu": "1"}))
    made = server.create(pod("two"), manager="m")
    assert "f:priority" not in managers_of(made)["m"]["f:spec"]
    made = server.apply(pod(), manager="m")
    item = managers_of(made)["m"]["f:spec"]["f:containers"]['k:{"name":"app"}']
    assert "f:resources" not in item
    assert "f:annotations" not in managers_of(made)["m"].get("f:metadata", {})
    again = server.apply(pod(), manager="m")
    assert again["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]


def test_a_limit_range_completes_its_own_defaults() -> None:
    server = new_server()
    server.create(limit_range(max={"cpu": "2"}, min={"memory": "1Mi"}))
    (item,) = server.get(BOUNDS)["spec"]["limits"]
    assert item["default"] == {"cpu": "2"}
    assert item["defaultRequest"] == {"cpu": "2", "memory": "1Mi"}


def test_defaults_satisfy_a_quota_that_wants_every_container_to_say() -> None:
    server = new_server()
    server.create(quota({"requests.cpu": "1"}))
    with pytest.raises(QuotaError, match=r"must specify requests\.cpu for: app"):
        server.create(pod())
    server.create(limit_range(defaultRequest={"cpu": "300m"}))
    server.create(pod())
    assert used(server) == {"requests.cpu": "300m"}


SMALL = container(requests={"cpu": "1"}, limits={"cpu": "4"})


@pytest.mark.parametrize(
    ("item", "spec", "words"),
    [
        ({"min": {"cpu": "2"}}, [SMALL], "minimum cpu usage per Container is 2, but request is 1"),
        (
            {"min": {"memory": "1Mi"}, "kind": "Pod"},
            [SMALL],
            "minimum memory usage per Pod is 1Mi.  No request is specified",
        ),
        ({"max": {"cpu": "3"}}, [SMALL], "maximum cpu usage per Container is 3, but limit is 4"),
        (
            {"max": {"memory": "1Gi"}, "kind": "Pod"},
            [SMALL],
            "maximum memory usage per Pod is 1Gi.  No limit is specified",
        ),
        (
            {"max": {"cpu": "7"}, "kind": "Pod"},
            [SMALL, {**SMALL, "name": "b"}],
            "maximum cpu usage per Pod is 7, but limit is 8",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "3"}},
            [SMALL],
            "cpu max limit to request ratio per Container is 3, but provided ratio is 4.000000",
        ),
        (
            {"maxLimitRequestRatio": {"memory": "3"}},
            [SMALL],
            "memory max limit to request ratio per Container is 3, but no request is specified "
            "or request is 0",
        ),
        (
            {"min": {"cpu": "2"}},
            [SMALL, {**SMALL, "name": "b"}],
            "minimum cpu usage per Container is 2, but request is 1",
        ),
        (
            {"min": {"cpu": "2"}, "max": {"cpu": "3"}},
            [SMALL],
            "[minimum cpu usage per Container is 2, but request is 1, "
            "maximum cpu usage per Container is 3, but limit is 4]",
        ),
    ],
)
def test_a_pod_out_of_bounds_is_refused(item: Any, spec: list[Object], words: str) -> None:
    server = new_server()
    server.create(limit_range(**item))
    with pytest.raises(AdmissionError) as refused:
        server.create(pod(containers=spec))
    assert str(refused.value) == f'pods "one" is forbidden: {words}'


def test_a_pod_within_bounds_passes_and_is_left_alone_when_they_tighten() -> None:
    server = new_server()
    server.create(limit_range(max={"cpu": "4"}, maxLimitRequestRatio={"cpu": "4"}))
    server.create(pod(containers=[SMALL]))
    server.patch(BOUNDS, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "1"}}]}})
    server.patch(key_of(pod()), {"metadata": {"labels": {"seen": "yes"}}})


def test_a_pod_that_runs_gets_no_defaults_afterwards() -> None:
    server = new_server()
    server.create(pod())
    server.create(limit_range(default={"cpu": "1"}))
    changed = server.patch(key_of(pod()), {"metadata": {"labels": {"seen": "yes"}}})
    assert resources(changed) == {}
    assert "annotations" not in changed["metadata"]


def test_a_claim_that_goes_away_is_held_to_nothing_any_more() -> None:
    server = new_server()
    body = claim("2Gi")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    server.create(body)
    server.delete(key_of(body))
    server.create(limit_range("PersistentVolumeClaim", max={"storage": "1Gi"}))
    server.patch(key_of(body), {"metadata": {"finalizers": None}})
    assert server.peek(key_of(body)) is None


def test_a_claim_keeps_between_the_bounds_of_its_namespace() -> None:
    server = new_server()
    bounds = {"min": {"storage": "1Gi"}, "max": {"storage": "5Gi"}}
    server.create(limit_range("PersistentVolumeClaim", **bounds))
    server.create(claim("2Gi"))
    server.patch(key_of(claim("")), {"status": {"phase": "Bound"}}, subresource="status")
    words = "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"
    with pytest.raises(AdmissionError, match=words):
        server.create(claim("1Mi", "small"))
    words = "maximum storage usage per PersistentVolumeClaim is 5Gi, but request is 6Gi"
    with pytest.raises(AdmissionError, match=words):
        server.patch(key_of(claim("")), {"spec": {"resources": {"requests": {"storage": "6Gi"}}}})
