"""The freeze: nothing starts, and people see why."""

from __future__ import annotations

from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.freezing import by_people, frozen
from fleet.rollout.states import RunState
from tests.fleet.rollout.builders import (
    after,
    cluster,
    decision,
    healthy,
    offered,
    run,
    stage,
    stage_states,
    tick,
)
from tests.fleet.rollout.test_caps import budget

FROZEN = budget(freeze={"active": True, "reason": "year end"})
OPEN_TO_HOTFIX = budget(freeze={"active": True, "reason": "year end", "allowClasses": ["hotfix"]})


def test_frozen_nothing_starts_and_what_is_offered_is_withdrawn() -> None:
    plan = run(stage("one", "c0", "c1", parallelism=1))
    step = tick(plan, {"c0": offered()}, budgets=(FROZEN,))
    assert (step.offer, step.withdraw) == ((), ("c0",))
    assert step.state is RunState.RUNNING
    assert {one.code for one in step.clusters} == {"Frozen"}
    assert "year end" in step.reason


def test_what_a_freeze_takes_back_is_looked_at_again_at_once() -> None:
    """A dark cluster that loses its offer holds no stage open: nobody else would tell the run."""
    plan = run(stage("one", "c0", "c1", parallelism=2), stage("two", "d", depends_on=("one",)))
    dark = cluster(offered=0, online=False)
    step = tick(plan, {"c0": dark, "c1": healthy()}, budgets=(FROZEN,))
    assert (step.withdraw, stage_states(step)["one"]) == (("c0",), "Updating")
    assert step.wake_at == after(0)
    again = {"c0": cluster(offered=0, withdrawn=0, online=False), "c1": healthy()}
    done = tick(plan, again, step.marks, budgets=(FROZEN,))
    assert stage_states(done)["one"] == "Done"


def test_what_has_started_settles_and_soaks_while_it_is_frozen() -> None:
    plan = run(stage("one", "c0", soak_seconds=60))
    soaking = tick(plan, {"c0": healthy()}, budgets=(FROZEN,))
    done = tick(plan, {"c0": healthy()}, soaking.marks, 61, budgets=(FROZEN,))
    assert dict(done.marks.done)


def test_the_hotfix_lane_passes_where_it_is_allowed() -> None:
    plan = run(stage("one", "c0"))
    assert tick(plan, {}, budgets=(OPEN_TO_HOTFIX,)).offer == ()
    assert tick(plan, {}, budgets=(OPEN_TO_HOTFIX,), is_hotfix=True).offer == ("c0",)
    assert tick(plan, {}, budgets=(FROZEN,), is_hotfix=True).offer == ()
    both = (OPEN_TO_HOTFIX, FROZEN)
    assert tick(plan, {}, budgets=both, is_hotfix=True).offer == (), "each has to let it pass"


def test_a_rollback_passes_unless_it_is_blocked() -> None:
    hard = budget(freeze={"active": True, "reason": "x", "blocksRollback": True})
    assert frozen(Evidence({}, budgets=(FROZEN,)), rollback=True) is None
    assert frozen(Evidence({}, budgets=(hard,)), rollback=True) is not None


def test_a_run_that_only_restores_is_the_way_back_too() -> None:
    """`git revert` of what went wrong or was under way brings back what was there, as a rollback.

    Mutation that breaks it: `_moving` asks `frozen` without `rollback`.
    """
    plan = run(stage("one", "c0"), restores=True)
    hard = budget(freeze={"active": True, "reason": "x", "blocksRollback": True})
    assert tick(plan, {}, budgets=(FROZEN,)).offer == ("c0",)
    held = tick(plan, {}, budgets=(hard,))
    assert (held.offer, held.clusters[0].code) == ((), "Frozen")
    moving = tick(plan, {}, budgets=(FROZEN,))
    assert "frozen" not in moving.reason, "nobody is told of a freeze that holds nothing"


def test_people_freeze_until_they_unfreeze() -> None:
    on = decision(1, Verb.FREEZE, run="", reason="incident 7")
    off = decision(2, Verb.UNFREEZE, run="")
    again = decision(3, Verb.FREEZE, run="", reason="incident 8")
    assert by_people([]) is None
    assert by_people([off, on]) is None, "their numbers are their order"
    found = by_people([on, off, again])
    assert found is not None
    assert found.freeze.reason == "incident 8"
    step = tick(run(stage("one", "c0")), {}, budgets=(found,))
    assert step.offer == ()
    assert "incident 8" in step.clusters[0].reason
