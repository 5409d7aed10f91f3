"""Inventory and prune on a real API server: what other tools see, and what is never deleted."""

from __future__ import annotations

import subprocess
from pathlib import Path

from agents.inventory import NAMESPACE, PART_OF, applyset_id, parent_name
from agents.protocol import BundleDeployment, Deletion, Options, SyncState
from clusters.objects import Object, ObjectKey, dump_yaml
from tests.agents.samples import config_map, crd, deployment, namespace
from tests.e2e.agent.real_lab import SPACE, RealLab
from tests.e2e.agent.test_apply import deny_policy

MANY = 12


def kubectl(real: RealLab, *words: str) -> subprocess.CompletedProcess[str]:
    """One call of kubectl, ApplySets enabled."""
    return real.kubectl(*words, KUBECTL_APPLYSET="true")


async def test_kubectl_recognises_the_applyset_and_finds_its_members(
    real: RealLab, tmp_path: Path
) -> None:
    real.release("web", config_map(), deployment(replicas=0))
    await real.synced("web")
    members = f"{PART_OF}={applyset_id('web')}"
    found = kubectl(real, "get", "configmaps,deployments", "-A", "-o", "name", "-l", members)
    assert sorted(found.stdout.split()) == ["configmap/settings", "deployment.apps/web"]
    manifest = tmp_path / "other.yaml"
    other = config_map("other")
    other["metadata"]["namespace"] = NAMESPACE
    manifest.write_text(dump_yaml([other]), "utf-8")
    refused = kubectl(
        real, "apply", "--server-side", "-n", NAMESPACE, "--prune", "-f", str(manifest),
        f"--applyset=configmap/{parent_name('web')}",
    )  # fmt: skip
    assert refused.returncode != 0
    assert 'managed by tooling "fleet"' in refused.stderr, "its id and label were found right"
    assert await real.live("ConfigMap", "settings") is not None


async def test_prune_deletes_what_is_owned_and_nothing_else(real: RealLab) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    kept = config_map("kept")
    kept["metadata"]["annotations"] = {"kustomize.toolkit.fluxcd.io/prune": "disabled"}
    goes = [config_map("gone"), config_map("taken"), kept, held, crd(), claim()]
    real.release("web", config_map(), *goes, namespace("fleet-e2e-2"))
    await real.synced("web")
    taken = ObjectKey("", "ConfigMap", SPACE, "taken")
    await real.edit(taken, {"metadata": {"labels": {PART_OF: "somebody-else"}}}, "somebody")
    real.recorder.writes.clear()
    real.release("web", config_map())
    await real.synced("web")
    assert await real.live("ConfigMap", "gone") is None
    for kind, name, where, group in (
        ("ConfigMap", "taken", SPACE, ""),
        ("ConfigMap", "kept", SPACE, ""),
        ("PersistentVolumeClaim", "data", SPACE, ""),
        ("Namespace", "fleet-e2e-2", "", ""),
        ("CustomResourceDefinition", "widgets.example.com", "", "apiextensions.k8s.io"),
    ):
        left = await real.there(kind, name, where, group)
        assert (left["metadata"].get("labels") or {}).get(PART_OF) != applyset_id("web")
    said = {item.object: item.message for item in real.report("web").objects}
    assert "example.com/wait" in said[f"ConfigMap {SPACE}/held"]
    assert real.recorder.writes.count("delete ConfigMap held") == 1


async def test_a_refused_deletion_is_reported_and_tried_again(real: RealLab) -> None:
    real.release("web", config_map(), config_map("old"))
    await real.synced("web")
    policy, binding = deny_policy("DELETE", "configmaps", "oldObject.metadata.name != 'old'")
    for item in (policy, binding):
        await real.cluster.apply(item, manager="admin")
    await _deletion_is_refused(real)
    real.release("web", config_map())
    report = await real.code("web", "admission")
    assert [item.object for item in report.objects if item.code] == [f"ConfigMap {SPACE}/old"]
    for item in (binding, policy):
        group = "admissionregistration.k8s.io"
        await real.cluster.delete(ObjectKey(group, item["kind"], "", "fleet-e2e"))
    await real.synced("web")
    assert await real.live("ConfigMap", "old") is None


async def _deletion_is_refused(real: RealLab) -> None:
    old = ObjectKey("", "ConfigMap", SPACE, "old")

    async def refused() -> bool:
        try:
            await real.cluster.delete(old, dry_run=True)
        except Exception:  # any refusal is what is waited for
            return True
        return False

    for _ in range(200):
        if await refused():
            return
        await real.run_for(0.1)
    raise AssertionError("the policy is not enforced")


async def test_deletion_policies_when_a_bundle_leaves(real: RealLab) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    orphan = Options(namespace=SPACE, deletion=Deletion.ORPHAN)
    real.release("stays", config_map("stays"), options=orphan)
    real.release("goes", held, options=Options(namespace=SPACE, deletion=Deletion.DELETE))
    await real.synced("stays", "goes")
    await real.removed("stays")
    await real.removed("goes")
    left = await real.there("ConfigMap", "stays")
    assert PART_OF not in (left["metadata"].get("labels") or {})
    going = await real.there("ConfigMap", "held")
    assert going["metadata"]["deletionTimestamp"]
    assert await real.live("ConfigMap", parent_name("goes"), NAMESPACE) is None


async def test_a_wipe_is_held_until_it_is_confirmed(real: RealLab) -> None:
    many = [config_map(f"settings-{number}") for number in range(MANY)]
    real.release("one", *many[:6])
    real.release("two", *many[6:])
    await real.synced("one", "two")
    real.hub.offer("wipe", BundleDeployment.absent("one"), BundleDeployment.absent("two"))
    await real.code("one", "wipe-guard")
    await real.code("two", "wipe-guard")
    assert real.report("one").sync is SyncState.FAILED
    assert await real.live("ConfigMap", "settings-0") is not None
    for name in ("one", "two"):
        said = kubectl(
            real, "-n", NAMESPACE, "annotate", "configmap", parent_name(name),
            "fleet.dev/allow-wipe=true",
        )  # fmt: skip
        assert said.returncode == 0, said.stderr
    await real.until(lambda: not real.agent.reports)
    assert await real.live("ConfigMap", "settings-0") is None


def claim() -> Object:
    """A PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


async def test_a_cluster_that_leaves_is_let_be_taken_back_and_emptied(real: RealLab) -> None:
    where = ObjectKey("", "ConfigMap", SPACE, "settings")
    real.release("web", config_map(), deployment(replicas=0))
    real.release("db", config_map("db"))
    await real.synced("web", "db")
    real.hub.let_leave(Deletion.ORPHAN)
    await real.until(lambda: real.hub.received[-1].left)
    real.recorder.writes.clear()
    await real.edit(where, {"data": {"colour": "red"}})
    await real.run_for(1)
    assert real.recorder.writes == []
    assert (await real.there("ConfigMap", "settings"))["data"] == {"colour": "red"}

    real.hub.let_leave(None)
    await real.until(lambda: "apply ConfigMap settings" in real.recorder.writes)
    await real.synced("web", "db")
    assert (await real.there("ConfigMap", "settings"))["data"] == {"colour": "blue"}

    real.hub.let_leave(Deletion.WAIT)
    await real.until(lambda: real.hub.received[-1].left and not real.agent.reports)
    for kind, name, group in (
        ("ConfigMap", "settings", ""),
        ("ConfigMap", "db", ""),
        ("Deployment", "web", "apps"),
    ):
        assert await real.live(kind, name, SPACE, group) is None
    assert await real.live("Namespace", SPACE, "") is not None
