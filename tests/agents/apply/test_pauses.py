"""Pauses by annotation: nothing is healed, no release goes through, and it is said."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from agents.apply.pauses import PAUSE, UNTIL, pause_of
from agents.protocol import DriftMode, Options, SyncState
from clusters.objects import Object, ObjectKey
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, WEB, config_map, deployment

SHOP = ObjectKey("", "Namespace", "", "shop")
FLUX = "kustomize.toolkit.fluxcd.io/reconcile"


def annotated(**said: str) -> Object:
    """A live object with these annotations, set by kubectl."""
    names = {
        name.replace("_", "-").replace("pause", "fleet.dev/pause"): said[name] for name in said
    }
    return by_kubectl(names)


def by_kubectl(names: dict[str, str], manager: str = "kubectl-annotate") -> Object:
    fields: Object = {"f:metadata": {"f:annotations": {f"f:{name}": {} for name in names}}}
    entry = {"manager": manager, "operation": "Update", "fieldsV1": fields}
    live = config_map()
    live["metadata"] |= {"annotations": names, "managedFields": [entry]}
    return live


def test_reason_end_and_who_are_said() -> None:
    live = annotated(pause="INC-17", pause_until="2030-01-01T12:00:00+02:00")
    pause = pause_of(live, None, "fleet/web")
    assert pause is not None
    assert pause.text() == ("paused: INC-17 (by kubectl-annotate), until 2030-01-01T10:00:00+00:00")
    assert pause.until is not None
    assert pause.holds(pause.until - timedelta(seconds=1))
    assert not pause.holds(pause.until)


@pytest.mark.parametrize("end", ["tomorrow", "1.s", "-5m", "1e9h", "9" * 99, "2030-13-01", "0"])
def test_an_end_that_is_no_time_is_none_and_said(end: str) -> None:
    pause = pause_of(annotated(pause="why", pause_until=end), None, "fleet/web")
    assert pause is not None
    assert pause.until is None
    assert "is no time such as" in pause.text()


@pytest.mark.parametrize(("said", "paused"), [("", True), ("true", True), ("false", False)])
def test_a_pause_without_a_reason_says_so(said: str, paused: bool) -> None:
    pause = pause_of(annotated(pause=said), None, "fleet/web")
    assert (pause is not None) is paused
    assert pause is None or "no reason is given" in pause.text()


def test_flux_says_it_too() -> None:
    assert pause_of(by_kubectl({FLUX: "disabled"}), None, "fleet/web")
    assert not pause_of(by_kubectl({FLUX: "enabled"}), None, "fleet/web")


def test_a_pause_in_git_ends_when_git_no_longer_says_it() -> None:
    live = by_kubectl({PAUSE: "in Git"}, manager="fleet/web")
    assert pause_of(live, live, "fleet/web")
    assert not pause_of(live, config_map(), "fleet/web")


async def test_a_paused_object_is_not_healed_until_the_annotation_goes(lab: Lab) -> None:
    lab.release("web", deployment(), config_map())
    await lab.settled("web")
    lab.edit(WEB, {"metadata": {"annotations": {PAUSE: "INC-17"}}}, manager="kubectl-annotate")
    await lab.until(lambda: lab.report("web").paused == 1)
    report = lab.report("web")
    assert (report.sync, report.drifted) == (SyncState.SYNCED, 0)
    assert (report.objects[0].code, report.objects[0].sync) == ("paused", SyncState.SYNCED)
    assert report.objects[0].message == "paused: INC-17 (by kubectl-annotate)"
    lab.recorder.writes.clear()
    lab.edit(WEB, {"spec": {"replicas": 5}})
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").drifted == 1)
    await lab.run_for(90)
    assert lab.recorder.writes == ["apply ConfigMap settings"], "others are healed"
    report = lab.report("web")
    assert (report.sync, report.code) == (SyncState.OUT_OF_SYNC, "paused")
    assert report.objects[0].drift[0].path == "spec.replicas"
    lab.edit(WEB, {"metadata": {"annotations": {PAUSE: None}}})
    await lab.settled("web")
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 2
    assert lab.report("web").paused == 0


async def test_healing_goes_on_when_the_time_is_over_without_anybody_doing_anything(
    lab: Lab,
) -> None:
    lab.release("web", deployment())
    await lab.settled("web")
    end = (lab.clock.now() + timedelta(seconds=100)).isoformat()
    lab.edit(WEB, {"metadata": {"annotations": {PAUSE: "a while", UNTIL: end}}})
    lab.edit(WEB, {"spec": {"replicas": 5}})
    await lab.run_for(95)
    assert lab.there("Deployment", "web", group="apps")["spec"]["replicas"] == 5
    await lab.until(lambda: lab.report("web").healed == 1, seconds=8)


async def test_a_paused_namespace_pauses_all_in_it(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.edit(SHOP, {"metadata": {"annotations": {PAUSE: "moving house"}}}, manager="kubectl")
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").code == "paused")
    lab.cluster.server.delete(SETTINGS)
    await lab.run_for(90)
    assert lab.live("ConfigMap", "settings") is None, "nor is it made again"
    said = {item.object: item.message for item in lab.report("web").objects}
    assert said["Namespace shop"].startswith("paused: moving house")
    lab.edit(SHOP, {"metadata": {"annotations": {PAUSE: None}}})
    await lab.until(lambda: lab.live("ConfigMap", "settings") is not None, seconds=20)
    await lab.settled("web")


async def test_the_end_of_a_namespaces_pause_is_noticed_between_full_checks(lab: Lab) -> None:
    lab.settings = replace(lab.settings, check_interval_seconds=600)
    lab.new_agent()
    lab.release("web", config_map())
    await lab.settled("web")
    lab.edit(SHOP, {"metadata": {"annotations": {PAUSE: "moving house"}}})
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").code == "paused", seconds=601)
    await lab.run_for(20)
    lab.edit(SHOP, {"metadata": {"annotations": {PAUSE: None}}})
    await lab.until(lambda: lab.report("web").healed == 1, seconds=16)


async def test_a_release_waits_for_a_pause_as_a_whole_and_then_goes_through(lab: Lab) -> None:
    lab.release("web", config_map(), config_map("other"))
    await lab.settled("web")
    lab.edit(SETTINGS, {"metadata": {"annotations": {PAUSE: "INC-17"}}})
    await lab.until(lambda: lab.report("web").paused == 1)
    lab.recorder.writes.clear()
    lab.release("web", config_map(colour="new"), config_map("other", a="new"), run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.WAITING)
    await lab.run_for(60)
    assert lab.report("web").code == "paused"
    assert "ConfigMap shop/settings is paused: INC-17" in lab.report("web").message
    assert lab.recorder.writes == []
    lab.edit(SETTINGS, {"metadata": {"annotations": {PAUSE: None}}})
    await lab.settled("web")
    assert lab.there("ConfigMap", "settings")["data"]["colour"] == "new"


async def test_a_pause_holds_up_no_release_that_does_not_touch_it(lab: Lab) -> None:
    lab.release("web", config_map(), config_map("other"))
    await lab.settled("web")
    lab.edit(SETTINGS, {"metadata": {"annotations": {PAUSE: "INC-17"}}})
    await lab.until(lambda: lab.report("web").paused == 1)
    lab.release("web", config_map(), config_map("other", a="new"), run="second")
    await lab.until(lambda: lab.there("ConfigMap", "other")["data"] == {"a": "new"})


async def test_a_pause_is_known_without_the_hub_and_after_a_restart(lab: Lab) -> None:
    lab.release("web", config_map())
    await lab.settled("web")
    lab.edit(SETTINGS, {"metadata": {"annotations": {PAUSE: "INC-17"}}})
    lab.edit(SETTINGS, {"data": {"colour": "red"}})
    lab.hub.reachable = False
    lab.new_agent()
    await lab.run_for(90)
    assert lab.there("ConfigMap", "settings")["data"] == {"colour": "red"}
    assert lab.report("web").code == "paused"


async def test_in_warn_mode_a_pause_is_reported_as_one(lab: Lab) -> None:
    lab.release("web", config_map(), options=Options(namespace="shop", drift=DriftMode.WARN))
    await lab.settled("web")
    lab.edit(SETTINGS, {"metadata": {"annotations": {PAUSE: "x"}}, "data": {"colour": "red"}})
    await lab.until(lambda: lab.report("web").code == "paused")
