"""The real kubectl works against served clusters, with the controllers that it waits for."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from clusters.objects import Kind
from tests.clusters.simulation.http.kubectl import PATIENCE_SECONDS, Kubectl
from tests.clusters.simulation.samples import (
    SETTINGS,
    WEB,
    config_map,
    deployment,
    namespace,
    service,
    widget,
    widget_definition,
)


async def test_the_kubeconfig_has_a_context_for_each_cluster_and_is_private(
    kubectl: Kubectl,
) -> None:
    contexts = (await kubectl("config", "get-contexts", "-o", "name")).split()
    assert contexts == ["prd-1", "stg-1"]
    assert (kubectl.folder / "config").stat().st_mode & 0o777 == 0o600
    kubectl.clusters["prd-1"].server.create(namespace("only-here"))
    assert "only-here" in await kubectl("--context", "prd-1", "get", "namespaces")
    assert "only-here" not in await kubectl("get", "namespaces")


async def test_apply_wait_scale_and_rollout(kubectl: Kubectl) -> None:
    path = kubectl.file(deployment(), service())
    assert await kubectl("apply", "-f", path) == (
        "deployment.apps/web created\nservice/web created\n"
    )
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    await kubectl("scale", "deployment/web", "--replicas=3")
    await kubectl("wait", "--for=jsonpath={.status.readyReplicas}=3", "deployment/web")
    printed = (await kubectl("get", "deployments")).split("\n")[:2]
    assert printed[0].split() == ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]
    assert printed[1].split()[:4] == ["web", "3/3", "3", "3"]
    assert "unchanged" in await kubectl("apply", "-f", kubectl.file(service()))
    await kubectl("set", "image", "deployment/web", "app=nginx:2")
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    described = await kubectl("describe", "deployment", "web")
    assert "nginx:2" in described
    assert "Scaled up replica set web-" in described
    assert "Started container" in await kubectl("get", "events")
    await kubectl("delete", "-f", path, "--timeout=20s")
    assert kubectl.server.peek(WEB) is None


async def test_rollout_history_undo_restart_and_pause(kubectl: Kubectl) -> None:
    for image, cause in (("nginx:1", "first"), ("nginx:2", "second")):
        web = deployment()
        web["metadata"]["annotations"] = {"kubernetes.io/change-cause": cause, "owner": "shop"}
        web["spec"]["template"]["spec"]["containers"][0]["image"] = image
        await kubectl("apply", "-f", kubectl.file(web))
        await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    history = (await kubectl("rollout", "history", "deployment/web")).split("\n")
    assert [line.split() for line in history[2:4]] == [["1", "first"], ["2", "second"]]
    assert "nginx:1" in await kubectl("rollout", "history", "deployment/web", "--revision=1")
    await kubectl("rollout", "undo", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    live = kubectl.server.get(WEB)
    assert live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:1"
    assert live["metadata"]["annotations"]["owner"] == "shop"
    assert live["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "3"
    await kubectl("rollout", "pause", "deployment/web")
    await kubectl("rollout", "restart", "deployment/web", fails=True)
    await kubectl("rollout", "resume", "deployment/web")
    await kubectl("rollout", "restart", "deployment/web")
    await kubectl("rollout", "status", "deployment/web", "--timeout=30s")
    assert (
        kubectl.server.get(WEB)["metadata"]["annotations"]["deployment.kubernetes.io/revision"]
        == "4"
    )


@pytest.mark.parametrize("kind", ["StatefulSet", "DaemonSet"])
async def test_rollout_history_and_undo_of_sets(kubectl: Kubectl, kind: str) -> None:
    for image in ("nginx:1", "nginx:2"):
        found = deployment() | {"kind": kind}
        found["spec"].pop("replicas", None)
        found["spec"]["template"]["spec"]["containers"][0]["image"] = image
        await kubectl("apply", "-f", kubectl.file(found))
        await kubectl("rollout", "status", f"{kind}/web", "--timeout=30s")
    history = (await kubectl("rollout", "history", f"{kind}/web")).split("\n")
    assert [line.split()[0] for line in history[2:4]] == ["1", "2"]
    await kubectl("rollout", "undo", f"{kind}/web")
    await kubectl("rollout", "status", f"{kind}/web", "--timeout=30s")
    (pod,) = kubectl.server.peek_all(Kind("", "Pod"))
    assert pod["spec"]["containers"][0]["image"] == "nginx:1"


async def test_server_side_apply_tells_of_conflicts_and_can_force(kubectl: Kubectl) -> None:
    kubectl.server.apply(deployment(), manager="fleet/shop")
    path = kubectl.file(deployment(replicas=4))
    told = await kubectl("apply", "--server-side", "-f", path, fails=True)
    assert 'conflict with "fleet/shop": .spec.replicas' in told
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", path)
    assert kubectl.server.get(WEB)["spec"]["replicas"] == 4


async def test_client_side_apply_removes_what_it_no_longer_says(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", kubectl.file(config_map(a="1", b="1")))
    await kubectl("apply", "-f", kubectl.file(config_map(a="1")))
    assert kubectl.server.get(SETTINGS)["data"] == {"a": "1"}


async def test_a_misspelt_field_is_refused_by_both_ways_to_apply(kubectl: Kubectl) -> None:
    wrong = deployment()
    wrong["spec"]["replicsa"] = 1
    path = kubectl.file(wrong)
    assert 'unknown field "spec.replicsa"' in await kubectl("apply", "-f", path, fails=True)
    told = await kubectl("apply", "--server-side", "-f", path, fails=True)
    assert ".spec.replicsa: field not declared in schema" in told


@pytest.mark.parametrize(
    ("kind", "patch"),
    [
        ("strategic", {"spec": {"template": {"spec": {"containers": [
            {"name": "app", "image": "nginx:3"}]}}}}),
        ("merge", {"metadata": {"labels": {"patched": "yes"}}}),
        ("json", [{"op": "replace", "path": "/spec/replicas", "value": 6}]),
    ],
)  # fmt: skip
async def test_each_kind_of_patch(kubectl: Kubectl, kind: str, patch: Any) -> None:
    kubectl.server.apply(deployment(), manager="fleet/shop")
    await kubectl("patch", "deployment", "web", f"--type={kind}", "-p", json.dumps(patch))
    live = kubectl.server.get(WEB)
    found = {
        "strategic": live["spec"]["template"]["spec"]["containers"][0]["image"] == "nginx:3",
        "merge": live["metadata"].get("labels", {}).get("patched") == "yes",
        "json": live["spec"]["replicas"] == 6,
    }
    assert found[kind]
    assert sum(found.values()) == 1


async def test_custom_kinds_are_found_by_their_short_names(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", kubectl.file(widget_definition()))
    await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com")
    await kubectl("apply", "-f", kubectl.file(widget()))
    assert "blue" in await kubectl("get", "wd")
    rows = (await kubectl("api-resources", "--api-group=example.com", "--no-headers")).split()
    assert rows == ["widgets", "wd", "example.com/v1", "true", "Widget"]
    assert "color\t<string>" in await kubectl("explain", "widgets.spec")


async def test_a_namespace_is_deleted_with_what_is_in_it(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", kubectl.file(namespace("shop"), config_map(namespace="shop")))
    await kubectl("delete", "namespace", "shop", "--timeout=20s")
    assert "NotFound" in await kubectl("get", "namespace", "shop", fails=True)
    assert list(kubectl.server.peek_all(Kind("", "ConfigMap"), "shop")) == []


async def test_get_watch_follows_changes(kubectl: Kubectl) -> None:
    kubectl.server.create(config_map())
    # A list: kubectl watches a single object from "now" and may miss what comes in between.
    only = ("--field-selector", "metadata.name=settings")
    process = await kubectl.start("get", "configmaps", *only, "--watch")

    async def line() -> list[str]:
        assert process.stdout is not None
        read = await asyncio.wait_for(process.stdout.readline(), PATIENCE_SECONDS)
        return read.decode().split()[:2]

    try:
        assert [await line(), await line()] == [["NAME", "DATA"], ["settings", "0"]]
        kubectl.server.patch(SETTINGS, {"data": {"a": "1"}}, manager="m")
        assert await line() == ["settings", "1"]
    finally:
        process.terminate()
        await asyncio.wait_for(process.communicate(), PATIENCE_SECONDS)
