"""Runs in which some clusters go back to what they ran and others forward."""

from __future__ import annotations

from dataclasses import replace

from fleet.rollout import propose
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.gates import waiting
from fleet.rollout.obstacles import obstacles
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import RunState
from tests.fleet.rollout.builders import (
    after,
    cluster,
    decision,
    failed,
    healthy,
    offered,
    run,
    stage,
    stage_states,
    states,
    tick,
)
from tests.fleet.rollout.test_runs import NAMES, record, situation


def mixed(*clusters: str, back: tuple[str, ...] = ("b",), **said: object) -> RunPlan:
    """One gated stage; `back` go back."""
    gated = stage("one", *clusters, approval=True, soak_seconds=600, **said)
    return run(gated, restoring=frozenset(back))


def test_the_clusters_that_go_back_are_named_when_others_go_forward() -> None:
    first = propose(situation({"app": "v2"}, {"app": "v1"}))
    bad = record(first, RunState.PAUSED, breached=True)
    granted = {name: {"app": "v2" if name == "s1" else "v1"} for name in NAMES}
    wanted = {name: {"app": "v1" if name == "s1" else "v3"} for name in NAMES}
    found = propose(replace(situation({"app": "v3"}, have=granted, runs=(bad,)), wanted=wanted))
    (made,) = found.runs
    assert (made.restores, made.restoring) == (False, frozenset({"s1"}))
    assert found.superseded == {bad.plan.uid: made.uid}


def test_behind_a_live_run_nobody_is_said_to_go_back() -> None:
    first = propose(situation({"app": "v2"}, {"app": "v1"}))
    live = record(first, RunState.RUNNING)
    wanted = {name: {"app": "v1" if name == "s1" else "v3"} for name in NAMES}
    have = {name: {"app": "v1"} for name in NAMES}
    now = replace(situation({"app": "v3"}, have=have, runs=(live,)), wanted=wanted)
    (made,) = propose(now).runs
    assert made.restoring == frozenset()


def test_only_what_goes_back_passes_the_gates_before() -> None:
    plan = mixed("a", "b", parallelism=2)
    found = tick(plan, {})
    assert found.offer == ("b",)
    assert states(found) == {"a": "Queued", "b": "Assigned"}
    assert stage_states(found) == {"one": "Updating"}
    assert waiting(found.stages) == ("one",)
    reasons = obstacles(plan, found, Evidence({name: cluster() for name in "ab"}), after(0))
    assert "WaitsForApproval" in {why.code for why in reasons["a"]}
    assert "b" not in reasons
    again = tick(plan, {"b": offered()}, found.marks, 1)
    assert again.offer == ()
    assert again.marks.started == found.marks.started


def test_an_approval_lets_the_others_go_and_freezes_nothing_anew() -> None:
    plan = mixed("a", "b", parallelism=2)
    first = tick(plan, {})
    back = tick(plan, {"b": healthy(1)}, first.marks, 1)
    assert stage_states(back) == {"one": "GatedBefore"}
    yes = (decision(1, Verb.APPROVE, stage="one"),)
    third = tick(plan, {"b": healthy(1)}, back.marks, 2, decisions=yes)
    assert third.offer == ("a",)
    assert third.marks.denominators == first.marks.denominators == (("one", 2),)
    assert third.marks.gates.shut == ()


def test_only_what_goes_forward_soaks() -> None:
    plan = mixed("a", "b", parallelism=2)
    yes = (decision(1, Verb.APPROVE, stage="one"),)
    first = tick(plan, {}, decisions=yes)
    late = {"a": healthy(10), "b": healthy(500)}
    second = tick(plan, late, first.marks, 501, decisions=yes)
    assert dict(second.marks.soak_anchor) == {"one": after(10)}
    third = tick(plan, late, second.marks, 610, decisions=yes)
    assert stage_states(third) == {"one": "Done"}


def test_a_stage_of_which_all_go_back_has_neither_gate_nor_soak() -> None:
    plan = mixed("a", "b", back=("a", "b"), parallelism=2)
    first = tick(plan, {})
    assert first.offer == ("a", "b")
    second = tick(plan, {"a": healthy(1), "b": healthy(1)}, first.marks, 1)
    assert stage_states(second) == {"one": "Done"}


def test_parallelism_holds_for_what_goes_back_too() -> None:
    plan = mixed("a", "b", "c", back=("b", "c"), parallelism=1)
    assert tick(plan, {}).offer == ("b",)


def test_the_budget_is_judged_while_the_gate_is_shut() -> None:
    plan = mixed("a", "b", "c", back=("b", "c"), parallelism=1)
    first = tick(plan, {})
    second = tick(plan, {"b": failed()}, first.marks, 1)
    assert second.offer == ()
    assert dict(second.marks.breached) == {"one": "1 failed, the budget is 0: b"}


def test_the_deadline_of_a_stage_counts_from_when_its_gates_open() -> None:
    plan = mixed("a", "b", parallelism=2, stage_deadline_seconds=3600)
    first = tick(plan, {})
    waits = tick(plan, {"b": healthy(1)}, first.marks, 7200)
    assert not waits.marks.breached
    yes = (decision(1, Verb.APPROVE, stage="one"),)
    opened = tick(plan, {"b": healthy(1)}, waits.marks, 7201, decisions=yes)
    assert dict(opened.marks.started) == {"one": after(7201)}
