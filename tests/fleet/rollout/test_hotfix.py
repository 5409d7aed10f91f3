"""The hotfix lane: asked for by a commit, opened by a person, and what it passes then.

Mutations that must fail here: an ask opens the lane by itself; the lane passes approvals, or
windows; a hotfix waits for `maxDeferrals`; it exceeds `maxLiveUnbaked` by more than one; an
ordinary run replaces it; one that is made anew takes a later commit's content along.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.model import ClusterGroup
from fleet.rollout import RunRecord, hotfix, propose
from fleet.rollout.decisions import EVERY_GROUP, Verb
from fleet.rollout.rules import HotfixLane, OverrideRules, Rules, SupersedeRules
from fleet.rollout.states import RunState
from tests.fleet.rollout.builders import NOW, decision, healthy, run, stage, stage_states, tick
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.pull_fleet import PullFleet
from tests.fleet.rollout.stories import TWO_STAGES, fleet, only, released
from tests.fleet.rollout.test_runs import NAMES, book, situation, words

ASKS = {"Rollout-Class": "hotfix"}
LANE = Rules(supersede=SupersedeRules(hotfix=HotfixLane()), overrides=OverrideRules(roles=("sre",)))
PLAN = run(stage("one", "c0"), rules=LANE, trailers=ASKS)
OPENED = decision(1, Verb.HOTFIX, reason="CVE", groups=("sre",))


@pytest.mark.parametrize(
    ("plan", "decided", "why"),
    [
        (PLAN, OPENED, ""),
        (PLAN, replace(OPENED, groups=(EVERY_GROUP,)), ""),
        (PLAN, replace(OPENED, groups=("dev",)), "only sre may open the hotfix lane here"),
        (PLAN, replace(OPENED, reason=" "), "hotfix needs a reason"),
        (replace(PLAN, trailers={}), OPENED, "does not ask for it with a trailer"),
        (replace(PLAN, trailers={"Rollout-Class": "normal"}), OPENED, "does not ask for it"),
        (replace(PLAN, rules=Rules()), OPENED, "has no hotfix lane"),
    ],
)
def test_a_person_with_the_role_opens_what_the_commit_asks_for(
    plan: Any, decided: Any, why: str
) -> None:
    said = hotfix.refusal(decided, plan)
    assert (why in said) if why else said == ""


def test_the_name_of_a_trailer_is_read_as_git_reads_it() -> None:
    assert hotfix.asks(replace(PLAN, trailers={"rollout-class": "hotfix"}))
    assert not hotfix.asks(replace(PLAN, trailers={"Rollout-Class": "Hotfix"}))


def test_a_decision_on_another_run_opens_nothing() -> None:
    assert not hotfix.is_open(PLAN, [replace(OPENED, run="r2"), decision(2, Verb.APPROVE)])
    assert hotfix.is_open(PLAN, [OPENED])


@pytest.mark.parametrize(("is_hotfix", "state"), [(True, "Done"), (False, "GatedAfter")])
def test_only_the_open_lane_skips_the_soak(is_hotfix: bool, state: str) -> None:
    plan = run(stage("one", "c0", soak_seconds=600), trailers=ASKS)
    step = tick(plan, {"c0": healthy()}, at=10, is_hotfix=is_hotfix)
    assert stage_states(step) == {"one": state}


def test_an_approval_holds_in_the_hotfix_lane_too() -> None:
    step = tick(run(stage("one", "c0", approval=True)), {}, is_hotfix=True)
    assert (step.offer, stage_states(step)) == ((), {"one": "GatedBefore"})


def world(policy: str = "CoalesceLatest", staging: int = 2, **supersede: Any) -> PullFleet:
    lane = {"policy": policy, "hotfix": {"whenTrailer": "Rollout-Class: hotfix"}}
    return released(fleet(staging, supersede={**lane, **supersede}))


def asked(found: PullFleet, digest: str) -> Stored:
    """A commit that asks for the lane, and its run."""
    found.trailers = dict(ASKS)
    found.want("app", digest)
    found.tick(1)
    found.trailers = {}
    return found.live()[-1]


def opened(found: PullFleet, where: Stored) -> Stored:
    """A person opens the lane for a run; the run that has it then."""
    assert not hotfix.refusal(decision(1, Verb.HOTFIX, reason="CVE"), where.plan)
    found.decide(where, Verb.HOTFIX, reason="CVE")
    found.tick(1)
    return next(run for run in found.live() if run.record().is_hotfix)


def begun(found: PullFleet, digest: str) -> Stored:
    """An ordinary run that is on its way."""
    found.want("app", digest)
    found.tick(1)
    found.serve_all(1)
    return only(found)


def test_the_trailer_alone_changes_nothing() -> None:
    found = world()
    first = begun(found, "v2")
    waiting = asked(found, "v3")
    found.serve_all(1)
    assert (first.state, waiting.state) == (RunState.RUNNING, RunState.QUEUED)


@pytest.mark.parametrize("policy", ["Queue", "CoalesceLatest", "FinishStage"])
def test_an_open_lane_replaces_the_live_run_at_once(policy: str) -> None:
    found = world(policy, maxDeferrals=1)
    first = begun(found, "v2")
    run = opened(found, asked(found, "v3"))
    assert (first.state, run.state) == (RunState.SUPERSEDED, RunState.RUNNING)
    found.serve_all(12)
    assert set(found.running("app").values()) == {"v3"}
    assert not found.live()


def test_a_hotfix_is_not_deferred_by_a_run_that_others_may_not_replace() -> None:
    found = world("Immediate", maxDeferrals=1)
    begun(found, "v2")
    protected = begun(found, "v3")
    found.want("app", "v4")
    found.tick(1)
    assert protected.state is RunState.RUNNING, "one was superseded before it"
    run = opened(found, asked(found, "v5"))
    assert (protected.state, run.state) == (RunState.SUPERSEDED, RunState.RUNNING)


@pytest.mark.parametrize("policy", ["Immediate", "FinishStage"])
def test_an_ordinary_run_waits_for_a_hotfix(policy: str) -> None:
    found = world(policy)
    run = opened(found, asked(found, "v2"))
    found.want("app", "v3")
    found.tick(1)
    assert (run.state, len(found.live())) == (RunState.RUNNING, 2)
    found.serve_all(20)
    assert run.state is RunState.SUCCEEDED
    assert set(found.running("app").values()) == {"v3"}


def test_a_hotfix_exceeds_the_live_unbaked_revisions_by_one_and_no_more() -> None:
    """I17: with one allowed, a second is a hotfix, and a third waits even if it is one."""
    found = world("Immediate", staging=8, maxLiveUnbaked=1)
    begun(found, "v2")
    second = opened(found, asked(found, "v3"))
    found.serve("staging-0")
    found.tick(1)
    assert len(found.unbaked()["app"]) == 2
    third = asked(found, "v4")
    found.decide(third, Verb.HOTFIX, reason="CVE")
    found.tick(1)
    assert (second.state, third.state) == (RunState.RUNNING, RunState.QUEUED)


def test_a_run_that_waited_for_room_replaces_the_live_one_when_there_is_room() -> None:
    """`maxLiveUnbaked` makes a run wait until an older revision is gone, not until the end."""
    found = world("Immediate", staging=3, maxLiveUnbaked=1)
    first = begun(found, "v2")
    found.want("app", "v3")
    found.tick(1)
    assert first.state == "Running"
    found.serve_all(1)
    found.tick(1)
    assert first.state == "Superseded", "staging has baked v2: none is un-baked"
    found.serve_all(12)
    assert set(found.running("app").values()) == {"v3"}


def test_a_queued_hotfix_keeps_its_own_content_whatever_comes_after_it() -> None:
    """It waits for a rollback; the commit after it does not get into its lane."""
    found = world("CoalesceLatest")
    found.policies = PullFleet(
        {
            **TWO_STAGES,
            "onFailure": {"action": "Rollback"},
            "supersede": {"hotfix": {"whenTrailer": "Rollout-Class: hotfix"}},
        },
        {"staging": 2, "production": 4},
    ).policies
    found.bad["v2"] = "failed"
    begun(found, "v2")
    run = asked(found, "v3")
    found.decide(run, Verb.HOTFIX, reason="CVE")
    found.want("app", "v4")
    found.tick(1)
    ordinary = found.live()[-1]
    assert {c.wanted for some in ordinary.plan.changes.values() for c in some} == {"v4"}
    found.serve_all(20)
    mine = [r for r in found.runs.values() if r.record().is_hotfix]
    brought = {c.wanted for r in mine for some in r.plan.changes.values() for c in some}
    assert brought == {"v3"}
    assert set(found.running("app").values()) == {"v4"}


def test_what_is_made_anew_in_the_lane_has_the_content_that_it_was_opened_for() -> None:
    """The run before it was rolled back; since then Git wants more, and less has to change."""
    said: dict[str, Any] = {"policies": book(supersede={"hotfix": {}}), "trailers": ASKS}
    have = {name: {"app": "v2" if name == "s1" else "v1"} for name in NAMES}
    first = propose(situation({"app": "v3"}, have=have, **said)).runs[0]
    rolled = RunRecord(replace(first, number=0, uid="older"), RunState.ROLLED_BACK)
    queued = RunRecord(first, RunState.QUEUED, is_hotfix=True)
    have["s2"] = {"app": "v3"}
    newer = situation({"app": "v4"}, have=have, commit="fedcba", **said)
    found = propose(replace(newer, runs=(rolled, queued), trailers={}, next_number=2))
    later, again = found.runs
    assert (again.hotfix_of, again.trailers) == (first.uid, ASKS)
    assert words(again) == {
        "p1": [("app", "v1", "v3")],
        "p2": [("app", "v1", "v3")],
        "s1": [("app", "v2", "v3")],
    }
    assert later.hotfix_of == ""
    assert {to for some in words(later).values() for _, _, to in some} == {"v4"}


@pytest.mark.parametrize(("wants", "joins"), [("v3", True), ("v9", False)])
def test_a_cluster_that_wants_what_a_later_commit_brings_is_not_taken_along(
    wants: str, joins: bool
) -> None:
    """The later commit has not settled yet, and nobody opened the lane for it."""
    said: dict[str, Any] = {"policies": book(supersede={"hotfix": {}}), "trailers": ASKS}
    first = propose(situation({"app": "v3"}, {"app": "v1"}, **said)).runs[0]
    queued = RunRecord(first, RunState.QUEUED, is_hotfix=True)
    have = {name: {"app": "v1"} for name in NAMES} | {"s1": {"app": "v2"}, "p3": {"app": "v1"}}
    groups = (ClusterGroup("production", ("p1", "p2", "p3")), ClusterGroup("staging", ("s1", "s2")))
    later = replace(
        situation({"app": "v3"}, names=(*NAMES, "p3"), have=have, groups=groups, **said),
        commit="fedcba",
        wanted={name: {"app": "v3"} for name in NAMES} | {"p3": {"app": wants}},
        runs=(queued,),
        pushes=(NOW,),
        next_number=2,
    )
    (run,) = propose(later).runs
    assert (run.hotfix_of, "p3" in run.changes) == (first.uid, joins)
