"""Kubernetes Events: one for each change of state, about the right object, never in a loop."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agents.announcing import (
    BURST,
    CALM_SECONDS,
    LONGEST_MESSAGE,
    SECONDS_FOR_ONE,
    Announcer,
    condition_of,
)
from agents.inventory import Inventory, InventoryStore
from agents.protocol import DeploymentReport, DriftMode, Health, Options, SyncState
from agents.protocol.needs import Needs
from agents.rights import rights_of
from clusters.clock import FakeClock
from clusters.cluster import Cluster
from clusters.errors import ForbiddenError
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation import SimulatedCluster
from tests.agents.lab import TEST_SETTINGS, Lab
from tests.agents.samples import SETTINGS, config_map, namespace, secret


def report(
    sync: SyncState = SyncState.SYNCED, health: Health = Health.HEALTHY, **more: Any
) -> DeploymentReport:
    said = {"bundle": "web", "digest": "sha256:1", "generation": 1, **more}
    return DeploymentReport(sync=sync, health=health, **said)


class Stage:
    """A simulated cluster with the parent of `web`, and an announcer over it."""

    def __init__(self, cluster: Cluster | None = None) -> None:
        self.clock = FakeClock()
        self.simulated = SimulatedCluster("c", self.clock)
        self.announcer = Announcer(cluster or self.simulated, self.clock)

    async def say(self, *reports: DeploymentReport, moving: bool = True) -> list[Object]:
        """Note and tell; the Events there are then, the oldest first."""
        for item in reports:
            self.announcer.note(item, (), self.clock.now(), moving=moving)
        await self.announcer.tell()
        return events(self.simulated)


def events(cluster: SimulatedCluster) -> list[Object]:
    return list(cluster.server.list(Kind("", "Event"))[0])


def lines(found: list[Object]) -> set[str]:
    return {f"{e['type']} {e['reason']} {e['involvedObject']['name']} ×{e['count']}" for e in found}


@pytest.fixture
async def stage() -> Stage:
    stage = Stage()
    await InventoryStore(stage.simulated).save(Inventory("web"))
    return stage


@pytest.fixture
def loud(tmp_path: Path) -> Lab:
    """A laboratory whose agent makes Events."""
    return Lab(tmp_path / "state", replace(TEST_SETTINGS, events=True))


@pytest.mark.parametrize("sync", SyncState)
@pytest.mark.parametrize("health", Health)
def test_what_is_under_way_is_no_news_and_the_rest_has_one_reason(
    sync: SyncState, health: Health
) -> None:
    found = condition_of(report(sync, health))
    if sync in (SyncState.SYNCING, SyncState.UNKNOWN) and health is not Health.DEGRADED:
        assert found is None
    if sync in (SyncState.FAILED, SyncState.OUT_OF_SYNC) or health is Health.DEGRADED:
        assert found is not None
        assert found[1], "a warning"
    if (sync, health) == (SyncState.SYNCED, Health.HEALTHY):
        assert found == ("Synced", False)


async def test_a_state_is_said_once_however_often_it_is_noted(stage: Stage) -> None:
    failed = report(SyncState.FAILED, code="conflict", message="ConfigMap shop/a: owned by x")
    for _ in range(50):
        stage.clock.advance(10)
        await stage.say(failed)
    found = events(stage.simulated)
    assert lines(found) == {"Warning SyncFailed bundle-web ×1"}
    assert found[0]["message"] == "bundle web: ConfigMap shop/a: owned by x"


async def test_a_flapping_bundle_is_counted_and_not_repeated(stage: Stage) -> None:
    for _ in range(10):
        stage.clock.advance(1)
        await stage.say(report(SyncState.FAILED, code="conflict", message="no"), report())
    assert lines(events(stage.simulated)) == {
        "Warning SyncFailed bundle-web ×1",
        "Normal Synced bundle-web ×1",
    }
    stage.clock.advance(CALM_SECONDS)
    found = await stage.say(report(SyncState.FAILED, code="conflict", message="no"))
    assert "Warning SyncFailed bundle-web ×11" in lines(found), "those held back are counted"


async def test_all_together_keep_a_rate(stage: Stage) -> None:
    for number in range(3 * BURST):
        await InventoryStore(stage.simulated).save(Inventory(f"b{number}"))
        await stage.say(report(bundle=f"b{number}"))
    assert len(events(stage.simulated)) == BURST
    stage.clock.advance(5 * SECONDS_FOR_ONE)
    await stage.announcer.tell()
    assert len(events(stage.simulated)) == BURST + 5


async def test_what_a_restarted_agent_finds_in_order_is_no_news(stage: Stage) -> None:
    assert await stage.say(report(), moving=False) == []
    assert lines(await stage.say(report(digest="sha256:2"))) == {"Normal Synced bundle-web ×1"}


async def test_news_from_before_a_restart_are_counted_on(stage: Stage) -> None:
    failed = report(SyncState.FAILED, code="conflict", message="no")
    await stage.say(failed)
    stage.announcer = Announcer(stage.simulated, stage.clock)
    assert lines(await stage.say(failed)) == {"Warning SyncFailed bundle-web ×2"}


async def test_a_long_message_is_cut_to_what_kubernetes_takes(stage: Stage) -> None:
    (event,) = await stage.say(report(SyncState.FAILED, message="ü" * 5000))
    assert len(event["message"].encode()) <= LONGEST_MESSAGE


async def test_an_object_that_failed_has_the_event_too(loud: Lab) -> None:
    loud.cluster.server.apply(namespace("shop"), manager="x")
    theirs = config_map(mode="theirs")
    theirs["metadata"]["namespace"] = "shop"
    live = loud.cluster.server.apply(theirs, manager="other-tool")
    loud.release("web", config_map(mode="ours"), config_map("new"))
    await loud.until(lambda: "web" in loud.agent.reports and loud.report("web").code == "conflict")
    await loud.run_for(30)
    found = [e for e in events(loud.cluster) if e["reason"] == "SyncFailed"]
    about = {(e["involvedObject"]["kind"], e["involvedObject"]["name"]): e for e in found}
    assert set(about) == {("ConfigMap", "bundle-web"), ("ConfigMap", "settings")}
    event = about["ConfigMap", "settings"]
    assert event["metadata"]["namespace"] == "shop"
    assert event["involvedObject"]["uid"] == live["metadata"]["uid"]
    for word in ("mode", "other-tool", "bundle web"):
        assert word in event["message"]


async def test_drift_that_is_set_back_and_drift_that_stays_are_told_apart(loud: Lab) -> None:
    loud.release("web", config_map())
    warned = Options(namespace="shop", drift=DriftMode.WARN)
    loud.release("warned", config_map("other"), options=warned, run="second")
    await loud.settled("web", "warned")
    for name in (SETTINGS, ObjectKey("", "ConfigMap", "shop", "other")):
        loud.edit(name, {"data": {"colour": "by hand"}})
    await loud.run_for(70)
    found = {(e["involvedObject"]["name"], e["reason"], e["type"]) for e in events(loud.cluster)}
    assert ("bundle-web", "DriftCorrected", "Normal") in found
    assert ("bundle-warned", "DriftDetected", "Warning") in found
    assert ("bundle-warned", "DriftCorrected", "Normal") not in found


async def test_no_event_holds_the_value_of_a_secret(loud: Lab) -> None:
    loud.release("web", secret(password="c4n4ry"))
    await loud.settled("web")
    loud.edit(ObjectKey("", "Secret", "shop", "password"), {"data": {"password": "YnkgaGFuZA=="}})
    await loud.run_for(70)
    text = str(events(loud.cluster))
    assert "DriftCorrected" in text
    assert "c4n4ry" not in text
    assert "YnkgaGFuZA" not in text


class NoEvents:
    """A cluster that lets nobody make Events."""

    def __init__(self, inner: SimulatedCluster) -> None:
        self._inner = inner
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def apply(self, obj: Object, **how: Any) -> Object:
        if obj["kind"] == "Event":
            self.asked += 1
            raise ForbiddenError("events is forbidden")
        return await self._inner.apply(obj, **how)


async def test_a_cluster_that_takes_no_events_loses_them_and_nothing_else(stage: Stage) -> None:
    closed: Any = NoEvents(stage.simulated)
    stage.announcer = Announcer(closed, stage.clock)
    for _ in range(3):
        assert await stage.say(report()) == []
        stage.clock.advance(timedelta(hours=1).total_seconds())
    assert closed.asked == 1, "what is lost is not tried again"


def test_every_reason_is_documented_with_its_type_and_no_other() -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / "operate.md"
    found = {("DriftCorrected", "Normal")}
    for sync in SyncState:
        for health in Health:
            condition = condition_of(report(sync, health))
            if condition is not None:
                found.add((condition[0], "Warning" if condition[1] else "Normal"))
    rows = re.findall(r"^\| `([A-Z]\w+)` \| (Normal|Warning) \|", page.read_text("utf-8"), re.M)
    assert set(rows) == found


def test_the_rights_of_an_agent_are_enough_for_its_events_wherever_something_fails() -> None:
    inside = {**config_map(), "metadata": {"name": "settings", "namespace": "shop"}}
    needs = Needs(objects=(inside, namespace("other")))
    spaces = {
        item["metadata"].get("namespace", "everywhere")
        for item in rights_of(needs)
        for rule in item.get("rules", ())
        if rule["resources"] == ["events"] and rule["verbs"] == ["create", "get", "patch"]
    }
    assert spaces == {"fleet-system", "shop", "default"}
