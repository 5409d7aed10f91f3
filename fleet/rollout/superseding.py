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

A run in the hotfix lane does what `hotfix.policy` says, is held up by no deferrals and may exceed
`maxLiveUnbaked` by one. Runs that are not wait for one that is, whatever the policy: a freeze that
it passes would hold them.
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
    *,
    is_hotfix: bool = False,
) -> SupersedePolicy:
    """What a run of these bundles that has not begun does to the live ones that are in its way."""
    lane = rules.hotfix if is_hotfix else None
    policy = lane.policy if lane else rules.policy
    if policy not in _PREEMPTS:
        return policy
    if not lane and any(_goes_first(rules, one, situation) for one in active):
        return SupersedePolicy.COALESCE_LATEST
    most = rules.max_live_unbaked + (1 if lane else 0)
    if live_unbaked(bundles, situation) + 1 > most:
        return SupersedePolicy.COALESCE_LATEST
    return policy


def _goes_first(rules: SupersedeRules, one: RunRecord, situation: Situation) -> bool:
    return one.is_hotfix or deferrals(situation.runs, one) >= rules.max_deferrals


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
