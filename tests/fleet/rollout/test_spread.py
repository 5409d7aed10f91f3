"""Not too many of one domain at a time, whatever slots the stage has."""

from __future__ import annotations

from fleet.rollout import explain
from fleet.rollout.evidence import Evidence
from fleet.rollout.run_plan import RunPlan, SpreadPlan
from tests.fleet.rollout.builders import cluster, healthy, offered, run, stage, states, tick

ZONES = {"a1": "a", "a2": "a", "a3": "a", "b1": "b", "b2": "b", "x1": ""}


def spread(**limits: int) -> RunPlan:
    """All slots free, but so many of each zone; zones that are not named have one."""
    plan = SpreadPlan("zone", ZONES, limits)
    return run(stage("one", *ZONES, parallelism=6, spread=plan, min_healthy=1))


def test_no_more_of_a_domain_start_than_may() -> None:
    assert tick(spread(a=2, b=1), {}).offer == ("a1", "a2", "b1", "x1")


def test_a_cluster_without_the_label_is_in_a_domain_of_its_own_kind() -> None:
    plan = SpreadPlan("zone", {"x1": "", "x2": ""}, {})
    assert tick(run(stage("one", "x1", "x2", parallelism=2, spread=plan)), {}).offer == ("x1",)


def test_who_is_in_flight_counts_and_who_is_healthy_does_not() -> None:
    plan = spread(a=1, b=1)
    first = tick(plan, {})
    assert first.offer == ("a1", "b1", "x1")
    seen = {"a1": offered(), "b1": healthy(1), "x1": healthy(1)}
    assert tick(plan, seen, first.marks, 2).offer == ("b2",)


def test_a_full_domain_is_the_reason_that_people_see() -> None:
    plan = spread(a=1, b=2)
    step = tick(plan, {})
    assert states(step)["a2"] == "Queued"
    (why,) = explain(plan, step, Evidence({name: cluster() for name in ZONES}), "a2")
    assert why.code == "SpreadFull"
    assert why.what == "1 in flight of zone=a, 1 may be"
