"""The way back: whom a rollback touches, in which order, to what, and how it ends (I18)."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.rollout import explain
from fleet.rollout.decisions import Verb
from fleet.rollout.states import ClusterState, Intent, RunState
from tests.fleet.rollout.capped_fleet import CappedFleet
from tests.fleet.rollout.fleet_values import Stored
from tests.fleet.rollout.pull_fleet import PullFleet
from tests.fleet.rollout.stories import fleet, only, released

BACK: dict[str, Any] = {"onFailure": {"action": "Rollback", "rollback": {"parallelism": 1}}}


def on_failure(**said: Any) -> dict[str, Any]:
    return {"onFailure": {"action": "Rollback", **said}}


def broken_in_production(found: PullFleet, *clusters: str) -> Stored:
    """v2 is good in staging and fails in production; nothing of the rollback was done yet."""
    for name in clusters or ("production-0", "production-1"):
        found.bad[f"{name}:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    run = only(found)
    for _ in range(10):
        if run.marks.breached:
            return run
        for name in sorted(found.agents):
            found.serve(name)
        found.tick(10)
    raise AssertionError(f"nothing failed: {run.state}")


def finish(found: PullFleet, run: Stored, rounds: int = 30) -> Stored:
    found.serve_all(rounds, seconds=30)
    return run


def test_every_touched_cluster_goes_back_to_what_it_baked_and_no_other_moves() -> None:
    found = released(fleet(production=6, **BACK))
    run = broken_in_production(found)
    touched = {a.cluster for a in found.assignments if a.run == run.plan.uid and a.started_at}
    assert "production-5" not in touched
    before = len(found.assignments)
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK
    assert set(found.running("app").values()) == {"v1"}
    back = found.assignments[before - 1 :]
    assert {a.cluster for a in back if a.reverts} <= touched
    assert {a.cluster for a in found.assignments if a.reverts} == touched


def test_what_was_assigned_last_goes_back_first() -> None:
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    finish(found, run)
    forward = [a.cluster for a in found.assignments if a.run == run.plan.uid and not a.reverts]
    back = [a.cluster for a in found.assignments if a.reverts]
    assert back == forward[::-1]


def test_a_rollback_has_a_parallelism_of_its_own() -> None:
    found = released(fleet(**on_failure(rollback={"parallelism": 2})))
    run = broken_in_production(found)
    most = 0
    for _ in range(40):
        found.serve_all(seconds=5)
        states = [c.state for c in run.step.clusters] if run.step else []
        most = max(most, states.count(ClusterState.REVERTING))
    assert (run.state, most) == (RunState.ROLLED_BACK, 2)


def test_a_stage_that_baked_the_bad_revision_goes_back_past_it() -> None:
    """Staging became Done with v2: its goal is what it baked before this run, which is v1."""
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    assert found.baked["staging-0", "app"][-1] == (run.plan.uid, "v2")
    finish(found, run)
    assert found.running("app")["staging-0"] == "v1"
    assert found.baked["staging-0", "app"][-1][1] == "v1"


def test_a_cluster_goes_back_past_an_unbaked_revision() -> None:
    """v2 was aborted half way and never baked; v3 fails: back to v1, not to v2."""
    found = released(fleet(**BACK))
    found.want("app", "v2")
    found.tick()
    found.serve("staging-0")
    only(found).intent = Intent.ABORT
    found.tick(1)
    assert found.running("app")["staging-0"] == "v2"
    found.bad["v3"] = "failed"
    found.want("app", "v3")
    found.tick()
    run = only(found)
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK
    assert found.running("app")["staging-0"] == "v1"


def test_without_anything_before_the_clusters_keep_what_they_have_and_the_run_pauses() -> None:
    found = fleet(**BACK)
    found.bad["v1"] = "failed"
    found.want("app", "v1")
    found.tick()
    run = finish(found, only(found))
    assert run.state is RunState.PAUSED
    assert found.running("app")["staging-0"] == "v1"
    assert not any(a.reverts for a in found.assignments)


def test_who_had_nothing_before_keeps_it_and_the_others_go_back() -> None:
    found = fleet(**BACK)
    found.want("app", "v1", ["staging-0", "production-0", "production-1"])
    found.tick()
    found.serve_all(10, seconds=60)
    found.bad["v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    run = finish(found, only(found))
    assert run.state is RunState.PAUSED
    assert found.running("app")["staging-0"] == "v1"
    assert found.running("app")["staging-1"] == "v2"
    assert run.step is not None
    assert "staging-1" in run.step.reason


def test_a_rollback_that_fails_ends_and_is_not_rolled_back() -> None:
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    found.bad["v1"] = "failed"
    finish(found, run)
    assert run.state is RunState.ROLLBACK_FAILED
    tried = [a for a in found.assignments if a.reverts]
    found.serve_all(5, seconds=60)
    assert [a for a in found.assignments if a.reverts] == tried, "no rollback of a rollback"


def test_the_budget_of_a_rollback_tolerates_what_it_says() -> None:
    found = released(fleet(**on_failure(rollback={"failureBudget": 1})))
    run = broken_in_production(found)
    found.bad["production-0:v1"] = "failed"
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK
    assert found.running("app")["staging-0"] == "v1"


def test_a_dark_cluster_does_not_keep_a_rollback_open() -> None:
    found = released(fleet(**on_failure(rollback={"failureBudget": 1})))
    run = broken_in_production(found)
    found.agents["production-0"].online = False
    finish(found, run, 60)
    assert run.state is RunState.ROLLED_BACK
    states = {c.cluster: c.state for c in run.step.clusters} if run.step else {}
    assert states["production-0"] is ClusterState.REVERT_FAILED
    assert states["production-1"] is ClusterState.REVERTED


def test_a_rollback_goes_on_though_a_person_paused_the_run() -> None:
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    run.intent = Intent.PAUSE
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK


def test_a_person_rolls_back_a_run_that_did_not_fail() -> None:
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.serve_all(2)
    assert found.running("app")["staging-0"] == "v2"
    found.decide(run, Verb.ROLLBACK)
    found.tick(1)
    assert run.state == "RollingBack"
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK
    assert set(found.running("app").values()) == {"v1"}


def test_a_late_start_of_what_was_withdrawn_is_refused_while_the_run_goes_back() -> None:
    found = released(fleet(production=6, **BACK))
    found.bad["production-0:v2"] = found.bad["production-1:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    run = only(found)
    for _ in range(8):
        found.fetch("production-3")
        for name in sorted(found.agents):
            if name != "production-3":
                found.serve(name)
        found.tick(10)
    finish(found, run)
    assert found.running("app")["production-3"] == "v1"


def test_a_revert_in_git_waits_for_the_end_of_the_rollback_and_then_has_nothing_to_do() -> None:
    """I23 beside a rollback: nobody decides anything, and every cluster is back."""
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    found.tick(1)
    assert run.state == "RollingBack"
    found.want("app", "v1")
    found.tick(1)
    assert run.state == "RollingBack", "a newer run does not cut it short"
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK
    assert not found.live()
    assert set(found.running("app").values()) == {"v1"}


def test_a_bundle_that_was_rolled_back_gets_no_new_run_until_git_changes_it() -> None:
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    finish(found, run)
    count = len(found.runs)
    found.serve_all(5, seconds=60)
    assert len(found.runs) == count
    found.want("app", "v3")
    found.tick()
    found.serve_all(20, seconds=30)
    assert set(found.running("app").values()) == {"v3"}


@pytest.mark.parametrize(
    ("action", "state"),
    [("Abort", RunState.ABORTED), ("Pause", RunState.PAUSED), ("Rollback", RunState.ROLLED_BACK)],
)
def test_a_breach_is_failing_for_one_step_and_then_what_the_policy_says(
    action: str, state: RunState
) -> None:
    found = released(fleet(onFailure={"action": action}))
    run = broken_in_production(found)
    finish(found, run)
    assert run.state is state
    kinds = [event.kind for event in found.events]
    assert "run-failing" in kinds


def test_who_is_back_has_a_reason_while_others_are_on_their_way() -> None:
    found = released(fleet(**BACK))
    run = broken_in_production(found)
    found.serve_all(3, seconds=5)
    assert run.step is not None
    back = [one for one in run.step.clusters if one.state is ClusterState.REVERTED]
    assert back
    for one in back:
        (*_, own) = explain(run.plan, run.step, found.evidence(run), one.cluster)
        assert (own.code, own.what) == (
            "Reverted", "is back on what it last baked, or else ran before the run",
        )  # fmt: skip


def capped_by_a_broken_neighbour() -> tuple[CappedFleet, Stored]:
    """v2 fails in one-1; zone a has no room since two-0, which the run never touched, is broken."""
    stages = [{"name": name, "group": name, "parallelism": 4} for name in ("one", "two")]
    spec = {"stages": stages, **on_failure(rollback={"parallelism": "100%"})}
    found = CappedFleet(spec, {"one": 4, "two": 4})
    released(found)
    found.bad["one-1:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.use({"perDomain": [{"key": "zone", "maxUnavailable": 1}]})
    found.agents["two-0"].current["app"].phase = "degraded"
    found.serve_all(2)
    return found, run


def test_a_way_back_waits_for_the_room_that_shared_caps_leave() -> None:
    """I6: what goes back is unavailable meanwhile, like any other start."""
    found, run = capped_by_a_broken_neighbour()
    found.serve_all(10)
    running = found.running("app")
    assert [running[f"one-{n}"] for n in range(4)] == ["v2", "v1", "v2", "v1"]
    assert run.step is not None
    why = {one.cluster: one.code for one in run.step.clusters}
    assert (why["one-0"], why["one-2"]) == ("CapReached", "CapReached")
    found.agents["two-0"].current["app"].phase = "healthy"
    found.serve_all(10)
    assert run.state is RunState.ROLLED_BACK
    assert set(found.running("app").values()) == {"v1"}


def test_what_failed_and_was_skipped_goes_back_too() -> None:
    found = released(fleet())
    run = broken_in_production(found)
    found.lift(run)
    found.decide(run, Verb.SKIP, clusters=("production-0",), reason="away")
    found.tick(1)
    found.decide(run, Verb.ROLLBACK, reason="bad")
    finish(found, run)
    assert run.state is RunState.ROLLED_BACK
    assert set(found.running("app").values()) == {"v1"}


def test_a_way_back_for_which_there_is_never_room_fails_at_the_deadline() -> None:
    """I18: it ends, for a person to look at."""
    found, run = capped_by_a_broken_neighbour()
    found.serve_all(10)
    assert run.state == "RollingBack"
    found.serve_all(20, seconds=120)
    assert run.state == "RollbackFailed"


def test_quiet_time_holds_no_way_back() -> None:
    found = CappedFleet(
        {"stages": [{"name": "one", "group": "one", "parallelism": 4}], **BACK}, {"one": 4}
    )
    released(found)
    found.use({"perCluster": {"quietAfter": "2h"}})
    found.tick(7200)
    found.bad["one-1:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.serve_all(12)
    assert run.state is RunState.ROLLED_BACK


def test_ways_back_of_one_moment_share_the_room() -> None:
    """I6: three go back in a zone at once by their parallelism, one by the cap."""
    spec = {"stages": [{"name": "one", "group": "one", "parallelism": 6}],
            **on_failure(rollback={"parallelism": "100%"})}  # fmt: skip
    found = CappedFleet(spec, {"one": 6})
    released(found)
    found.bad["one-1:v2"] = "failed"
    found.want("app", "v2")
    found.tick()
    run = only(found)
    found.use({"perDomain": [{"key": "zone", "maxInFlight": 1}]})
    found.serve_all(20)
    assert run.state is RunState.ROLLED_BACK


def test_an_offer_that_the_rollback_takes_back_is_queued_again() -> None:
    found = released(fleet())
    found.want("app", "v2")
    found.tick()
    found.serve("staging-0")
    found.tick(1)
    run = only(found)
    found.decide(run, Verb.ROLLBACK, reason="bad")
    found.tick(1)
    assert run.step is not None
    states = {one.cluster: one.state for one in run.step.clusters}
    assert states["staging-0"] is ClusterState.REVERTING
    assert states["staging-1"] is ClusterState.QUEUED
    assert not any(a.can_start for a in found.assignments.of("staging-1"))
