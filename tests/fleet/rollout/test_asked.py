"""Gates that ask a machine: what counts as an answer, and what silence does. I14.

Mutations that must fail here: `fresh_reading` forgets `oldest`, or `since`; `without_data` answers
PASS; `resume` frees without a decision; `Answer.NONE` passes; `advance` ignores `pause_reason`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import Answer, Reading
from fleet.rollout.gate_kinds import Analysis, OnNoData, Soak, Webhook
from fleet.rollout.marks import Marks
from fleet.rollout.states import RunState
from fleet.rollout.step import Step
from tests.fleet.rollout.builders import after, decision, healthy, run, stage, stage_states, tick

HOUR = 3600
URL = "https://change.example/ok"
HOOK = Webhook(URL)
PLAN = run(stage("one", "a", before=(HOOK,)))
NAME = "one/before/0"
FIRST = tick(PLAN, {})


def said(answer: Answer, at: float, **more: Any) -> dict[str, Reading]:
    return {NAME: Reading(answer, after(at), **more)}


def asked(readings: dict[str, Reading], at: float, marks: Marks = FIRST.marks, **more: Any) -> Step:
    return tick(more.pop("plan", PLAN), {}, marks, at, readings=readings, **more)


def test_a_webhook_that_says_yes_opens_its_stage() -> None:
    assert (FIRST.offer, FIRST.marks.gates.opened) == ((), ((NAME, after(0)),))
    assert stage_states(FIRST) == {"one": "GatedBefore"}
    opened = asked(said(Answer.PASS, 5), 6)
    assert opened.offer == ("a",)
    assert opened.marks.gates.opened == (), "nobody asks any more"


@pytest.mark.parametrize(
    ("readings", "at", "words"),
    [
        ({}, 6, "waits for the webhook's answer"),
        (said(Answer.PASS, -1), 6, "waits for the webhook's answer"),
        (said(Answer.PASS, 5), 186, "waits for the webhook's answer"),
        (said(Answer.NONE, 5, why="x answers 503"), 6, "not yet: x answers 503"),
        (said(Answer.NONE, 5, since=after(5), why="x: refused"), 6, "answer: x: refused"),
    ],
)
def test_what_is_no_fresh_yes_opens_nothing(
    readings: dict[str, Reading], at: float, words: str
) -> None:
    step = asked(readings, at)
    assert step.offer == ()
    assert words in step.stages[0].reason


def test_a_yes_is_fresh_for_three_intervals() -> None:
    assert asked(said(Answer.PASS, 5), 185).offer == ("a",)
    assert asked(said(Answer.PASS, 5), 185.1).offer == ()


def test_a_webhook_that_does_not_say_yes_in_time_fails_the_stage() -> None:
    late = 4 * HOUR
    still = asked(said(Answer.NONE, late - 2, why="no"), late - 1)
    assert (still.state, still.wake_at) == (RunState.RUNNING, after(late))
    failed = asked(said(Answer.NONE, late - 2, why="no"), late)
    assert failed.state is RunState.FAILING
    assert "did not say yes within 14400 s" in failed.reason
    assert asked(said(Answer.PASS, late - 1), late).offer == ("a",)


def test_no_data_for_an_hour_pauses_the_run_until_a_person_resumes_it() -> None:
    silent = said(Answer.NONE, HOUR - 5, since=after(10), why="x: refused")
    waits = asked(silent, HOUR + 9)
    assert (waits.state, waits.wake_at) == (RunState.RUNNING, after(HOUR + 10))
    paused = asked(silent, HOUR + 10)
    assert paused.state is RunState.PAUSED
    assert "one/before/0: no data for 3600 s" in paused.reason
    assert "x: refused" in paused.reason
    back = asked(said(Answer.PASS, HOUR + 20), HOUR + 21, paused.marks)
    assert (back.state, back.offer) == (RunState.PAUSED, ()), "data alone does not resume"
    go = (decision(1, Verb.RESUME),)
    resumed = asked(said(Answer.PASS, HOUR + 31), HOUR + 32, back.marks, decisions=go)
    assert resumed.offer == (), "the answer must be newer than the resume"
    later = asked(said(Answer.PASS, HOUR + 33), HOUR + 34, resumed.marks, decisions=go)
    assert (later.state, later.offer) == (RunState.RUNNING, ("a",))


def test_after_a_resume_silence_has_its_whole_time_again_and_pauses_again() -> None:
    paused = asked({}, HOUR)
    assert paused.state is RunState.PAUSED
    go = (decision(1, Verb.RETRY),)
    on = asked({}, HOUR + 5, paused.marks, decisions=go)
    assert (on.state, on.wake_at) == (RunState.RUNNING, after(2 * HOUR + 5))
    assert asked({}, 2 * HOUR + 5, on.marks, decisions=go).state is RunState.PAUSED


def test_where_the_policy_says_so_no_data_fails_the_stage() -> None:
    plan = run(stage("one", "a", before=(replace(HOOK, on_no_data=OnNoData.FAIL),)))
    failed = asked({}, HOUR, plan=plan)
    assert failed.state is RunState.FAILING
    assert "no data for 3600 s" in failed.reason


def test_a_pause_for_want_of_data_stops_stages_beside_it_too() -> None:
    plan = run(stage("one", "a", before=(HOOK,)), stage("two", "b", "c", depends_on=()))
    first = tick(plan, {})
    assert first.offer == ("b",)
    paused = tick(plan, {"b": healthy()}, first.marks, HOUR)
    assert (paused.state, paused.offer) == (RunState.PAUSED, ())


ANALYSED = run(stage("one", "a", after=(Analysis("slo"),)))


def analysed(reading: Reading | None, at: float, since: float = 0) -> Step:
    started = tick(ANALYSED, {})
    known = {"a": healthy(since)}
    marks = tick(ANALYSED, known, started.marks, 1).marks
    readings = {} if reading is None else {"one/after/0": reading}
    return tick(ANALYSED, known, marks, at, readings=readings)


def test_measurements_decide_and_only_those_since_the_stage_is_healthy() -> None:
    good = Reading(Answer.PASS, after(5), why="errors is no worse")
    assert stage_states(analysed(good, 6)) == {"one": "Done"}
    assert stage_states(analysed(None, 6)) == {"one": "GatedAfter"}
    assert stage_states(analysed(Reading(Answer.NONE, after(5)), 6)) == {"one": "GatedAfter"}
    assert stage_states(analysed(good, 6, since=5.5)) == {"one": "GatedAfter"}
    bad = analysed(Reading(Answer.FAIL, after(5), why="errors is above 0.01"), 6)
    assert (bad.state, stage_states(bad)) == (RunState.FAILING, {"one": "Failed"})
    assert "analysis slo: errors is above 0.01" in bad.reason


SOAK = Soak(600, max_seconds=1200, min_samples=200)
COUNTED = run(stage("one", "a", after=(SOAK,)))


def counted(samples: int | None, at: float, **more: Any) -> Step:
    known = {"a": healthy(0)}
    marks = tick(COUNTED, known, tick(COUNTED, {}).marks, 1).marks
    reading = Reading(Answer.PASS, after(at - 1), samples=samples, **more)
    return tick(COUNTED, known, marks, at, readings={"one/after/0": reading})


@pytest.mark.parametrize(
    ("samples", "at", "state"),
    [
        (200, 599, "GatedAfter"),
        (200, 600, "Done"),
        (199, 600, "GatedAfter"),
        (199, 1199, "GatedAfter"),
        (199, 1200, "Done"),
        (1, 1200, "Done"),
        (0, 1200, "GatedAfter"),
        (None, 1200, "GatedAfter"),
    ],
)
def test_a_soak_waits_for_samples_until_its_max_and_for_data_for_ever(
    samples: int | None, at: float, state: str
) -> None:
    assert stage_states(counted(samples, at)) == {"one": state}


def test_a_soak_that_counts_is_asked_from_its_beginning() -> None:
    known = {"a": healthy(0)}
    step = tick(COUNTED, known, tick(COUNTED, {}).marks, 1)
    assert step.marks.gates.opened == (("one/after/0", after(1)),)
    plain = run(stage("one", "a", after=(Soak(600),)))
    assert tick(plain, known, tick(plain, {}).marks, 1).marks.gates.opened == ()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from((HOOK, Analysis("slo"), SOAK)),
    st.none()
    | st.builds(
        Reading,
        st.sampled_from(tuple(Answer)),
        st.integers(-100, 3000).map(after),
        st.none() | st.integers(-100, 3000).map(after),
        st.none() | st.integers(0, 400),
    ),
    st.integers(0, 3000),
)
def test_i14_no_data_is_never_success(
    gate: Webhook | Analysis | Soak, reading: Reading | None, at: int
) -> None:
    """I14: whatever was said or not, a stage passes only on a fresh and positive answer."""
    before = isinstance(gate, Webhook)
    plan = run(stage("one", "a", **({"before": (gate,)} if before else {"after": (gate,)})))
    known = {} if before else {"a": healthy(0)}
    marks = tick(plan, known, tick(plan, {}).marks).marks
    readings = {} if reading is None else {NAME if before else "one/after/0": reading}
    step = tick(plan, known, marks, at, readings=readings)
    if not (step.offer or step.state is RunState.SUCCEEDED):
        return
    assert reading is not None
    assert reading.at >= max(after(0), after(at - 180))
    if isinstance(gate, Soak):
        assert reading.samples
        assert at >= 600
    else:
        assert reading.answer is Answer.PASS
