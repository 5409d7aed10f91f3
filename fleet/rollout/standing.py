"""Where one cluster of a run stands, from what the hub knows of it.

A report counts only if it names the generation of this run's assignment and the wanted digest:
stale health is no health. What has started is never skipped. clusterDeadline runs while the
cluster is in flight, added up over repeated offers and regressions, so that a flapping cluster
cannot outrun it; an offer to a cluster that is offline does not use it up, since the lease ends
that; nor does the time in which somebody there holds it by a pause, as its agent, online, tells.
Pure; writes the clock and the failure into the `Memory` it is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.protocol import ABSENT, Health, SyncState
from fleet.rollout import tables
from fleet.rollout.connectivity import offline_rule
from fleet.rollout.evidence import AssignmentEvidence, BundleEvidence, ClusterEvidence
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.rules import OfflineRule
from fleet.rollout.run_plan import Change, RunPlan, StagePlan
from fleet.rollout.states import ClusterState
from fleet.rollout.tables import ClusterEvent

GOOD = frozenset({Health.HEALTHY, Health.SUSPENDED})
"""Suspended is what Git itself asked for (a suspended CronJob), so it does not fail a release."""

PAUSED = "Paused"
"""A `Sight`'s code: somebody in the cluster asked to leave alone what would change."""
NOWHERE = ClusterEvidence()


@dataclass(slots=True)
class Standing:
    """One cluster in this tick."""

    cluster: str
    state: ClusterState
    reason: str = ""
    code: str = ""
    since: datetime | None = None
    """When it became Healthy, or failed in this tick."""
    unstarted: bool = False
    """An offer lies there that could still be started."""
    lapsed: bool = False
    """That offer's lease is over: it is withdrawn in this tick and not made again in it."""
    newly_failed: bool = False
    occupied: bool = False
    """An ended run may still be changing it: it takes a slot."""
    refused: Reason | None = None
    """Why it was not chosen when its turn came, in this tick."""
    offered_before: bool = False
    """Its newest offer was withdrawn: others go first."""


@dataclass(slots=True)
class Sight:
    """What the evidence says: an event, and when time alone changes it."""

    event: ClusterEvent
    since: datetime | None = None
    due: datetime | None = None
    reason: str = ""
    code: str = ""


def stand(
    run: RunPlan,
    stage: StagePlan,
    cluster: str,
    evidence: ClusterEvidence,
    memory: Memory,
    now: datetime,
    wakes: list[datetime],
) -> Standing:
    """Where the cluster stands now; appends to `wakes` when time alone could change that."""
    offer = live_assignment(evidence, memory.retired.get(cluster, 0))
    unstarted = offer is not None and offer.started_at is None
    settled = _settled(run, stage, cluster, memory, now)
    if settled is not None:
        settled.unstarted = unstarted
        return settled
    lapsed = False
    if unstarted and offer is not None:
        end = lease_end(run, offer)
        lapsed = now >= end
        if not lapsed:
            wakes.append(end)
    sight = look(run, run.changes[cluster], evidence, None if lapsed else offer, now)
    if evidence.dark_at is not None and evidence.dark_at > now:
        wakes.append(evidence.dark_at)
    if sight.event is ClusterEvent.DARK and _fails_dark(run, stage, memory):
        sight = Sight(ClusterEvent.BROKEN, now, None, "offline when its turn came", "Offline")
    keep_time(stage, cluster, evidence, offer, sight, memory, now, wakes, run)
    if sight.due is not None:
        wakes.append(sight.due)
    before = memory.seen_clusters.get(cluster, ClusterState.QUEUED)
    if before in tables.BAD_ENDS:
        before = tables.cluster_after(before, ClusterEvent.RETRIED)
    state_now = tables.cluster_after(before, sight.event)
    found = Standing(
        cluster,
        state_now,
        sight.reason,
        sight.code,
        since=sight.since if state_now is ClusterState.HEALTHY else None,
        unstarted=unstarted,
        lapsed=lapsed,
        offered_before=evidence.assignment is not None,
    )
    if state_now in tables.BAD_ENDS:
        found.since = sight.since or now
        _record(stage, found, memory)
    if evidence.unsettled_since is not None and state_now not in tables.IN_FLIGHT:
        _occupy(stage, found, evidence.unsettled_since, now, wakes)
    return found


def _fails_dark(run: RunPlan, stage: StagePlan, memory: Memory) -> bool:
    started = stage.name in memory.started and stage.name not in memory.gates.shut
    return started and offline_rule(run) is OfflineRule.FAIL


def _settled(
    run: RunPlan, stage: StagePlan, cluster: str, memory: Memory, now: datetime
) -> Standing | None:
    """Where it is whatever was reported since: skipped, failed, or gone."""
    by_people = _settled_by_people(cluster, memory)
    return by_people or _failed(cluster, memory) or _gone(run, stage, cluster, memory, now)


def _settled_by_people(cluster: str, memory: Memory) -> Standing | None:
    if cluster not in memory.skipped:
        return None
    return Standing(cluster, ClusterState.SKIPPED, memory.skipped[cluster], "Skipped")


def _failed(cluster: str, memory: Memory) -> Standing | None:
    """A failure stands until it is answered, whatever the reports say since."""
    held = memory.failed.get(cluster)
    if held is None:
        return None
    state, _, why = held[1].partition(": ")
    return Standing(cluster, ClusterState(state), why)


def _gone(
    run: RunPlan, stage: StagePlan, cluster: str, memory: Memory, now: datetime
) -> Standing | None:
    """One that left is Removed, whatever it had started; one that was Healthy stays so."""
    if cluster not in run.left:
        return None
    memory.clocks.pop(cluster, None)
    why = run.left[cluster]
    if memory.seen_clusters.get(cluster) is ClusterState.HEALTHY:
        return Standing(cluster, ClusterState.HEALTHY, why)
    if cluster in run.lost and (stage.name, cluster) not in memory.ever_failed:
        found = Standing(cluster, ClusterState.FAILED, why, "Left", since=now)
        _record(stage, found, memory)
        return found
    return Standing(cluster, ClusterState.REMOVED, why, "Left")


def live_assignment(evidence: ClusterEvidence, retired: int) -> AssignmentEvidence | None:
    """This run's assignment that may be started, or was; neither withdrawn nor set aside."""
    found = evidence.assignment
    if found is None or found.generation <= retired:
        return None
    if found.withdrawn_at is not None and found.started_at is None:
        return None
    return found


def lease_end(run: RunPlan, offer: AssignmentEvidence) -> datetime:
    """Until when an offer may lie unstarted; then another cluster gets its slot."""
    return offer.offered_at + timedelta(seconds=run.lease_seconds)


def counts(change: Change, report: BundleEvidence | None, generation: int) -> bool:
    """Does a report speak of this run's assignment? Any other says nothing about it."""
    return report is not None and report.generation == generation and report.digest == change.wanted


def look(
    run: RunPlan,
    changes: tuple[Change, ...],
    evidence: ClusterEvidence,
    offer: AssignmentEvidence | None,
    now: datetime,
) -> Sight:
    """What the evidence says of one cluster, its deadline left aside."""
    if offer is None:
        if not evidence.registered:
            return Sight(ClusterEvent.UNKNOWN, reason="declared, and never seen", code="Pending")
        if not evidence.online:
            return Sight(ClusterEvent.DARK, reason="no heartbeat", code="Offline")
        return Sight(ClusterEvent.FREE)
    if offer.started_at is None:
        return Sight(ClusterEvent.OFFERED, reason="offered, not started", code="Offered")
    sight = _look_at_bundle(run, changes[0], evidence, offer.generation, now)
    for change in changes[1:]:
        one = _look_at_bundle(run, change, evidence, offer.generation, now)
        sight = _worse(sight, one)
    return sight


_RANK = {
    ClusterEvent.WELL: 0,
    ClusterEvent.APPLIED: 1,
    ClusterEvent.STARTED: 2,
    ClusterEvent.BROKEN: 3,
}


def _worse(one: Sight, other: Sight) -> Sight:
    """The worse of two; the later of two that are well; the earlier due time of both."""
    dues = [due for due in (one.due, other.due) if due is not None]
    if one.event is other.event is ClusterEvent.WELL:
        times = [t for t in (one.since, other.since) if t is not None]
        return Sight(ClusterEvent.WELL, max(times, default=None))
    worse = other if _RANK[other.event] > _RANK[one.event] else one
    if one.event is other.event and one.code == PAUSED:
        worse = other  # the time of what goes on is not the time of what somebody holds
    return Sight(worse.event, worse.since, min(dues, default=None), worse.reason, worse.code)


def _look_at_bundle(
    run: RunPlan, change: Change, evidence: ClusterEvidence, generation: int, now: datetime
) -> Sight:
    report = evidence.bundles.get(change.bundle)
    if report is None or not counts(change, report, generation):
        return Sight(ClusterEvent.STARTED, reason=f"{change.bundle}: no report yet", code="Started")
    if not report.is_applied:
        said = f"{change.bundle}: {report.message or report.sync.value}"
        if report.sync is SyncState.FAILED:
            return Sight(ClusterEvent.BROKEN, report.since, None, said, report.code or "Failed")
        code = PAUSED if report.is_paused else report.sync.value
        return Sight(ClusterEvent.STARTED, report.since, None, said, code)
    if change.wanted == ABSENT or report.health in GOOD:
        return Sight(ClusterEvent.WELL, report.since)
    said = f"{change.bundle}: {report.message or report.health.value}"
    if report.health is Health.DEGRADED and not change.was_unhealthy:
        due = report.since + timedelta(seconds=run.degraded_seconds)
        if now >= due:
            return Sight(ClusterEvent.BROKEN, due, None, said, report.code or "Degraded")
        said += f" (Degraded; failed if it still is at {due:%H:%M:%S} UTC)"
        return Sight(ClusterEvent.APPLIED, report.since, due, said, report.health.value)
    return Sight(ClusterEvent.APPLIED, report.since, None, said, report.health.value)


def keep_time(
    stage: StagePlan,
    cluster: str,
    evidence: ClusterEvidence,
    offer: AssignmentEvidence | None,
    sight: Sight,
    memory: Memory,
    now: datetime,
    wakes: list[datetime],
    run: RunPlan,
) -> None:
    """Run or stop the cluster's clock; past the deadline `sight` becomes LATE."""
    spent, since = memory.clocks.get(cluster, (0.0, None))
    fresh = cluster not in memory.clocks
    paused = sight.code == PAUSED and evidence.online
    runs = (sight.event in (ClusterEvent.STARTED, ClusterEvent.APPLIED) and not paused) or (
        sight.event is ClusterEvent.OFFERED and evidence.online
    )
    if not runs or offer is None:
        well = sight.event is ClusterEvent.WELL and sight.since is not None
        spent = stop_clock(memory, cluster, sight.since if well and sight.since else now)
        if sight.event is not ClusterEvent.FREE or spent < stage.cluster_deadline_seconds:
            return
    else:
        if since is None:
            since = offer.offered_at if fresh else now
            memory.clocks[cluster] = (spent, since)
        deadline = since + timedelta(seconds=stage.cluster_deadline_seconds - spent)
        if now < deadline:
            wakes.append(deadline)
            return
    _too_late(run, stage, cluster, evidence, offer, sight)


def stop_clock(memory: Memory, cluster: str, at: datetime) -> float:
    """Stop the clock of a cluster, if it runs; returns the seconds spent so far."""
    spent, since = memory.clocks.get(cluster, (0.0, None))
    if since is not None:
        spent += max(0.0, (at - since).total_seconds())
        memory.clocks[cluster] = (spent, None)
    return spent


def _too_late(
    run: RunPlan,
    stage: StagePlan,
    cluster: str,
    evidence: ClusterEvidence,
    offer: AssignmentEvidence | None,
    sight: Sight,
) -> None:
    as_before = (
        sight.event is ClusterEvent.APPLIED
        and offer is not None
        and _as_before(run.changes[cluster], evidence, offer.generation)
    )
    sight.event = ClusterEvent.LATE_AS_BEFORE if as_before else ClusterEvent.LATE
    sight.since, sight.due = None, None
    sight.reason = f"not Healthy within {stage.cluster_deadline_seconds:g} s" + (
        f" ({sight.reason})" if sight.reason else ""
    )
    sight.code = "DeadlineExceeded"


def _as_before(changes: tuple[Change, ...], evidence: ClusterEvidence, generation: int) -> bool:
    """Is everything applied, and unhealthy only what was unhealthy before the run?"""
    for change in changes:
        report = evidence.bundles.get(change.bundle)
        if report is None or not counts(change, report, generation):
            return False
        if report.health not in GOOD and change.wanted != ABSENT and not change.was_unhealthy:
            return False
    return True


def _record(stage: StagePlan, found: Standing, memory: Memory) -> None:
    memory.failed[found.cluster] = (stage.name, f"{found.state.value}: {found.reason}")
    memory.clocks.pop(found.cluster, None)
    if found.state is not ClusterState.STILL_UNHEALTHY:
        memory.ever_failed.add((stage.name, found.cluster))
        found.newly_failed = True


def _occupy(
    stage: StagePlan, found: Standing, since: datetime, now: datetime, wakes: list[datetime]
) -> None:
    until = since + timedelta(seconds=stage.cluster_deadline_seconds)
    if now < until:
        found.occupied = True
        wakes.append(until)
