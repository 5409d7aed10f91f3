"""Shared caps and invariants: what a run may start beyond the slots of its stages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from fleet.rollout import caps
from fleet.rollout.budget_document import BudgetSpec
from fleet.rollout.evidence import ClusterEvidence, Domain, Rest
from fleet.rollout.marks import Marks
from fleet.rollout.numbers import read_amount
from fleet.rollout.rules import Invariant, Rules
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.shared_budget import RolloutBudget
from fleet.rollout.states import Lane
from fleet.rollout.step import Step
from tests.fleet.rollout.builders import after, cluster, healthy, offered, run, stage, tick

SIX = tuple(f"c{n}" for n in range(6))
IN_ZONE = {name: {"zone": "ab"[n % 2]} for n, name in enumerate(SIX)}
"""c0, c2, c4 in a; c1, c3, c5 in b."""


def budget(**said: Any) -> RolloutBudget:
    """The RolloutBudget `fleet` of that spec."""
    return BudgetSpec.model_validate(said).value("fleet", "clusters/budget.yaml")


def plan(*invariants: Invariant, **said: Any) -> RunPlan:
    """All six at once, if no cap says otherwise."""
    made = run(stage("one", *SIX, parallelism=6, failure_budget=6, **said))
    return replace(made, rules=Rules(invariants=invariants))


def rest(key: str = "zone", **unavailable: set[str]) -> Rest:
    """The six by zone (or as a fleet); `a={"c0"}` says who is unavailable and in flight."""
    if not key:
        bad = frozenset(unavailable.get("fleet", ()))
        return Rest((Domain("", "", 6, bad, bad),))
    found = []
    for value in "ab":
        bad = frozenset(unavailable.get(value, ()))
        found.append(Domain(key, value, 3, bad, bad))
    return Rest(tuple(found))


def go(
    made: RunPlan,
    known: Mapping[str, ClusterEvidence] | None = None,
    marks: Marks = Marks(),
    at: float = 0,
    **said: Any,
) -> Step:
    """A tick in which every cluster has its zone."""
    seen = {name: replace((known or {}).get(name, cluster()), labels=IN_ZONE[name]) for name in SIX}
    return tick(made, seen, marks, at, **said)


def codes(step: Step) -> dict[str, str]:
    """Cluster → the code of what holds it."""
    return {one.cluster: one.code for one in step.clusters}


def test_a_domain_holds_what_would_lift_it_above_its_cap() -> None:
    cap = budget(perDomain=[{"key": "zone", "maxInFlight": 1}])
    step = go(plan(), budgets=(cap,), rest=rest())
    assert step.offer == ("c0", "c1")
    assert codes(step)["c2"] == "CapReached"
    full = go(plan(), budgets=(cap,), rest=rest(a={"elsewhere"}))
    assert full.offer == ("c1",), "what another run moves counts"


def test_percentages_of_in_flight_round_down_but_let_one_go() -> None:
    cap = budget(perDomain=[{"key": "zone", "maxInFlight": "10%"}])
    assert go(plan(), budgets=(cap,), rest=rest()).offer == ("c0", "c1")


def test_unavailable_for_whatever_reason_leaves_less_room() -> None:
    cap = Invariant("zone-cap", "zone", max_unavailable=read_amount(2))
    assert go(plan(cap), rest=rest(a={"x", "y"})).offer == ("c1", "c3")


def test_what_is_broken_already_may_always_be_mended() -> None:
    cap = Invariant("zone-cap", "zone", max_unavailable=read_amount(1))
    step = go(plan(cap), rest=rest(a={"c0", "c2"}))
    assert step.offer == ("c0", "c1", "c2"), "starting c0 and c2 makes nothing worse"


def test_a_share_that_comes_to_nothing_lets_one_go_only_if_it_says_so() -> None:
    tenth = read_amount("10%")
    for at_least_one, offer in ((True, ("c0", "c1")), (False, ())):
        cap = Invariant("zone-cap", "zone", max_unavailable=tenth, at_least_one=at_least_one)
        assert go(plan(cap), rest=rest()).offer == offer


def test_several_budgets_hold_together() -> None:
    wide = budget(perDomain=[{"key": "zone", "maxInFlight": 3}])
    narrow = budget(fleet={"maxInFlight": 2})
    both = Rest((*rest().domains, *rest("").domains))
    assert go(plan(), budgets=(wide, narrow), rest=both).offer == ("c0", "c1")


def test_a_domain_of_which_nothing_is_known_starts_nothing() -> None:
    cap = budget(perDomain=[{"key": "zone", "maxInFlight": 3}])
    step = go(plan(), budgets=(cap,))
    assert step.offer == ()
    assert codes(step)["c0"] == "CapUnknown"


def test_starts_of_all_runs_in_a_minute_are_capped_and_it_says_when_to_look_again() -> None:
    cap = budget(fleet={"maxStartsPerMinute": 3})
    known = Rest(starts=(after(-61), after(-50), after(-20)))
    step = go(plan(), budgets=(cap,), rest=known)
    assert step.offer == ("c0",)
    assert step.wake_at == after(10)
    assert codes(step)["c1"] == "StartsPerMinute"


def test_a_cluster_that_other_runs_move_is_left_to_them() -> None:
    cap = budget(perCluster={"maxConcurrentRuns": 1})
    busy = {"c0": cluster(runs=("other-1",))}
    step = go(plan(), busy, budgets=(cap,))
    assert step.offer == SIX[1:]
    assert codes(step)["c0"] == "RunsPerCluster"


def test_after_a_change_a_cluster_is_left_alone_for_a_while() -> None:
    cap = budget(perCluster={"quietAfter": "30m"})
    changed = {name: cluster(changed_at=after(-1700)) for name in SIX}
    step = go(plan(), changed, budgets=(cap,))
    assert step.offer == ()
    assert (codes(step)["c0"], step.wake_at) == ("Quiet", after(100))
    assert go(plan(), changed, step.marks, 100, budgets=(cap,)).offer == SIX


def test_few_are_exposed_to_what_has_not_soaked() -> None:
    cap = Invariant("unbaked", max_exposed=read_amount("50%"))
    made = replace(
        run(
            stage("one", "c0", "c1", parallelism=6, soak_seconds=60),
            stage("two", *SIX[2:], parallelism=6, depends_on=("one",)),
        ),
        rules=Rules(invariants=(cap,)),
    )
    first = go(made, rest=rest(""))
    assert first.offer == ("c0", "c1")
    both = {"c0": healthy(), "c1": healthy()}
    soaking = go(made, both, first.marks, 1, rest=rest(""))
    soaked = go(made, both, soaking.marks, 61, rest=rest(""))
    assert soaked.offer == SIX[2:], "it is baked: nothing bounds it"


def test_exposure_counts_healthy_and_moving_clusters_and_what_others_left() -> None:
    cap = Invariant("unbaked", max_exposed=read_amount(3))
    made = plan(cap)
    known = {"c0": healthy(), "c1": offered()}
    assert go(made, known, rest=rest("")).offer == ("c2",)
    left = Rest((replace(rest("").domains[0], exposed=frozenset({"elsewhere"})),))
    assert go(made, known, rest=left).offer == ()
    proven_before = replace(made, lane=Lane.CATCH_UP)
    assert len(go(proven_before, known, rest=rest("")).offer) == 4


@pytest.mark.parametrize("field", ["maxInFlight", "maxUnavailable"])
def test_the_labels_that_caps_count_by_are_named(field: str) -> None:
    caps_of = (budget(perDomain=[{"key": "region", field: 2}], fleet={"maxInFlight": 3}),)
    made = plan(Invariant("z", "zone", max_unavailable=read_amount(1)))
    assert caps.keys(made, caps_of) == {"region", "", "zone"}
    assert caps.keys(plan(), ()) == frozenset()
