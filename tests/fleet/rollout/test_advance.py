"""Stages, slots, gates and the run, tick by tick."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from agents.protocol import Health, SyncState
from fleet.rollout import refusal
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import ClusterEvidence
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import Change
from fleet.rollout.states import Intent, RunState
from fleet.rollout.step import Step
from tests.fleet.rollout.builders import (
    after,
    cluster,
    decision,
    failed,
    healthy,
    offered,
    report,
    run,
    stage,
    stage_states,
    states,
    tick,
)

TEN = tuple(f"c{i}" for i in range(10))


def test_a_slot_is_taken_when_the_offer_is_made() -> None:
    plan = run(stage("one", *TEN, parallelism=3))
    step = tick(plan, {})
    assert step.offer == ("c0", "c1", "c2")
    given = {name: offered() for name in step.offer}
    assert tick(plan, given, step.marks, 1).offer == ()
    moved = {**given, "c0": healthy(), "c1": cluster(offered=0, started=1)}
    assert tick(plan, moved, step.marks, 2).offer == ("c3",)


def test_asking_again_at_the_same_instant_offers_and_tells_nothing() -> None:
    plan = run(stage("one", *TEN, parallelism=3))
    first = tick(plan, {})
    second = tick(plan, {name: offered() for name in first.offer}, first.marks)
    assert (second.offer, second.withdraw, second.events) == ((), (), ())
    assert second.marks == first.marks


def test_half_of_a_step_performed_and_asked_again_yields_the_rest() -> None:
    plan = run(stage("one", *TEN, parallelism=3))
    first = tick(plan, {})
    second = tick(plan, {"c0": offered(), "c1": offered()}, first.marks)
    assert second.offer == ("c2",)


def test_failed_clusters_hold_no_slot_within_the_budget() -> None:
    plan = run(stage("one", *TEN, parallelism=2, failure_budget=5))
    first = tick(plan, {})
    step = tick(plan, {"c0": failed(), "c1": offered()}, first.marks, 1)
    assert step.offer == ("c2",)


def test_a_ramp_goes_on_only_when_the_whole_batch_is_healthy() -> None:
    plan = run(stage("one", *TEN, parallelism=[1, 2, 4]))
    known: dict[str, ClusterEvidence] = {}
    marks, batches = Marks(), []
    for second in range(10):
        step = tick(plan, known, marks, second)
        marks = step.marks
        batches.append(len(step.offer))
        known.update({name: offered(second) for name in step.offer})
        half = step.offer[: len(step.offer) // 2]
        known.update({name: healthy(second) for name in half})
        waiting = tick(plan, known, marks, second)
        assert len(step.offer) < 2 or waiting.offer == ()
        known.update({name: healthy(second) for name in step.offer})
        if step.state is RunState.SUCCEEDED:
            break
    assert batches[:4] == [1, 2, 4, 3]


def test_a_failure_within_the_budget_returns_the_ramp_to_its_first_entry() -> None:
    plan = run(stage("one", *TEN, parallelism=[1, 3], failure_budget=2))
    first = tick(plan, {})
    second = tick(plan, {"c0": healthy()}, first.marks, 1)
    assert second.offer == ("c1", "c2", "c3")
    known = {"c0": healthy(), "c1": failed(), "c2": healthy(), "c3": offered(1)}
    third = tick(plan, known, second.marks, 2)
    assert third.offer == (), "one is still in flight, and the entry is 1 again"
    fourth = tick(plan, {**known, "c3": healthy()}, third.marks, 3)
    assert fourth.offer == ("c4",)


def test_a_batch_that_lost_members_is_filled_up_before_it_counts() -> None:
    plan = run(stage("one", *TEN, parallelism=[2, 5]))
    first = tick(plan, {})
    paused = tick(plan, {"c0": offered(), "c1": offered()}, first.marks, 1, Intent.PAUSE)
    assert paused.withdraw == ("c0", "c1")
    back = cluster(offered=0, withdrawn=1)
    resumed = tick(plan, {"c0": back, "c1": back}, paused.marks, 2)
    assert len(resumed.offer) == 2


def test_a_breach_stops_every_stage_in_the_same_tick() -> None:
    one = stage("one", "a1", "a2", parallelism=2)
    two = stage("two", "b1", "b2")
    plan = run(one, two)
    first = tick(plan, {})
    assert first.offer == ("a1", "a2", "b1")
    step = tick(plan, {"a1": failed(), "a2": offered(), "b1": healthy()}, first.marks, 1)
    assert step.state is RunState.FAILING
    assert (step.offer, step.withdraw) == ((), ("a2",))
    assert step.wake_at == after(1)
    next_step = tick(plan, {"a1": failed(), "b1": healthy()}, step.marks, 1)
    assert next_step.state is RunState.PAUSED
    assert [event.kind for event in next_step.events] == ["run-paused"]


def test_a_budget_counts_distinct_clusters_and_a_retry_gives_nothing_back() -> None:
    plan = run(stage("one", "a", "b", parallelism=2, failure_budget=1, min_healthy=0))
    first = tick(plan, {})
    one_bad = tick(plan, {"a": failed(), "b": offered()}, first.marks, 1)
    assert not one_bad.marks.breached
    retry = (decision(1, Verb.RETRY),)
    again = tick(plan, {"a": failed(), "b": offered()}, one_bad.marks, 2, decisions=retry)
    assert again.offer == ("a",)
    twice = cluster(report(2, SyncState.FAILED), offered=2, started=2, generation=2)
    still = tick(plan, {"a": twice, "b": offered()}, again.marks, 3, decisions=retry)
    assert not still.marks.breached, "the same cluster counts once"
    both = tick(plan, {"a": twice, "b": failed()}, still.marks, 4, decisions=retry)
    assert both.state is RunState.FAILING


def test_after_an_answered_breach_the_next_failure_breaches_again() -> None:
    plan = run(stage("one", "a", "b"))
    breached = tick(plan, {"a": failed()}, tick(plan, {}).marks, 1)
    retry = (decision(1, Verb.RETRY, clusters=("a",)),)
    again = tick(plan, {"a": failed()}, breached.marks, 2, decisions=retry)
    assert (again.state, again.offer) == (RunState.RUNNING, ("b",)), "never offered ones go first"
    worse = tick(plan, {"a": failed(), "b": failed()}, again.marks, 3, decisions=retry)
    assert worse.state is RunState.FAILING


def test_a_retry_of_only_some_leaves_the_breach_unanswered() -> None:
    plan = run(stage("one", "a", "b", parallelism=2))
    bad = {"a": failed(), "b": failed()}
    breached = tick(plan, bad, tick(plan, {}).marks, 1)
    retry = (decision(1, Verb.RETRY, clusters=("a",)),)
    assert tick(plan, bad, breached.marks, 2, decisions=retry).state is RunState.PAUSED


def test_resuming_does_not_answer_a_breach() -> None:
    plan = run(stage("one", "a", "b"))
    breached = tick(plan, {"a": failed()}, tick(plan, {}).marks, 1)
    step = tick(plan, {"a": failed()}, breached.marks, 2, Intent.RUN)
    assert (step.state, step.offer) == (RunState.PAUSED, ())
    assert "retry" in refusal(Verb.RESUME, plan, step.state, step.marks)


def test_a_percentage_of_failures_is_taken_of_those_online_at_the_start() -> None:
    names = TEN[:8]
    one = stage("one", *names, parallelism=8, failure_budget=4, failure_budget_said="50%")
    plan = run(one)
    dark = {name: cluster(online=False) for name in names[4:]}
    first = tick(plan, dark)
    assert dict(first.marks.denominators) == {"one": 4}
    assert first.stages[0].budget == 2
    bad = {name: failed() for name in names[:3]}
    step = tick(plan, {**dark, **bad}, first.marks, 1)
    assert step.state is RunState.FAILING


def test_a_stage_without_a_healthy_cluster_fails_whatever_its_budget() -> None:
    plan = run(stage("one", "a", failure_budget=1))
    step = tick(plan, {"a": failed()}, tick(plan, {}).marks, 1)
    assert step.state is RunState.FAILING
    assert "minHealthy" in step.reason


def test_a_soak_counts_from_the_last_cluster_that_became_healthy() -> None:
    plan = run(stage("one", "a", "b", parallelism=2, soak_seconds=600))
    marks = tick(plan, {}).marks
    both = {"a": healthy(10), "b": healthy(100)}
    step = tick(plan, both, marks, 100)
    assert (stage_states(step), step.stages[0].until) == ({"one": "GatedAfter"}, after(700))
    assert step.wake_at == after(700)
    assert tick(plan, both, step.marks, 699).state is RunState.RUNNING
    assert tick(plan, both, step.marks, 700).state is RunState.SUCCEEDED


def test_a_regression_in_the_soak_starts_it_anew() -> None:
    plan = run(stage("one", "a", soak_seconds=600))
    soaking = tick(plan, {"a": healthy(0)}, tick(plan, {}).marks, 1)
    ill = cluster(report(health=Health.PROGRESSING, since=300), offered=0, started=0)
    back = tick(plan, {"a": ill}, soaking.marks, 301)
    assert stage_states(back) == {"one": "Verifying"}
    assert "cluster-regressed" in [event.kind for event in back.events]
    again = tick(plan, {"a": healthy(400)}, back.marks, 700)
    assert again.stages[0].until == after(1000)


def test_a_soak_goes_on_while_paused_and_nothing_acts_on_it() -> None:
    plan = run(stage("one", "a", soak_seconds=600), stage("two", "b", depends_on=("one",)))
    marks = tick(plan, {"a": healthy(0)}, tick(plan, {}).marks, 1).marks
    paused = tick(plan, {"a": healthy(0)}, marks, 900, Intent.PAUSE)
    assert (stage_states(paused)["one"], paused.offer) == ("GatedAfter", ())
    resumed = tick(plan, {"a": healthy(0)}, paused.marks, 901)
    assert resumed.offer == ("b",)


def test_a_pause_withdraws_what_has_not_started_and_no_more() -> None:
    plan = run(stage("one", "a", "b", parallelism=2))
    known = {"a": offered(), "b": cluster(offered=0, started=1)}
    step = tick(plan, known, tick(plan, {}).marks, 2, Intent.PAUSE)
    assert (step.state, step.withdraw) == (RunState.PAUSED, ("a",))
    assert states(step) == {"a": "Queued", "b": "Applying"}


@pytest.mark.parametrize(
    ("intent", "by", "state"),
    [(Intent.ABORT, "", RunState.ABORTED), (Intent.RUN, "r2", RunState.SUPERSEDED)],
)
def test_a_run_that_ends_early_takes_its_offers_back(
    intent: Intent, by: str, state: RunState
) -> None:
    plan = run(stage("one", "a", "b", parallelism=2))
    known = {"a": offered(), "b": cluster(offered=0, started=1)}
    marks = tick(plan, {}).marks
    step = tick(plan, known, marks, 2, intent, superseded_by=by)
    assert (step.state, step.withdraw, step.offer) == (state, ("a",), ())
    assert step.wake_at is None
    after_it = tick(plan, known, step.marks, 3, Intent.RUN)
    assert (after_it.state, after_it.events, after_it.offer) == (state, (), ())


def test_a_queued_run_does_nothing_and_stays_queued_when_it_is_paused() -> None:
    plan = run(stage("one", "a", approval=True))
    step = tick(plan, {}, waits_for="r0")
    assert (step.state, step.offer) == (RunState.QUEUED, ())
    reject = (decision(1, Verb.REJECT, stage="one"),)
    paused = tick(plan, {}, step.marks, 1, Intent.PAUSE, waits_for="r0", decisions=reject)
    assert paused.state is RunState.QUEUED
    assert not paused.marks.breached


def test_stages_follow_their_dependencies_not_their_places() -> None:
    plan = run(
        stage("canary", "a"),
        stage("eu", "b", depends_on=("canary",)),
        stage("us", "c", depends_on=("canary",)),
        stage("rest", "d", depends_on=("eu", "us")),
    )
    first = tick(plan, {})
    assert first.offer == ("a",)
    known = {"a": healthy()}
    second = tick(plan, known, first.marks, 1)
    assert second.offer == ("b", "c"), "side by side, in the tick in which canary is Done"
    known |= {"b": healthy(), "c": offered()}
    third = tick(plan, known, second.marks, 2)
    assert third.offer == ()
    fourth = tick(plan, known | {"c": healthy()}, third.marks, 3)
    assert fourth.offer == ("d",)


def test_a_stage_that_changes_nothing_is_done_in_its_turn_without_gates() -> None:
    plan = run(
        stage("one", "a"),
        stage("two", depends_on=("one",), approval=True, soak_seconds=600),
        stage("three", "b", depends_on=("two",)),
    )
    first = tick(plan, {})
    assert stage_states(first) == {"one": "Updating", "two": "Waiting", "three": "Waiting"}
    second = tick(plan, {"a": healthy()}, first.marks, 1)
    assert stage_states(second)["two"] == "Done"
    assert second.offer == ("b",)


def test_a_run_that_changes_nothing_succeeds_at_once() -> None:
    assert tick(run(stage("one"), stage("two", depends_on=("one",))), {}).state == "Succeeded"


def test_a_dark_stage_waits_if_another_needs_it_and_is_done_if_none_does() -> None:
    plan = run(stage("one", "a"), stage("two", "b", depends_on=("one",)))
    dark = cluster(online=False)
    step = tick(plan, {"a": dark, "b": dark})
    assert step.stages[0].reason == "no cluster of this stage is online"
    assert step.state is RunState.RUNNING
    back = tick(plan, {"b": dark}, step.marks, 5)
    assert back.offer == ("a",)
    end = tick(plan, {"a": healthy(6), "b": dark}, back.marks, 7)
    assert (end.state, end.stages[1].reason[:21]) == (RunState.SUCCEEDED, "no cluster was online")


def test_a_dark_stage_keeps_no_run_open_if_nothing_changes_after_it() -> None:
    plan = run(stage("one", "a"), stage("two", depends_on=("one",)))
    assert tick(plan, {"a": cluster(online=False)}).state is RunState.SUCCEEDED


def test_offline_clusters_are_skipped_and_join_if_they_return_in_time() -> None:
    plan = run(stage("one", "a", "b", parallelism=2, soak_seconds=100))
    first = tick(plan, {"b": cluster(online=False)})
    assert first.offer == ("a",)
    soaking = tick(plan, {"a": healthy(), "b": cluster(online=False)}, first.marks, 1)
    assert stage_states(soaking) == {"one": "GatedAfter"}
    back = tick(plan, {"a": healthy()}, soaking.marks, 50)
    assert back.offer == ("b",)
    done = tick(plan, {"a": healthy(), "b": cluster(online=False)}, soaking.marks, 101)
    assert done.state is RunState.SUCCEEDED


def test_what_another_run_changes_is_left_alone() -> None:
    plan = run(stage("one", "a", "b"))
    step = tick(plan, {"a": cluster(held_by="r0")})
    assert step.offer == ("b",)
    assert next(s for s in step.clusters if s.cluster == "a").code == "HeldByRun"


def test_what_an_ended_run_still_changes_takes_a_slot_until_its_deadline() -> None:
    plan = run(stage("one", "a", "b", "c", parallelism=1))
    moving = replace(cluster(online=False), unsettled_since=after(0))
    held = tick(plan, {"a": moving}, at=1)
    assert held.offer == ()
    assert held.wake_at == after(1800)
    assert tick(plan, {"a": moving}, held.marks, 1800).offer == ("b",)
    here = replace(cluster(), unsettled_since=after(0))
    assert tick(plan, {"b": here}, at=1).offer == ("b",), "taken over in place"


def test_a_restoring_run_passes_gates_and_soaks_but_keeps_its_slots() -> None:
    one = stage("one", *TEN, approval=True, soak_seconds=600, parallelism=2)
    plan = run(one, restores=True)
    step = tick(plan, {})
    assert len(step.offer) == 2
    end = tick(plan, {name: healthy() for name in TEN}, step.marks, 1)
    assert end.state is RunState.SUCCEEDED


def test_a_run_without_a_change_says_that_there_is_none() -> None:
    step = tick(run(stage("one")), {})
    assert step.state is RunState.SUCCEEDED
    assert step.reason == "nothing is to change: every cluster was last given what Git wants"


def test_a_dark_cluster_keeps_nobody_from_being_restored() -> None:
    stages = (stage("one", "a"), stage("two", "b", depends_on=("one",)))
    dark = {"a": cluster(online=False)}
    assert tick(run(*stages), dark).offer == ()
    assert tick(run(*stages, restores=True), dark).offer == ("b",)


def test_every_change_of_state_is_told_once_and_in_words() -> None:
    plan = run(stage("one", "a", soak_seconds=60))
    told: list[str] = []
    marks = Marks()
    scenes: list[tuple[float, dict[str, ClusterEvidence]]] = [
        (0, {}),
        (1, {"a": offered()}),
        (2, {"a": cluster(offered=0, started=1)}),
        (3, {"a": cluster(report(health=Health.PROGRESSING), offered=0, started=1)}),
        (4, {"a": healthy(4)}),
        (64, {"a": healthy(4)}),
    ]
    for at, known in scenes:
        for _ in range(2):
            step: Step = tick(plan, known or {}, marks, at)
            marks = step.marks
            told.extend(event.kind for event in step.events)
            known = known or {"a": offered()}
    assert told == [
        *("run-started", "stage-started", "cluster-offered", "cluster-started"),
        *("cluster-applied", "cluster-healthy", "stage-soaking", "stage-done", "run-succeeded"),
    ]


def test_times_only_go_forward_in_the_marks() -> None:
    plan = run(stage("one", "a"), stage("two", "b", depends_on=("one",)))
    first = tick(plan, {})
    second = tick(plan, {"a": healthy(5)}, first.marks, 5)
    third = tick(plan, {"a": healthy(5), "b": healthy(9)}, second.marks, 9)
    moments = [*dict(third.marks.started).values(), *dict(third.marks.done).values()]
    assert all(one <= two for one, two in pairwise(sorted(moments)))
    assert dict(third.marks.done) == {"one": after(5), "two": after(9)}


def test_a_change_names_the_bundle_whose_report_is_missing() -> None:
    changes = {"a": (Change("app", "v2", "v1"), Change("web", "w2"))}
    plan = replace(run(stage("one", "a")), changes=changes, bundles=("app", "web"))
    step = tick(plan, {"a": cluster(report(), offered=0, started=0)}, at=1)
    assert step.clusters[0].reason == "web: no report yet"


def test_a_failure_of_a_stage_that_is_done_is_none_any_more_once_people_answered_it() -> None:
    """Caps count what is failed in a live run: an answer must end that."""
    plan = run(
        stage("one", "a", "b", parallelism=2, failure_budget=1), stage("two", "c", approval=True)
    )
    first = tick(plan, {"a": failed(), "b": healthy()})
    assert states(first)["a"] == "Failed"
    assert dict(first.marks.done).keys() == {"one"}
    retry = decision(1, Verb.RETRY, clusters=("a",))
    second = tick(plan, {"a": failed(), "b": healthy()}, first.marks, decisions=(retry,))
    assert states(second)["a"] == "Queued"
    skip = decision(1, Verb.SKIP, clusters=("a",), reason="away")
    second = tick(plan, {"a": failed(), "b": healthy()}, first.marks, decisions=(skip,))
    assert states(second)["a"] == "Skipped"


def test_a_run_that_only_finishes_looks_again_when_its_last_offer_is_withdrawn() -> None:
    plan = run(stage("one", "a"))
    frozen = BudgetSpec.model_validate({"freeze": {"active": True, "reason": "x"}}).value("f", "")
    first = tick(plan, {})
    second = tick(plan, {"a": offered()}, first.marks, budgets=(frozen,), finishing_for="r2")
    assert (second.withdraw, second.wake_at) == (("a",), after(0))
