"""Every cluster that is not moving has a reason, and all of them are given (I22)."""

from __future__ import annotations

from fleet.rollout import explain
from fleet.rollout.evidence import ClusterEvidence, Evidence
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Intent
from tests.fleet.rollout.builders import cluster, failed, healthy, offered, run, stage, tick

PLAN = run(stage("one", "a", "b"), stage("two", "c", depends_on=("one",)))


def codes(
    plan: RunPlan,
    name: str,
    known: dict[str, ClusterEvidence],
    marks: Marks = Marks(),
    intent: Intent = Intent.RUN,
    **said: str,
) -> list[str]:
    evidence = Evidence({c: known.get(c, cluster()) for c in plan.changes}, **said)  # type: ignore[arg-type]
    step = tick(plan, known, marks, 1, intent, **said)
    return [reason.code for reason in explain(plan, step, evidence, name)]


def test_what_moves_or_is_healthy_needs_no_reason() -> None:
    assert codes(PLAN, "a", {}) == []
    assert codes(PLAN, "a", {"a": healthy()}, tick(PLAN, {}).marks) == []


def test_a_cluster_that_does_not_change_is_told_so() -> None:
    assert codes(PLAN, "z", {}) == ["Unchanged"]


def test_waiting_for_a_slot_a_stage_a_run_and_a_person_are_told_apart() -> None:
    marks = tick(PLAN, {}).marks
    assert codes(PLAN, "b", {"a": offered()}, marks) == ["NoFreeSlot"]
    assert codes(PLAN, "c", {"a": offered()}, marks) == ["StageWaiting"]
    assert codes(PLAN, "b", {"a": offered()}, marks, Intent.PAUSE) == ["RunPaused"]
    assert codes(PLAN, "a", {}, waits_for="r0") == ["RunQueued", "StageWaiting"]
    assert codes(PLAN, "b", {"b": cluster(held_by="r0")}) == ["HeldByRun"]
    gated = run(stage("one", "a", approval=True))
    assert codes(gated, "a", {}) == ["StageGatedBefore"]
    ramp = run(stage("one", "a", "b", parallelism=[1, 2]))
    assert codes(ramp, "b", {"a": offered()}, tick(ramp, {}).marks) == ["BatchNotHealthy"]


def test_every_binding_reason_is_given_not_only_the_first() -> None:
    marks = tick(PLAN, {}).marks
    dark = {"a": offered(), "c": cluster(online=False, held_by="r0")}
    assert codes(PLAN, "c", dark, marks, Intent.PAUSE) == [
        *("RunPaused", "StageWaiting", "Offline", "HeldByRun")
    ]


def test_a_failed_cluster_says_what_failed() -> None:
    known = {"a": failed()}
    marks = tick(PLAN, known, tick(PLAN, {}).marks, 1).marks
    step = tick(PLAN, known, marks, 2)
    reasons = explain(PLAN, step, Evidence({}), "a")
    assert [reason.code for reason in reasons] == ["RunPaused", "StageFailed", "Failed"]
    assert "app" in reasons[-1].what


def test_every_status_of_a_cluster_that_waits_has_a_reason() -> None:
    marks = tick(PLAN, {}).marks
    for intent in (Intent.RUN, Intent.PAUSE):
        for known in ({"a": offered()}, {"a": failed()}, {"a": healthy()}):
            step = tick(PLAN, known, marks, 1, intent)
            for status in step.clusters:
                if status.state not in ("Healthy", "Assigned", "Applying", "Verifying"):
                    assert status.reason, status
                    assert status.code, status
