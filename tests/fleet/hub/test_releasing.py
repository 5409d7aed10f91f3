"""From a commit to every cluster, and everything that must not happen on the way."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.protocol import ABSENT
from fleet.errors import RequestError
from fleet.model import PolicyDocument, Problem, Severity
from fleet.rollout.decisions import Verb
from tests.fleet.hub.rig import Rig, deployment_of, fleet

V1, V2, V3 = (deployment_of("web", f"v{n}").digest for n in (1, 2, 3))


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    """Two staging and three production clusters that run v1 of `web`."""
    rig = Rig(tmp_path)
    rig.push(fleet(2, 3, web="v1"))
    rig.look()
    rig.join(*fleet(2, 3))
    rig.converge()
    return rig


def gated(**stage: object) -> tuple[PolicyDocument, ...]:
    production = {"name": "production", "group": "production", **stage}
    stages = [{"name": "staging", "group": "staging"}, production]
    return (PolicyDocument("Rollout", "default", {"stages": stages}, "clusters/rollout.yaml"),)


def test_a_first_commit_reaches_every_cluster(rig: Rig) -> None:
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)
    assert set(rig.states().values()) == {"Succeeded"}


def test_a_change_is_offered_to_staging_before_production(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.release()
    assert rig.offered() == {"staging-1"}
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)


def test_a_commit_that_changes_nothing_makes_no_run_and_no_new_serial(rig: Rig) -> None:
    before = {name: agent.target().serial for name, agent in rig.agents.items()}
    rig.push(fleet(2, 3, web="v1"))
    rig.look()
    rig.release()
    assert rig.live() == []
    assert {name: agent.target().serial for name, agent in rig.agents.items()} == before


def test_a_bad_release_stops_in_staging_and_a_revert_ships_by_itself(rig: Rig) -> None:
    for agent in rig.agents.values():
        agent.broken = {V2}
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    for _ in range(20):
        rig.turn()
    assert [rig.states()[uid] for uid in rig.live()] == ["Paused"]
    running = rig.runs_what("web")
    assert {name for name, digest in running.items() if digest == V2} == {"staging-1"}
    rig.push(fleet(2, 3, web="v1"))
    rig.look()
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)


def test_a_git_outage_changes_nothing_and_is_shown(rig: Rig) -> None:
    rig.repository.away = True
    assert not rig.look()
    assert "source" in rig.problems()
    rig.release()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)
    rig.repository.away = False
    rig.look()
    assert "source" not in rig.problems()


def test_after_a_restart_without_git_a_running_rollout_goes_on(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.turn()
    rig.repository.away = True
    rig.reopen()
    assert rig.look(), "the commit that was planned last is planned again from the mirror"
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)


def test_a_commit_without_any_cluster_is_not_followed(rig: Rig) -> None:
    rig.push({})
    assert not rig.look()
    rig.release()
    assert "turndown-suspected" in rig.problems()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)
    assert rig.offered() == set()


def test_planning_that_blows_up_is_a_problem_and_the_last_good_plan_stays(rig: Rig) -> None:
    rig.repository.commits.append("f" * 40)  # the rig has no values for it: KeyError
    assert not rig.look()
    assert "hub-failed" in rig.problems()
    rig.push(fleet(2, 3, web="v3"))
    assert rig.look()
    assert "hub-failed" not in rig.problems()


def test_a_bundle_that_git_drops_is_removed_and_leaves_the_target(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v1", api="v1"))
    rig.look()
    rig.converge()
    rig.push(fleet(2, 3, web="v1"))
    rig.look()
    rig.release()
    assert rig.live() == []
    assert "removal-suspected" in rig.problems()
    rig.approve_removals("api")
    rig.release()
    offer = rig.agents["staging-1"].target().offers[0]
    assert [(d.bundle, d.digest) for d in offer.deployments] == [("api", ABSENT)]
    rig.converge()
    assert rig.runs_what("api") == {}
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)


@pytest.mark.parametrize(
    "partial",
    [
        {"unread": frozenset({"Cluster"})},
        {"held": frozenset({"api"})},
        {"problems": (Problem("broken-yaml", Severity.ERROR, "broken", "apps/x.yaml", "mend"),)},
    ],
    ids=["unread", "held", "unexplained error"],
)
def test_a_partial_plan_removes_nothing(rig: Rig, partial: dict[str, object]) -> None:
    rig.push(fleet(2, 3, web="v1", api="v1"))
    rig.look()
    rig.converge()
    rig.push(fleet(2, 3, web="v1"), **partial)
    rig.look()
    for _ in range(3):
        rig.turn()
    assert set(rig.runs_what("api")) == set(fleet(2, 3))
    assert rig.live() == []


def test_what_did_not_render_keeps_what_it_runs(rig: Rig) -> None:
    content = fleet(2, 3, web="v1")
    content["staging-1"]["web"] = None
    rig.push(content)
    rig.look()
    rig.turn()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)
    assert rig.live() == []


def test_a_cluster_that_git_forgets_keeps_all_it_has_and_gets_nothing_new(rig: Rig) -> None:
    content = fleet(2, 3, web="v2")
    del content["production-3"]
    rig.push(content)
    rig.look()
    rig.converge()
    assert rig.runs_what("web")["production-3"] == V1
    assert rig.runs_what("web")["production-2"] == V2


def test_pause_withdraws_what_lies_unstarted_and_refuses_its_start_at_once(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.release()
    agent = rig.agents["staging-1"]
    (offer,) = agent.target().offers
    rig.decide(Verb.PAUSE)
    with pytest.raises(RequestError) as refused:
        agent.start(offer)
    assert (refused.value.status, refused.value.code) == (409, "held")
    rig.release()
    assert rig.offered() == set()
    rig.decide(Verb.RESUME)
    rig.release()
    assert len(rig.offered()) == 1
    rig.converge()
    assert agent.started[-1][0] > offer.generation, "a withdrawn generation is never used again"
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)


def test_a_decision_between_evidence_and_write_voids_the_step(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    releaser = rig.hub._releaser
    planned, commit = rig.hub._observer.planned, rig.hub._observer.commit
    assert planned is not None
    assert commit is not None
    releaser.propose(planned, commit, rig.clock.now())
    write = rig.store.write

    def pause_first(*, durable: bool = True) -> object:
        rig.store.write = write  # type: ignore[method-assign]
        rig.decide(Verb.PAUSE)
        return write(durable=durable)

    rig.store.write = pause_first  # type: ignore[method-assign,assignment]
    releaser.advance(rig.clock.now())
    assert rig.offered() == set()
    rig.release()
    assert rig.offered() == set()


def test_production_waits_for_its_approval(rig: Rig) -> None:
    policy = gated(gates={"before": [{"approval": {"groups": ["sre"]}}]})
    rig.push(fleet(2, 3, web="v2"), policies=policy)
    rig.look()
    for _ in range(8):
        rig.turn()
    assert {n for n, d in rig.runs_what("web").items() if d == V2} == {"staging-1", "staging-2"}
    assert "stage production" in rig.decide(Verb.APPROVE)
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)


def test_an_approval_that_nobody_waits_for_is_refused_with_the_stage_to_name(rig: Rig) -> None:
    policy = gated(gates={"before": [{"approval": {"groups": ["sre"]}}]})
    rig.push(fleet(2, 3, web="v2"), policies=policy)
    rig.look()
    rig.release()
    with pytest.raises(RequestError) as refused:
        rig.decide(Verb.APPROVE)
    assert refused.value.code == "no-gate-waits"
    assert "--stage production" in refused.value.fix


def test_an_aborted_run_offers_nothing_more_and_refuses_starts(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.release()
    agent = rig.agents["staging-1"]
    (offer,) = agent.target().offers
    rig.decide(Verb.ABORT, reason="wrong version")
    rig.release()
    with pytest.raises(RequestError, match=r"."):
        agent.start(offer)
    rig.turn()
    assert rig.live() == []
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V1)


def test_a_lease_that_ended_refuses_the_start(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.release()
    agent = rig.agents["staging-1"]
    (offer,) = agent.target().offers
    rig.clock.advance(901)
    with pytest.raises(RequestError) as refused:
        agent.start(offer)
    assert refused.value.code == "lease-ended"


def test_a_cluster_that_came_late_is_brought_up_by_the_catch_up_lane(rig: Rig) -> None:
    del rig.agents["production-3"]
    rig.clock.advance(40)
    for agent in rig.agents.values():
        agent.report()
    rig.release()
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.converge()
    rig.join("production-3")
    rig.converge()
    rig.release()
    rig.converge()
    assert rig.runs_what("web") == dict.fromkeys(fleet(2, 3), V2)


def test_a_run_that_rests_is_not_written_again(rig: Rig) -> None:
    rig.push(fleet(2, 3, web="v2"))
    rig.look()
    rig.release()
    with rig.store.read() as c:
        before = c.execute("SELECT uid, version FROM run").fetchall()
    rig.hub._news(fleet(2, 3), ["web"])
    rig.release()
    with rig.store.read() as c:
        assert c.execute("SELECT uid, version FROM run").fetchall() == before


def test_the_runs_that_would_be_made_are_told_and_not_made(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    with pytest.raises(RequestError, match="planned no commit"):
        rig.hub.preview()
    rig.push(fleet(1, 2, web="v1"))
    rig.look()
    rig.join("staging-1", "production-1", "production-2")
    (run,) = rig.hub.preview()["runs"]
    assert [stage["clusters"] for stage in run["stages"]][:2] == [
        ["staging-1"],
        ["production-1", "production-2"],
    ]
    assert rig.states() == {}
    rig.release()
    assert rig.hub.preview()["runs"] == []
    assert len(rig.states()) == 1
