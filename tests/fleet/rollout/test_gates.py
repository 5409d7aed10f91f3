"""Approvals: for exactly this run, stage and plan, and what a rejection does."""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.rollout import gates, refusal
from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Side
from fleet.rollout.marks import Marks
from fleet.rollout.memory import Memory
from fleet.rollout.states import Lane, RunState
from tests.fleet.rollout.builders import after, decision, healthy, run, stage, stage_states, tick

GATED = stage("two", "b", depends_on=("one",), approval=True, approvers=("sre",))
PLAN = run(stage("one", "a"), GATED)
ONE_DONE = tick(PLAN, {"a": healthy()}, tick(PLAN, {}).marks, 1).marks


def answer(*decisions: Decision, marks: Marks = ONE_DONE) -> str:
    step = tick(PLAN, {"a": healthy()}, marks, 2, decisions=decisions)
    return stage_states(step)["two"]


def test_without_an_approval_the_stage_waits_and_says_for_whom() -> None:
    step = tick(PLAN, {"a": healthy()}, ONE_DONE, 2)
    assert step.stages[1].reason == "waits for approval by sre"
    assert gates.waiting(step.stages) == ("two",)
    assert step.offer == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"run": "r0"},
        {"stage": "one"},
        {"stage": ""},
        {"plan_hash": "h0"},
        {"plan_hash": ""},
        {"verb": Verb.RESUME},
    ],
)
def test_an_approval_of_anything_else_opens_nothing(wrong: dict[str, str]) -> None:
    given = replace(decision(1, Verb.APPROVE, stage="two"), **wrong)  # type: ignore[arg-type]
    assert answer(given) == "GatedBefore"


def test_the_right_approval_opens_the_gate_also_when_it_was_given_early() -> None:
    given = decision(1, Verb.APPROVE, stage="two")
    assert answer(given) == "Updating"
    early = tick(PLAN, {}, decisions=(given,))
    step = tick(PLAN, {"a": healthy()}, early.marks, 1, decisions=(given,))
    assert step.offer == ("b",)


def test_a_rejection_stops_the_run_until_a_retry_voids_it() -> None:
    no = decision(1, Verb.REJECT, stage="two", reason="not today")
    step = tick(PLAN, {"a": healthy()}, ONE_DONE, 2, decisions=(no,))
    assert step.state is RunState.FAILING
    assert "rejected by ann: not today" in step.reason
    yes = decision(2, Verb.APPROVE, stage="two")
    stuck = tick(PLAN, {"a": healthy()}, step.marks, 3, decisions=(no, yes))
    assert stuck.state is RunState.PAUSED
    retry = decision(3, Verb.RETRY)
    asks = tick(PLAN, {"a": healthy()}, step.marks, 3, decisions=(no, retry))
    assert stage_states(asks)["two"] == "GatedBefore"
    good = tick(PLAN, {"a": healthy()}, stuck.marks, 4, decisions=(no, yes, retry))
    assert good.offer == ("b",)


def test_the_newest_answer_counts() -> None:
    yes, no = decision(1, Verb.APPROVE, stage="two"), decision(2, Verb.REJECT, stage="two")
    assert answer(yes, no) == "Failed"


def test_a_stage_that_has_started_is_not_asked_about_again() -> None:
    yes = decision(1, Verb.APPROVE, stage="two")
    moving = tick(PLAN, {"a": healthy()}, ONE_DONE, 2, decisions=(yes,))
    no = decision(2, Verb.REJECT, stage="two")
    later = tick(PLAN, {"a": healthy()}, moving.marks, 3, decisions=(yes, no))
    assert stage_states(later)["two"] == "Updating"
    assert "started already" in refusal(Verb.REJECT, PLAN, later.state, later.marks, "two")


@pytest.mark.parametrize("free", [{"restores": True}, {"lane": Lane.CATCH_UP}])
def test_neither_a_restoring_run_nor_the_lane_has_gates(free: dict[str, object]) -> None:
    plan = replace(PLAN, **free)  # type: ignore[arg-type]
    both = stage("x", "a", approval=True, soak_seconds=60)
    memory = Memory(soak_anchor={"x": after(0)})
    assert not gates.is_gated(plan)
    for side in Side:
        gated = gates.judge(PLAN, both, side, Evidence({}), memory, after(1))
        free_of_it = gates.judge(plan, both, side, Evidence({}), memory, after(1))
        assert (gated.verdict, free_of_it.verdict) == (gates.Verdict.NONE, gates.Verdict.PASS)


@pytest.mark.parametrize(
    ("verb", "state", "stage_name", "words"),
    [
        (Verb.APPROVE, RunState.RUNNING, "three", "no stage"),
        (Verb.APPROVE, RunState.RUNNING, "one", "asks for no approval"),
        (Verb.RETRY, RunState.RUNNING, "", "nothing has failed"),
        (Verb.PAUSE, RunState.SUCCEEDED, "", "has ended"),
        (Verb.ABORT, RunState.SUPERSEDED, "", "has ended"),
        (Verb.APPROVE, RunState.RUNNING, "two", ""),
        (Verb.PAUSE, RunState.RUNNING, "", ""),
        (Verb.RESUME, RunState.PAUSED, "", ""),
        (Verb.ABORT, RunState.QUEUED, "", ""),
    ],
)
def test_decisions_that_make_no_sense_are_refused_in_words(
    verb: Verb, state: RunState, stage_name: str, words: str
) -> None:
    said = refusal(verb, PLAN, state, Marks(), stage_name)
    assert words in said
    assert bool(words) == bool(said)
