"""What is judged before anything moves: overlaps, clusters in no stage, caps of nothing; pushes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from fleet.model import Cluster
from fleet.rollout import Proposal, propose
from fleet.rollout.coalescing import settles_at
from fleet.rollout.numbers import read_amount
from fleet.rollout.plan_rules import refusals
from fleet.rollout.resolution import membership
from fleet.rollout.rules import Invariant, Rules
from fleet.rollout.states import RunState
from tests.fleet.rollout.builders import after
from tests.fleet.rollout.test_runs import GROUPS, NAMES, book, codes, record, situation

EU = {"matchLabels": {"region": "eu"}}
FLEET = tuple(Cluster(n, {"region": "eu" if n < "s" else "us", "zone": n[-1]}) for n in NAMES)


def proposed(**said: Any) -> Proposal:
    return propose(situation({"app": "2"}, {"app": "1"}, policies=book(**said), clusters=FLEET))


def test_the_first_stage_that_selects_a_cluster_has_it() -> None:
    stages = [
        {"name": "eu", "select": EU},
        {"name": "production", "group": "production"},
        {"name": "rest", "select": {"catchAll": True}},
    ]
    (run,) = proposed(stages=stages).runs
    assert [s.clusters for s in run.stages] == [("p1", "p2"), (), ("s1", "s2")]
    refused = proposed(stages=stages, membership={"overlap": "Reject"})
    assert refused.runs == ()
    (why,) = refused.held
    assert why.code == "stage-overlap"
    assert why.reason == "several stages select p1, p2 (p1: eu and production)"


def test_a_catch_all_overlaps_with_nothing() -> None:
    stages = [{"name": "rest", "select": {"catchAll": True}}, {"name": "eu", "select": EU}]
    (run,) = proposed(stages=stages, membership={"overlap": "Reject"}).runs
    assert [s.clusters for s in run.stages] == [("s1", "s2"), ("p1", "p2")]


def test_a_cluster_in_no_stage_is_held_or_refuses_the_plan() -> None:
    stages = [{"name": "eu", "select": EU}]
    held = proposed(stages=stages)
    assert [run.stages[0].clusters for run in held.runs] == [("p1", "p2")]
    assert codes(held) == {("app", "s1", "Unmatched"), ("app", "s2", "Unmatched")}
    refused = proposed(stages=stages, membership={"unmatched": "Fail"})
    assert refused.runs == ()
    assert {(h.code, h.reason) for h in refused.held if not h.cluster} == {
        ("unmatched-clusters", "no stage selects s1, s2")
    }


def test_a_cap_that_comes_to_no_cluster_at_all_refuses_the_plan() -> None:
    (policy,) = book(stages=[{"name": "all", "select": {"catchAll": True}}]).policies
    who = membership(policy, FLEET, ())

    def refused(**said: Any) -> list[tuple[str, str]]:
        rules = Rules(invariants=(Invariant("zone-cap", "region", **said),))
        return [(r.code, r.reason) for r in refusals(replace(policy, rules=rules), who)]

    why = "zone-cap: 49% of region=eu (2) is no cluster at all"
    assert refused(max_unavailable=read_amount("49%")) == [("cap-unsatisfiable", why)]
    assert refused(max_exposed=read_amount("49%")) == [("cap-unsatisfiable", why)]
    assert refused(max_unavailable=read_amount("49%"), at_least_one=True) == []
    assert refused(max_unavailable=read_amount("50%")) == []
    fleet = Rules(invariants=(Invariant("all", max_unavailable=read_amount("25%")),))
    assert refusals(replace(policy, rules=fleet), who) == ()


def test_a_cap_on_what_is_exposed_has_room_for_the_stages_up_to_the_first_proof() -> None:
    def refused(soak: str, most: str) -> list[str]:
        stages: list[dict[str, Any]] = [
            {"name": "staging", "group": "staging"},
            {"name": "production", "group": "production", "dependsOn": ["staging"]},
        ]
        if soak:
            stages[soak == "production"]["gates"] = {"after": [{"soak": "5m"}]}
        (policy,) = book(stages=stages).policies
        rules = Rules(invariants=(Invariant("unbaked", max_exposed=read_amount(most)),))
        who = membership(policy, FLEET, GROUPS)
        return [r.reason for r in refusals(replace(policy, rules=rules), who)]

    assert refused("staging", "50%") == refused("", "50%") == refused("production", "100%") == []
    why = "may be exposed, and 4 are when stage 'production', where a revision is first proven"
    assert refused("production", "75%") == [f"unbaked: 75% of the fleet (4) {why}, is Done"]
    assert len(refused("staging", "25%")) == 1


def test_parallelism_order_and_spread_are_resolved_to_numbers_and_names() -> None:
    stages = [
        {
            "name": "all",
            "select": {"catchAll": True},
            "order": {"by": "Label", "key": "zone"},
            "parallelism": {"ramp": [1, "50%", "100%"], "max": 3},
            "spread": {"key": "region", "maxInFlight": "50%"},
            "failureBudget": {"count": "25%", "consecutive": 2},
            "stageDeadline": "2h",
        }
    ]
    (run,) = proposed(stages=stages).runs
    (stage,) = run.stages
    assert stage.clusters == ("p1", "s1", "p2", "s2")
    assert stage.parallelism.steps == (1, 2, 3)
    assert (stage.failure_budget, stage.consecutive) == (1, 2)
    assert stage.stage_deadline_seconds == 7200
    assert stage.spread is not None
    assert stage.spread.limits == {"eu": 1, "us": 1}
    assert stage.spread.domain_of == {"p1": "eu", "p2": "eu", "s1": "us", "s2": "us"}


def test_a_hash_order_is_of_the_run() -> None:
    stages = [{"name": "all", "select": {"catchAll": True}, "order": {"by": "Hash"}}]
    base = situation({"app": "2"}, {"app": "1"}, policies=book(stages=stages))
    orders = {
        propose(replace(base, next_number=number)).runs[0].stages[0].clusters
        for number in range(1, 10)
    }
    assert len(orders) > 2


def test_with_unit_commit_everything_of_a_commit_is_one_run() -> None:
    wanted, had = {"app": "2", "web": "2", "lib": "1"}, {"app": "1", "web": "1", "lib": "1"}
    apart = propose(situation(wanted, had))  # type: ignore[arg-type]
    assert [run.bundles for run in apart.runs] == [("app",), ("web",)]
    whole = book(source={"unit": "Commit"})
    together = propose(situation(wanted, had, policies=whole))  # type: ignore[arg-type]
    assert [run.bundles for run in together.runs] == [("app", "web")]


def test_with_unit_commit_what_a_replaced_run_carried_stays_in_one_run() -> None:
    whole = book(source={"unit": "Commit"})
    had = {"app": "1", "web": "1"}
    first = propose(situation({"app": "2", "web": "2"}, had, policies=whole))
    failed = record(first, RunState.PAUSED, breached=True)
    newer = propose(
        situation({"app": "3", "web": "2"}, had, policies=whole, runs=(failed,), next_number=2)
    )
    assert [run.bundles for run in newer.runs] == [("app", "web")]
    assert newer.superseded == {first.runs[0].uid: newer.runs[0].uid}


def pushed(*seconds_ago: float) -> Proposal:
    pushes = tuple(after(-s) for s in seconds_ago)
    policies = book(source={"coalesce": "60s"})
    return propose(situation({"app": "2"}, {"app": "1"}, policies=policies, pushes=pushes))


def test_a_run_is_made_when_the_pushes_have_settled() -> None:
    early = pushed(59)
    assert early.runs == ()
    assert codes(early) == {("app", "", "WaitsForPushes")}
    assert early.wake_at == after(1)
    settled = pushed(60, 61, 62)
    assert len(settled.runs) == 1
    assert settled.wake_at is None


def test_pushes_that_never_settle_hold_no_release_for_ever() -> None:
    assert pushed(1, 40, 80).runs == ()
    every_30_seconds = range(1, 400, 30)
    assert len(pushed(*every_30_seconds).runs) == 1


@pytest.mark.parametrize(
    ("pushes", "at"),
    [((), None), ((0,), 10), ((0, 9, 25), 10), ((0, 9, 18), 10), ((0, *range(9, 63, 9)), 6)],
)
def test_a_burst_is_over_at_a_time_that_can_be_foreseen(
    pushes: tuple[int, ...], at: float | None
) -> None:
    found = settles_at([after(-s) for s in pushes], 10)
    assert found == (None if at is None else after(at))


def test_a_policy_that_says_nothing_of_it_waits_ten_seconds() -> None:
    base = situation({"app": "2"}, {"app": "1"}, pushes=(after(-9.5),))
    assert propose(base).wake_at == after(0.5)
