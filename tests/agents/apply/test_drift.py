"""Drift: what is set back, what is only reported, and what is no drift at all."""

from __future__ import annotations

import asyncio
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.protocol import DriftMode, IgnoreRule, Options, SyncState
from clusters.errors import AdmissionError
from clusters.objects import Object, ObjectKey
from tests.agents.lab import Lab
from tests.agents.samples import (
    SETTINGS,
    WEB,
    config_map,
    deployment,
    key,
    namespace,
    secret,
)

WARN = Options(namespace="shop", drift=DriftMode.WARN)


async def test_a_manual_change_is_set_back_by_one_write_and_counted(lab: Lab) -> None:
    lab.release("web", deployment())
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.edit(WEB, {"spec": {"replicas": 5}})
    await lab.until(lambda: lab.report("web").healed == 1)
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 2
    assert lab.recorder.writes == ["apply Deployment web"]
    await lab.settled("web")
    assert lab.report("web").drifted == 0


async def test_in_warn_mode_a_change_is_reported_with_field_values_and_manager(lab: Lab) -> None:
    lab.release("web", deployment(), options=WARN)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.edit(WEB, {"spec": {"replicas": 5}})
    await lab.until(lambda: lab.report("web").sync is SyncState.OUT_OF_SYNC)
    report = lab.report("web")
    assert report.drifted == 1
    assert report.code == "drift"
    drift = report.objects[0].drift[0]
    assert (drift.path, drift.wanted, drift.live) == ("spec.replicas", "2", "5")
    assert drift.manager == "kubectl-edit"
    assert lab.recorder.writes == []
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 5


async def test_drift_that_a_person_takes_back_is_no_longer_reported(lab: Lab) -> None:
    lab.release("web", config_map(), options=WARN)
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").drifted == 1)
    lab.edit(SETTINGS, {"data": {"colour": "blue"}})
    await lab.until(lambda: lab.report("web").drifted == 0)
    assert lab.report("web").sync is SyncState.SYNCED


async def test_a_deleted_object_is_made_again(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.cluster.server.delete(SETTINGS)
    await lab.until(lambda: lab.live("ConfigMap", "settings") is not None)
    await lab.until(lambda: lab.report("web").healed == 1)


async def test_in_warn_mode_a_deleted_object_is_reported_missing(lab: Lab) -> None:
    lab.release("web", config_map(), options=WARN)
    await lab.settled("web")
    lab.cluster.server.delete(SETTINGS)
    await lab.until(lambda: lab.report("web").drifted == 1)
    report = lab.report("web")
    assert report.health == "Missing"
    assert report.sync is SyncState.OUT_OF_SYNC
    assert lab.live("ConfigMap", "settings") is None


async def test_objects_are_made_again_when_their_namespace_was_deleted(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.cluster.server.delete(ObjectKey("", "Namespace", "", "shop"))
    await lab.until(lambda: lab.report("web").healed > 0)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}


async def test_an_owner_label_that_was_taken_off_is_put_back(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    label = "applyset.kubernetes.io/part-of"
    lab.edit(SETTINGS, {"metadata": {"labels": {label: None}}})
    await lab.until(lambda: lab.report("web").healed == 1)
    assert label in lab.there("ConfigMap", "settings")["metadata"]["labels"]


async def test_what_others_add_is_no_drift(lab: Lab) -> None:
    lab.release("web", deployment(), config_map())
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.edit(SETTINGS, {"data": {"added": "by hand"}, "metadata": {"annotations": {"a": "b"}}})
    lab.edit(WEB, {"metadata": {"labels": {"team": "shop"}}})
    await lab.run_for(130)
    assert lab.recorder.writes == []
    assert lab.report("web").sync is SyncState.SYNCED
    assert lab.there("ConfigMap", "settings")["data"]["added"] == "by hand"


async def test_replicas_that_an_autoscaler_sets_are_no_drift_and_survive_a_release(
    lab: Lab,
) -> None:
    lab.release("web", deployment(), _autoscaler())
    await lab.settled("web")
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="kube-controller-manager")
    await lab.run_for(70)
    assert lab.report("web").healed == 0
    lab.release("web", deployment(image="example/web:2"), _autoscaler(), run="second")
    await lab.settled("web")
    spec = lab.there("Deployment", "web", group="apps")["spec"]
    assert spec["replicas"] == 5
    assert spec["template"]["spec"]["containers"][0]["image"] == "example/web:2"


async def test_a_value_that_the_server_writes_otherwise_is_no_drift(lab: Lab) -> None:
    wanted = deployment()
    container = wanted["spec"]["template"]["spec"]["containers"][0]
    container["resources"] = {"limits": {"cpu": "1000m", "memory": "1024Mi"}}
    container["ports"] = [{"containerPort": 8080}]
    container["env"] = [{"name": "EMPTY", "value": ""}]
    lab.release("web", wanted)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.new_agent()
    await lab.run_for(130)
    assert lab.recorder.writes == []
    assert lab.recorder.dry_runs == 1, "only the first apply was tried"


async def test_a_changed_secret_is_healed_and_never_shown(lab: Lab) -> None:
    lab.release("web", secret(word="canary-wanted"), options=WARN)
    await lab.settled("web")
    lab.edit(key("Secret", "password"), {"stringData": {"word": "canary-live"}})
    await lab.until(lambda: lab.report("web").drifted == 1)
    said = "".join(report.model_dump_json() for report in lab.hub.received)
    assert "(redacted)" in said
    for value in ("canary", "Y2FuYXJ5"):
        assert value not in said


async def test_drift_of_one_bundle_does_not_touch_another(lab: Lab) -> None:
    lab.release("web", config_map())
    lab.release("other", config_map("others"), run="second")
    await lab.settled("web", "other")
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").healed == 1)
    assert lab.report("other").healed == 0


def _autoscaler() -> dict[str, Any]:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": "web"},
        "spec": {
            "minReplicas": 2,
            "maxReplicas": 9,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"},
        },
    }


async def test_what_a_webhook_makes_of_an_object_is_no_drift(lab: Lab) -> None:
    def webhook(obj: Object) -> Object:
        return {**obj, "data": {"colour": "purple"}} if "data" in obj and _is_ours(obj) else obj

    lab.recorder.mutate = webhook
    lab.release("web", config_map())
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "purple"}
    lab.recorder.writes.clear()
    lab.new_agent()
    await lab.run_for(130)
    assert lab.recorder.writes == []
    assert lab.report("web").sync is SyncState.SYNCED


def _is_ours(obj: Object) -> bool:
    return bool(obj["metadata"]["name"] == "settings")


async def test_an_object_in_another_api_version_than_the_servers_own_is_no_drift(lab: Lab) -> None:
    old = _autoscaler()
    old["apiVersion"] = "autoscaling/v1"
    old["spec"]["targetCPUUtilizationPercentage"] = 70
    lab.release("web", deployment(), old)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.new_agent()
    await lab.run_for(130)
    assert lab.recorder.writes == []
    where = key("HorizontalPodAutoscaler", "web", group="autoscaling")
    lab.edit(where, {"spec": {"maxReplicas": 50}})
    await lab.until(lambda: lab.report("web").healed == 1)
    assert lab.recorder.writes == ["apply HorizontalPodAutoscaler web"]


FIELDS = ("colour", "size", "other")
edits = st.lists(
    st.tuples(st.sampled_from(FIELDS), st.sampled_from(["", "1", "2", None]), st.booleans()),
    min_size=1,
    max_size=5,
)


@settings(max_examples=25, deadline=None)
@given(edits, st.sampled_from(DriftMode), st.sampled_from(["", "size", "colour"]))
def test_no_drift_is_ever_reported_with_an_empty_diff(
    made: list[tuple[str, str | None, bool]], mode: DriftMode, ignored: str
) -> None:
    async def story(folder: Path) -> None:
        lab = Lab(folder)
        rules = (IgnoreRule(pointers=(f"/data/{ignored}",)),) if ignored else ()
        options = Options(namespace="shop", drift=mode, ignore=rules)
        lab.release("web", config_map(colour="1", size="2"), options=options)
        await lab.settled("web")
        for name, value, pauses in made:
            said = {"fleet.dev/pause": "why" if pauses else None}
            lab.edit(SETTINGS, {"data": {name: value}, "metadata": {"annotations": said}})
            await lab.run_for(61)
        for report in lab.hub.received:
            for item in (item for told in report.deployments for item in told.objects):
                assert bool(item.drift) is (item.code in ("drift", "contested", "healed")) or (
                    item.code == "paused"
                ), item
                assert bool(item.drift) >= (item.sync is SyncState.OUT_OF_SYNC), item
                assert all(field.wanted != field.live and field.path for field in item.drift)
                assert all(field.path != f"data.{ignored}" for field in item.drift)

    with TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))


async def test_an_ignored_field_is_left_alone_and_an_ignored_object_is_not_missed(
    lab: Lab,
) -> None:
    rules = (
        IgnoreRule(kind="Deployment", pointers=("/spec/replicas",)),
        IgnoreRule(kind="ConfigMap", name="gone", everything=True),
    )
    options = Options(namespace="shop", ignore=rules)
    lab.release("web", deployment(), config_map("gone"), options=options)
    await lab.settled("web")
    lab.recorder.writes.clear()
    lab.edit(WEB, {"spec": {"replicas": 5}}, manager="they")
    lab.cluster.server.delete(key("ConfigMap", "gone"))
    await lab.run_for(130)
    assert lab.recorder.writes == []
    await lab.settled("web")
    assert lab.report("web").objects == ()
    lab.release("web", deployment(image="example/web:2"), options=options, run="second")
    await lab.settled("web")
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 5


async def test_an_ignored_field_of_an_object_that_was_there_before_us_stays(lab: Lab) -> None:
    lab.cluster.server.apply(namespace("shop"), manager="they")
    there = deployment(replicas=7)
    there["metadata"]["namespace"] = "shop"
    lab.cluster.server.apply(there, manager="they")
    options = Options(
        namespace="shop",
        take_ownership=True,
        ignore=(IgnoreRule(pointers=("/spec/replicas",)),),
    )
    lab.release("web", deployment(replicas=2), options=options)
    await lab.settled("web")
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 7


async def test_flux_says_in_the_manifest_that_nobody_looks_at_an_object(lab: Lab) -> None:
    quiet = config_map()
    quiet["metadata"]["annotations"] = {"helm.toolkit.fluxcd.io/driftDetection": "disabled"}
    lab.release("web", quiet)
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.run_for(130)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "red"}
    assert lab.report("web").sync is SyncState.SYNCED


async def test_what_was_set_back_is_told_with_who_changed_it(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").healed == 1)
    (told,) = lab.report("web").objects
    assert (told.code, told.sync) == ("healed", SyncState.SYNCED)
    assert told.message.startswith("set back at ")
    assert (told.drift[0].live, told.drift[0].manager) == ("red", "kubectl-edit")


async def test_a_webhook_that_cannot_dry_run_costs_the_dry_run_not_the_healing(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    error = AdmissionError('admission webhook "x" does not support dry run')
    error.refuses_dry_run = True
    lab.recorder.refuse = lambda call, name: error if call == "dry-run" else None
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").healed == 1)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "blue"}
    await lab.run_for(130)
    assert lab.report("web").healed == 1
    await lab.settled("web")
