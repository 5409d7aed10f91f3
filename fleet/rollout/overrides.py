"""May this person pass the policy like this? `overrides` of the policy, judged before it is stored.

::

    skip      SkipCluster    a cluster that has started nothing of the run, or failed in it
    retry     RetryCluster   what failed
    forgive                  what failed, without trying it again
    override  ForceGate      one gate passes

`overrides.allow` names what may be done, `overrides.roles` the groups who may (empty: everybody who
may decide at all). Forcing a gate and forgiving always need a reason, the others with
`requireReason`. Who has the operator's token where the hub knows no people is in every group.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.rollout.decisions import EVERY_GROUP, Decision, Verb
from fleet.rollout.gate_kinds import Side
from fleet.rollout.gates.scope import gates_of
from fleet.rollout.marks import Marks
from fleet.rollout.rules import Override
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import ClusterState

KINDS: Mapping[Verb, Override | None] = {
    Verb.SKIP: Override.SKIP_CLUSTER,
    Verb.RETRY: Override.RETRY_CLUSTER,
    Verb.OVERRIDE: Override.FORCE_GATE,
    Verb.FORGIVE: None,
}
NEED_A_REASON = frozenset({Verb.OVERRIDE, Verb.FORGIVE})
_SKIPPABLE = frozenset(
    {
        *(ClusterState.QUEUED, ClusterState.ASSIGNED, ClusterState.OFFLINE, ClusterState.PENDING),
        *(ClusterState.FAILED, ClusterState.TIMED_OUT, ClusterState.STILL_UNHEALTHY),
    }
)


def refusal(decision: Decision, run: RunPlan, marks: Marks) -> str:
    """Why the policy of the run does not let this person decide so; empty if it does."""
    if decision.verb not in KINDS:
        return ""
    rules, kind = run.rules.overrides, KINDS[decision.verb]
    if kind is not None and kind not in rules.allow:
        return f"the rollout does not allow {kind.value}"
    known = EVERY_GROUP in decision.groups or not set(rules.roles).isdisjoint(decision.groups)
    if rules.roles and not known:
        return f"only {' or '.join(rules.roles)} may {decision.verb} here"
    if not decision.reason and (rules.require_reason or decision.verb in NEED_A_REASON):
        return f"{decision.verb} needs a reason"
    if decision.verb is Verb.SKIP:
        return _refuse_skip(decision, run, marks)
    if decision.verb is Verb.OVERRIDE:
        return _refuse_force(decision, run)
    if decision.verb is Verb.FORGIVE and not (marks.failed or marks.breached):
        return f"nothing has failed in run {run.uid}"
    return ""


def _refuse_skip(decision: Decision, run: RunPlan, marks: Marks) -> str:
    if not decision.clusters:
        return "say which clusters to skip"
    seen = dict(marks.seen_clusters)
    for cluster in decision.clusters:
        if cluster not in run.changes:
            return f"run {run.uid} changes nothing in {cluster}"
        state = ClusterState(seen.get(cluster, ClusterState.QUEUED.value))
        if state not in _SKIPPABLE:
            return f"{cluster} is {state.value}: what has started is never skipped"
    return ""


def _refuse_force(decision: Decision, run: RunPlan) -> str:
    known = [
        name
        for stage in run.stages
        for side in (Side.BEFORE, Side.AFTER)
        for name, _ in gates_of(run, stage, side)
    ]
    if decision.gate in known:
        return ""
    return f"run {run.uid} has no gate {decision.gate!r}; it has {', '.join(known) or 'none'}"
