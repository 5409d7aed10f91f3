"""Pruning and removing: only what is owned, only on order, never what Git cannot bring back."""

from __future__ import annotations

import pytest

from agents.inventory import PART_OF
from agents.protocol import BundleDeployment, Deletion, Options, SyncState
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import (
    config_map,
    crd,
    deployment,
    hook,
    job,
    key,
    namespace,
    widget,
)


def claim(name: str = "data") -> Object:
    """A PersistentVolumeClaim."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}},
        },
    }


async def _removed(lab: Lab, bundle: str) -> None:
    """Order a bundle's removal and wait until hub and agent have forgotten it."""
    lab.hub.offer("removal", BundleDeployment.absent(bundle))
    parent = f"bundle-{bundle}"
    await lab.until(lambda: lab.live("ConfigMap", parent, "fleet-system") is None)


async def test_what_a_release_no_longer_has_is_deleted(lab: Lab) -> None:
    lab.release("web", config_map(), config_map("old"))
    await lab.settled("web")
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    assert lab.live("ConfigMap", "old") is None
    assert lab.live("ConfigMap", "settings") is not None


async def test_an_object_that_somebody_else_made_is_never_pruned(lab: Lab) -> None:
    lab.release("web", config_map(), config_map("old"))
    await lab.settled("web")
    lab.edit(key("ConfigMap", "old"), {"metadata": {"labels": {PART_OF: "somebody-else"}}})
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    assert lab.live("ConfigMap", "old") is not None


async def test_with_prune_off_leftovers_stay_without_an_owner(lab: Lab) -> None:
    options = Options(namespace="shop", prune=False)
    lab.release("web", config_map(), config_map("old"), options=options)
    await lab.settled("web")
    lab.release("web", config_map(), options=options, run="second")
    await lab.settled("web")
    left = lab.there("ConfigMap", "old")
    assert PART_OF not in (left["metadata"].get("labels") or {})


async def test_protected_kinds_are_kept_and_said_to_be(lab: Lab) -> None:
    lab.release("web", config_map(), crd(), claim(), namespace("extra"))
    await lab.settled("web")
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    assert lab.live("CustomResourceDefinition", "widgets.example.com", "", "apiextensions.k8s.io")
    assert lab.live("PersistentVolumeClaim", "data") is not None
    assert lab.live("Namespace", "extra", "") is not None
    said = [r.message for d in lab.hub.received for b in d.deployments for r in b.objects]
    assert sum("left in the cluster" in message for message in set(said)) == 3
    assert any("a Namespace is kept unless annotated" in message for message in said)


async def test_a_protected_kind_that_is_annotated_is_pruned(lab: Lab) -> None:
    marked = claim()
    marked["metadata"]["annotations"] = {"fleet.dev/prune": "true"}
    lab.release("web", config_map(), marked)
    await lab.settled("web")
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    await lab.until(lambda: lab.live("PersistentVolumeClaim", "data") is None)


async def test_the_order_to_remove_deletes_all_in_reverse_order_and_forgets(lab: Lab) -> None:
    lab.release("web", deployment(), config_map())
    await lab.settled("web")
    lab.recorder.writes.clear()
    await _removed(lab, "web")
    assert lab.recorder.writes[1:3] == ["delete Deployment web", "delete ConfigMap settings"]
    assert lab.live("Deployment", "web", group="apps") is None
    assert lab.live("Namespace", "shop", "") is not None, "the made namespace stays"
    assert "web" not in lab.agent.reports
    report = lab.hub.known["web"]
    assert (report.digest, report.sync, report.objects_total) == ("absent", SyncState.SYNCED, 0)


async def test_keep_resources_lets_go_of_everything_when_the_bundle_goes(lab: Lab) -> None:
    lab.release("web", config_map(), options=Options(namespace="shop", keep_resources=True))
    await lab.settled("web")
    lab.new_agent()
    await _removed(lab, "web")
    assert PART_OF not in (lab.there("ConfigMap", "settings")["metadata"].get("labels") or {})


async def test_a_bundle_that_only_vanished_from_the_target_is_kept_and_reported(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.hub.remove_from_target("web")
    await lab.until(lambda: lab.report("web").code == "not-in-target")
    await lab.run_for(130)
    assert lab.live("ConfigMap", "settings") is not None
    assert lab.report("web").sync is SyncState.UNKNOWN
    lab.new_agent()
    await lab.until(lambda: "web" in lab.agent.reports)
    assert lab.live("ConfigMap", "settings") is not None


async def test_a_removed_bundle_that_comes_back_counts_as_an_install(lab: Lab) -> None:
    hooks = (hook(job("install"), "pre-install"), hook(job("upgrade"), "pre-upgrade"))
    lab.release("web", config_map())
    await lab.settled("web")
    await _removed(lab, "web")
    lab.release("web", config_map(), hooks=hooks, run="back")
    await lab.settled("web")
    assert lab.live("Job", "install", group="batch") is not None
    assert lab.live("Job", "upgrade", group="batch") is None


async def test_a_finalizer_that_never_clears_is_reported_and_not_fought(lab: Lab) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    lab.release("web", config_map(), held)
    await lab.settled("web")
    lab.release("web", config_map(), run="second")
    await lab.settled("web")
    await lab.run_for(30)
    said = {item.object: item.message for item in lab.report("web").objects}
    assert "example.com/wait" in said["ConfigMap shop/held"]
    deletes = [line for line in lab.recorder.writes if line == "delete ConfigMap held"]
    assert len(deletes) == 1
    lab.edit(key("ConfigMap", "held"), {"metadata": {"finalizers": None}})
    await lab.until(lambda: not lab.report("web").objects)
    parent = lab.there("ConfigMap", "bundle-web", "fleet-system")
    assert "held" not in parent["data"]["objects"]


async def test_removal_is_synced_only_when_everything_is_gone(lab: Lab) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    lab.release("web", held)
    await lab.settled("web")
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.run_for(30)
    assert lab.report("web").digest == "absent"
    assert lab.report("web").sync is SyncState.SYNCING
    lab.edit(key("ConfigMap", "held"), {"metadata": {"finalizers": None}})
    await lab.until(lambda: "web" not in lab.agent.reports)


async def test_an_unresolved_kind_is_not_taken_for_a_leftover(lab: Lab) -> None:
    lab.release("operator", crd())
    lab.release("app", widget(), config_map(), run="b")
    await lab.settled("operator", "app")
    definition = key("CustomResourceDefinition", "widgets.example.com", "", "apiextensions.k8s.io")
    lab.hub.offer("c", lab.deployment("app", widget(), config_map(), config_map("more")))
    lab.cluster.server.delete(definition)
    await lab.settled("operator", "app")
    deleted = [line for line in lab.recorder.writes if line.startswith("delete")]
    assert deleted == []


async def test_nothing_is_pruned_while_another_bundles_artifact_is_not_known(lab: Lab) -> None:
    lab.release("old", config_map(), config_map("stays"))
    await lab.settled("old")
    taken = lab.deployment("new", config_map())
    data = lab.hub.artifacts.pop(taken.artifact)
    lab.hub.offer("move", lab.deployment("old", config_map("stays")), taken)
    await lab.run_for(30)
    assert lab.live("ConfigMap", "settings") is not None
    lab.hub.artifacts[taken.artifact] = data
    await lab.settled("old", "new")
    assert "delete ConfigMap settings" not in lab.recorder.writes


@pytest.mark.parametrize("forbidden", ["list", "get"])
async def test_a_cluster_that_cannot_be_read_is_no_reason_to_delete(
    lab: Lab, forbidden: str
) -> None:
    lab.release("web", config_map(), config_map("old"))
    await lab.settled("web")
    lab.cluster.faults.partitioned = True
    lab.hub.offer(forbidden, BundleDeployment.absent("web"))
    await lab.run_for(20)
    assert lab.report("web").sync is SyncState.SYNCING
    lab.cluster.faults.partitioned = False
    await lab.until(lambda: "web" not in lab.agent.reports)
    assert lab.live("ConfigMap", "old") is None


async def test_a_broken_inventory_is_not_thrown_away_when_its_bundle_vanishes(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    parent = key("ConfigMap", "bundle-web", "fleet-system")
    lab.edit(parent, {"data": {"state": "{broken"}})
    lab.new_agent()
    await lab.until(lambda: "web" in lab.agent.reports)
    lab.hub.remove_from_target("web")
    await lab.run_for(30)
    assert lab.live("ConfigMap", "bundle-web", "fleet-system") is not None
    assert lab.live("ConfigMap", "settings") is not None


async def test_removing_what_never_was_there_writes_nothing(lab: Lab) -> None:
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.until(lambda: "web" in lab.hub.known)
    assert lab.hub.known["web"].sync is SyncState.SYNCED
    assert lab.recorder.writes == []


async def test_what_may_be_their_controller_stays_while_custom_resources_go(lab: Lab) -> None:
    lab.release("operator", crd())
    held = widget()
    held["metadata"]["finalizers"] = ["example.com/wait"]
    lab.release("web", held, deployment(), run="b")
    await lab.settled("operator", "web")
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.run_for(300)
    assert lab.live("Deployment", "web", group="apps") is not None
    said = {item.object: item.message for item in lab.report("web").objects}
    assert said["Deployment.apps shop/web"] == "is kept until Widget.example.com shop/one is gone"
    assert "example.com/wait" in said["Widget.example.com shop/one"]
    lab.edit(key("Widget", "one", group="example.com"), {"metadata": {"finalizers": None}})
    await lab.until(lambda: "web" not in lab.agent.reports)
    assert lab.live("Deployment", "web", group="apps") is None


async def test_a_custom_resource_that_never_goes_holds_its_bundle_for_a_while_only(
    lab: Lab,
) -> None:
    lab.release("operator", crd())
    held = widget()
    held["metadata"]["finalizers"] = ["example.com/wait"]
    lab.release("web", held, deployment(), run="b")
    await lab.settled("operator", "web")
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.run_for(700)
    assert lab.live("Deployment", "web", group="apps") is None
    assert lab.live("Widget", "one", group="example.com") is not None
    assert lab.report("web").sync is SyncState.SYNCING


async def test_with_the_policy_delete_nobody_waits_for_a_finalizer(lab: Lab) -> None:
    held = config_map("held")
    held["metadata"]["finalizers"] = ["example.com/wait"]
    lab.release("web", held, options=Options(namespace="shop", deletion=Deletion.DELETE))
    await lab.settled("web")
    await _removed(lab, "web")
    assert lab.there("ConfigMap", "held")["metadata"]["deletionTimestamp"]


async def test_an_object_that_says_so_outlives_its_bundle(lab: Lab) -> None:
    kept = config_map("kept")
    kept["metadata"]["annotations"] = {"argocd.argoproj.io/sync-options": "Delete=false"}
    lab.release("web", config_map(), kept)
    await lab.settled("web")
    await _removed(lab, "web")
    assert PART_OF not in (lab.there("ConfigMap", "kept")["metadata"].get("labels") or {})
    assert lab.live("ConfigMap", "settings") is None


async def test_many_leftovers_cost_two_listings_and_a_deletion_each(lab: Lab) -> None:
    lab.release("web", config_map(), *(config_map(f"old-{number}") for number in range(9)))
    await lab.settled("web")
    lab.recorder.reads.clear()
    lab.release("web", config_map(), options=Options(namespace="shop", allow_wipe=True), run="b")
    await lab.settled("web")
    assert not [line for line in lab.recorder.reads if "old-" in line]
    assert sum("delete ConfigMap old-" in line for line in lab.recorder.writes) == 9


async def test_later_waves_are_removed_first(lab: Lab) -> None:
    def in_wave(name: str, wave: int) -> Object:
        made = config_map(name)
        made["metadata"]["annotations"] = {"argocd.argoproj.io/sync-wave": str(wave)}
        return made

    lab.release("web", in_wave("a", 1), in_wave("b", 3), in_wave("c", -2), config_map("d"))
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.hub.offer("removal", BundleDeployment.absent("web"))
    await lab.until(lambda: len([w for w in lab.recorder.writes if "delete" in w]) >= 4)
    gone = [w for w in lab.recorder.writes if w.startswith("delete ConfigMap") and "-" not in w]
    assert gone == [f"delete ConfigMap {name}" for name in ("b", "a", "d", "c")]
