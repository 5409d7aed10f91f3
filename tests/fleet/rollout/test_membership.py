"""Joins, leaves and relabels while a run is live: what is amended, and what the run makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from fleet.rollout import propose
from fleet.rollout.amendments import Amendment, Move, MoveKind, Size, amended
from fleet.rollout.evidence import ClusterEvidence
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import Change, SpreadPlan
from fleet.rollout.states import RunState, StageState
from tests.fleet.rollout.builders import (
    NOW,
    cluster,
    failed,
    healthy,
    offered,
    run,
    stage,
    stage_states,
    states,
    tick,
)
from tests.fleet.rollout.changing_fleet import ChangingFleet
from tests.fleet.rollout.fleet_values import Stored

STAGES: list[dict[str, Any]] = [
    {"name": "one", "group": "one", "parallelism": 2},
    {"name": "two", "group": "two", "parallelism": "50%", "failureBudget": "50%"},
]


def begun(rules: dict[str, str] | None = None, **stage_two: Any) -> ChangingFleet:
    """Two clusters in each of two groups run app-0, and a run to app-1 has begun."""
    spec = {"stages": [STAGES[0], STAGES[1] | stage_two], "membership": rules or {}}
    fleet = ChangingFleet(spec, {"one": 2, "two": 2})
    fleet.want("app", "app-0")
    fleet.serve_all(2)
    for live in fleet.live():
        fleet.approve(live, "two")
    fleet.serve_all(6)
    assert not fleet.live()
    fleet.want("app", "app-1")
    fleet.tick(1)
    return fleet


def only(fleet: ChangingFleet) -> Stored:
    (live,) = fleet.live()
    return live


def where(fleet: ChangingFleet) -> dict[str, list[str]]:
    """Stage → clusters, of the one live run."""
    return {stage.name: list(stage.clusters) for stage in only(fleet).plan.stages}


def told(found: Stored) -> dict[str, str]:
    """Cluster → state, as last told."""
    assert found.step is not None
    return {one.cluster: one.state.value for one in found.step.clusters}


def lanes(fleet: ChangingFleet) -> list[str]:
    """The lanes of all runs, the oldest first."""
    return [found.plan.lane.value for found in fleet.runs.values()]


def test_a_joiner_enters_its_stage_and_gets_what_the_run_brings() -> None:
    fleet = begun()
    before = only(fleet).plan
    fleet.tick(1)
    fleet.declare("new", "two")
    fleet.tick(1)
    after = only(fleet).plan
    assert (after.uid, after.plan_hash) == (before.uid, before.plan_hash)
    assert where(fleet) == {"one": ["one-0", "one-1"], "two": ["two-0", "two-1", "new"]}
    assert after.changes["new"] == (Change("app", "app-1"),)
    fleet.serve_all(12)
    assert not fleet.live()
    assert fleet.running("app") == dict.fromkeys(fleet.running("app"), "app-1")
    assert lanes(fleet).count("Staged") == 2


def test_a_joiner_in_a_stage_that_moves_is_waited_for_before_the_next_one() -> None:
    fleet = begun()
    fleet.serve("one-0")
    fleet.tick(1)
    fleet.declare("new", "one")
    fleet.serve("one-1")
    fleet.tick(1)
    found = only(fleet)
    assert found.step is not None
    assert found.step.stages[0].state is StageState.UPDATING
    assert told(found)["two-0"] == "Queued"
    fleet.serve_all(12)
    assert not fleet.live()


def test_a_joiner_whose_stage_is_done_is_the_lanes_and_opens_nothing_again() -> None:
    fleet = begun()
    while "one" not in dict(only(fleet).marks.done):
        fleet.serve_all(1, seconds=1)
    fleet.knows_contents = False
    fleet.declare("new", "one")
    fleet.tick(1)
    assert "new" not in only(fleet).plan.changes
    assert {h.code for h in fleet.held if h.cluster == "new"} == {"WaitsForRun"}
    fleet.serve_all(12)
    assert fleet.running("app")["new"] == "app-1"
    assert lanes(fleet) == ["Staged", "Staged", "CatchUp"]


def test_with_next_run_a_joiner_whose_stage_is_done_waits_for_the_next_commit() -> None:
    fleet = begun({"onJoin": "NextRun"})
    while "one" not in dict(only(fleet).marks.done):
        fleet.serve_all(1, seconds=1)
    fleet.declare("new", "one")
    fleet.serve_all(12)
    assert fleet.running("app")["new"] == ""
    assert {h.code for h in fleet.held if h.cluster == "new"} == {"WaitsForNextRun"}
    fleet.want("app", "app-2")
    fleet.serve_all(12)
    assert fleet.running("app")["new"] == "app-2"


def test_a_frozen_run_has_the_members_of_its_plan() -> None:
    fleet = begun({"mode": "Frozen", "onRelabel": "Restage"})
    plan = only(fleet).plan
    fleet.tick(1)
    fleet.declare("new", "two")
    fleet.relabel("one-1", "two")
    fleet.tick(1)
    assert only(fleet).plan == plan
    fleet.serve_all(14)
    assert fleet.running("app")["new"] == "app-1"
    assert "CatchUp" in lanes(fleet)


def test_a_leaver_frees_its_slot_at_once_and_keeps_no_run_open() -> None:
    fleet = begun(parallelism=1)
    fleet.serve_all(1)
    assert told(only(fleet))["two-0"] == "Assigned"
    fleet.undeclare("two-0")
    fleet.tick(1)
    assert told(only(fleet)) == {
        "one-0": "Healthy",
        "one-1": "Healthy",
        "two-0": "Removed",
        "two-1": "Assigned",
    }
    fleet.serve_all(4)
    assert not fleet.live()


def test_a_leaver_that_had_started_is_waited_for_no_more() -> None:
    fleet = begun(parallelism=1)
    fleet.serve_all(1)
    fleet.fetch("two-0")
    fleet.start("two-0")
    fleet.tick(1)
    assert told(only(fleet))["two-0"] == "Applying"
    fleet.undeclare("two-0")
    fleet.tick(1)
    assert told(only(fleet))["two-0"] == "Removed"
    assert told(only(fleet))["two-1"] == "Assigned"


@pytest.mark.parametrize(("rule", "state"), [("Release", "Removed"), ("Fail", "Failed")])
def test_a_leaver_counts_as_failed_only_with_on_leave_fail(rule: str, state: str) -> None:
    fleet = begun({"onLeave": rule}, parallelism=1, failureBudget=0)
    fleet.serve_all(1)
    fleet.undeclare("two-0")
    fleet.tick(1)
    found = only(fleet)
    assert told(found)["two-0"] == state
    assert found.state is (RunState.RUNNING if rule == "Release" else RunState.PAUSED)
    assert not fleet.vetoed


def test_who_leaves_before_its_stage_has_started_is_no_failure() -> None:
    fleet = begun({"onLeave": "Fail"}, failureBudget=0)
    fleet.undeclare("two-0")
    fleet.tick(1)
    assert told(only(fleet))["two-0"] == "Removed"
    fleet.serve_all(10)
    assert not fleet.live()


def test_a_leaver_that_is_back_is_in_its_stage_again() -> None:
    fleet = begun()
    fleet.undeclare("two-0")
    fleet.tick(1)
    fleet.declare("two-0", "two")
    fleet.tick(1)
    assert told(only(fleet))["two-0"] == "Queued"
    fleet.serve_all(12)
    assert fleet.running("app")["two-0"] == "app-1"
    assert len(fleet.runs) == 2


def test_a_relabelled_cluster_keeps_its_stage_unless_restage_is_said() -> None:
    for rule, expected in (("KeepStage", "one"), ("Restage", "two")):
        fleet = begun({"onRelabel": rule})
        assert told(only(fleet))["one-1"] == "Assigned"
        fleet.relabel("one-1", "two")
        fleet.tick(1)
        stages = where(fleet)
        assert [name for name, some in stages.items() if "one-1" in some] == [expected]
        assert told(only(fleet))["one-1"] == ("Assigned" if rule == "KeepStage" else "Queued")
        fleet.serve_all(12)
        assert not fleet.live()
        assert fleet.running("app")["one-1"] == "app-1"


def test_what_has_started_is_not_restaged() -> None:
    fleet = begun({"onRelabel": "Restage"})
    fleet.fetch("one-1")
    fleet.start("one-1")
    fleet.relabel("one-1", "two")
    fleet.tick(1)
    assert where(fleet)["one"] == ["one-0", "one-1"]
    assert told(only(fleet))["one-1"] == "Applying"
    assert propose(fleet.situation()).amendments == {}


def test_relabelled_into_a_stage_that_is_done_it_is_left_to_the_lane() -> None:
    fleet = begun({"onRelabel": "Restage"}, parallelism=1)
    while "one" not in dict(only(fleet).marks.done):
        fleet.serve_all(1, seconds=1)
    fleet.relabel("two-1", "one")
    fleet.tick(1)
    assert told(only(fleet))["two-1"] == "Removed"
    fleet.serve_all(12)
    assert fleet.running("app")["two-1"] == "app-1"
    assert lanes(fleet) == ["Staged", "Staged", "CatchUp"]


def test_parallelism_follows_the_members_and_denominators_do_not() -> None:
    fleet = begun()
    fleet.serve_all(1)
    sizes = dict(only(fleet).marks.denominators)
    assert only(fleet).plan.stages[1].parallelism.steps == (1,)
    for index in range(4):
        fleet.tick(1)
        fleet.declare(f"new-{index}", "two")
    fleet.tick(1)
    found = only(fleet)
    assert found.plan.stages[1].parallelism.steps == (3,)
    assert found.plan.stages[1].members == 6
    assert dict(found.marks.denominators) == sizes == {"one": 2, "two": 2}
    assert sum(state == "Assigned" for state in told(found).values()) == 3


def test_an_approval_stays_valid_when_clusters_come_and_go() -> None:
    fleet = begun(gates={"before": [{"approval": True}]})
    fleet.approve(only(fleet), "two")
    fleet.declare("new", "two")
    fleet.undeclare("two-0")
    fleet.serve_all(12)
    assert not fleet.live()
    assert fleet.running("app") == {
        "new": "app-1",
        "one-0": "app-1",
        "one-1": "app-1",
        "two-0": "app-0",
        "two-1": "app-1",
    }


def test_a_joiner_does_not_get_the_content_of_a_newer_commit_in_an_older_run() -> None:
    fleet = begun()
    fleet.tick(1)
    fleet.knows_contents = False
    fleet.want("app", "app-2")
    fleet.declare("new", "two")
    fleet.tick(1)
    older, newer = fleet.live()
    assert "new" not in older.plan.changes
    assert newer.plan.changes["new"] == (Change("app", "app-2"),)
    fleet.knows_contents = True
    fleet.tick(1)
    assert older.plan.changes["new"] == (Change("app", "app-1"),)
    fleet.serve_all(20)
    assert fleet.running("app")["new"] == "app-2"


def test_missing_data_is_no_leave_and_no_relabel() -> None:
    fleet = begun({"onRelabel": "Restage"})
    fleet.relabel("one-1", "two")
    fleet.unread = True
    fleet.tick(1)
    assert where(fleet) == {"one": ["one-0", "one-1"], "two": ["two-0", "two-1"]}


# The plan as it is now, and what the engine makes of it


def left(*names: str, kind: MoveKind = MoveKind.LEFT) -> Amendment:
    return Amendment(NOW, tuple(Move(name, kind, "one", "it left") for name in names))


@pytest.mark.parametrize("lost", [False, True])
def test_the_failure_of_a_leaver_stays_counted(lost: bool) -> None:
    plan = run(stage("one", "a", "b", parallelism=2, failure_budget=2, min_healthy=1))
    first = tick(plan, {"a": offered(), "b": offered()})
    second = tick(plan, {"a": failed(), "b": offered()}, first.marks, 1)
    gone = amended(plan, [left("a", kind=MoveKind.LOST if lost else MoveKind.LEFT)])
    third = tick(gone, {"a": failed(), "b": offered()}, second.marks, 2)
    assert states(third) == {"a": "Failed", "b": "Assigned"}
    assert third.marks.ever_failed == {("one", "a")}


def test_who_was_healthy_when_it_left_stays_so() -> None:
    plan = run(stage("one", "a", "b", parallelism=2))
    first = tick(plan, {"a": offered(), "b": offered()})
    second = tick(plan, {"a": healthy(1), "b": offered()}, first.marks, 1)
    gone = amended(plan, [left("a")])
    third = tick(gone, {"a": ClusterEvidence(), "b": healthy(2)}, second.marks, 2)
    assert states(third) == {"a": "Healthy", "b": "Healthy"}
    assert stage_states(third) == {"one": "Done"}


def test_no_more_are_asked_to_be_healthy_than_did_not_leave() -> None:
    plan = run(stage("one", "a", "b", "c", parallelism=3, min_healthy=3))
    evidence = {name: offered() for name in "abc"}
    first = tick(plan, evidence)
    gone = amended(plan, [left("a")])
    second = tick(gone, evidence | {"b": healthy(1), "c": healthy(1)}, first.marks, 1)
    assert stage_states(second) == {"one": "Done"}
    assert dict(second.marks.denominators) == {"one": 3}


def test_a_stage_that_everybody_left_is_skipped_and_keeps_nobody_waiting() -> None:
    plan = run(stage("one", "a"), stage("two", "b", depends_on=("one",)))
    found = tick(amended(plan, [left("a")]), {})
    assert stage_states(found) == {"one": "Done", "two": "Updating"}
    assert found.offer == ("b",)
    assert found.stages[0].reason == "every cluster left"


def test_who_left_before_the_stage_started_is_in_no_denominator() -> None:
    plan = amended(run(stage("one", "a", "b", parallelism=2)), [left("a")])
    found = tick(plan, {})
    assert dict(found.marks.denominators) == {"one": 1}
    assert (found.stages[0].total, found.stages[0].offline) == (1, 0)


def test_a_stage_that_only_a_leaver_had_begun_is_not_finished_for_a_newer_run() -> None:
    plan = run(stage("one", "a", "b"))
    first = tick(plan, {"b": cluster(held_by="other")})
    assert first.offer == ("a",)
    evidence = {"a": cluster(offered=0, withdrawn=1), "b": cluster(held_by="other")}
    found = tick(amended(plan, [left("a")]), evidence, first.marks, 1, finishing_for="r2")
    assert found.state is RunState.SUPERSEDED


def test_amendments_add_up_in_their_order() -> None:
    spread = SpreadPlan("zone", {"a": "x"}, {"x": 1})
    plan = run(stage("one", "a", spread=spread, proving=("a",)), stage("two", "b"))
    joined = Move("c", MoveKind.JOINED, "one", "joined", (Change("app", "v2"),), "y")
    moved = Move("b", MoveKind.RESTAGED, "one", "its labels", domain="x")
    size = Size("one", 3, (2,), {"x": 1, "y": 1})
    found = amended(plan, [Amendment(NOW, (joined,)), left("c"), Amendment(NOW, (moved,), (size,))])
    one, two = found.stages
    assert (one.clusters, two.clusters) == (("a", "c", "b"), ())
    assert one.spread == SpreadPlan("zone", {"a": "x", "c": "y", "b": "x"}, {"x": 1, "y": 1})
    assert (one.members, one.parallelism.steps) == (3, (2,))
    assert one.proving == ("a", "b", "c")
    assert found.left == {"c": "it left"}
    back = amended(found, [Amendment(NOW, (Move("c", MoveKind.JOINED, "one", "is back"),))])
    assert (back.left, back.changes["c"]) == ({}, (Change("app", "v2"),))
    assert plan.stages[0].clusters == ("a",)


def test_a_leaver_is_not_rolled_back_and_its_content_is_not_vetoed() -> None:
    plan = run(stage("one", "a", "b", parallelism=2))
    first = tick(plan, {"a": offered(), "b": offered()})
    lost = amended(plan, [left("a", kind=MoveKind.LOST)])
    second = tick(lost, {"a": cluster(offered=0, started=0), "b": offered()}, first.marks, 1)
    assert dict(second.marks.breached) == {"one": "1 failed, the budget is 0: a"}
    assert second.vetoes == ()
    assert second.marks != Marks()
