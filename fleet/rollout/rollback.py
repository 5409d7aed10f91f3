"""The way back: every cluster that a run touched, last assigned first, to what it last baked.

::

    touched (started an assignment of this run) ── offered the way back ──► Reverting
    Reverting ──► Reverted       applied and healthy (or as unhealthy as it was before the run)
              ──► RevertFailed   failed, or not back within its stage's clusterDeadline

The goal of a bundle is what its cluster last baked, without that what it was granted before. With
neither the cluster keeps what it has, and the run pauses when the others are back. A rollback has
a parallelism and a failure budget of its own; a breach of that ends it (`RollbackFailed`): there is
no rollback of a rollback. It always ends: what is offline until the deadline, when all others are
through, has failed to go back, and so has what shared caps hold for that long while nothing moves.
It keeps those caps (`caps`), and ignores pauses, windows, and a freeze that does not say
`blocksRollback`. Clusters that were never assigned stay as they are, and of those whose stage only
lost a cluster (`scope: Cluster`) only the failed ones go back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from fleet.rollout import freezing, numbers, standing, tables
from fleet.rollout.caps import Room
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import AssignmentEvidence, ClusterEvidence, Evidence
from fleet.rollout.memory import Memory
from fleet.rollout.progress import View
from fleet.rollout.rules import FailureAction, FailureScope
from fleet.rollout.run_plan import Change, RunPlan, StagePlan
from fleet.rollout.standing import NOWHERE, Sight, Standing
from fleet.rollout.states import ClusterState, RunState
from fleet.rollout.tables import ClusterEvent, RunEvent

_EVENTS = {
    ClusterEvent.OFFERED: ClusterEvent.GOING_BACK,
    ClusterEvent.STARTED: ClusterEvent.GOING_BACK,
    ClusterEvent.APPLIED: ClusterEvent.GOING_BACK,
    ClusterEvent.WELL: ClusterEvent.BACK,
    ClusterEvent.BROKEN: ClusterEvent.NOT_BACK,
    ClusterEvent.LATE: ClusterEvent.NOT_BACK,
    ClusterEvent.LATE_AS_BEFORE: ClusterEvent.BACK,
}
_AWAY = "offline until the deadline, or held by another run"
_CAPPED = "shared caps had no room until the deadline"
BACK = "is back on what it last baked, or else ran before the run"
Ways = Mapping[str, tuple[Change, ...]]
"""Cluster → what takes it back, sorted by bundle; empty for one that has nothing to go to."""


@dataclass(slots=True)
class Way:
    """A rollback in this tick."""

    event: RunEvent
    reason: str
    going: set[str] = field(default_factory=set)
    """Clusters with an offer of the way back that is not through."""
    revert: list[tuple[str, tuple[Change, ...]]] = field(default_factory=list)
    withdraw: list[str] = field(default_factory=list)


def way_back(changes: tuple[Change, ...], known: ClusterEvidence) -> tuple[Change, ...]:
    """The changes that undo these in a cluster; what has nothing to go back to is left out."""
    goals = [(x, known.baked.get(x.bundle) or x.previous) for x in changes]
    return tuple(
        replace(x, wanted=goal, previous=x.wanted)
        for x, goal in goals
        if goal not in ("", x.wanted)
    )


def ways(run: RunPlan, memory: Memory, evidence: Evidence) -> dict[str, tuple[Change, ...]]:
    """Every cluster that the rollback is about, last assigned first."""
    only_failed = run.rules.on_failure.scope is FailureScope.CLUSTER and not _asked(run, evidence)
    touched = [
        (known.touched_at, cluster)
        for cluster, known in evidence.clusters.items()
        if known.touched_at is not None and cluster in run.changes and cluster not in run.left
        if not only_failed or cluster in memory.failed
    ]
    return {c: way_back(run.changes[c], evidence.clusters[c]) for _, c in sorted(touched)[::-1]}


def begin(run: RunPlan, memory: Memory, evidence: Evidence, now: datetime) -> bool:
    """Does the run roll back from now on, or does it already? Remembers since when."""
    if memory.failure.back_since is not None:
        return True
    by_rule = (
        run.rules.on_failure.action is FailureAction.ROLLBACK
        and memory.seen_run == RunState.FAILING.value
        and bool(memory.breached)
    )
    if evidence.superseded_by or not (by_rule or _asked(run, evidence)):
        return False
    if not any(ways(run, memory, evidence).values()):
        return False
    memory.failure = replace(memory.failure, back_since=now)
    memory.clocks.clear()
    return True


def _asked(run: RunPlan, evidence: Evidence) -> bool:
    return any(d.verb is Verb.ROLLBACK and d.run == run.uid for d in evidence.decisions)


def go_back(
    run: RunPlan,
    views: list[View],
    memory: Memory,
    evidence: Evidence,
    now: datetime,
    wakes: list[datetime],
) -> Way:
    """Where every cluster of the way back is, and who is offered it now."""
    goals = ways(run, memory, evidence)
    movable = {cluster: changes for cluster, changes in goals.items() if changes}
    found = Way(RunEvent.GOING_BACK, "")
    places: dict[str, tuple[StagePlan, Standing]] = {}
    for view in views:
        for one in view.standings:
            if one.cluster in movable:
                places[one.cluster] = view.plan, one
            elif one.unstarted:
                _withdraw(one, found)
    for cluster, changes in movable.items():
        stage, one = places[cluster]
        _stand(run, stage, one, changes, evidence, memory, found, now, wakes)
    way = {cluster: places[cluster][1] for cluster in movable}
    _judge(run, goals, way, found)
    if found.event is RunEvent.GOING_BACK:
        _offer(run, movable, places, evidence, memory, found, now, wakes)
    found.reason += f" ({_cause(run, memory, evidence)})"
    return found


def _cause(run: RunPlan, memory: Memory, evidence: Evidence) -> str:
    """Why the run goes back, in words."""
    if memory.breached:
        stage, why = min(memory.breached.items())
        return f"stage {stage} failed: {why}"
    asked = [d for d in evidence.decisions if d.verb is Verb.ROLLBACK and d.run == run.uid]
    return f"asked for by {asked[-1].actor}" if asked else "it was asked for"


def _stand(
    run: RunPlan,
    stage: StagePlan,
    one: Standing,
    changes: tuple[Change, ...],
    evidence: Evidence,
    memory: Memory,
    found: Way,
    now: datetime,
    wakes: list[datetime],
) -> None:
    """Where one touched cluster is on its way back; what is over for it stays so."""
    if one.state in tables.WENT_BACK:
        return
    known = evidence.clusters.get(one.cluster, NOWHERE)
    offer = _live(known)
    if offer is None and one.unstarted:
        _withdraw(one, found)
    one.lapsed = False
    if offer is not None and offer.started_at is None:
        end = standing.lease_end(run, offer)
        one.lapsed = now >= end
        if one.lapsed:
            found.withdraw.append(one.cluster)
        else:
            wakes.append(end)
    sight = standing.look(run, changes, known, None if one.lapsed else offer, now)
    if sight.event is ClusterEvent.APPLIED and offer and _as_before(changes, known, offer):
        sight = Sight(ClusterEvent.WELL, sight.since)
    standing.keep_time(stage, one.cluster, known, offer, sight, memory, now, wakes, run)
    if sight.due is not None:
        wakes.append(sight.due)
    event = _EVENTS.get(sight.event)
    if event is ClusterEvent.GOING_BACK:
        found.going.add(one.cluster)
    if event is not None:
        _move(stage, one, event, sight.reason, sight.code, memory)


def _withdraw(one: Standing, found: Way) -> None:
    """Its way forward was offered and not started: it moves no more."""
    found.withdraw.append(one.cluster)
    if one.state is ClusterState.ASSIGNED:
        one.state = ClusterState.QUEUED


def _move(
    stage: StagePlan, one: Standing, event: ClusterEvent, why: str, code: str, memory: Memory
) -> None:
    one.state = tables.cluster_after(one.state, event)
    one.reason, one.code = why, code
    if event is ClusterEvent.BACK:
        one.reason, one.code = BACK, one.state.value
    if event is ClusterEvent.NOT_BACK:
        memory.failed[one.cluster] = (stage.name, f"{one.state.value}: {why}")
    if one.state in tables.WENT_BACK:
        memory.clocks.pop(one.cluster, None)


def _live(known: ClusterEvidence) -> AssignmentEvidence | None:
    """The way back that may be started, or was."""
    found = standing.live_assignment(known, 0)
    return found if found is not None and found.reverts else None


def _as_before(
    changes: tuple[Change, ...], known: ClusterEvidence, offer: AssignmentEvidence
) -> bool:
    """Is all applied, and unhealthy only what was so before the run?"""
    for change in changes:
        report = known.bundles.get(change.bundle)
        if report is None or not standing.counts(change, report, offer.generation):
            return False
        if report.health not in standing.GOOD and not change.was_unhealthy:
            return False
    return True


def _judge(run: RunPlan, goals: Ways, way: Mapping[str, Standing], found: Way) -> None:
    """The budget is judged before anything is offered in the same tick."""
    lost = sorted(c for c, one in way.items() if one.state is ClusterState.REVERT_FAILED)
    back = sum(1 for one in way.values() if one.state is ClusterState.REVERTED)
    budget = numbers.failure_budget(run.rules.on_failure.rollback.failure_budget, len(way))
    found.reason = f"{back} of {len(way)} clusters are back"
    if lost:
        found.reason += f", {len(lost)} could not go back: {', '.join(lost[:3])}"
    if len(lost) > budget:
        found.event = RunEvent.NOT_BACK
        found.reason += f"; the rollback's budget is {budget}"
    elif back + len(lost) == len(way):
        keep = sorted(cluster for cluster, changes in goals.items() if not changes)
        found.event = RunEvent.STOPPED if keep else RunEvent.BACK
        if keep:
            names = ", ".join(keep[:3])
            found.reason += f"; {len(keep)} had nothing before and keep what they have: {names}"


def _offer(
    run: RunPlan,
    movable: Ways,
    places: Mapping[str, tuple[StagePlan, Standing]],
    evidence: Evidence,
    memory: Memory,
    found: Way,
    now: datetime,
    wakes: list[datetime],
) -> None:
    """Offer the way back to those whose turn it is; what stays away until the end is lost."""
    held = freezing.frozen(evidence, rollback=True)
    if held is not None:
        found.reason += f"; {held.what}"
        return
    slots = numbers.parallelism(run.rules.on_failure.rollback.parallelism, len(movable))
    room = Room.of(run, evidence, memory, now, wakes, goes_back=True)
    away, capped = [], []
    for cluster, changes in movable.items():
        stage, one = places[cluster]
        if one.state in tables.WENT_BACK or cluster in found.going:
            continue
        known = evidence.clusters.get(cluster, NOWHERE)
        if not known.online or known.held_by:
            away.append((stage, one))
        elif len(found.going) < slots and not one.lapsed:
            full = room.refusal(cluster)
            if full is None:
                room.take(cluster)
                _send(stage, one, changes, run, memory, found, now, wakes)
            else:
                capped.append((stage, one))
                one.reason, one.code = full.what, full.code
        elif one.lapsed:
            wakes.append(now)
    if capped and any(_just_back(one, memory) for _, one in places.values()):
        wakes.append(now)  # The caps count these as moving until this step is written.
    if found.going or any(one.lapsed for _, one in places.values()):
        memory.failure = replace(memory.failure, capped_since=None)
        return
    begun, since = memory.failure.back_since, memory.failure.capped_since or now
    assert begun is not None, "asked only while a run rolls back"
    memory.failure = replace(memory.failure, capped_since=since if capped else None)
    _give_up(away, begun, _AWAY, memory, now, wakes)
    _give_up(capped, since, _CAPPED, memory, now, wakes)


def _send(
    stage: StagePlan,
    one: Standing,
    changes: tuple[Change, ...],
    run: RunPlan,
    memory: Memory,
    found: Way,
    now: datetime,
    wakes: list[datetime],
) -> None:
    found.revert.append((one.cluster, changes))
    found.going.add(one.cluster)
    _move(stage, one, ClusterEvent.GOING_BACK, "offered the way back", "Offered", memory)
    spent, _ = memory.clocks.get(one.cluster, (0.0, None))
    memory.clocks[one.cluster] = (spent, now)
    wakes.append(now + timedelta(seconds=min(run.lease_seconds, _left(stage, spent))))


def _just_back(one: Standing, memory: Memory) -> bool:
    before = memory.seen_clusters.get(one.cluster)
    return one.state in tables.WENT_BACK and before not in tables.WENT_BACK


def _left(stage: StagePlan, spent: float) -> float:
    return max(0.0, stage.cluster_deadline_seconds - spent)


def _give_up(
    those: list[tuple[StagePlan, Standing]],
    since: datetime,
    why: str,
    memory: Memory,
    now: datetime,
    wakes: list[datetime],
) -> None:
    """All others are through: what is not there by its deadline has failed to go back."""
    for stage, one in those:
        due = since + timedelta(seconds=stage.cluster_deadline_seconds)
        if now < due:
            wakes.append(due)
            continue
        _move(stage, one, ClusterEvent.NOT_BACK, why, "DeadlineExceeded", memory)
        wakes.append(now)
