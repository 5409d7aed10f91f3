"""What new and late clusters are owed while the newest run of a bundle has not succeeded.

A cluster that joined after the bundle's last succeeded run, or that this run passed by, need not
wait for what a newer run may never bring: the catch-up lane brings it the bundle as of the commit
of the last succeeded run, rendered with today's declaration of the cluster (`Situation.as_of`).

::

    new    nothing of the bundle was granted there, it joined after the last succeeded run
           (with `onJoin: NextRun` it waits for the next)
    late   that run was to bring it the bundle, and it runs something else
    never  one that a newer run has touched, or is about to move: nobody goes back and forth

Content that is not known yet is asked for, once; until then the cluster waits as before. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout.differences import carried
from fleet.rollout.rules import OnJoin
from fleet.rollout.situation import Asked, RunRecord, Situation
from fleet.rollout.states import RunState


@dataclass(slots=True)
class Late:
    """What is owed, and what must be known to say it."""

    owed: dict[str, dict[str, Digest]] = field(default_factory=dict)
    """Bundle → cluster → digest."""
    asked: set[Asked] = field(default_factory=set)


def late(
    situation: Situation,
    runs: Iterable[RunRecord],
    differing: Mapping[str, Mapping[str, Digest]],
) -> Late:
    """What is owed of bundles as of their last succeeded run, where a newer one is there.

    `runs`: those of the situation that go on, and what is being made, oldest first.
    """
    found = Late()
    by_bundle: dict[str, list[RunRecord]] = {}
    for record in runs:
        for bundle in record.plan.bundles if record.is_staged else ():
            by_bundle.setdefault(bundle, []).append(record)
    for bundle in sorted(by_bundle.keys() & differing.keys()):
        _judge(situation, by_bundle[bundle], bundle, differing[bundle], found)
    return found


def _judge(
    situation: Situation,
    runs: list[RunRecord],
    bundle: str,
    differing: Mapping[str, Digest],
    found: Late,
) -> None:
    last = next((r for r in reversed(runs) if r.state is RunState.SUCCEEDED), None)
    newer = [r for r in runs if last is not None and r.plan.number > last.plan.number]
    if last is None or not newer or any(r.is_live and r.plan.restores for r in newer):
        return
    brought, coming = carried(last, bundle), [carried(r, bundle) for r in newer if r.is_live]
    taken = {cluster for record in newer for cluster in record.touched | _moving(record)}
    key = (last.plan.commit, bundle)
    for cluster in sorted(differing.keys() - taken):
        have = situation.assigned.get(cluster, {}).get(bundle, ABSENT)
        if not _is_owed(situation, last, cluster, have, brought.get(cluster)):
            continue
        want = situation.as_of.get(key, {}).get(cluster)
        if key not in situation.as_of:
            found.asked.add(key)
        elif want is not None and want not in (ABSENT, have, *(c.get(cluster) for c in coming)):
            found.owed.setdefault(bundle, {})[cluster] = want


def _is_owed(
    situation: Situation, last: RunRecord, cluster: str, have: Digest, brought: Digest | None
) -> bool:
    if brought is not None:
        return brought not in (ABSENT, have)
    if have != ABSENT or last.plan.rules.membership.on_join is OnJoin.NEXT_RUN:
        return False
    since = situation.declared.get(cluster) if situation.declared else None
    return since is None or since >= last.plan.created


def _moving(record: RunRecord) -> set[str]:
    """The clusters of stages that a run goes through now: their turn comes soon."""
    if record.state is not RunState.RUNNING or record.breached:
        return set()
    stages = (stage for stage in record.plan.stages if stage.name in record.started - record.done)
    return {cluster for stage in stages for cluster in stage.clusters}
