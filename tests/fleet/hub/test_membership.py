"""Clusters that join and leave a live run, through the real store, with a hub that is killed."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import IntegrityError

import pytest

from fleet.api import prospects
from fleet.model import PolicyDocument
from fleet.rollout.amendments import Amendment, Move, MoveKind, Size
from fleet.store.amendments import add_amendment, amendments_of
from tests.fleet.hub.rig import Rig, deployment_of, fleet
from tests.fleet.rollout.builders import NOW

V1, V2 = deployment_of("web", "v1").digest, deployment_of("web", "v2").digest
STAGES = [
    {"name": "staging", "group": "staging"},
    {"name": "production", "group": "production", "parallelism": "50%"},
]


def policy(**membership: str) -> tuple[PolicyDocument, ...]:
    spec = {"stages": STAGES, "membership": membership}
    return (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)


def begun(tmp_path: Path, **membership: str) -> Rig:
    """v1 runs everywhere, and the run to v2 has moved the first cluster of staging."""
    rig = Rig(tmp_path)
    rig.push(fleet(2, 3, web="v1"), policies=policy(**membership))
    rig.look()
    rig.join(*fleet(2, 3))
    rig.converge()
    rig.push(fleet(2, 3, web="v2"), policies=policy(**membership))
    rig.look()
    rig.release()
    rig.turn()
    return rig


def states(rig: Rig, run: str) -> dict[str, tuple[str, str]]:
    """Cluster → (stage, state)."""
    with rig.store.read() as c:
        rows = c.execute("SELECT cluster, stage, state FROM run_cluster WHERE run = ?", (run,))
        return {row["cluster"]: (row["stage"], row["state"]) for row in rows}


def events(rig: Rig, run: str) -> list[tuple[str, str, str]]:
    """(kind, stage, cluster) of the membership's events."""
    with rig.store.read() as c:
        rows = c.execute("SELECT kind, stage, cluster FROM event WHERE run = ?", (run,)).fetchall()
    kinds = ("cluster-joined", "cluster-left", "cluster-restaged", "stage-resized")
    return [tuple(row) for row in rows if row["kind"] in kinds]


@pytest.mark.parametrize("killed", [False, True])
def test_a_joiner_goes_with_the_live_run_also_after_a_kill(tmp_path: Path, killed: bool) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    rig.push(fleet(2, 5, web="v2"), policies=policy())
    rig.look()
    rig.release()
    if killed:
        rig.reopen()
    rig.join("production-4", "production-5")
    assert events(rig, run) == [
        ("cluster-joined", "production", "production-4"),
        ("cluster-joined", "production", "production-5"),
        ("stage-resized", "production", ""),
    ]
    rig.converge()
    assert list(rig.states().values()) == ["Succeeded", "Succeeded"]
    assert states(rig, run)["production-5"] == ("production", "Healthy")
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 5), V2)


def test_a_leaver_is_removed_from_the_run_and_its_offer_withdrawn(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    assert rig.offered() == {"staging-2"}
    content = fleet(2, 3, web="v2")
    del content["staging-2"]
    rig.push(content, policies=policy())
    rig.look()
    rig.release()
    assert states(rig, run)["staging-2"] == ("staging", "Removed")
    assert events(rig, run) == [("cluster-left", "staging", "staging-2")]
    del rig.agents["staging-2"]
    rig.reopen()
    rig.converge()
    assert rig.states()[run] == "Succeeded"


def test_on_leave_fail_stops_the_run_and_vetoes_nothing(tmp_path: Path) -> None:
    rig = begun(tmp_path, onLeave="Fail")
    (run,) = rig.live()
    content = fleet(2, 3, web="v2")
    del content["staging-2"]
    rig.push(content, policies=policy(onLeave="Fail"))
    rig.look()
    rig.release()
    assert rig.states()[run] == "Paused"
    assert states(rig, run)["staging-2"] == ("staging", "Failed")
    assert "vetoed" not in rig.problems()


def test_a_cluster_that_was_there_and_wants_more_now_is_no_joiner(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    first = fleet(2, 3, web="v1") | {"production-3": {"api": "v1"}}
    rig.push(first, policies=policy())
    rig.look()
    rig.join(*first)
    rig.converge()
    rig.push(fleet(2, 3, web="v2") | {"production-3": {"api": "v1"}}, policies=policy())
    rig.look()
    rig.release()
    (run,) = rig.live()
    rig.push(
        fleet(2, 3, web="v2") | {"production-3": {"api": "v1", "web": "v2"}}, policies=policy()
    )
    rig.look()
    rig.release()
    assert "production-3" not in states(rig, run)
    assert len(rig.live()) == 2


def test_who_changes_its_stage_loses_its_offer_and_who_has_started_stays(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    assert rig.offered() == {"staging-2"}
    moves = [Move(f"staging-{n}", MoveKind.RESTAGED, "production", "labels") for n in (1, 2)]
    sizes = (Size("production", 5, (3,)),)
    with rig.store.write() as c:
        changed = add_amendment(c, run, Amendment(rig.clock.now(), tuple(moves), sizes), NOW)
    assert changed == {"staging-2"}
    with rig.store.read() as c:
        (kept,) = amendments_of(c, run)
    assert (kept.moves, kept.sizes) == ((moves[1],), ())
    assert rig.offered() == set()
    assert events(rig, run) == [("cluster-restaged", "production", "staging-2")]


def test_people_see_who_joined_and_why(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    (run,) = rig.live()
    rig.push(fleet(2, 4, web="v2"), policies=policy())
    rig.look()
    rig.release()
    seen = prospects.Prospects(rig.store, rig.clock)
    (item,) = seen.explain("production-4")["items"]
    assert (item["run"], item["stage"]) == (run, "production")
    told = [e for e in seen.history(run)["items"] if e["cluster"] == "production-4"]
    assert [e["kind"] for e in told] == ["cluster-joined"]
    assert told[0]["message"].startswith("joined, as of commit 0000")


def test_an_amendment_is_never_edited(tmp_path: Path) -> None:
    rig = begun(tmp_path)
    rig.push(fleet(2, 4, web="v2"), policies=policy())
    rig.look()
    rig.release()
    with pytest.raises(IntegrityError, match="append-only"), rig.store.write() as c:
        c.execute("UPDATE run_amendment SET amendment = '{}'")
