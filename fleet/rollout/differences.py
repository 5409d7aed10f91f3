"""What is wanted and not granted: bundle → cluster → digest, removals as `absent`.

Missing data is not an order to delete: what did not render, a bundle or cluster that is held, and a
cluster that suddenly wants nothing at all keep what they have, and are shown as held. A cluster
that is no longer declared is released, never emptied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout import removals
from fleet.rollout.rules import Rules
from fleet.rollout.run_plan import Change
from fleet.rollout.situation import Held, RunRecord, Situation, Wanted
from fleet.rollout.states import RunState


@dataclass(frozen=True, slots=True)
class Differences:
    """What differs, and what differs and is held."""

    of: dict[str, dict[str, Digest]] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)


def differences(situation: Situation) -> Differences:
    """Every bundle × cluster whose wanted digest is not the one last granted."""
    found = Differences()
    if not situation.wanted and any(situation.assigned.values()):
        found.held.append(
            Held("", "", "TurndownSuspected", "no cluster is declared any more; nothing is removed")
        )
    for cluster in sorted(situation.wanted):
        wanted = situation.wanted[cluster]
        granted = situation.assigned.get(cluster, {})
        if wanted == granted:
            continue
        for bundle in sorted({*wanted, *granted}):
            _compare(situation, found, cluster, bundle)
    return found


def _compare(situation: Situation, found: Differences, cluster: str, bundle: str) -> None:
    have = situation.assigned.get(cluster, {}).get(bundle, ABSENT)
    want = target_digest(situation, cluster, bundle)
    if want is not None:
        if want != have:
            found.of.setdefault(bundle, {})[cluster] = want
        return
    if situation.wanted[cluster].get(bundle, ABSENT) is None:
        found.held.append(Held(bundle, cluster, "NotRendered", "it did not render at this commit"))
    elif have != ABSENT:
        found.held.append(Held(bundle, cluster, *_why_kept(situation, cluster, bundle)))


def _why_kept(situation: Situation, cluster: str, bundle: str) -> tuple[str, str]:
    if bundle in situation.held or cluster in situation.held_clusters:
        return "DeclarationUnreadable", "its declaration could not be read; it stays as it is"
    return "TurndownSuspected", "the cluster suddenly wants no bundle at all; nothing is removed"


def hold_removals(
    situation: Situation, found: Differences, rules_of: Callable[[str], tuple[Rules, int] | None]
) -> Situation:
    """Take the removals that look like missing data out of what differs; they are held.

    `rules_of(bundle)`: the rules of its policy, and how many clusters that has.
    """
    pairs = set()
    for bundle in sorted(found.of):
        renamed = situation.handovers.renamed
        gone = {c for c, d in found.of[bundle].items() if d == ABSENT}
        removing = {c for c in gone if (c, bundle) not in renamed}
        open_ones = {c for c in removing if not _may_go(situation, c, bundle)}
        open_ones -= _under_way(situation, bundle) | _restored(situation, bundle, open_ones)
        found_rules = rules_of(bundle) if open_ones else None
        if found_rules is None:
            continue
        having = sum(bundle in some for some in situation.assigned.values())
        why = removals.suspicion(*found_rules, len(removing), having)
        if why:
            pairs |= {(cluster, bundle) for cluster in open_ones}
            found.held.extend(Held(bundle, c, removals.CODE, why) for c in sorted(open_ones))
            for cluster in open_ones:
                del found.of[bundle][cluster]
            if not found.of[bundle]:
                del found.of[bundle]
    return replace(situation, held_removals=frozenset(pairs)) if pairs else situation


def _restored(situation: Situation, bundle: str, clusters: Iterable[str]) -> set[str]:
    """Clusters that had nothing of the bundle before a failed run: a revert needs nobody."""
    newest_first = situation.runs[::-1]
    return {c for c in clusters if baseline(newest_first, c, bundle) == ABSENT}


def _under_way(situation: Situation, bundle: str) -> set[str]:
    """Clusters that a live run takes the bundle from: it was judged when that run was made."""
    return {
        cluster
        for record in situation.runs
        if record.is_live
        for cluster, digest in carried(record, bundle).items()
        if digest == ABSENT
    }


def target_digest(situation: Situation, cluster: str, bundle: str) -> Digest | None:
    """The digest that a cluster is to move to, `absent` to remove; `None`: no conclusion."""
    wanted = situation.wanted.get(cluster)
    if wanted is None or cluster in situation.held_clusters:
        return None
    found = wanted.get(bundle, ABSENT)
    if found != ABSENT:
        return found
    if bundle in situation.held or (cluster, bundle) in situation.held_removals:
        return None
    return None if _wants_nothing(wanted) and not _may_go(situation, cluster, bundle) else ABSENT


def _may_go(situation: Situation, cluster: str, bundle: str) -> bool:
    """Did a person approve that what the cluster has of the bundle goes?"""
    have = situation.assigned.get(cluster, {}).get(bundle, ABSENT)
    return have == ABSENT or (cluster, bundle, have) in situation.removals_approved


def _wants_nothing(wanted: Wanted) -> bool:
    """An empty set of bundles where there was one is not a turn-down."""
    return all(digest == ABSENT for digest in wanted.values())


def carried(record: RunRecord, bundle: str) -> dict[str, Digest]:
    """Cluster → the digest of `bundle` that a run brings there; who left it gets nothing of it."""
    return {
        cluster: change.wanted
        for cluster, changes in record.plan.changes.items()
        if cluster not in record.plan.left
        for change in changes
        if change.bundle == bundle
    }


def baseline(records: Iterable[RunRecord], cluster: str, bundle: str) -> Digest | None:
    """What the cluster ran before the unbroken row of unsuccessful runs; `None`: there is none.

    `records` newest first.
    """
    found: Digest | None = None
    for record in records:
        if not record.is_staged or bundle not in record.plan.bundles:
            continue
        if record.state is RunState.SUCCEEDED:
            break
        for change in record.plan.changes.get(cluster, ()):
            if change.bundle == bundle:
                found = change.previous or ABSENT
    return found


def change_alike(
    one: Mapping[str, tuple[Change, ...]], other: Mapping[str, tuple[Change, ...]]
) -> bool:
    """Do two runs change the same, from the same, in the same clusters?"""
    mine, yours = (
        {c: [(x.bundle, x.wanted, x.previous) for x in some] for c, some in each.items()}
        for each in (one, other)
    )
    return mine == yours
