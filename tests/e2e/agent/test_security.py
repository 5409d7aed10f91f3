"""Rights on a real control plane: bundles with an account of their own, and rights as generated."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import replace
from datetime import timedelta

import pytest

from agents.agent import Agent
from agents.inventory import NAMESPACE
from agents.protocol import BundleDeployment, Options, SyncState
from agents.protocol.needs import needs_of_manifests
from agents.rights import NAME, rights_of
from clusters.cluster import Cluster
from clusters.errors import ForbiddenError
from clusters.objects import Kind, Object, ObjectKey
from tests.agents.memory_hub import CLUSTER
from tests.agents.samples import config_map, crd, deployment, widget
from tests.e2e.agent.real_lab import PATIENCE_SECONDS, SETTINGS, SPACE, RealLab

pytestmark = pytest.mark.slow
RBAC = "rbac.authorization.k8s.io"
TEAM = Options(namespace=SPACE, service_account="team-a")


async def _allow(lab: RealLab, *objects: Object) -> None:
    for item in objects:
        await lab.cluster.apply(item, manager="admin", force=True)


def _account(name: str) -> Object:
    meta = {"name": name, "namespace": NAMESPACE}
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": meta}


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _may_edit(account: str, namespace: str) -> Object:
    """The usual rights of a team: `edit`, in one namespace."""
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": "RoleBinding",
        "metadata": {"name": f"{account}-edits", "namespace": namespace},
        "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": "edit"},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    }


async def test_a_bundle_without_rights_fails_alone_and_one_with_them_is_applied(
    real: RealLab,
) -> None:
    for name in (SPACE, NAMESPACE):
        await _allow(real, _namespace(name))
    await _allow(real, _account("team-a"))
    real.release("team", config_map("of-team"), options=TEAM)
    real.release("platform", config_map("of-platform"))
    await real.synced("platform")
    report = await real.code("team", "forbidden")
    assert report.sync is SyncState.FAILED
    assert f"system:serviceaccount:{NAMESPACE}:team-a" in report.message
    assert await real.cluster.get(ObjectKey("", "ConfigMap", SPACE, "of-team")) is None

    await _allow(real, _may_edit("team-a", SPACE))
    await real.synced("team", "platform")
    assert await real.cluster.get(ObjectKey("", "ConfigMap", SPACE, "of-team")) is not None

    role: Object = {
        "apiVersion": f"{RBAC}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "escape"},
        "rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}],
    }
    real.release("team", config_map("of-team"), role, options=TEAM)
    report = await real.code("team", "forbidden")
    assert await real.cluster.get(ObjectKey(RBAC, "ClusterRole", "", "escape")) is None

    real.release("team", config_map("of-team"), options=TEAM, run="back")
    await real.synced("team")
    real.hub.offer("leave", BundleDeployment.absent("team"))
    await real.until(lambda: "team" not in real.agent.reports)
    assert await real.cluster.get(ObjectKey("", "ConfigMap", SPACE, "of-team")) is None


def _secret(name: str, namespace: str) -> Object:
    meta = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": meta, "stringData": {"k": "v"}}


def _role(kind: str, name: str, resource: str, **meta: str) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": kind,
        "metadata": {"name": name, **meta},
        "rules": [{"apiGroups": [""], "resources": [resource], "verbs": ["get", "list"]}],
    }


def _binds(kind: str, name: str, ref: str, **meta: str) -> Object:
    return {
        "apiVersion": f"{RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": {"name": name, **meta},
        "roleRef": {"apiGroup": RBAC, "kind": ref.split("/")[0], "name": ref.split("/")[1]},
        "subjects": [{"kind": "ServiceAccount", "name": "web", "namespace": SPACE}],
    }


DEPLOYED: tuple[Object, ...] = (
    config_map(),
    deployment(replicas=0),
    crd(),
    widget(),
    _secret("password", SPACE),
    _role("ClusterRole", "fleet-e2e-reader", "nodes"),
    _role("Role", "reader", "endpoints", namespace=SPACE),
    _binds("Role", "reader", "Role/reader", namespace=SPACE),
    _binds("Role", "viewer", "ClusterRole/view", namespace=SPACE),
    _binds("ClusterRole", "fleet-e2e-reader", "ClusterRole/fleet-e2e-reader"),
)


def _placed(item: Object) -> Object:
    """As `fleet render` prints it: with its namespace."""
    if item["kind"] in ("ClusterRole", "ClusterRoleBinding", "CustomResourceDefinition"):
        return item
    return {**item, "metadata": {"namespace": SPACE, **item["metadata"]}}


def _rights() -> list[Object]:
    return rights_of(needs_of_manifests(_placed(item) for item in DEPLOYED))


async def _limited_agent(real: RealLab) -> Cluster:
    """The agent, with the rights that are generated; the cluster as it sees it."""
    await _allow(real, *_rights(), _account(NAME))
    cluster: Cluster = real.cluster.as_user(f"system:serviceaccount:{NAMESPACE}:{NAME}")
    real.agent = Agent(
        cluster,
        real.hub,
        real.clock,
        real.folder / "limited",
        name=CLUSTER,
        incarnation="limited",
        settings=replace(SETTINGS, events=True),
    )
    return cluster


async def _until_announced(real: RealLab, name: str) -> None:
    """Until there is an Event about that object: in `default`, since it is in no namespace."""
    deadline = real.clock.now() + timedelta(seconds=PATIENCE_SECONDS)
    about: set[tuple[str, str]] = set()
    while (name, "SyncFailed") not in about:
        assert real.clock.now() < deadline, about
        await real.run_for(0.2)
        events = await real.cluster.list(Kind("", "Event"), namespace="default")
        about = {(item["involvedObject"]["name"], item["reason"]) for item in events.items}


async def _is_forbidden(call: Awaitable[object]) -> bool:
    try:
        await call
    except ForbiddenError:
        return True
    return False


async def test_the_rights_that_are_generated_suffice_and_go_no_further(real: RealLab) -> None:
    cluster = await _limited_agent(real)
    real.release("web", *DEPLOYED)
    await real.synced("web")
    await real.edit(ObjectKey("", "ConfigMap", SPACE, "settings"), {"data": {"colour": "red"}})
    await real.edit(ObjectKey("", "Secret", SPACE, "password"), {"stringData": {"k": "by hand"}})
    await real.until(lambda: real.report("web").healed >= 2)
    await real.run_for(1)
    assert real.report("web").sync is SyncState.SYNCED, real.report("web").message

    secret = Kind("", "Secret")
    assert await _is_forbidden(cluster.list(secret))
    assert await _is_forbidden(cluster.list(secret, namespace="kube-system"))
    assert await _is_forbidden(cluster.get(ObjectKey("", "Secret", "default", "anything")))
    assert await _is_forbidden(cluster.apply(_secret("x", "kube-system"), manager="x"))
    assert await _is_forbidden(cluster.apply(_account("x"), manager="x"))
    assert await _is_forbidden(cluster.list(Kind("batch", "Job")))
    assert await _is_forbidden(
        cluster.as_user("system:admin").get(ObjectKey("", "Namespace", "", "default"))
    )

    powers = _role("ClusterRole", "fleet-e2e-reader", "nodes")
    powers["rules"][0]["verbs"] = ["*"]
    real.release("web", *(item for item in DEPLOYED if item["kind"] != "ClusterRole"), powers)
    report = await real.code("web", "forbidden")
    assert "attempting to grant RBAC permissions not currently held" in report.objects[0].message
    await _until_announced(real, "fleet-e2e-reader")
    real.release("web", *DEPLOYED, run="back")
    await real.synced("web")
    await real.removed("web")
    left = await real.cluster.get(ObjectKey("", "Secret", SPACE, "password"))
    assert left is None
