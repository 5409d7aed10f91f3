"""What a newer run does to a live one of the same bundle: `supersede.policy`, and its bounds.

::

    Queue           the live one continues   the new one waits, first come first served
    CoalesceLatest  the live one continues   the new one waits, only the newest is kept
    FinishStage     the live one finishes the stages in which it has started something, starts no
                    other, and is Superseded the new one waits for that
    Immediate       the live one assigns nothing more and is Superseded
                                             the new one starts at once

A run with a failure that nobody answered is replaced under every policy, and one that rolls back
comes to its end first: that is `RunRecord`'s to say; here are the others. Two bounds make
FinishStage and Immediate wait as CoalesceLatest does:

- after `maxDeferrals` superseded runs in a row the next is not preemptible until it has succeeded,
  so production moves at least once every `maxDeferrals + 1` revisions (I19);
- never are more than `maxLiveUnbaked` un-baked revisions of a bundle in the fleet at once (I17).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fleet.rollout.rules import SupersedePolicy, SupersedeRules
from fleet.rollout.situation import RunRecord, Situation
from fleet.rollout.states import RunState

_PREEMPTS = (SupersedePolicy.FINISH_STAGE, SupersedePolicy.IMMEDIATE)


def choose(
    rules: SupersedeRules,
    active: Iterable[RunRecord],
    bundles: Sequence[str],
    situation: Situation,
) -> SupersedePolicy:
    """What a new run of these bundles does to the live ones that are in its way."""
    if rules.policy not in _PREEMPTS:
        return rules.policy
    if any(deferrals(situation.runs, one) >= rules.max_deferrals for one in active):
        return SupersedePolicy.COALESCE_LATEST
    if live_unbaked(bundles, situation) + 1 > rules.max_live_unbaked:
        return SupersedePolicy.COALESCE_LATEST
    return rules.policy


def deferrals(runs: Sequence[RunRecord], record: RunRecord) -> int:
    """How many runs of its bundles were superseded in a row before this one; `runs` oldest first.

    Those that had failed are not counted: they are replaced under every policy.
    """
    found, bundles = 0, set(record.plan.bundles)
    older = [r for r in runs if r.plan.number < record.plan.number and r.is_staged]
    for other in reversed(older):
        if bundles.isdisjoint(other.plan.bundles):
            continue
        if other.state is RunState.SUCCEEDED:
            break
        found += other.state is RunState.SUPERSEDED and not other.breached
    return found


def live_unbaked(bundles: Iterable[str], situation: Situation) -> int:
    """Most revisions of one of the bundles that clusters run now and have not baked."""
    return max((len(situation.unbaked.get(bundle, ())) for bundle in bundles), default=0)
