"""The gate `window` in the engine: who may start, who is taken back, when it looks again. I20.

Mutations that must fail here: `_withdraw` keeps an offer whatever the turnstile says; `closes` is
left out of the step; the label of the zone is not looked at; `remaining_seconds` answers 0.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleet.rollout.evidence import ClusterEvidence
from fleet.rollout.gate_kinds import P90, Approval, OpenHours, Window
from fleet.rollout.states import Lane
from fleet.rollout.step import Step
from tests.fleet.rollout.builders import after, cluster, offered, run, stage, states, tick

# The tests' now is 2030-01-01 00:00 UTC, a Tuesday: 01:00 in Berlin, 19:00 on Monday in New York.
NIGHT = Window(allow=(OpenHours("0 1 * * *", 3600),), zone_label="tz", zone_default="UTC")
HOUR = 3600


def there(zone: str, known: ClusterEvidence | None = None) -> ClusterEvidence:
    return replace(known or cluster(), labels={"tz": zone})


def one(window: Window, known: ClusterEvidence, at: float = 0, **said: Any) -> Step:
    plan = run(stage("one", "a", before=(window,)))
    return tick(plan, {"a": known}, at=at, **said)


def test_every_cluster_starts_by_the_clock_of_its_own_zone() -> None:
    plan = run(stage("one", "a", "b", "c", before=(NIGHT,), parallelism=3))
    fleet = {"a": there("Europe/Berlin"), "b": there("America/New_York"), "c": cluster()}
    step = tick(plan, fleet)
    assert step.offer == ("a",)
    reasons = {one.cluster: (one.code, one.reason) for one in step.clusters}
    assert reasons["b"] == (
        "WindowClosed",
        "the window is closed until 2030-01-01 01:00 America/New_York",
    )
    assert reasons["c"] == ("WindowClosed", "the window is closed until 2030-01-01 01:00 UTC")
    assert (step.wake_at, step.stages[0].until) == (after(15 * 60), after(HOUR))
    (shown,) = step.stages[0].gates
    assert (shown.kind, shown.verdict, shown.until) == ("window", "none", after(HOUR))
    assert shown.reason.startswith("0 of 2 may start now")
    assert tick(plan, fleet, at=HOUR).offer == ("c",)
    assert tick(plan, fleet, at=6 * HOUR).offer == ("b",)


def test_what_was_offered_is_taken_back_when_the_window_closes_and_what_started_goes_on() -> None:
    berlin = there("Europe/Berlin")
    assert one(NIGHT, berlin).closes == ()
    opened = one(NIGHT, berlin, HOUR - 600)
    assert (opened.closes, opened.wake_at) == ((("a", after(HOUR)),), after(HOUR))
    waits = there("Europe/Berlin", offered(HOUR - 100))
    assert one(NIGHT, waits, HOUR - 50).withdraw == ()
    assert one(NIGHT, waits, HOUR - 50).wake_at == after(HOUR)
    closed = one(NIGHT, waits, HOUR)
    assert closed.withdraw == ("a",)
    assert closed.clusters[0].code == "WindowClosed"
    started = there("Europe/Berlin", cluster(offered=HOUR - 100, started=HOUR - 50))
    assert states(one(NIGHT, started, HOUR)) == {"a": "Applying"}


def test_nothing_starts_when_too_little_of_the_window_is_left() -> None:
    berlin = there("Europe/Berlin")
    short = replace(NIGHT, min_remaining=1200)
    good = one(short, berlin, HOUR - 1200)
    assert (good.offer, good.closes) == (("a",), (("a", after(HOUR - 1199)),))
    late = one(short, berlin, HOUR - 1199)
    assert (late.offer, late.clusters[0].code) == ((), "WindowCloses")


def test_a_stage_in_which_nobody_may_start_says_why() -> None:
    plan = run(stage("one", "a", "b", "c", before=(NIGHT,), parallelism=3))
    zones = {"a": there("America/New_York"), "b": cluster(), "c": cluster()}
    (shut,) = tick(plan, zones).stages
    soonest = "the window is closed until 2030-01-01 01:00 UTC"
    assert shut.reason == f"0 of 3 Healthy, and nobody may start: {soonest}"
    moving = {**zones, "b": offered(HOUR)}
    assert tick(plan, moving, at=HOUR).stages[0].reason == "0 of 3 Healthy"


def test_p90_is_what_clusters_needed_before_and_without_any_the_deadline() -> None:
    berlin, window = there("Europe/Berlin"), replace(NIGHT, min_remaining=P90)
    assert one(window, berlin, HOUR - 600, durations={"one": 600}).offer == ("a",)
    assert one(window, berlin, HOUR - 599, durations={"one": 600}).offer == ()
    assert one(window, berlin, HOUR - 1800).offer == ("a",)
    assert one(window, berlin, HOUR - 1799, durations={"two": 1}).offer == ()


def test_a_zone_that_nobody_knows_starts_nothing() -> None:
    for wrong in ("Europe/Berlln", "../../etc/passwd", "/etc/localtime", "x" * 300):
        step = one(NIGHT, there(wrong))
        assert (step.offer, step.clusters[0].code) == ((), "UnknownTimezone")


def test_what_goes_back_waits_for_no_window() -> None:
    plan = run(stage("one", "a", "b", before=(NIGHT,), parallelism=2), restoring=frozenset({"b"}))
    assert tick(plan, {}).offer == ("b",)
    assert tick(replace(plan, restores=True), {}).offer == ("a", "b")


def test_an_offer_in_an_endless_window_lies_for_its_whole_lease() -> None:
    always = Window(allow=(OpenHours("* * * * *", 60),))
    step = one(always, cluster())
    assert step.offer == ("a",)
    assert (step.closes, step.wake_at) == ((), after(15 * 60))


def test_the_catch_up_lane_keeps_to_the_windows_of_the_stages_its_clusters_are_in() -> None:
    gates = (replace(NIGHT, only=("a",)), Approval())
    late = stage("catch-up", "a", "b", before=gates, parallelism=2)
    plan = run(late, lane=Lane.CATCH_UP)
    assert tick(plan, {}).offer == ("b",)
    assert tick(plan, {}, at=HOUR).offer == ("a", "b")
