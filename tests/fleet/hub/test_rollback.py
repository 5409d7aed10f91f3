"""A rollback, vetoes and what was baked, through the real store and a hub that is killed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agents.protocol import ABSENT
from fleet.errors import RequestError
from fleet.model import PolicyDocument
from fleet.rollout.decisions import Actor, Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V1, V2, V3 = (deployment_of("web", f"v{n}").digest for n in (1, 2, 3))
ANA = Actor("ana")


def policy(**failure: Any) -> tuple[PolicyDocument, ...]:
    stages = [
        {"name": "staging", "group": "staging"},
        {"name": "production", "group": "production"},
    ]
    spec = {"stages": stages, "onFailure": {"action": "Rollback", **failure}}
    return (PolicyDocument("Rollout", "default", spec, "clusters/rollout.yaml"),)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    rig = Rig(tmp_path)
    rig.push(fleet(2, 3, web="v1", lib="v1"), policies=policy())
    rig.look()
    rig.join(*fleet(2, 3))
    rig.converge()
    return rig


def release(rig: Rig, *, killed: bool = False, turns: int = 40, **bundles: str) -> None:
    rig.push(fleet(2, 3, **bundles), policies=policy())
    rig.look()
    rig.release()
    for _ in range(turns):
        if killed:
            rig.reopen()
        rig.turn(3)
        if not rig.live():
            return


def break_in_production(rig: Rig) -> None:
    for name, agent in rig.agents.items():
        agent.broken = {V2} if name.startswith("production") else set()


def baked(rig: Rig) -> dict[str, str]:
    with rig.store.read() as c:
        rows = c.execute("SELECT cluster, baked FROM bundle_deployment WHERE bundle = 'web'")
        return {row["cluster"]: row["baked"] for row in rows}


@pytest.mark.parametrize("killed", [False, True])
def test_a_failure_in_production_takes_staging_back_too(rig: Rig, killed: bool) -> None:
    break_in_production(rig)
    release(rig, web="v2", lib="v1", killed=killed)
    assert "RolledBack" in rig.states().values()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)
    assert baked(rig) == dict.fromkeys(fleet(2, 3), V1)


def test_a_way_back_says_the_commit_that_it_brings_again(rig: Rig) -> None:
    first = rig.repository.commits[-1]
    break_in_production(rig)
    release(rig, web="v2", lib="v1")
    commits = {a.target().current[-1].commit for a in rig.agents.values()}
    assert commits == {first}


def test_what_became_done_is_baked_and_what_did_not_is_not(rig: Rig) -> None:
    assert baked(rig) == dict.fromkeys(fleet(2, 3), V1)
    rig.push(fleet(2, 3, web="v3", lib="v1"), policies=policy())
    rig.look()
    rig.release()
    rig.turn()
    assert rig.runs_what("web")["staging-1"] == V3
    assert baked(rig)["staging-1"] == V1
    rig.converge()
    assert baked(rig) == dict.fromkeys(fleet(2, 3), V3)


def test_what_failed_is_held_under_other_commits_and_they_ship_everything_else(rig: Rig) -> None:
    break_in_production(rig)
    release(rig, web="v2", lib="v1")
    assert "vetoed" in rig.problems()
    for number in range(2, 6):
        release(rig, web="v2", lib=f"v{number}")
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)
    lib = deployment_of("lib", "v5").digest
    assert rig.runs_what("lib") == dict.fromkeys(fleet(2, 3), lib)
    release(rig, web="v3", lib="v5")
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V3)
    assert "vetoed" not in rig.problems()


def test_production_cannot_get_what_another_stage_refused(rig: Rig) -> None:
    """Only staging wants what failed; production wants something else of the bundle: held."""
    for agent in rig.agents.values():
        agent.broken = {V2}
    release(rig, web="v2", lib="v1")
    content = fleet(2, 3, web="v3", lib="v1")
    content["staging-1"]["web"] = content["staging-2"]["web"] = "v2"
    rig.push(content, policies=policy())
    rig.look()
    for _ in range(10):
        rig.turn(3)
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)


def test_a_retry_opens_a_run_that_was_rolled_back_again(rig: Rig) -> None:
    break_in_production(rig)
    release(rig, web="v2", lib="v1")
    for agent in rig.agents.values():
        agent.broken = set()
    (uid,) = [uid for uid, state in rig.states().items() if state == "RolledBack"]
    rig.hub.desk.decide(uid, Verb.RETRY, actor=ANA, reason="the quota was raised")
    rig.release()
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)


def test_a_removal_that_fails_brings_the_bundle_back_and_vetoes_nothing(rig: Rig) -> None:
    for name, agent in rig.agents.items():
        agent.refuses = {ABSENT} if name.startswith("production") else set()
    release(rig, lib="v1", turns=1)
    rig.approve_removals("web")
    release(rig, lib="v1")
    assert "RolledBack" in rig.states().values()
    assert set(rig.runs_what("web").values()) == {V1}
    assert "vetoed" not in rig.problems()


def test_an_unveto_opens_what_was_rolled_back_again(rig: Rig) -> None:
    break_in_production(rig)
    release(rig, web="v2", lib="v1")
    for agent in rig.agents.values():
        agent.broken = set()
    rig.hub.desk.decide_for_bundle(Verb.UNVETO, "web", actor=ANA, reason="the quota was raised")
    rig.release()
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)
    with rig.store.read() as c:
        (why,) = c.execute("SELECT DISTINCT lifted_why FROM veto").fetchone()
    assert why == "unveto by ana: the quota was raised"


def test_an_unveto_needs_a_reason_and_a_veto(rig: Rig) -> None:
    with pytest.raises(RequestError, match="needs a reason"):
        rig.hub.desk.decide_for_bundle(Verb.UNVETO, "web", actor=ANA, reason=" ")
    with pytest.raises(RequestError, match="nothing of bundle 'web' is vetoed"):
        rig.hub.desk.decide_for_bundle(Verb.UNVETO, "web", actor=ANA, reason="why not")


def test_one_decision_answers_for_every_run_of_a_commit(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2", lib="v2"), policies=policy())
    rig.look()
    rig.release()
    commit = rig.repository.commits[-1]
    done = rig.hub.desk.decide_commit(commit, Verb.PAUSE, actor=ANA)
    assert len(done) == len(rig.live()) == 2
    rig.release()
    assert {rig.states()[uid] for uid in rig.live()} == {"Paused"}
    with pytest.raises(RequestError, match="has no run that is live"):
        rig.hub.desk.decide_commit("abcdef", Verb.RESUME, actor=ANA)
    with pytest.raises(RequestError, match="nothing has failed"):
        rig.hub.desk.decide_commit(commit, Verb.RETRY, actor=ANA)
