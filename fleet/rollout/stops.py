"""What a breach stops, by `onFailure.scope`.

::

    Run      every stage, siblings in the DAG included
    Stage    the stage and all that depends on it; its siblings go on
    Cluster  nothing while the stage has clusters left to try (`budgets`); then as Stage

A rollback takes back all that the run touched, so with `Rollback` nothing of the run goes on,
whatever the scope. Nor does it where the breach writes a veto: what failed in one stage is not
tried in its sibling.
"""

from __future__ import annotations

from fleet.rollout import vetoes
from fleet.rollout.memory import Memory
from fleet.rollout.rules import FailureAction, FailureScope
from fleet.rollout.run_plan import RunPlan


def stopped(run: RunPlan, memory: Memory) -> frozenset[str]:
    """The stages that start nothing and become nothing until what failed is answered."""
    if not memory.breached:
        return frozenset()
    rules = run.rules.on_failure
    reverts = rules.action is FailureAction.ROLLBACK and rules.scope is not FailureScope.CLUSTER
    if rules.scope is FailureScope.RUN or reverts or vetoes.at_breach(run, memory):
        return frozenset(stage.name for stage in run.stages)
    found: set[str] = set()
    for stage in run.stages:
        if stage.name in memory.breached or not found.isdisjoint(stage.depends_on):
            found.add(stage.name)
    return frozenset(found)


def goes_on(run: RunPlan, memory: Memory) -> bool:
    """Is there a stage that no breach stops and that is not Done? Then the action waits for it."""
    still = stopped(run, memory)
    return any(s.name not in still and s.name not in memory.done for s in run.stages)
