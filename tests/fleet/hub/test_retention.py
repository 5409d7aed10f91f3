"""What the hub forgets, in a real store: nothing that is needed, and decisions in their time."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from fleet.errors import RequestError
from fleet.hub.retention import RUNS_AT_A_TIME, forget
from fleet.model import PolicyDocument
from fleet.rollout import read_policies
from fleet.rollout.decisions import EVERY_GROUP, Actor, Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet

ANA = Actor("ana", (EVERY_GROUP,))
DAY = 86_400


def policy(**history: Any) -> tuple[PolicyDocument, ...]:
    stages = [
        {"name": group, "group": group, "parallelism": 9} for group in ("staging", "production")
    ]
    spec = {"stages": stages, "onFailure": {"action": "Rollback"}, "history": history}
    return (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)


def start(folder: Path, **history: Any) -> Rig:
    rig = Rig(folder)
    rig.policies = policy(**history)
    release(rig, web="v1", lib="v1")
    return rig


def release(rig: Rig, turns: int = 6, **bundles: str) -> None:
    """A commit, and what becomes of it in some turns; then the hub forgets."""
    rig.push(fleet(2, 2, **bundles), policies=rig.policies)
    rig.look()
    if not rig.agents:
        rig.join(*fleet(2, 2))
    rig.release()
    for _ in range(turns):
        rig.turn(5)
    rig.hub.forget(rig.clock.now())


def count(rig: Rig, table: str) -> int:
    with rig.store.read() as c:
        (found,) = c.execute(f"SELECT count(*) FROM {table}").fetchone()
    return int(found)


def runs_of(rig: Rig, bundle: str) -> list[str]:
    return [uid for uid in rig.states() if uid.startswith(bundle)]


def files(rig: Rig) -> set[str]:
    return {f"sha256:{p.name}" for p in rig.store.artifacts.folder.glob("*/*") if p.is_file()}


def test_so_many_runs_of_a_rollout_are_kept_with_all_that_is_about_them(tmp_path: Path) -> None:
    rig = start(tmp_path, runs=3)
    for number in range(2, 12):
        release(rig, web=f"v{number}", lib="v1")
    kept = set(rig.states())
    assert len(runs_of(rig, "web")) == 3
    assert len(runs_of(rig, "lib")) == 1, "its last success, however old it is"
    with rig.store.read() as c:
        for table in ("run_cluster", "assignment", "event", "run_bundle"):
            named = {row[0] for row in c.execute(f"SELECT DISTINCT run FROM {table}")} - {""}
            assert named <= kept, table
        orphans = "SELECT count(*) FROM assignment_bundle WHERE (cluster, generation) NOT IN"
        (left,) = c.execute(f"{orphans} (SELECT cluster, generation FROM assignment)").fetchone()
        said = [
            r["message"] for r in c.execute("SELECT * FROM event WHERE kind = 'history-pruned'")
        ]
    assert left == 0
    assert said[-1] == "1 old runs of rollout default are forgotten; 3 are kept"


def test_content_goes_when_no_cluster_could_ask_for_it_any_more(tmp_path: Path) -> None:
    rig = start(tmp_path, runs=2)
    for number in range(2, 9):
        release(rig, web=f"v{number}", lib="v1")
    artifacts = {n: deployment_of("web", f"v{n}").artifact for n in range(1, 9)}
    assert files(rig) & set(artifacts.values()) == {artifacts[7], artifacts[8]}, "v7: the way back"
    assert deployment_of("lib", "v1").artifact in files(rig)
    release(rig, web="v1", lib="v1")
    assert set(rig.runs_what("web").values()) == {deployment_of("web", "v1").digest}


def test_what_a_live_run_brings_stays_though_git_wants_something_newer(tmp_path: Path) -> None:
    """Nobody runs it, nobody was offered it yet, and nobody wants it any more."""
    rig = start(tmp_path, runs=1)
    for number in (2, 3):
        release(rig, web=f"v{number}", lib="v1")
    rig.push(fleet(2, 2, web="v4", lib="v1"), policies=rig.policies)
    rig.look()
    rig.release()
    (run,) = rig.live()
    rig.hub.desk.decide(run, Verb.PAUSE, actor=ANA)
    for number in (2, 3, 4):
        release(rig, web="v5", lib=f"v{number}")
    assert deployment_of("lib", "v2").artifact not in files(rig)
    assert deployment_of("web", "v4").artifact in files(rig)
    rig.hub.desk.decide(run, Verb.RESUME, actor=ANA)
    rig.converge()
    assert set(rig.runs_what("web").values()) == {deployment_of("web", "v5").digest}


def test_what_is_planned_and_in_no_row_yet_stays(tmp_path: Path) -> None:
    """Content of an older commit for a cluster that is late: no run brings it so far."""
    rig = start(tmp_path)
    for number in (2, 3, 4):
        release(rig, web=f"v{number}", lib="v1")
    older = deployment_of("web", "v1")
    book = read_policies(policy(runs=1), ("staging", "production"))
    forget(rig.store, book, rig.clock.now(), {older.digest})
    assert older.artifact in files(rig)
    assert deployment_of("web", "v2").artifact not in files(rig)


def test_what_was_healthy_once_is_known_for_longer_than_its_content(tmp_path: Path) -> None:
    """A `proven` gate may still ask what it held."""
    rig = start(tmp_path, runs=1)
    for number in (2, 3, 4):
        release(rig, web=f"v{number}", lib="v1")
    first = deployment_of("web", "v1")
    assert first.artifact not in files(rig)
    with rig.store.read() as c:
        spans = {row["digest"] for row in c.execute("SELECT digest FROM healthy_span")}
        bodies = {row["digest"] for row in c.execute("SELECT digest FROM deployment_body")}
    assert first.digest in spans
    assert spans <= bodies


def test_without_a_word_of_it_everything_is_kept(tmp_path: Path) -> None:
    rig = start(tmp_path)
    for number in range(2, 6):
        release(rig, web=f"v{number}", lib="v1")
    assert len(runs_of(rig, "web")) == 5
    assert len(files(rig)) == 6


def story(rig: Rig) -> list[object]:
    """Good and bad releases, a rollback, a veto, a revert, late clusters; what agents were told."""
    told: list[object] = []
    bad = deployment_of("web", "bad").digest

    def tell() -> None:
        told.append({name: agent.target().model_dump(exclude={"signature"})
                     for name, agent in rig.agents.items()})  # fmt: skip

    for agent in rig.agents.values():
        agent.refuses = {bad} if agent.cluster.startswith("production") else set()
    for content in ("v2", "v3", "bad", "bad", "v3", "bad", "v4", "v5"):
        release(rig, web=content, lib="v1")
        tell()
    away = rig.agents.pop("production-1")
    for content in ("v6", "v7", "v8"):
        release(rig, turns=9, web=content, lib=content)
        tell()
    rig.agents["production-1"] = away
    away.register()
    for _ in range(6):
        rig.turn(5)
        rig.hub.forget(rig.clock.now())
    tell()
    return told


def test_a_hub_that_forgets_does_all_as_one_that_remembers(tmp_path: Path) -> None:
    short, long = start(tmp_path / "short", runs=1), start(tmp_path / "long")
    assert story(short) == story(long)
    kept, every = short.states(), long.states()
    assert kept.items() <= every.items()
    assert len(kept) < len(every)


def test_decisions_are_kept_for_their_time_after_their_run(tmp_path: Path) -> None:
    rig = start(tmp_path, runs=1, decisions="30d")
    rig.push(fleet(2, 2, web="v2", lib="v1"), policies=rig.policies)
    rig.look()
    rig.release()
    rig.hub.desk.decide(rig.live()[0], Verb.PAUSE, actor=ANA)
    rig.hub.desk.decide(rig.live()[0], Verb.RESUME, actor=ANA)
    rig.hub.desk.decide_for_fleet(Verb.FREEZE, actor=ANA, reason="incident")
    rig.hub.desk.decide_for_fleet(Verb.UNFREEZE, actor=ANA)
    for number in range(3, 6):
        release(rig, web=f"v{number}", lib="v1")
    assert len(runs_of(rig, "web")) == 1
    assert count(rig, "decision") == 4, "their run is gone, they are not"
    rig.clock.advance(31 * DAY)
    rig.hub.forget(rig.clock.now())
    with rig.store.read() as c:
        left = {row["verb"] for row in c.execute("SELECT verb FROM decision")}
    assert left == {"freeze", "unfreeze"}, "what is about the fleet belongs to no rollout"


def test_the_table_itself_lets_no_decision_go_before_its_time(tmp_path: Path) -> None:
    rig = start(tmp_path, decisions="30d")
    rig.push(fleet(2, 2, web="v2", lib="v1"), policies=rig.policies)
    rig.look()
    rig.release()
    rig.hub.desk.decide(rig.live()[0], Verb.PAUSE, actor=ANA)
    rig.hub.forget(rig.clock.now())
    for sql in ("DELETE FROM decision", "UPDATE decision SET actor = 'eve'"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"), rig.store.write() as c:
            c.execute(sql)


def test_the_decisions_on_a_live_run_stay_whatever_their_age(tmp_path: Path) -> None:
    rig = start(tmp_path, decisions="1d")
    rig.push(fleet(2, 2, web="v2", lib="v1"), policies=rig.policies)
    rig.look()
    rig.release()
    rig.hub.desk.decide(rig.live()[0], Verb.PAUSE, actor=ANA)
    rig.clock.advance(5 * DAY)
    rig.hub.forget(rig.clock.now())
    assert count(rig, "decision") == 1


def test_a_long_history_goes_in_pieces(tmp_path: Path) -> None:
    rig = start(tmp_path)
    for number in range(2, RUNS_AT_A_TIME + 8):
        release(rig, turns=3, web=f"v{number}", lib="v1")
    before = len(runs_of(rig, "web"))
    rig.policies = policy(runs=2)
    release(rig, turns=0, web=f"v{RUNS_AT_A_TIME + 7}", lib="v1")
    assert len(runs_of(rig, "web")) == before - RUNS_AT_A_TIME
    rig.hub.forget(rig.clock.now())
    assert len(runs_of(rig, "web")) == 2


def test_a_run_that_is_forgotten_cannot_be_asked_for(tmp_path: Path) -> None:
    rig = start(tmp_path, runs=1)
    first = runs_of(rig, "web")[0]
    for number in (2, 3):
        release(rig, web=f"v{number}", lib="v1")
    with pytest.raises(RequestError, match="no run"):
        rig.hub.desk.decide(first, Verb.PAUSE, actor=ANA)
