"""Offline clusters that have started nothing: skipped, waited for, or failed.

Mutations that break these: `waits_for` answers 0, `fails_offline` answers False, `offline_rule`
ignores the lane, `left_out` counts what fails.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from fleet.rollout.rules import ConnectivityRules, OfflineRule, Rules
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Lane
from tests.fleet.rollout.builders import (
    after,
    cluster,
    healthy,
    run,
    stage,
    stage_states,
    states,
    tick,
)

DARK = cluster(online=False)


def plan(rule: OfflineRule, *clusters: str, **said: object) -> RunPlan:
    """One stage under that rule."""
    made = run(stage("one", *clusters, parallelism=9, **said))
    return replace(made, rules=Rules(connectivity=ConnectivityRules(offline=rule)))


def test_a_stage_waits_for_offline_clusters_if_told_so() -> None:
    made = plan(OfflineRule.WAIT, "c0", "c1")
    first = tick(made, {"c1": DARK})
    step = tick(made, {"c0": healthy(), "c1": DARK}, first.marks, 1)
    assert stage_states(step) == {"one": "Verifying"}
    assert "1 offline" in step.reason
    back = tick(made, {"c0": healthy()}, step.marks, 2)
    assert back.offer == ("c1",)
    done = tick(made, {"c0": healthy(), "c1": healthy()}, back.marks, 3)
    assert stage_states(done) == {"one": "Done"}


def test_with_nobody_online_the_last_stage_waits_too() -> None:
    step = tick(plan(OfflineRule.WAIT, "c0"), {"c0": DARK})
    assert stage_states(step) == {"one": "Waiting"}
    assert stage_states(tick(plan(OfflineRule.SKIP, "c0"), {"c0": DARK})) == {"one": "Done"}


def test_offline_clusters_fail_once_their_stage_has_started() -> None:
    made = plan(OfflineRule.FAIL, "c0", "c1", "c2", failure_budget=1)
    first = tick(made, {"c1": DARK})
    assert states(first)["c1"] == "Offline"
    assert first.wake_at == after(0)
    assert first.stages[0].denominator == 3
    second = tick(made, {"c0": healthy(), "c1": DARK}, first.marks)
    assert states(second)["c1"] == "Failed"
    assert second.stages[0].failed == 1
    third = tick(made, {"c0": healthy(), "c1": DARK, "c2": DARK}, second.marks, 1)
    assert third.state.value == "Failing", "two are more than the budget"


def test_a_stage_of_only_dark_clusters_fails_where_they_count() -> None:
    made = plan(OfflineRule.FAIL, "c0")
    first = tick(made, {"c0": DARK})
    assert stage_states(first) == {"one": "Updating"}
    second = tick(made, {"c0": DARK}, first.marks)
    assert second.state.value == "Failing"


@pytest.mark.parametrize("said", [{"restores": True}, {"lane": Lane.CATCH_UP}])
@pytest.mark.parametrize("rule", [OfflineRule.WAIT, OfflineRule.FAIL])
def test_a_dark_cluster_never_holds_what_restores_or_catches_up(
    rule: OfflineRule, said: dict[str, object]
) -> None:
    made = replace(plan(rule, "c0", "c1", min_healthy=0), **said)  # type: ignore[arg-type]
    first = tick(made, {"c1": DARK})
    step = tick(made, {"c0": healthy(), "c1": DARK}, first.marks, 1)
    assert stage_states(step) == {"one": "Done"}


def test_one_that_never_registered_is_pending_under_every_rule() -> None:
    unseen = cluster(online=False, registered=False)
    for rule in OfflineRule:
        made = plan(rule, "c0", "c1")
        first = tick(made, {"c1": unseen})
        step = tick(made, {"c0": healthy(), "c1": unseen}, first.marks, 1)
        assert stage_states(step) == {"one": "Done"}
        assert step.stages[0].denominator == 1


def test_the_run_looks_again_when_silence_becomes_offline() -> None:
    made = plan(OfflineRule.WAIT, "c0")
    step = tick(made, {"c0": cluster(offered=0, dark_at=after(60))})
    assert step.wake_at == after(60)
