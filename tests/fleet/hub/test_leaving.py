"""Clusters that Git no longer declares: told what becomes of them, shown, and then forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.protocol import ABSENT, Deletion, Report
from fleet.errors import RequestError
from fleet.status.fleets import connection
from fleet.store.agents import cluster_of_token
from fleet.store.questions import cluster_rows
from fleet.store.syncs import SyncOrder
from tests.fleet.hub.rig import Content, Rig, deployment_of, fleet

GONE = "production-4"
SILENCE_SECONDS = 40
V1 = deployment_of("web", "v1")


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Nobody is declared yet."""
    return Rig(tmp_path)


def running(rig: Rig, **deletion: Deletion) -> None:
    policies = {name.replace("_", "-"): item for name, item in deletion.items()}
    rig.push(everybody(), deletion=policies)
    rig.look()
    rig.join(*everybody())
    rig.converge()


def everybody() -> dict[str, Any]:
    return fleet(1, 4, web="v1", db="v1")


def without(*names: str) -> Content:
    return {name: some for name, some in everybody().items() if name not in names}


def left_out(rig: Rig, *names: str, **more: Any) -> None:
    rig.push(without(*names), **more)
    rig.look()
    rig.release()


def state(rig: Rig, name: str = GONE) -> str:
    """How it is shown; empty if it is not."""
    with rig.store.read() as c:
        rows = cluster_rows(c, name)
    return connection(rows[0]) if rows else ""


def fall_silent(rig: Rig, name: str = GONE) -> None:
    del rig.agents[name]
    for _ in range(SILENCE_SECONDS // 10):
        rig.turn(10)


def test_by_default_everything_stays_and_the_cluster_is_told_that_it_has_left(rig: Rig) -> None:
    running(rig)
    before = rig.hub.desk.target(GONE)
    left_out(rig, GONE)
    target = rig.hub.desk.target(GONE)
    assert (target.leaving, target.current) == (Deletion.ORPHAN, before.current)
    assert target.serial > before.serial
    assert state(rig) == "Leaving"
    rig.turn()
    assert state(rig) == "Left"
    assert rig.hub.desk.target("production-1").leaving is None


def test_a_cluster_that_is_to_be_emptied_is_ordered_to_remove_every_bundle(rig: Rig) -> None:
    running(rig, production_4=Deletion.WAIT)
    before = rig.hub.desk.target(GONE)
    left_out(rig, GONE)
    target = rig.hub.desk.target(GONE)
    assert target.leaving is Deletion.WAIT
    assert {(d.bundle, d.digest) for d in target.current} == {("db", ABSENT), ("web", ABSENT)}
    assert min(target.generations.values()) > max(before.generations.values())
    rig.turn()
    assert state(rig) == "Leaving", "what it removed leaves the target first"
    rig.turn()
    assert rig.hub.desk.target(GONE).current == ()
    assert state(rig) == "Left"


def test_the_policy_is_the_one_that_git_declared_last_and_outlives_the_hub(rig: Rig) -> None:
    running(rig, production_4=Deletion.DELETE)
    rig.push(everybody())
    rig.look()
    left_out(rig, GONE)
    assert rig.hub.desk.target(GONE).leaving is Deletion.ORPHAN
    rig.push(everybody(), deletion={GONE: Deletion.DELETE})
    rig.look()
    rig.reopen()
    left_out(rig, GONE)
    assert rig.hub.desk.target(GONE).leaving is Deletion.DELETE


def test_a_declaration_of_which_half_could_not_be_read_changes_no_policy(rig: Rig) -> None:
    running(rig, production_4=Deletion.WAIT)
    rig.push(everybody(), held_clusters=frozenset({GONE}))
    rig.look()
    left_out(rig, GONE)
    assert rig.hub.desk.target(GONE).leaving is Deletion.WAIT


@pytest.mark.parametrize("unread", ["", "Cluster"])
def test_a_cluster_that_could_not_be_read_has_not_left(rig: Rig, unread: str) -> None:
    running(rig, production_4=Deletion.DELETE)
    left_out(rig, GONE, unread=frozenset({unread}))
    assert rig.hub.desk.target(GONE).leaving is None
    assert state(rig) == "Online"


def test_a_commit_that_lets_too_many_go_empties_none_of_them_and_says_so(rig: Rig) -> None:
    running(rig, production_3=Deletion.DELETE, production_4=Deletion.WAIT)
    left_out(rig, "production-3", GONE)
    for name in ("production-3", GONE):
        target = rig.hub.desk.target(name)
        assert target.leaving is Deletion.ORPHAN
        assert ABSENT not in {d.digest for d in target.current}
    with rig.store.read() as c:
        (problem,) = c.execute("SELECT * FROM problem WHERE code = 'turndown-suspected'")
    assert "production-3, production-4" in problem["what"]
    rig.push(everybody(), deletion={GONE: Deletion.WAIT})
    rig.look()
    left_out(rig, GONE)
    assert rig.hub.desk.target(GONE).leaving is Deletion.WAIT, "one at a time is meant"


def test_a_cluster_that_is_declared_again_is_taken_back_as_it_is(rig: Rig) -> None:
    running(rig)
    left_out(rig, GONE)
    rig.turn()
    told = rig.hub.desk.target(GONE)
    rig.push(everybody())
    rig.look()
    rig.release()
    target = rig.hub.desk.target(GONE)
    assert target.leaving is None
    assert target.serial > told.serial
    assert target.current == told.current
    assert (target.offers, state(rig)) == ((), "Online")


def test_one_that_is_being_emptied_gets_everything_again_when_it_is_taken_back(rig: Rig) -> None:
    running(rig, production_4=Deletion.DELETE)
    left_out(rig, GONE)
    rig.turn()
    rig.push(everybody())
    rig.look()
    rig.converge()
    target = rig.hub.desk.target(GONE)
    assert {d.digest for d in target.current} == {V1.digest, deployment_of("db", "v1").digest}


def test_a_cluster_that_has_left_is_forgotten_once_its_agent_falls_silent(rig: Rig) -> None:
    running(rig)
    token = rig.hub.desk.token_for(GONE)
    left_out(rig, GONE)
    rig.turn()
    fall_silent(rig)
    assert state(rig) == ""
    with rig.store.read() as c:
        assert cluster_of_token(c, token) is None
        assert not c.execute(
            "SELECT 1 FROM bundle_deployment WHERE cluster = ?", (GONE,)
        ).fetchall()
        kept = c.execute("SELECT 1 FROM assignment WHERE cluster = ?", (GONE,)).fetchall()
    assert kept, "history stays"


def test_a_forgotten_cluster_begins_anew_and_no_number_is_used_twice(rig: Rig) -> None:
    running(rig)
    left_out(rig, GONE)
    rig.turn()
    last = rig.hub.desk.target(GONE)
    fall_silent(rig)
    rig.push(everybody())
    rig.look()
    rig.join(GONE)
    rig.converge()
    target = rig.hub.desk.target(GONE)
    assert {d.bundle for d in target.current} == {"db", "web"}
    assert target.serial > last.serial
    assert min(target.generations.values()) > max(last.generations.values())


def test_one_that_is_silent_before_it_was_told_is_not_forgotten(rig: Rig) -> None:
    running(rig)
    left_out(rig, GONE)
    fall_silent(rig)
    assert state(rig) == "Leaving"
    assert rig.hub.desk.target(GONE).leaving is Deletion.ORPHAN


def test_one_that_never_had_an_agent_is_forgotten_at_once(rig: Rig) -> None:
    rig.push(everybody())
    rig.look()
    left_out(rig, GONE)
    assert state(rig) == ""


def test_a_farewell_to_an_older_target_counts_for_nothing(rig: Rig) -> None:
    running(rig)
    left_out(rig, GONE)
    old = rig.hub.desk.target(GONE)
    rig.push(everybody())
    rig.look()
    left_out(rig, GONE)
    agent = rig.agents[GONE]
    agent.sequence += 1
    rig.hub.desk.report(
        Report(
            cluster=GONE,
            incarnation=agent.incarnation,
            sequence=agent.sequence,
            epoch=old.epoch,
            serial=old.serial,
            left=True,
        )
    )
    assert state(rig) == "Leaving"


def test_nothing_is_started_in_a_cluster_that_leaves(rig: Rig) -> None:
    running(rig)
    rig.push(everybody() | {GONE: {"web": "v2", "db": "v1"}})
    rig.look()
    rig.release()
    (offer,) = rig.hub.desk.target(GONE).offers
    rig.push(without(GONE))
    rig.look()
    assert rig.hub.desk.target(GONE).offers == ()
    with pytest.raises(RequestError):
        rig.agents[GONE].start(offer)


def test_a_person_has_a_cluster_forgotten_whose_agent_will_never_take_leave(rig: Rig) -> None:
    running(rig, production_4=Deletion.WAIT)
    token = rig.hub.desk.token_for(GONE)
    for name, code in ((GONE, "still-declared"), ("nobody", "not-found")):
        with pytest.raises(RequestError) as refused:
            rig.hub.desk.forget(name)
        assert refused.value.code == code
    left_out(rig, GONE)
    fall_silent(rig)
    assert state(rig) == "Leaving", "it is to be emptied, and nobody has"
    assert "forgotten" in rig.hub.desk.forget(GONE)
    assert state(rig) == ""
    with rig.store.read() as c:
        assert cluster_of_token(c, token) is None
    with pytest.raises(RequestError):
        rig.hub.desk.forget(GONE)


def test_nobody_syncs_a_cluster_that_leaves(rig: Rig) -> None:
    running(rig)
    left_out(rig, GONE)
    with pytest.raises(RequestError) as refused:
        rig.hub.desk.sync(SyncOrder(actor="ana"), [GONE])
    assert refused.value.code == "nothing-to-sync"
