"""Which bundles need a new run, which changes are owed by the catch-up lane, which just wait.

A bundle gets no new run while its wanted digests are those that its newest run carries, whatever
that run's state (a retry reopens it). A run that was superseded does not count: what it carried
and its successor does not is wanted again.

::

    newest run   differs as carried, or new cluster   wanted digest changed since
    none         staged run                           staged run
    Succeeded    catch-up lane                        staged run
    live         waits                                staged run (queued, or supersedes)
    Aborted,     held until a commit changes it       staged run
    RolledBack…  (taken back in Git: catch-up lane
                 for a new cluster)
    Superseded,  staged run                           staged run
    reopened
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout.differences import carried, target_digest
from fleet.rollout.rules import OnJoin
from fleet.rollout.situation import Held, RunRecord, Situation
from fleet.rollout.states import RunState


@dataclass(slots=True)
class Needs:
    """The answer for every bundle."""

    staged: set[str] = field(default_factory=set)
    owed: dict[str, dict[str, Digest]] = field(default_factory=dict)
    """Bundle → cluster → digest: for the catch-up lane."""
    held: list[Held] = field(default_factory=list)


Beside = Callable[[str, str], tuple[str, tuple[str, ...]]]
"""(cluster, bundle) → its stage and the clusters of that stage."""


def needs(
    situation: Situation, differences: Mapping[str, Mapping[str, Digest]], beside: Beside
) -> Needs:
    """What every bundle needs, by its newest run."""
    newest = newest_staged(situation.runs)
    found = Needs()
    live = {bundle for record in situation.runs if record.is_live for bundle in _of(record)}
    for bundle in sorted({*differences, *live}):
        record = newest.get(bundle)
        differing = differences.get(bundle, {})
        if record is None or record.state is RunState.SUPERSEDED or record.reopened:
            if differing:
                found.staged.add(bundle)
            continue
        _judge(situation, record, bundle, differing, beside, found)
    return found


def newest_staged(runs: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """For each bundle its newest staged run; `runs` oldest first."""
    return {bundle: record for record in runs if record.is_staged for bundle in _of(record)}


def _of(record: RunRecord) -> tuple[str, ...]:
    return record.plan.bundles if record.is_staged else ()


def _judge(
    situation: Situation,
    record: RunRecord,
    bundle: str,
    differing: Mapping[str, Digest],
    beside: Beside,
    found: Needs,
) -> None:
    brings = carried(record, bundle)
    if _changed(situation, record, bundle, brings, differing, beside):
        found.staged.add(bundle)
        return
    for cluster, digest in differing.items():
        joins = cluster not in brings
        next_run = record.plan.rules.membership.on_join is OnJoin.NEXT_RUN
        if joins and next_run and record.state is RunState.SUCCEEDED:
            why = "it joined after the bundle's last run; the next one takes it on (onJoin)"
            found.held.append(Held(bundle, cluster, "WaitsForNextRun", why))
        elif record.state is RunState.SUCCEEDED or (
            joins
            and not record.is_live
            and _is_back(situation, bundle, brings, beside(cluster, bundle)[1])
        ):
            found.owed.setdefault(bundle, {})[cluster] = digest
        elif record.is_live and joins:
            why = f"joins when run {record.plan.uid} has succeeded"
            found.held.append(Held(bundle, cluster, "WaitsForRun", why))
        elif not record.is_live:
            code, what = _HOW_IT_ENDED.get(record.state, ("RunAborted", "was aborted"))
            why = f"run {record.plan.uid} {what}; the next change of the bundle takes it on"
            found.held.append(Held(bundle, cluster, code, why))


def _is_back(
    situation: Situation, bundle: str, brings: Mapping[str, Digest], stage: Iterable[str]
) -> bool:
    """Is what a run that failed was to bring wanted in no cluster of the stage any more, and what
    is wanted there now is what some of them run? Then the lane may bring a new cluster that, too.
    """
    wanted = {c: target_digest(situation, c, bundle) for c in stage}
    if any(digest is not None and brings.get(c) == digest for c, digest in wanted.items()):
        return False
    granted = {c: situation.assigned.get(c, {}).get(bundle, ABSENT) for c in wanted}
    return any(granted[c] == digest for c, digest in wanted.items() if digest != ABSENT)


_HOW_IT_ENDED = {
    RunState.ROLLED_BACK: ("RunRolledBack", "was rolled back"),
    RunState.ROLLBACK_FAILED: ("RollbackFailed", "could not be rolled back everywhere"),
}


def _changed(
    situation: Situation,
    record: RunRecord,
    bundle: str,
    brings: Mapping[str, Digest],
    differing: Mapping[str, Digest],
    beside: Beside,
) -> bool:
    """Does Git want something that neither the newest run nor a live one before it brings?"""
    if record.is_live:
        for cluster, digest in brings.items():
            wanted = target_digest(situation, cluster, bundle)
            if wanted is not None and wanted != digest:
                return True
    released: dict[str, bool] = {}
    for cluster, digest in differing.items():
        if cluster in brings:
            if brings[cluster] != digest:
                return True
        elif _comes(situation, cluster, bundle, digest):
            continue
        elif not is_new(situation, record, cluster):
            return True
        elif record.state is RunState.SUCCEEDED:
            stage, others = beside(cluster, bundle)
            if stage not in released:
                released[stage] = _is_released(situation, record, bundle, brings, others)
            if not released[stage]:
                return True
    return False


def is_new(situation: Situation, record: RunRecord, cluster: str) -> bool:
    """Did it join after the run was made, or leave it? Else a commit changed what it wants."""
    since = situation.declared.get(cluster) if situation.declared else None
    if since is not None:
        return since >= record.plan.created or cluster in record.plan.left
    return not situation.assigned.get(cluster)


def _is_released(
    situation: Situation,
    record: RunRecord,
    bundle: str,
    brings: Mapping[str, Digest],
    stage: Iterable[str],
) -> bool:
    """Was the bundle released to some cluster of the stage as it is now, or is it being?

    Only then a new cluster there is the lane's to bring up: nothing goes past the stages because a
    cluster is new.
    """
    for cluster in stage:
        wanted = target_digest(situation, cluster, bundle)
        if wanted is None or wanted == ABSENT:
            continue
        if situation.assigned.get(cluster, {}).get(bundle) == wanted:
            return True
        if record.is_live and cluster in brings:
            return True
    return False


def _comes(situation: Situation, cluster: str, bundle: str, digest: Digest) -> bool:
    """Does some live run bring exactly this?"""
    return any(
        change.bundle == bundle and change.wanted == digest
        for record in situation.runs
        if record.is_live and record.is_staged
        for change in record.plan.changes.get(cluster, ())
    )
