"""How much may go wrong in a stage: failureBudget and minHealthy.

Denominators are frozen when the stage starts: joins never enlarge the tolerance, leaves never
forget a failure. A budget counts distinct clusters that ever failed in this run and stage. A
breach stands until a retry answers what failed; the next failure after that breaches again.
"""

from __future__ import annotations

from fleet.rollout import numbers
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import StagePlan


def failure_budget(stage: StagePlan, denominator: int) -> int:
    """How many of `denominator` clusters may fail; never more than was planned."""
    if not stage.failure_budget_said:
        return stage.failure_budget
    said = numbers.amount_of(stage.failure_budget_said)
    return min(stage.failure_budget, numbers.failure_budget(said, denominator))


def min_healthy(stage: StagePlan, denominator: int) -> int:
    """How many must be Healthy; a percentage is taken of `denominator`, a count stays."""
    if not stage.min_healthy_said:
        return stage.min_healthy
    said = numbers.amount_of(stage.min_healthy_said)
    return min(stage.min_healthy, numbers.min_healthy(said, denominator))


def judge(stage: StagePlan, memory: Memory) -> None:
    """Mark the stage as breached if more failed than may. Called before anything is assigned."""
    if stage.name not in memory.started or stage.name in memory.breached:
        return
    budget = failure_budget(stage, memory.denominators.get(stage.name, 0))
    count = memory.count_failed(stage.name)
    standing = memory.failed_in(stage.name) if count > budget else []
    if standing:
        names = ", ".join(sorted(standing)[:3]) + (", …" if len(standing) > 3 else "")
        memory.breached[stage.name] = f"{count} failed, the budget is {budget}: {names}"


def judge_settled(stage: StagePlan, healthy: int, memory: Memory) -> None:
    """Mark a settled stage as breached if too few are Healthy, whatever the budget says."""
    least = min_healthy(stage, memory.denominators.get(stage.name, 0))
    if healthy < least and stage.name not in memory.breached:
        memory.breached[stage.name] = f"{healthy} Healthy, minHealthy is {least}"
