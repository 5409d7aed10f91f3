"""The freeze: nothing starts, for a reason that people gave, in Git or by a Decision.

::

    Git        RolloutBudget.freeze, always live
    people     `freeze` … `unfreeze`, Decisions on the fleet; the last one counts

Either is enough; each is lifted where it was made. It holds starts, not health: what has started
settles, soaks go on. Allowed classes of runs pass (`hotfix`, which a person's Decision makes one),
and the way back does unless `blocksRollback`: a rollback, and a run that only restores what ran
before unsuccessful ones, which is what a `git revert` of them makes. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import Evidence
from fleet.rollout.reasons import Reason
from fleet.rollout.shared_budget import Freeze, RolloutBudget

HOTFIX = "hotfix"


def frozen(evidence: Evidence, *, rollback: bool = False) -> Reason | None:
    """Why nothing of the run may start now, or `None`."""
    for budget in evidence.budgets:
        freeze = budget.freeze
        if not freeze.active or (rollback and not freeze.blocks_rollback):
            continue
        if evidence.is_hotfix and HOTFIX in freeze.allow_classes:
            continue
        return Reason("Frozen", f"frozen by {budget.name}: {freeze.reason}")
    return None


def by_people(decisions: Iterable[Decision]) -> RolloutBudget | None:
    """The freeze that people decided and did not lift, as a budget that only freezes."""
    last: Decision | None = None
    for decision in sorted(decisions, key=lambda one: one.number):
        if decision.verb in (Verb.FREEZE, Verb.UNFREEZE):
            last = decision
    if last is None or last.verb is Verb.UNFREEZE:
        return None
    return RolloutBudget(last.actor, Freeze(True, last.reason, (HOTFIX,)))
