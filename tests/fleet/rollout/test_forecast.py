"""When runs end: tables of what is known, and of what nobody can know."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from clusters.clock import FakeClock
from fleet.rollout.forecast import Estimate, Took, batches, forecast, whole
from fleet.rollout.gate_kinds import AfterGate, Approval, BeforeGate, Soak
from fleet.rollout.run_plan import Ramp, RunPlan, SpreadPlan, StagePlan
from fleet.rollout.states import StageState
from fleet.rollout.step import GateStatus, StageStatus

NOW = FakeClock().now()
TEN = Took(10, 30, 8)


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def stage(
    name: str,
    *after: str,
    clusters: int = 4,
    steps: tuple[int, ...] = (2,),
    before: tuple[BeforeGate, ...] = (),
    then: tuple[AfterGate, ...] = (),
) -> StagePlan:
    names = tuple(f"{name}-{n}" for n in range(clusters))
    return StagePlan(name, names, after, clusters, Ramp(steps), before=before, after=then)


def at(
    state: StageState, name: str = "a", healthy: int = 0, *gates: GateStatus, offline: int = 0
) -> StageStatus:
    return StageStatus(name, state, 4, healthy, 0, 0, offline, 0, gates=gates)


def run(*stages: StagePlan, restores: bool = False) -> RunPlan:
    return RunPlan("web-1", "all", "c" * 40, ("web",), NOW, stages, {}, restores=restores)


def one(plan: StagePlan, status: StageStatus, took: Took | None = TEN, **more: str) -> Estimate:
    said = {plan.name: took} if took else {}
    return forecast(run(plan), [status], said, {}, more.get("halted", ""), NOW)[plan.name]


@pytest.mark.parametrize(
    ("steps", "at_step", "left", "rounds"),
    [
        ((2,), 0, 4, 2),
        ((2,), 0, 5, 3),
        ((1, 2, 5), 0, 8, 3),
        ((1, 2, 5), 0, 9, 4),
        ((1, 2, 5), 2, 9, 2),
        ((3,), 0, 0, 0),
    ],
)
def test_a_ramp_takes_as_many_batches_as_its_steps_say(
    steps: tuple[int, ...], at_step: int, left: int, rounds: int
) -> None:
    assert batches(steps, at_step, left) == rounds


def test_percentiles_are_those_of_clusters_that_were_seen() -> None:
    assert Took.of([9, 1, 5]) == Took(5, 9, 3)
    assert Took.of(range(1, 11)) == Took(5, 9, 10)


def test_a_stage_ends_after_its_batches_and_its_soak() -> None:
    found = one(stage("a", then=(Soak(60),)), at(StageState.UPDATING, healthy=2))
    assert found == Estimate((70, 90), (later(70), later(90)))


def test_a_soak_that_has_begun_is_not_counted_from_its_start() -> None:
    soaking = GateStatus("a/after/0", "soak", "none", "soaks", later(20))
    status = at(StageState.GATED_AFTER, "a", 4, soaking)
    assert one(stage("a", then=(Soak(60),)), status).ends == (later(20), later(20))


def test_a_window_that_opens_later_moves_the_end() -> None:
    shut = GateStatus("a/before/0", "window", "none", "closed", later(600))
    found = one(stage("a"), at(StageState.GATED_BEFORE, "a", 0, shut))
    assert found.ends == (later(620), later(660))


def test_a_stage_begins_when_the_slowest_that_it_waits_for_ends() -> None:
    stages = (stage("a"), stage("b", steps=(1,)), stage("c", "a", "b"))
    names = ("a", "b", "c")
    states = (StageState.UPDATING, StageState.UPDATING, StageState.WAITING)
    statuses = [at(state, name) for name, state in zip(names, states, strict=True)]
    found = forecast(run(*stages), statuses, dict.fromkeys(names, TEN), {}, "", NOW)
    assert found["c"].ends == (later(40 + 20), later(120 + 60))
    assert whole(found, NOW).ends == found["c"].ends


@pytest.mark.parametrize(
    ("plan", "status", "took", "halted", "why"),
    [
        (stage("a"), at(StageState.UPDATING), None, "", "no cluster of stage a was timed yet"),
        (stage("a"), at(StageState.UPDATING), TEN, "the run is Paused", "the run is Paused"),
        (stage("a"), at(StageState.FAILED), TEN, "", "stage a failed"),
        (
            stage("a"),
            at(StageState.WAITING, offline=4),
            TEN,
            "",
            "no cluster of stage a is online",
        ),
        (
            stage("a", before=(Approval(),)),
            at(StageState.WAITING),
            TEN,
            "",
            "stage a has to pass: approval",
        ),
        (
            stage("a"),
            at(StageState.GATED_BEFORE, "a", 0, GateStatus("a/before/0", "webhook", "none")),
            TEN,
            "",
            "stage a has to pass: webhook",
        ),
        (
            stage("a", then=(Soak(60, min_samples=9),)),
            at(StageState.UPDATING),
            TEN,
            "",
            "stage a has to pass: soak",
        ),
    ],
)
def test_what_nobody_can_know_is_said(
    plan: StagePlan, status: StageStatus, took: Took | None, halted: str, why: str
) -> None:
    found = one(plan, status, took, halted=halted)
    assert (found.ends, found.unknown) == (None, why)


def test_an_approval_that_was_given_and_a_run_that_restores_have_an_end() -> None:
    given = GateStatus("a/before/0", "approval", "pass")
    asks = stage("a", before=(Approval(),))
    assert one(asks, at(StageState.GATED_BEFORE, "a", 0, given)).unknown == ""
    back = forecast(run(asks, restores=True), [at(StageState.WAITING)], {"a": TEN}, {}, "", NOW)
    assert back["a"].unknown == ""


def test_what_comes_after_the_unknown_is_unknown_and_its_work_is_not() -> None:
    stages = (stage("a"), stage("b", "a"))
    statuses = [at(StageState.UPDATING), at(StageState.WAITING, "b")]
    found = forecast(run(*stages), statuses, {"b": TEN}, {}, "", NOW)
    assert found["b"].work == (20.0, 60.0)
    assert found["b"].unknown == "no cluster of stage a was timed yet"
    assert whole(found, NOW) == Estimate(None, None, "no cluster of stage a was timed yet")


def test_clusters_that_failed_or_are_offline_are_not_waited_for() -> None:
    status = StageStatus("a", StageState.UPDATING, 8, 1, 2, 3, 2, 9)
    assert one(stage("a", clusters=8, steps=(1,)), status).work == (20.0, 60.0)


def test_a_ramp_goes_on_from_the_step_that_it_reached() -> None:
    plan = run(stage("a", steps=(1, 4)))
    statuses = [at(StageState.UPDATING)]
    assert forecast(plan, statuses, {"a": TEN}, {}, "", NOW)["a"].work == (20.0, 60.0)
    assert forecast(plan, statuses, {"a": TEN}, {"a": 1}, "", NOW)["a"].work == (10.0, 30.0)


def test_an_approval_that_was_given_early_keeps_no_end_unknown() -> None:
    asks = stage("b", "a", clusters=2, before=(Approval(groups=("sre",)),))
    plan, statuses = run(stage("a"), asks), [at(StageState.UPDATING), at(StageState.WAITING, "b")]
    took = dict.fromkeys("ab", TEN)
    given, asked = (GateStatus("b/before/0", "approval", verdict) for verdict in ("pass", "none"))
    assert forecast(plan, statuses, took, {}, "", NOW, {"b": (given,)})["b"].ends is not None
    for ahead in ({}, {"b": (asked,)}):
        found = forecast(plan, statuses, took, {}, "", NOW, ahead)["b"]
        assert found.unknown == "stage b has to pass: approval"


def test_a_spread_makes_batches_smaller() -> None:
    def took(limits: dict[str, int], healthy: int = 0) -> Estimate:
        plan = stage("a", clusters=6, steps=(6,))
        zones = {name: "x" if at < 4 else "y" for at, name in enumerate(plan.clusters)}
        spread = replace(plan, spread=SpreadPlan("zone", zones, limits))
        return one(spread, StageStatus("a", StageState.UPDATING, 6, healthy, 0, 0, 0, 0))

    assert took({"x": 1, "y": 1}).work == (40.0, 120.0)
    assert took({"x": 2, "y": 1}).work == (20.0, 60.0)
    assert took({"x": 1, "y": 1}, healthy=3).work == (20.0, 60.0)
    assert took({"x": 9, "y": 9}).work == (10.0, 30.0)
