"""How much may go wrong in a stage: failureBudget and minHealthy.

Denominators are frozen when the stage starts: joins never enlarge the tolerance, leaves never
forget a failure. A budget counts distinct clusters that ever failed in this run and stage, but for
those that a person forgave. A breach stands until a retry, skip or forgiveness answers what failed;
the next failure after that breaches again.
`consecutive` counts failures in a row, in the order in which clusters finished (became Healthy or
failed): a bad build shows in a row of failures long before it shows in a percentage.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from fleet.rollout import numbers
from fleet.rollout.memory import Memory
from fleet.rollout.rules import FailureAction, FailureRules, FailureScope
from fleet.rollout.run_plan import StagePlan
from fleet.rollout.standing import Standing
from fleet.rollout.states import ClusterState


def failure_budget(stage: StagePlan, denominator: int) -> int:
    """How many of `denominator` clusters may fail; never more than was planned."""
    if not stage.failure_budget_said:
        return stage.failure_budget
    said = numbers.amount_of(stage.failure_budget_said)
    return min(stage.failure_budget, numbers.failure_budget(said, denominator))


def min_healthy(stage: StagePlan, denominator: int) -> int:
    """How many must be Healthy; a percentage is taken of `denominator`, a count stays.

    Who joined before the stage started counts: more clusters need more that are Healthy.
    """
    if not stage.min_healthy_said:
        return stage.min_healthy
    said = numbers.amount_of(stage.min_healthy_said)
    return min(numbers.min_healthy(said, denominator), len(stage.clusters))


def stops_at_once(rules: FailureRules) -> bool:
    """Is a breach one as soon as it is there, or only when all of the stage were tried?"""
    return rules.scope is not FailureScope.CLUSTER


def judge(stage: StagePlan, standings: Sequence[Standing], memory: Memory) -> None:
    """Mark the stage as breached if more failed than may. Called before anything is assigned."""
    if stage.name not in memory.started:
        return
    row = _in_a_row(stage, standings, memory)
    why = _too_many(stage, memory) or row
    if not why or stage.name in memory.breached:
        return
    standing = memory.failed_in(stage.name)
    if standing:
        names = ", ".join(sorted(standing)[:3]) + (", …" if len(standing) > 3 else "")
        memory.breached[stage.name] = f"{why}: {names}"


def _too_many(stage: StagePlan, memory: Memory) -> str:
    budget = failure_budget(stage, memory.denominators.get(stage.name, 0))
    count = memory.count_charged(stage.name)
    return f"{count} failed, the budget is {budget}" if count > budget else ""


def _in_a_row(stage: StagePlan, standings: Sequence[Standing], memory: Memory) -> str:
    """Adds those that finished in this tick to the row, in their order."""
    if stage.consecutive is None:
        return ""
    streaks = dict(memory.failure.streaks)
    row = before = streaks.get(stage.name, 0)
    longest = row
    for _, _, failed in sorted(_finished(standings, memory)):
        row = row + 1 if failed else 0
        longest = max(longest, row)
    if row != before:
        streaks[stage.name] = row
        memory.failure = replace(memory.failure, streaks=tuple(sorted(streaks.items())))
    return f"{longest} failed in a row" if longest >= stage.consecutive else ""


def _finished(
    standings: Sequence[Standing], memory: Memory
) -> Iterator[tuple[datetime, str, bool]]:
    """(when, who, did it fail) of those that finished in this tick."""
    for one in standings:
        well = one.state is ClusterState.HEALTHY
        fresh = well and memory.seen_clusters.get(one.cluster) is not ClusterState.HEALTHY
        if one.since is not None and (fresh or one.newly_failed):
            yield one.since, one.cluster, one.newly_failed


def judge_settled(
    rules: FailureRules,
    stage: StagePlan,
    standings: Sequence[Standing],
    healthy: int,
    present: int,
    memory: Memory,
) -> None:
    """Mark a settled stage as breached if too few are Healthy, whatever the budget says.

    Never are more asked for than did not leave (`present`).
    With `scope: Cluster` its budget is judged here too; with `action: Continue` it never is.
    """
    if not stops_at_once(rules) and rules.action is not FailureAction.CONTINUE:
        judge(stage, standings, memory)
    if (stage.name, "") in memory.failure.forgiven:
        return
    least = min(min_healthy(stage, memory.denominators.get(stage.name, 0)), present)
    if healthy < least and stage.name not in memory.breached:
        memory.breached[stage.name] = f"{healthy} Healthy, minHealthy is {least}"
