"""Syncs over the hub: who is asked, what comes back, and that nobody is waited for for ever."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.protocol import Deed, Health, ObjectResult, Report, SyncResult, SyncState, Target
from fleet.api.answers import Answers
from fleet.errors import RequestError
from fleet.store.syncs import KEPT, SyncOrder
from tests.fleet.hub.rig import Rig, fleet

EVERYWHERE = ("staging-1", "staging-2", "production-1")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Three clusters that run `web` and `api`; everybody is online."""
    rig = Rig(tmp_path)
    rig.push(fleet(2, 1, web="v1", api="v1"))
    rig.look()
    rig.join(*EVERYWHERE)
    rig.converge()
    return rig


def ask(rig: Rig, *clusters: str, bundle: str = "web", **more: Any) -> str:
    return rig.hub.desk.sync(SyncOrder("ana", bundle=bundle, **more), clusters or EVERYWHERE)


def document(rig: Rig, uid: str) -> dict[str, Any]:
    return Answers(rig.store, "").sync(uid, brief=False)


def states(rig: Rig, uid: str) -> dict[str, str]:
    """Cluster/bundle → state."""
    return {f"{i['cluster']}/{i['bundle']}": i["state"] for i in document(rig, uid)["items"]}


def answer(rig: Rig, cluster: str, uid: str, *, done: bool = True, message: str = "") -> None:
    """The cluster's agent answers for `web`."""
    agent = rig.agents[cluster]
    agent.sequence += 1
    found = ObjectResult(object="ConfigMap shop/a", deed=Deed.APPLIED)
    result = SyncResult(
        uid=uid,
        bundle="web",
        digest="d",
        generation=1,
        done=done,
        sync=SyncState.SYNCED if done else SyncState.WAITING,
        health=Health.HEALTHY,
        message=message,
        counts={"Applied": 1},
        objects=(found,),
    )
    rig.hub.desk.report(
        Report(cluster=cluster, incarnation="one", sequence=agent.sequence, syncs=(result,))
    )


def target(rig: Rig, cluster: str) -> Target:
    return rig.hub.desk.target(cluster)


def test_a_sync_rides_on_the_target_and_starts_nothing(rig: Rig) -> None:
    before = target(rig, "staging-1")
    uid = ask(rig, "staging-1", force=True)
    now = target(rig, "staging-1")
    assert now.order > before.order, "a held request is answered at once"
    (request,) = now.syncs
    assert (request.uid, request.bundles, request.force) == (uid, ("web",), True)
    assert (now.current, now.offers, now.generations) == (
        before.current,
        before.offers,
        before.generations,
    )
    assert target(rig, "staging-2").syncs == ()


def test_without_a_bundle_everything_that_runs_is_asked_for(rig: Rig) -> None:
    uid = ask(rig, "staging-1", bundle="")
    assert states(rig, uid) == {"staging-1/api": "Asked", "staging-1/web": "Asked"}


def test_an_answer_ends_the_request_for_that_cluster_alone(rig: Rig) -> None:
    uid = ask(rig)
    before = target(rig, "staging-1").order
    answer(rig, "staging-1", uid)
    assert target(rig, "staging-1").syncs == ()
    assert target(rig, "staging-1").order > before
    assert target(rig, "staging-2").syncs
    assert states(rig, uid)["staging-1/web"] == "Done"
    assert not document(rig, uid)["done"]
    for name in EVERYWHERE[1:]:
        answer(rig, name, uid)
    assert document(rig, uid)["done"]
    (first, *_) = document(rig, uid)["items"]
    assert first["objects"][0]["deed"] == "Applied"


def test_an_answer_on_the_way_is_shown_and_ends_nothing(rig: Rig) -> None:
    uid = ask(rig, "staging-1")
    answer(rig, "staging-1", uid, done=False, message="waits for base")
    (item,) = document(rig, uid)["items"]
    assert (item["state"], item["sync"], item["message"]) == ("Asked", "Waiting", "waits for base")
    assert target(rig, "staging-1").syncs


def test_an_agent_that_is_away_is_named_and_not_asked(rig: Rig) -> None:
    for name in EVERYWHERE[1:]:
        rig.agents[name].report()
    rig.clock.advance(rig.settings.offline_seconds - 1)
    for name in EVERYWHERE[1:]:
        rig.agents[name].report()
    rig.clock.advance(2)
    rig.release()
    uid = ask(rig)
    assert states(rig, uid)["staging-1/web"] == "Offline"
    assert target(rig, "staging-1").syncs == (), "nothing lies in wait for its return"
    for name in EVERYWHERE[1:]:
        answer(rig, name, uid)
    assert document(rig, uid)["done"]


def test_an_agent_that_goes_away_is_not_waited_for(rig: Rig) -> None:
    uid = ask(rig, "staging-1")
    rig.clock.advance(rig.settings.offline_seconds + 1)
    rig.release()
    assert states(rig, uid) == {"staging-1/web": "Offline"}
    assert document(rig, uid)["done"]


def test_a_sync_is_over_when_its_time_is_up(rig: Rig) -> None:
    uid = ask(rig, "staging-1", limit_seconds=20.0)
    answer(rig, "staging-1", uid, done=False, message="waits for base")
    before = target(rig, "staging-1").order
    _, wake = rig.hub.release(rig.clock.now())
    assert (wake - rig.clock.now()).total_seconds() <= 20
    rig.clock.advance(21)
    changed, _ = rig.hub.release(rig.clock.now())
    assert "staging-1" in changed
    assert target(rig, "staging-1").syncs == ()
    assert target(rig, "staging-1").order > before
    (item,) = document(rig, uid)["items"]
    assert (item["state"], item["message"]) == ("TimedOut", "waits for base")
    answer(rig, "staging-1", uid)
    assert states(rig, uid) == {"staging-1/web": "TimedOut"}, "too late is too late"


def test_an_answer_for_another_cluster_or_an_unknown_sync_counts_for_nothing(rig: Rig) -> None:
    uid = ask(rig, "staging-1")
    answer(rig, "staging-2", uid)
    answer(rig, "staging-1", "9-9")
    assert states(rig, uid) == {"staging-1/web": "Asked"}


def test_who_asked_and_how_is_in_the_history(rig: Rig) -> None:
    uid = ask(rig, force=True, reason="stuck")
    with rig.store.read() as c:
        (row,) = c.execute("SELECT message FROM event WHERE kind = 'sync-asked'").fetchall()
    assert row["message"] == f"ana: sync {uid} of web in 3 clusters, forced (stuck)"


def test_what_nobody_runs_cannot_be_synced(rig: Rig) -> None:
    with pytest.raises(RequestError) as found:
        ask(rig, bundle="nothing", selector="env=staging")
    assert (found.value.code, found.value.status) == ("nothing-to-sync", 404)
    assert "env=staging" in found.value.what
    with pytest.raises(RequestError) as found:
        rig.hub.desk.sync(SyncOrder(" "), EVERYWHERE)
    assert found.value.code == "no-actor"


def test_a_sync_outlives_the_hub(rig: Rig) -> None:
    uid = ask(rig, "staging-1")
    rig.reopen()
    assert target(rig, "staging-1").syncs[0].uid == uid
    answer(rig, "staging-1", uid)
    assert document(rig, uid)["done"]


def test_only_the_last_syncs_are_remembered(rig: Rig) -> None:
    first = ask(rig, "staging-1", limit_seconds=1.0)
    answer(rig, "staging-1", first)
    for _ in range(KEPT):
        answer(rig, "staging-1", ask(rig, "staging-1"))
    assert len(Answers(rig.store, "").syncs()["items"]) == KEPT
    with pytest.raises(RequestError) as found:
        document(rig, first)
    assert found.value.code == "not-found"


def test_answers_about_a_large_fleet_list_fewer_objects(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.push(fleet(1, 0, **{f"bundle-{n:03}": "v1" for n in range(400)}))
    rig.look()
    rig.join("staging-1")
    rig.converge()
    ask(rig, "staging-1", bundle="")
    (request,) = target(rig, "staging-1").syncs
    assert (len(request.bundles), request.most_objects) == (400, 50)
