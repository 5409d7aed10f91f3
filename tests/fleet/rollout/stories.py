"""Deterministic stories over the pull fleet: each is a promise kept, or a defect caught.

`test_stories` runs each as it is; `tests/mutants` runs all of them against every listed defect.
"""

from __future__ import annotations

from collections.abc import Callable

from agents.protocol import ABSENT
from fleet.rollout.decisions import Verb
from fleet.rollout.states import Intent, RunState
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.pull_fleet import PullFleet

TWO_STAGES = {
    "stages": [
        {"name": "staging", "group": "staging", "parallelism": 2, "clusterDeadline": "10m"},
        {
            "name": "production",
            "group": "production",
            "parallelism": 2,
            "failureBudget": 1,
            "clusterDeadline": "10m",
        },
    ],
    "connectivity": {"lease": "5m"},
}


def fleet(staging: int = 2, production: int = 4, **spec: object) -> PullFleet:
    """Two stages; `spec` replaces parts of the policy."""
    return PullFleet({**TWO_STAGES, **spec}, {"staging": staging, "production": production})


def released(found: PullFleet, digest: str = "v1") -> PullFleet:
    """The fleet after a first, good release."""
    found.want("app", digest)
    found.tick()
    for _ in range(90):
        found.serve_all(seconds=60)
        for run in found.live():
            for stage in run.plan.stages:
                found.approve(run, stage.name)
        if not found.live():
            assert set(found.running("app").values()) == {digest}
            return found
    raise AssertionError("the first release never ended")


def only(found: PullFleet) -> Stored:
    """The one live staged run."""
    (run,) = found.live()
    return run


def a_good_release_goes_staging_first_and_ends() -> None:
    """Staging, then production, never more than two at once."""
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    assert only(found).step is not None
    for name in ("staging-0", "staging-1"):
        found.fetch(name)
        found.start(name)
    found.tick(10)
    assert {found.running("app")[f"production-{i}"] for i in range(4)} == {"v1"}
    found.serve_all(8)
    assert not found.live()
    assert set(found.running("app").values()) == {"v2"}


def stale_health_opens_no_stage() -> None:
    """Started and silent: what was healthy before says nothing of what runs now."""
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    for name in ("staging-0", "staging-1"):
        found.fetch(name)
        found.start(name)
    for _ in range(5):
        found.tick(10)
    assert found.running("app")["production-0"] == "v1"
    assert not any(a.cluster.startswith("production") for a in found.assignments[6:])


def a_retry_is_not_judged_by_the_failure_before_it() -> None:
    """The report of the older generation is not the new one's."""
    found = released(fleet(staging=1))
    found.bad["v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    found.serve_all(2)
    run = only(found)
    assert run.marks.breached
    found.bad.clear()
    found.retry(run)
    found.tick()
    found.fetch("staging-0")
    found.start("staging-0")
    found.tick(1)
    assert not run.marks.breached
    found.serve_all(8)
    assert run.state is RunState.SUCCEEDED


def a_budget_above_the_group_tolerates_the_group() -> None:
    """Budget 10 of 3 clusters: one failure is no breach."""
    stages = [{"name": "all", "group": "staging", "parallelism": 3, "failureBudget": 10}]
    found = released(fleet(staging=3, production=0, stages=stages))
    found.want("app", "v2")
    found.tick()
    found.bad["v2"] = "failed"
    found.serve("staging-0")
    found.bad.clear()
    found.serve_all(6)
    assert not found.live()
    assert [r.state for r in found.runs.values()][-1] is RunState.SUCCEEDED


def no_failure_is_tolerated_where_the_budget_is_none() -> None:
    """Zero means none, not unlimited."""
    found = released(fleet(staging=3))
    found.bad["v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    found.serve("staging-0")
    found.tick(1)
    found.serve_all(10)
    run = only(found)
    assert run.state is RunState.PAUSED
    assert dict(run.marks.breached).keys() == {"staging"}
    assert found.running("app")["staging-2"] == "v1"


def a_breach_stops_the_very_tick() -> None:
    """The failure that breaks the budget frees a slot that nobody gets."""
    found = released(fleet(staging=4, production=0))
    found.bad["v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    found.serve("staging-0")
    before = len(found.assignments)
    found.tick(1)
    assert len(found.assignments) == before


def a_pause_does_not_cut_the_soak() -> None:
    """Paused in the soak and resumed at once: the rest of the soak is still to come."""
    stages = [
        {"name": "staging", "group": "staging", "gates": {"after": [{"soak": "10m"}]}},
        {"name": "production", "group": "production"},
    ]
    found = released(fleet(staging=1, stages=stages))
    found.want("app", "v2")
    found.tick()
    found.serve_all(2)
    run = only(found)
    run.intent = Intent.PAUSE
    found.tick(30)
    run.intent = Intent.RUN
    found.tick(30)
    assert "staging" not in dict(run.marks.done)
    found.tick(600)
    assert "staging" in dict(run.marks.done)


def a_pause_does_not_reset_the_soak() -> None:
    """Baking goes on while the run is paused; nothing acts on it until it is resumed."""
    stages = [
        {"name": "staging", "group": "staging", "gates": {"after": [{"soak": "10m"}]}},
        {"name": "production", "group": "production"},
    ]
    found = released(fleet(staging=1, stages=stages))
    found.want("app", "v2")
    found.tick()
    found.serve_all(2)
    run = only(found)
    run.intent = Intent.PAUSE
    found.tick(1200)
    assert "staging" not in dict(run.marks.done)
    run.intent = Intent.RUN
    found.tick(0)
    assert "staging" in dict(run.marks.done)


def an_approval_is_for_one_run_and_plan_only() -> None:
    """An answer to another plan, run or stage opens nothing."""
    gate = {"before": [{"approval": {"groups": ["sre"]}}]}
    stages = [
        {"name": "staging", "group": "staging"},
        {"name": "production", "group": "production", "gates": gate},
    ]
    found = released(fleet(staging=1, stages=stages))
    old = next(iter(found.runs.values())).plan
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.decide(run, Verb.APPROVE, stage="production", plan_hash=old.plan_hash)
    found.decide(run, Verb.APPROVE, stage="staging", plan_hash=run.plan.plan_hash)
    found.decide(run, Verb.APPROVE, plan_hash=run.plan.plan_hash)
    found.decide(run, Verb.APPROVE, run=old.uid, stage="production", plan_hash=run.plan.plan_hash)
    found.serve_all(5)
    assert found.running("app")["production-0"] == "v1"
    found.approve(run, "production")
    found.serve_all(10)
    assert set(found.running("app").values()) == {"v2"}


def a_late_waker_gives_its_slot_back() -> None:
    """Offered, gone dark, never started: after the lease another cluster moves instead."""
    stages = [{"name": "all", "group": "staging", "parallelism": 1, "clusterDeadline": "1h"}]
    found = released(fleet(staging=3, production=0, stages=stages))
    found.want("app", "v2")
    found.tick()
    found.fetch("staging-0")
    found.agents["staging-0"].online = False
    found.tick(301)
    found.fetch("staging-1")
    found.agents["staging-0"].online = True
    found.start("staging-0")
    found.start("staging-1")
    found.tick(1)
    assert found.running("app")["staging-0"] == "v1"
    assert found.running("app")["staging-1"] == "v2"
    found.serve_all(10)
    assert set(found.running("app").values()) == {"v2"}


def a_stage_in_which_nobody_is_healthy_fails() -> None:
    """Whatever the budget says: 100% of failures is no success."""
    stages = [
        {"name": "staging", "group": "staging", "failureBudget": "100%", "parallelism": 2},
        {"name": "production", "group": "production"},
    ]
    found = released(fleet(stages=stages))
    found.bad["v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    found.serve_all(6)
    assert only(found).state is RunState.PAUSED
    assert found.running("app")["production-0"] == "v1"


def a_revert_ships_by_itself() -> None:
    """I23: after a failed run the earlier content comes back without any Decision."""
    gates = {"before": [{"approval": True}], "after": [{"soak": "1h"}]}
    stages = [
        {"name": "staging", "group": "staging", "gates": gates},
        {"name": "production", "group": "production"},
    ]
    found = released(fleet(stages=stages))
    found.bad["v2"] = "degraded"
    found.want("app", "v2")
    found.tick()
    found.approve(only(found), "staging")
    found.serve_all(12)
    assert only(found).state is RunState.PAUSED
    assert "v2" in found.running("app").values()
    decided = found.decided
    found.want("app", "v1")
    found.tick()
    found.serve_all(6)
    assert set(found.running("app").values()) == {"v1"}
    assert found.decided == decided
    assert not found.live()


def a_revert_in_the_middle_of_a_healthy_run_does_not_wait() -> None:
    """A run that only restores supersedes at once."""
    found = released(fleet(staging=2))
    found.want("app", "v2")
    found.tick()
    found.serve("staging-0")
    found.want("app", "v1")
    found.tick(1)
    states = [r.state for r in found.runs.values()]
    assert states[-2:] == [RunState.SUPERSEDED, RunState.RUNNING]
    found.serve_all(4)
    assert set(found.running("app").values()) == {"v1"}
    assert not found.live()


def one_dark_cluster_keeps_no_run_open() -> None:
    """Offline is skipped, and caught up when it comes back."""
    found = released(fleet())
    found.agents["production-3"].online = False
    found.want("app", "v2")
    found.tick()
    found.serve_all(12)
    assert not found.live()
    assert found.running("app")["production-3"] == "v1"
    found.agents["production-3"].online = True
    found.serve_all(4)
    assert set(found.running("app").values()) == {"v2"}
    assert not found.live("CatchUp")


def a_newer_commit_waits_for_a_healthy_run_and_only_the_newest_is_kept() -> None:
    """CoalesceLatest: v2 goes on, v3 is never released, v4 follows."""
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    found.want("app", "v3")
    found.tick(1)
    found.want("app", "v4")
    found.tick(1)
    states = [r.state for r in list(found.runs.values())[1:]]
    assert states == [RunState.RUNNING, RunState.SUPERSEDED, RunState.QUEUED]
    found.serve_all(20)
    assert set(found.running("app").values()) == {"v4"}
    assert not found.live()


def bundles_do_not_wait_for_each_other() -> None:
    """I26: one team's bad image holds nobody else."""
    found = PullFleet(TWO_STAGES, {"staging": 2, "production": 2}, {"app": (), "web": ()})
    found.want("app", "a1")
    found.want("web", "w1")
    found.tick()
    found.serve_all(12)
    found.bad["a2"] = "failed"
    found.want("app", "a2")
    found.want("web", "w2")
    found.tick()
    found.serve_all(12)
    assert set(found.running("web").values()) == {"w2"}
    assert found.running("app")["production-0"] == "a1"


def a_removal_goes_through_the_stages() -> None:
    """A bundle that Git names no more is removed in staging first."""
    found = PullFleet(TWO_STAGES, {"staging": 1, "production": 1}, {"app": (), "web": ()})
    found.want("app", "a1")
    found.want("web", "w1")
    found.tick()
    found.serve_all(12)
    found.want("web", ABSENT)
    found.tick()
    found.fetch("staging-0")
    found.start("staging-0")
    assert found.running("web") == {"production-0": "w1", "staging-0": ABSENT}
    found.serve_all(6)
    assert set(found.running("web").values()) == {ABSENT}
    assert set(found.running("app").values()) == {"a1"}


def a_queued_run_carries_only_what_will_still_differ() -> None:
    """I25: what the run before it brings anyway takes no slot a second time."""
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    found.want("app", "v3", ["production-0"])
    found.tick(1)
    queued = list(found.runs.values())[-1]
    assert queued.state is RunState.QUEUED
    assert set(queued.plan.changes) == {"production-0"}
    found.serve_all(20)
    assert not found.live()
    assert found.running("app") == {
        **dict.fromkeys(["production-1", "production-2", "production-3"], "v2"),
        "production-0": "v3",
        "staging-0": "v2",
        "staging-1": "v2",
    }


def a_veto_outlives_the_commits_that_follow() -> None:
    """I24: what staging refused reaches production by no later commit, and holds nobody else."""
    found = PullFleet(TWO_STAGES, {"staging": 1, "production": 2}, {"app": (), "web": ()})
    found.want("app", "a1")
    found.want("web", "w1")
    found.tick()
    found.serve_all(12)
    found.bad["a2"] = "failed"
    found.want("app", "a2")
    found.tick()
    found.serve_all(4)
    assert found.vetoed["app"].keys() == {"a2"}
    found.bad.clear()
    found.want("app", "a3", ["staging-0"])
    for number in range(20):
        found.want("web", f"w{number}")
        found.tick(10)
        found.serve_all(2)
    assert set(found.running("app").values()) == {"a1", "a2"}
    found.serve_all(12)
    assert set(found.running("web").values()) == {"w19"}
    found.want("app", "a3")
    found.tick()
    found.serve_all(12)
    assert set(found.running("app").values()) == {"a3"}


STORIES: tuple[Callable[[], None], ...] = (
    a_good_release_goes_staging_first_and_ends,
    stale_health_opens_no_stage,
    a_retry_is_not_judged_by_the_failure_before_it,
    a_budget_above_the_group_tolerates_the_group,
    no_failure_is_tolerated_where_the_budget_is_none,
    a_breach_stops_the_very_tick,
    a_pause_does_not_cut_the_soak,
    a_pause_does_not_reset_the_soak,
    an_approval_is_for_one_run_and_plan_only,
    a_late_waker_gives_its_slot_back,
    a_stage_in_which_nobody_is_healthy_fails,
    a_revert_ships_by_itself,
    a_revert_in_the_middle_of_a_healthy_run_does_not_wait,
    one_dark_cluster_keeps_no_run_open,
    a_newer_commit_waits_for_a_healthy_run_and_only_the_newest_is_kept,
    bundles_do_not_wait_for_each_other,
    a_removal_goes_through_the_stages,
    a_veto_outlives_the_commits_that_follow,
    a_queued_run_carries_only_what_will_still_differ,
)
