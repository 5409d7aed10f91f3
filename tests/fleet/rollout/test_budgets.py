"""Failures in a row, and the deadline of a stage."""

from __future__ import annotations

from dataclasses import replace

from agents.protocol import Health, SyncState
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import ClusterEvidence
from fleet.rollout.states import RunState
from fleet.rollout.step import Step
from tests.fleet.rollout.builders import (
    cluster,
    decision,
    healthy,
    report,
    run,
    stage,
    stage_states,
    tick,
)

SIX = ("a", "b", "c", "d", "e", "f")
ROW = run(stage("one", *SIX, parallelism=6, failure_budget=6, consecutive=2))


def bad(since: float) -> ClusterEvidence:
    """Started at once, failed for good since then."""
    return cluster(
        report(sync=SyncState.FAILED, health=Health.UNKNOWN, since=since), offered=0, started=0
    )


def after_start(*ticks: dict[str, ClusterEvidence]) -> Step:
    """Everybody is started, then the evidence comes tick by tick and stays."""
    step = tick(ROW, {})
    seen = {name: cluster(offered=0, started=0) for name in SIX}
    for number, news in enumerate(ticks, start=1):
        seen |= news
        step = tick(ROW, seen, step.marks, number)
    return step


def test_so_many_failures_in_a_row_breach_whatever_the_budget_says() -> None:
    step = after_start({"a": bad(1)}, {"b": bad(2)})
    assert step.state is RunState.FAILING
    assert "2 failed in a row: a, b" in step.reason


def test_a_success_in_between_ends_the_row() -> None:
    step = after_start({"a": bad(1)}, {"b": healthy(2)}, {"c": bad(3)})
    assert step.state is RunState.RUNNING
    assert after_start({"a": bad(1)}, {"b": healthy(2)}, {"c": bad(3)}, {"d": bad(4)}).reason


def test_the_order_is_that_of_finishing_also_within_one_tick() -> None:
    between = {"a": bad(1), "b": bad(2), "c": healthy(1.5)}
    assert after_start(between).state is RunState.RUNNING
    before = {"a": healthy(0.5), "b": bad(1.5), "c": bad(2)}
    assert after_start(before).state is RunState.FAILING


def test_a_cluster_that_stays_healthy_does_not_end_a_row_again_and_again() -> None:
    step = after_start({"a": healthy(0.5)}, {"b": bad(2)}, {}, {"c": bad(4)})
    assert step.state is RunState.FAILING


def test_a_retry_answers_the_row_and_the_next_failure_breaches_again() -> None:
    step = after_start({"a": bad(1)}, {"b": bad(2)})
    seen = {"a": bad(1), "b": bad(2)} | {n: cluster(offered=0, started=0) for n in "cdef"}
    retry = decision(1, Verb.RETRY)
    step = tick(ROW, seen, step.marks, 3, decisions=(retry,))
    assert step.state is RunState.RUNNING
    step = tick(ROW, {**seen, "c": bad(4)}, step.marks, 4, decisions=(retry,))
    assert step.state is RunState.FAILING


LATE = run(stage("one", "a", stage_deadline_seconds=600, cluster_deadline_seconds=9999))


def test_a_stage_that_is_not_done_in_time_fails() -> None:
    first = tick(LATE, {})
    seen = {"a": cluster(offered=0, started=0)}
    in_time = tick(LATE, seen, first.marks, 599)
    assert in_time.state is RunState.RUNNING
    assert in_time.wake_at is not None
    late = tick(LATE, seen, in_time.marks, 600)
    assert late.state is RunState.FAILING
    assert late.reason == "stage one failed: not Done within 600 s"


def test_the_deadline_of_a_stage_runs_from_its_start_and_ends_when_it_is_done() -> None:
    two = run(LATE.stages[0], stage("two", "b", depends_on=("one",), stage_deadline_seconds=600))
    step = tick(two, {})
    step = tick(two, {"a": healthy(500)}, step.marks, 500)
    assert stage_states(step) == {"one": "Done", "two": "Updating"}
    moving = {"a": healthy(500), "b": cluster(offered=500, started=500)}
    assert tick(two, moving, step.marks, 1099).state is RunState.RUNNING
    assert tick(two, moving, step.marks, 1100).state is RunState.FAILING


def test_a_stage_without_a_deadline_has_all_the_time() -> None:
    endless = replace(LATE, stages=(replace(LATE.stages[0], stage_deadline_seconds=None),))
    step = tick(endless, {})
    assert tick(endless, {"a": cluster(offered=0)}, step.marks, 9000).state is RunState.RUNNING


def test_a_retry_gives_the_stage_its_whole_time_again() -> None:
    seen = {"a": cluster(offered=0, started=0)}
    late = tick(LATE, seen, tick(LATE, {}).marks, 600)
    retry = replace(decision(1, Verb.RETRY), at=late.marks.started[0][1])
    again = replace(retry, at=retry.at.replace(minute=11))
    step = tick(LATE, seen, late.marks, 661, decisions=(again,))
    assert step.state is RunState.RUNNING
    assert tick(LATE, seen, step.marks, 1259, decisions=(again,)).state is RunState.RUNNING
    assert tick(LATE, seen, step.marks, 1260, decisions=(again,)).state is RunState.FAILING
