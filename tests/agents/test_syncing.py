"""Syncs that a person asks for: what they do, what they say, and when they are over."""

from __future__ import annotations

from agents.cache import Cache
from agents.protocol import (
    Deed,
    DriftMode,
    Health,
    ObjectResult,
    Options,
    Retry,
    SyncResult,
    SyncState,
)
from clusters.objects import Object
from tests.agents.lab import Lab
from tests.agents.samples import SETTINGS, config_map, deployment, hook, job, key, namespace, secret

LATER = Options(namespace="shop", depends_on=("base",))


async def answered(lab: Lab, uid: str, bundle: str = "web") -> SyncResult:
    """The last answer to a sync."""
    await lab.until(lambda: (uid, bundle) in lab.hub.answers and lab.hub.answers[uid, bundle].done)
    return lab.hub.answers[uid, bundle]


def told(result: SyncResult) -> dict[str, Deed]:
    """Object → deed."""
    return {item.object: item.deed for item in result.objects}


def one(result: SyncResult, name: str) -> ObjectResult:
    """What became of the object whose name ends so."""
    return next(item for item in result.objects if item.object.endswith(name))


def theirs(lab: Lab, obj: Object) -> None:
    """Another tool applies an object of the bundle's namespace."""
    lab.cluster.server.apply(namespace("shop"), manager="other-tool")
    obj["metadata"]["namespace"] = "shop"
    lab.cluster.server.apply(obj, manager="other-tool")


async def settled(lab: Lab, *objects: dict[str, object], **more: object) -> None:
    """A bundle `web` of these objects, applied and healthy."""
    lab.release("web", *objects, **more)  # type: ignore[arg-type]
    await lab.settled("web")


async def test_a_sync_of_what_is_in_order_writes_nothing_and_says_so(lab: Lab) -> None:
    await settled(lab, deployment(), config_map())
    lab.recorder.writes.clear()
    lab.hub.ask_sync("1-1", "web")
    result = await answered(lab, "1-1")
    assert (result.sync, result.health) == (SyncState.SYNCED, Health.HEALTHY)
    assert result.counts == {"Unchanged": 2}
    assert lab.recorder.writes == []
    assert lab.hub.held.syncs == ()


async def test_a_sync_comes_at_once_and_not_at_the_next_full_check(lab: Lab) -> None:
    await settled(lab, config_map())
    before = lab.clock.now()
    lab.hub.ask_sync("1-1", "web")
    await answered(lab, "1-1")
    assert (lab.clock.now() - before).total_seconds() < 5


async def test_a_sync_sets_back_what_somebody_changed_and_names_it(lab: Lab) -> None:
    await settled(lab, config_map(), config_map("other"))
    lab.edit(SETTINGS, {"data": {"colour": "by hand"}})
    lab.hub.ask_sync("1-1", "web")
    result = await answered(lab, "1-1")
    assert told(result) == {
        str(SETTINGS): Deed.APPLIED,
        str(key("ConfigMap", "other")): Deed.UNCHANGED,
    }
    assert result.objects[0].deed is Deed.APPLIED, "what was done comes before what was not"
    (change,) = result.objects[0].changes
    assert (change.path, change.live, change.manager) == ("data.colour", "by hand", "kubectl-edit")
    lab.hub.ask_sync("1-2", "web")
    again = await answered(lab, "1-2")
    assert [item.changes for item in again.objects] == [(), ()], "that was in another sync"


async def test_a_conflict_names_the_field_and_who_holds_it(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    lab.release("web", config_map(mode="ours"))
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code == "conflict")
    lab.hub.ask_sync("1-1", "web")
    result = await answered(lab, "1-1")
    assert (result.sync, result.code) == (SyncState.FAILED, "conflict")
    said = one(result, "settings")
    assert (said.deed, said.code) == (Deed.FAILED, "conflict")
    assert "mode" in said.message
    assert "other-tool" in said.message
    assert "takeOwnership" in said.message, "it says how to mend it"


async def test_a_forced_sync_takes_the_field_over_once_and_the_next_one_does_not(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    lab.release("web", config_map(mode="ours"))
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code == "conflict")
    lab.hub.ask_sync("1-1", "web", force=True)
    result = await answered(lab, "1-1")
    assert result.sync is SyncState.SYNCED
    assert told(result) == {str(SETTINGS): Deed.APPLIED}
    assert lab.there("ConfigMap", "settings")["data"] == {"mode": "ours"}
    theirs(lab, config_map("late", a="theirs"))
    lab.release("web", config_map(mode="ours"), config_map("late", a="ours"))
    await lab.until(lambda: lab.report("web").code == "conflict")


async def test_a_forced_sync_makes_an_immutable_object_again(lab: Lab) -> None:
    await settled(lab, {**config_map(a="1"), "immutable": True})
    lab.release("web", {**config_map(a="2"), "immutable": True})
    await lab.until(lambda: lab.report("web").code == "immutable")
    lab.hub.ask_sync("1-1", "web", force=True)
    result = await answered(lab, "1-1")
    assert told(result) == {str(SETTINGS): Deed.RECREATED}
    assert lab.there("ConfigMap", "settings")["data"] == {"a": "2"}


async def test_a_forced_sync_sets_back_drift_that_is_only_warned_of(lab: Lab) -> None:
    await settled(lab, config_map(), options=Options(namespace="shop", drift=DriftMode.WARN))
    lab.edit(SETTINGS, {"data": {"colour": "by hand"}})
    lab.hub.ask_sync("1-1", "web")
    result = await answered(lab, "1-1")
    assert result.sync is SyncState.OUT_OF_SYNC
    assert one(result, "settings").deed is Deed.DIFFERS
    assert [field.path for field in one(result, "settings").changes] == ["data.colour"]
    lab.hub.ask_sync("1-2", "web", force=True)
    assert (await answered(lab, "1-2")).counts == {"Applied": 1}


async def test_what_a_bundle_waits_for_is_said_until_it_is_over(lab: Lab) -> None:
    lab.release("web", config_map(), options=LATER)
    await lab.until(lambda: "web" in lab.agent.reports)
    lab.hub.ask_sync("1-1", "web")
    await lab.until(lambda: ("1-1", "web") in lab.hub.answers)
    result = lab.hub.answers["1-1", "web"]
    assert not result.done
    assert (result.sync, result.code) == (SyncState.WAITING, "dependency")
    assert "base is not in this cluster" in result.message
    assert told(result) == {str(SETTINGS): Deed.WAITING}
    lab.release("base", config_map("base"), run="base")
    assert (await answered(lab, "1-1")).sync is SyncState.SYNCED


async def test_the_same_thing_is_not_said_twice(lab: Lab) -> None:
    lab.release("web", config_map(), options=LATER)
    await lab.until(lambda: "web" in lab.agent.reports)
    lab.hub.ask_sync("1-1", "web")
    await lab.run_for(30)
    assert len([r for report in lab.hub.received for r in report.syncs]) == 1


async def test_a_dry_run_names_fields_their_values_and_who_set_them(lab: Lab) -> None:
    await settled(
        lab,
        config_map(a="1"),
        config_map("other"),
        options=Options(namespace="shop", drift=DriftMode.WARN),
    )
    lab.edit(SETTINGS, {"data": {"a": "by hand", "b": "more"}})
    lab.recorder.writes.clear()
    lab.hub.ask_sync("1-1", "web", dry_run=True)
    result = await answered(lab, "1-1")
    assert lab.recorder.writes == []
    assert result.sync is SyncState.OUT_OF_SYNC
    (change,) = one(result, "settings").changes
    assert (change.path, change.live, change.wanted) == ("data.a", "by hand", "1")
    assert change.manager == "kubectl-edit"
    assert one(result, "other").deed is Deed.UNCHANGED
    assert lab.there("ConfigMap", "settings")["data"]["a"] == "by hand"


async def test_a_dry_run_never_shows_the_value_of_a_secret(lab: Lab) -> None:
    warned = Options(namespace="shop", drift=DriftMode.WARN)
    await settled(lab, secret(password="c4n4ry"), options=warned)
    name = key("Secret", "password")
    lab.edit(name, {"data": {"password": "Y2FuYXJ5"}})
    lab.hub.ask_sync("1-1", "web", dry_run=True)
    result = await answered(lab, "1-1")
    (change,) = one(result, "password").changes
    assert (change.live, change.wanted) == ("(redacted)", "(redacted)")
    assert "Y2FuYXJ5" not in result.model_dump_json()


async def test_a_dry_run_tells_a_refusal_before_it_happens(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    lab.release("web", config_map(mode="ours"))
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code == "conflict")
    lab.hub.ask_sync("1-1", "web", dry_run=True)
    result = await answered(lab, "1-1")
    assert (result.sync, result.code) == (SyncState.FAILED, "conflict")
    lab.hub.ask_sync("1-2", "web", dry_run=True, force=True)
    assert told(await answered(lab, "1-2")) == {str(SETTINGS): Deed.APPLIED}
    assert lab.there("ConfigMap", "settings")["data"] == {"mode": "theirs"}


async def test_a_request_on_disk_is_not_acted_on_before_the_hub_confirms_it(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    lab.release("web", config_map(mode="ours"))
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code == "conflict")
    lab.hub.reachable = False
    lab.hub.ask_sync("1-1", "web", force=True)
    Cache(lab.state_dir).save_target(lab.hub.signed())
    lab.new_agent()
    await lab.run_for(20)
    assert lab.agent.target is not None
    assert lab.agent.target.syncs, "it lies on the disk"
    assert lab.there("ConfigMap", "settings")["data"] == {"mode": "theirs"}
    lab.hub.reachable = True
    assert (await answered(lab, "1-1")).sync is SyncState.SYNCED


async def test_a_sync_that_fails_begins_the_back_off_anew(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    lab.release("web", config_map(mode="ours"))
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code == "conflict")
    await lab.run_for(600)
    lab.hub.ask_sync("1-1", "web")
    assert (await answered(lab, "1-1")).sync is SyncState.FAILED
    lab.cluster.server.delete(SETTINGS)
    before = lab.clock.now()
    await lab.settled("web")
    assert (lab.clock.now() - before).total_seconds() < 10, "not after the longest back-off"


async def test_a_request_ends_by_the_agents_own_clock_when_the_hub_is_away(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    lab.release("web", config_map(mode="ours"), options=LATER)
    await lab.until(lambda: "web" in lab.agent.reports)
    lab.hub.ask_sync("1-1", "web", force=True, limit_seconds=10.0)
    await lab.until(lambda: ("1-1", "web") in lab.hub.answers)
    await lab.run_for(15)
    lab.release("base", config_map("base"), run="base")
    await lab.until(lambda: lab.report("web").code == "conflict")


async def test_answers_are_bounded_however_large_the_bundle_is(lab: Lab) -> None:
    await settled(lab, *[config_map(f"settings-{n}") for n in range(30)])
    lab.hub.ask_sync("1-1", "web", most_objects=7)
    result = await answered(lab, "1-1")
    assert len(result.objects) == 7
    assert result.counts == {"Unchanged": 30}


async def test_a_lost_answer_is_sent_again(lab: Lab) -> None:
    await settled(lab, config_map())
    lab.hub.lose_answers = 1
    lab.hub.ask_sync("1-1", "web")
    await answered(lab, "1-1")
    await lab.run_for(10)
    assert not lab.agent._reporter._answers


async def test_what_a_release_prunes_and_its_hooks_are_named(lab: Lab) -> None:
    await settled(lab, config_map(), config_map("old"), config_map("older"))
    lab.hub.ask_sync("1-1", "web")
    await answered(lab, "1-1")
    item = lab.deployment(
        "web", config_map(), config_map("old"), hooks=(hook(job(), "pre-upgrade"),)
    )
    lab.hub.offer("second", item)
    lab.hub.ask_sync("1-2", "web")
    result = await answered(lab, "1-2")
    assert told(result)[str(key("ConfigMap", "older"))] is Deed.PRUNED
    assert told(result)[str(key("Job", "migrate", group="batch"))] is Deed.APPLIED
    assert told(result)[str(SETTINGS)] is Deed.UNCHANGED


async def test_a_dry_run_shows_what_would_be_pruned_and_what_kept(lab: Lab) -> None:
    kept = config_map("kept")
    kept["metadata"]["annotations"] = {"fleet.dev/prune": "disabled"}
    theirs(lab, config_map("other", mode="theirs"))
    await settled(lab, config_map(a="1"), config_map("old"), kept)
    lab.release("web", config_map(b="2"), config_map("other", mode="ours"), run="second")
    await lab.until(lambda: lab.report("web").code == "conflict")
    lab.hub.ask_sync("1-1", "web", dry_run=True)
    result = await answered(lab, "1-1")
    assert told(result) == {
        str(key("ConfigMap", "other")): Deed.FAILED,
        str(key("ConfigMap", "old")): Deed.PRUNED,
        str(key("ConfigMap", "kept")): Deed.KEPT,
        str(SETTINGS): Deed.APPLIED,
    }
    fields = [(field.path, field.live, field.wanted) for field in one(result, "settings").changes]
    assert fields == [("data.b", None, "2"), ("data.a", "1", None)], "one is set, one goes"
    assert "fleet.dev/prune" in one(result, "kept").message
    assert lab.live("ConfigMap", "old") is not None


async def test_what_somebody_paused_stays_paused_even_when_forced(lab: Lab) -> None:
    await settled(lab, config_map())
    pause = {"annotations": {"fleet.dev/pause": "looking into INC-17"}}
    lab.edit(SETTINGS, {"metadata": pause, "data": {"colour": "by hand"}})
    lab.hub.ask_sync("1-1", "web", force=True)
    said = one(await answered(lab, "1-1"), "settings")
    assert (said.deed, said.code) == (Deed.DIFFERS, "paused")
    assert "INC-17" in said.message
    assert [field.path for field in said.changes] == ["data.colour"]
    assert lab.there("ConfigMap", "settings")["data"]["colour"] == "by hand"


async def test_a_fight_is_taken_up_again_at_once_when_somebody_asks(lab: Lab) -> None:
    await settled(lab, config_map())
    while "web" not in lab.agent.reports or not lab.report("web").contested:
        lab.edit(SETTINGS, {"data": {"colour": "theirs"}})
        await lab.run_for(62)
    lab.hub.ask_sync("1-1", "web", dry_run=True)
    await answered(lab, "1-1")
    assert lab.there("ConfigMap", "settings")["data"]["colour"] == "theirs"
    lab.hub.ask_sync("1-2", "web")
    result = await answered(lab, "1-2")
    assert (result.sync, result.counts) == (SyncState.SYNCED, {"Applied": 1})
    assert lab.there("ConfigMap", "settings")["data"]["colour"] == "blue"


async def test_a_sync_tries_again_what_was_given_up(lab: Lab) -> None:
    theirs(lab, config_map(mode="theirs"))
    once = Options(namespace="shop", retry=Retry(limit=0))
    lab.release("web", config_map(mode="ours"), options=once)
    await lab.until(lambda: "web" in lab.agent.reports and lab.report("web").code == "conflict")
    await lab.run_for(600)
    lab.cluster.server.delete(SETTINGS)
    await lab.run_for(600)
    assert lab.live("ConfigMap", "settings") is None, "it was given up"
    lab.hub.ask_sync("1-1", "web")
    assert (await answered(lab, "1-1")).sync is SyncState.SYNCED


async def test_a_dry_run_does_not_miss_a_job_that_is_done_and_removed_itself(lab: Lab) -> None:
    """Once it lacks a word of what was done, it would be made; so a newer version of it is."""
    vanishing, newer = job(), job(image="example/migrate:2")
    for item in (vanishing, newer):
        item["spec"]["ttlSecondsAfterFinished"] = 0
    done = key("Job", "migrate", group="batch")
    await settled(lab, vanishing, config_map())
    lab.cluster.server.delete(done)
    lab.hub.ask_sync("1-1", "web", dry_run=True)
    result = await answered(lab, "1-1")
    assert (result.sync, result.counts) == (SyncState.SYNCED, {"Unchanged": 2})
    assert "removed itself" in one(result, "migrate").message
    lab.release("web", newer, config_map(), options=LATER, run="second")
    await lab.until(lambda: lab.report("web").sync is SyncState.WAITING)
    lab.hub.ask_sync("1-2", "web", dry_run=True)
    result = await answered(lab, "1-2")
    assert one(result, "migrate").deed is Deed.APPLIED
    assert lab.live("Job", "migrate", group="batch") is None
