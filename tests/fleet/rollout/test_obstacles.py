"""All that is in the way of a waiting cluster is named at once; without it, it starts (I22)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from fleet.rollout import advance, obstacles
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import ClusterEvidence, Domain, Evidence, Rest
from fleet.rollout.gate_kinds import Approval, ClosedDays, Dependency, Window
from fleet.rollout.marks import Marks
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Intent
from tests.fleet.rollout.builders import NOW, after, cluster, decision, healthy, offered, run, stage

NEW_YEAR = Window(deny=(ClosedDays("new-year", date(2030, 1, 1), date(2030, 1, 1)),))
OPEN = run(stage("one", "a", "b", parallelism=2))
SHUT = run(replace(OPEN.stages[0], before=(NEW_YEAR,)))
FULL = Rest((Domain("zone", "x", 2, frozenset({"else"}), frozenset({"else"})),))
ROOM = Rest((Domain("zone", "x", 2, frozenset(), frozenset()),))
CAP = BudgetSpec.model_validate({"perDomain": [{"key": "zone", "maxInFlight": 1}]}).value("f", "x")
FROZEN = BudgetSpec.model_validate({"freeze": {"active": True, "reason": "incident"}}).value(
    "z", ""
)


def reasons(
    plan: RunPlan,
    known: dict[str, ClusterEvidence],
    marks: Marks = Marks(),
    intent: Intent = Intent.RUN,
    **said: Any,
) -> dict[str, tuple[Reason, ...]]:
    """What is said after one tick."""
    evidence = Evidence({name: known.get(name, cluster()) for name in plan.changes}, **said)
    step = advance(plan, marks, intent, evidence, NOW)
    return obstacles(plan, step, evidence, NOW, intent)


def zoned(**said: Any) -> dict[str, ClusterEvidence]:
    return {name: cluster(labels={"zone": "x"}, **said) for name in "ab"}


def test_window_cap_other_run_and_freeze_are_all_named_with_counts_and_times() -> None:
    found = reasons(SHUT, zoned(held_by="r0"), budgets=(CAP, FROZEN), rest=FULL)["a"]
    assert {one.code for one in found} == {"HeldByRun", "Frozen", "WindowClosed", "CapReached"}
    said = {one.code: one for one in found}
    assert said["WindowClosed"].until == after(86_400), "when it opens next"
    assert said["CapReached"].what == "f: maxInFlight: 1 of zone=x in flight, 1 may be"


@pytest.mark.parametrize(
    ("plan", "held_by", "budgets", "rest", "left"),
    [
        (OPEN, "r0", (CAP, FROZEN), FULL, {"HeldByRun", "Frozen", "CapReached"}),
        (SHUT, "", (CAP, FROZEN), FULL, {"WindowClosed", "Frozen", "CapReached"}),
        (SHUT, "r0", (CAP,), FULL, {"WindowClosed", "HeldByRun", "CapReached"}),
        (SHUT, "r0", (CAP, FROZEN), ROOM, {"WindowClosed", "HeldByRun", "Frozen"}),
        (OPEN, "", (CAP,), ROOM, set()),
    ],
)
def test_without_one_of_them_the_others_stay_and_without_all_it_starts(
    plan: RunPlan, held_by: str, budgets: Any, rest: Rest, left: set[str]
) -> None:
    found = reasons(plan, zoned(held_by=held_by), budgets=budgets, rest=rest).get("a", ())
    assert {one.code for one in found} == left


def test_what_this_tick_starts_counts_for_those_that_wait() -> None:
    found = reasons(OPEN, zoned(), budgets=(CAP,), rest=ROOM)
    assert list(found) == ["b"]
    assert [one.code for one in found["b"]] == ["CapReached"]


def test_a_cluster_whose_turn_has_not_come_is_told_that_and_what_comes_after() -> None:
    narrow = run(stage("one", "a", "b"))
    marks = advance(narrow, Marks(), Intent.RUN, Evidence(zoned()), NOW).marks
    known = zoned(held_by="r0") | {"a": offered()}
    found = reasons(narrow, known, marks)
    assert [one.code for one in found["b"]] == ["HeldByRun", "NoFreeSlot"]


def test_a_paused_run_names_the_pause_and_the_cap() -> None:
    found = reasons(OPEN, zoned(), intent=Intent.PAUSE, budgets=(CAP,), rest=FULL)
    assert {one.code for one in found["a"]} >= {"RunPaused", "CapReached"}


def test_what_moves_or_is_healthy_is_in_nobodys_way() -> None:
    marks = advance(OPEN, Marks(), Intent.RUN, Evidence(zoned()), NOW).marks
    assert reasons(OPEN, {"a": healthy(), "b": offered()}, marks) == {}


def test_a_stage_that_waits_for_another_names_the_gates_that_come_after() -> None:
    asks = replace(stage("two", "b", depends_on=("one",)), before=(Approval(("sre",)),))
    found = reasons(run(stage("one", "a"), asks), {})
    assert [one.code for one in found["b"]] == ["StageWaiting", "GateAhead"]
    assert found["b"][1].what == "then approval: waits for approval by sre"


def test_behind_a_full_stage_the_cap_that_its_offer_filled_is_named_too() -> None:
    found = reasons(run(stage("one", "a", "b")), zoned(), budgets=(CAP,), rest=ROOM)
    assert [one.code for one in found["b"]] == ["CapReached", "NoFreeSlot"]


def test_a_cluster_whose_offer_lapsed_is_told_so_and_of_the_cap() -> None:
    evidence = Evidence(zoned(), budgets=(CAP,), rest=FULL)
    step = advance(OPEN, Marks(), Intent.RUN, evidence, NOW)
    lapsed = tuple(replace(one, code="LeaseEnded") for one in step.clusters)
    found = obstacles(OPEN, replace(step, clusters=lapsed), evidence, NOW)
    assert [one.code for one in found["a"]] == ["LeaseEnded", "CapReached"]


def test_every_gate_that_keeps_a_cluster_out_is_named_not_only_the_first() -> None:
    gates = (NEW_YEAR, Dependency("crds"))
    found = reasons(run(replace(OPEN.stages[0], before=gates)), {})["a"]
    assert [one.code for one in found] == ["WindowClosed", "DependencyNotBaked"]


def test_a_queued_run_tells_of_its_stages_and_of_a_pause_too() -> None:
    plan = run(stage("one", "a"), stage("two", "b", depends_on=("one",)))
    found = reasons(plan, {}, intent=Intent.PAUSE, waits_for="r0")["b"]
    assert [one.code for one in found] == ["RunQueued", "StageWaiting", "RunPaused", "StageWaiting"]
    assert found[-1].what == "stage two: waits for stage one"


def test_what_failed_at_its_gate_tells_what_the_gate_says() -> None:
    plan = run(stage("one", "a", approval=True))
    no = decision(1, Verb.REJECT, stage="one", reason="not today")
    found = reasons(plan, {}, decisions=(no,))["a"]
    assert Reason("GateAhead", "then approval: rejected by ann: not today") in found
