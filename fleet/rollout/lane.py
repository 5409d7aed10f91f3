"""The catch-up lane: late, returning and new clusters get what the last succeeded runs brought.

One live run of the lane for each rollout; it has slots of its own and no gates but windows, is
charged to no budget, and never keeps a staged run from ending. It carries only bundles that no
staged run is changing, and only clusters that are online; the others are shown as waiting.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from clusters.objects import Digest
from fleet.rollout.plans import Planner
from fleet.rollout.run_plan import Change
from fleet.rollout.situation import Held, RunRecord
from fleet.rollout.stages import Policy


def open_lane(
    planner: Planner,
    live: Iterable[RunRecord],
    superseded: dict[str, str],
    owed: Mapping[str, Mapping[str, Digest]],
    held: list[Held],
) -> None:
    """Add a run of the lane for each rollout that owes something and has none; end old ones.

    A live run of the lane that shares a bundle with a new staged run is replaced by it.
    """
    busy = {bundle for record in live for bundle in record.plan.bundles}
    running = _replace_old(planner, superseded)
    busy |= {bundle for run in planner.made for bundle in run.bundles}
    by_policy: dict[str, tuple[Policy, dict[str, list[Change]]]] = {}
    for bundle in sorted(owed):
        if bundle in busy:
            continue
        policy = planner.policy_of(bundle)
        if policy is None:
            continue
        for cluster, digest in owed[bundle].items():
            if cluster not in planner.situation.online:
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
