"""The catch-up lane: late, returning and new clusters get what the last succeeded runs brought.

One live run of the lane for each rollout; it has slots of its own and no gates but windows, is
charged to no budget, and never keeps a staged run from ending. It carries bundles that no staged
run is changing as Git wants them now, others as of their last succeeded run (`late`), and only to
clusters that are online; the others are shown as waiting.

A cluster that does not get there is tried `TRIES` times, with a longer pause before each; then, and
once a change is owed for longer than `catchUp.within`, it waits for a Decision (`catch-up`). A try
is a run of the lane that ended with the cluster failed under the digest that is still owed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from clusters.objects import Digest
from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.plans import Planner
from fleet.rollout.run_plan import Change
from fleet.rollout.situation import Held, RunRecord, Situation
from fleet.rollout.stages import Policy

TRIES = 3
PAUSES = (timedelta(minutes=5), timedelta(minutes=30))
"""Before the second try, before the third."""


def open_lane(
    planner: Planner,
    live: Iterable[RunRecord],
    superseded: dict[str, str],
    owed: Mapping[str, Mapping[str, Digest]],
    held: list[Held],
    wakes: list[datetime],
    behind: Mapping[str, Mapping[str, Digest]],
) -> None:
    """Add a run of the lane for each rollout that owes something and has none; end old ones.

    `behind` is what is owed as of the last succeeded run. A live run of the lane that shares a
    bundle with a new staged run is replaced by it. When a pause ends is added to `wakes`.
    """
    busy = {bundle for record in live for bundle in record.plan.bundles}
    running = _replace_old(planner, superseded)
    busy |= {bundle for run in planner.made for bundle in run.bundles}
    by_policy: dict[str, tuple[Policy, dict[str, list[Change]]]] = {}
    free = {bundle: some for bundle, some in owed.items() if bundle not in busy}
    for bundle, some in sorted([*free.items(), *behind.items()], key=lambda pair: pair[0]):
        policy = planner.policy_of(bundle)
        if policy is None:
            continue
        for cluster, digest in some.items():
            late = _asks(planner.situation, policy, bundle, cluster, digest, wakes)
            if late is not None:
                held.append(late)
            elif cluster not in planner.situation.online:
                why = "gets its change when it comes online"
                held.append(Held(bundle, cluster, "WaitsToComeOnline", why))
            elif policy.name in running:
                why = f"after run {running[policy.name]} of the catch-up lane"
                held.append(Held(bundle, cluster, "WaitsForLane", why))
            else:
                have = planner.granted(cluster, bundle)
                change = planner.change(cluster, bundle, digest, have)
                _, changes = by_policy.setdefault(policy.name, (policy, {}))
                changes.setdefault(cluster, []).append(change)
    for name in sorted(by_policy):
        policy, found = by_policy[name]
        planner.catch_up(policy, {c: tuple(found[c]) for c in sorted(found)})


def asked(decisions: Iterable[Decision]) -> dict[str, datetime]:
    """Cluster → when a person last asked to try it again."""
    return {
        cluster: decision.at
        for decision in sorted(decisions, key=lambda one: one.number)
        if decision.verb is Verb.CATCH_UP
        for cluster in decision.clusters
    }


def _asks(
    situation: Situation,
    policy: Policy,
    bundle: str,
    cluster: str,
    digest: Digest,
    wakes: list[datetime],
) -> Held | None:
    """Why the lane does not try this cluster now, if so."""
    again = situation.catch_up_asked.get(cluster)
    tries = _tries(situation, bundle, cluster, digest, again)
    if len(tries) >= TRIES:
        why = f"tried {len(tries)} times, last at {max(tries):%F %T}; `fleet rollout catch-up`"
        return Held(bundle, cluster, "CatchUpFailed", f"{why} tries again")
    if tries:
        due = max(tries) + PAUSES[len(tries) - 1]
        if situation.now < due:
            wakes.append(due)
            why = f"try {len(tries) + 1} of {TRIES} of the catch-up lane at {due:%F %T}"
            return Held(bundle, cluster, "CatchUpPauses", why)
    since = _owed_since(situation, bundle, cluster)
    within = timedelta(seconds=policy.rules.connectivity.catch_up.within_seconds)
    if since is not None and situation.now > max(since, again or since) + within:
        why = f"late since {since:%F %T}, longer than catchUp.within; `fleet rollout catch-up`"
        return Held(bundle, cluster, "CatchUpOverdue", f"{why} brings it up all the same")
    return None


def _tries(
    situation: Situation, bundle: str, cluster: str, digest: Digest, asked: datetime | None
) -> list[datetime]:
    """When each failed try ended, those before the last Decision left out."""
    return [
        record.ended_at
        for record in situation.runs
        if not record.is_staged and record.ended_at is not None and cluster in record.failed
        if asked is None or record.ended_at > asked
        if any(
            change.bundle == bundle and change.wanted == digest
            for change in record.plan.changes.get(cluster, ())
        )
    ]


def _owed_since(situation: Situation, bundle: str, cluster: str) -> datetime | None:
    """When the run ended that passed the cluster by; `None`: it is new and owes nobody time."""
    for record in reversed(situation.runs):
        if record.is_staged and bundle in record.plan.bundles:
            passed_by = cluster in record.plan.changes
            return record.ended_at if passed_by else None
    return None


def _replace_old(planner: Planner, superseded: dict[str, str]) -> dict[str, str]:
    """Policy → its live run of the lane, after those that a new staged run meets have ended."""
    running = {}
    for record in planner.situation.runs:
        if not record.is_live or record.is_staged:
            continue
        bundles = set(record.plan.bundles)
        newer = next((run for run in planner.made if bundles & set(run.bundles)), None)
        if newer is None:
            running[record.plan.rollout] = record.plan.uid
        else:
            superseded[record.plan.uid] = newer.uid
    return running
