"""The engine: `advance(run, marks, intent, evidence, now) → Step`. Pure; no clock, no disk.

::

    retries → where is every cluster → budgets → where is every stage → withdraw, offer → history

The order is the promise: a breach is judged before anything is assigned in the same tick, and what
is withdrawn frees its slot in that tick. The run's state is derived from plan, assignments,
reports, decisions and time; only `Marks` are remembered, so a crash loses nothing. Asking again
with the stored marks yields no offer and no event twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fleet.rollout import (
    budgets,
    deadlines,
    freezing,
    history,
    rulings,
    slots,
    standing,
    stops,
    tables,
)
from fleet.rollout.caps import Room
from fleet.rollout.evidence import Evidence
from fleet.rollout.explain import words_for
from fleet.rollout.gates import POLLED, Turnstile, Verdict
from fleet.rollout.marks import Marks
from fleet.rollout.memory import Memory
from fleet.rollout.progress import View, walk
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.standing import NOWHERE, Standing
from fleet.rollout.starts import Starts
from fleet.rollout.states import ClusterState, Intent, RunState, StageState
from fleet.rollout.step import Step
from fleet.rollout.tables import RunEvent


def advance(run: RunPlan, marks: Marks, intent: Intent, evidence: Evidence, now: datetime) -> Step:
    """What may happen now in this run, and why it is where it is."""
    memory = Memory.of(marks)
    wakes: list[datetime] = []
    ended = memory.seen_run in tables.ENDED
    if not ended:
        rulings.carry_out_retries(run, memory, evidence)
    views = [_view(run, stage, evidence, memory, ended, now, wakes) for stage in run.stages]
    for view in views:
        budgets.judge(view.plan, view.standings, memory)
        if not ended:
            deadlines.judge(view.plan, memory, evidence, now, wakes)
    may_act = _may_act(intent, evidence) and not ended
    if ended:
        _as_it_ended(views, memory)
    else:
        walk(run, views, memory, evidence, may_act, now, wakes)
    state, reason = _run_state(run, views, marks, memory, intent, evidence)
    held = freezing.frozen(evidence)
    acts = may_act and held is None and state not in tables.ENDED
    moving = _moving(run, views, memory) if acts else []
    withdraw = _withdraw(run, views, moving, evidence, memory, now, wakes)
    if withdraw and moving:
        wakes.append(now)
    offer = _offer(run, moving, evidence, memory, now, wakes)
    if offer:
        wakes.append(_first_due(run, now))
    for view in views:
        view.recount()
        view.hold(held)
    statuses = tuple(
        status for view in views for status in words_for(view, state, reason, evidence)
    )
    events = history.tell(state, reason, views, memory)
    if state is RunState.FAILING:
        wakes.append(now)
    return Step(
        state=state,
        stages=tuple(view.status(memory) for view in views),
        clusters=statuses,
        offer=tuple(offer),
        closes=tuple((cluster, at) for cluster, at in offer.items() if at is not None),
        withdraw=tuple(withdraw),
        marks=memory.close(),
        events=tuple(events),
        reason=reason,
        wake_at=None if state in tables.ENDED else min(wakes, default=None),
    )


def _first_due(run: RunPlan, now: datetime) -> datetime:
    """When time could first end an offer that is made now."""
    shortest = min(stage.cluster_deadline_seconds for stage in run.stages)
    return now + timedelta(seconds=min(shortest, run.lease_seconds))


def _may_act(intent: Intent, evidence: Evidence) -> bool:
    return intent is Intent.RUN and not evidence.waits_for and not evidence.superseded_by


def _view(
    run: RunPlan,
    stage: StagePlan,
    evidence: Evidence,
    memory: Memory,
    ended: bool,
    now: datetime,
    wakes: list[datetime],
) -> View:
    if ended or stage.name in memory.done:
        return View(stage, [_as_told(c, evidence, memory) for c in stage.clusters])
    known = evidence.clusters
    return View(
        stage,
        [
            standing.stand(run, stage, c, known.get(c, NOWHERE), memory, now, wakes)
            for c in stage.clusters
        ],
    )


def _as_told(cluster: str, evidence: Evidence, memory: Memory) -> Standing:
    """A cluster of a stage that is over: as it was then, whatever happens to it later."""
    state = memory.seen_clusters.get(cluster, ClusterState.QUEUED)
    failed = memory.failed.get(cluster)
    why = failed[1].partition(": ")[2] if failed else ""
    known = evidence.clusters.get(cluster, NOWHERE)
    offer = standing.live_assignment(known, memory.retired.get(cluster, 0))
    return Standing(cluster, state, why, unstarted=offer is not None and offer.started_at is None)


def _as_it_ended(views: list[View], memory: Memory) -> None:
    for view in views:
        view.recount()
        view.state = memory.seen_stages.get(view.plan.name, StageState.WAITING)


def _run_state(
    run: RunPlan,
    views: list[View],
    marks: Marks,
    memory: Memory,
    intent: Intent,
    evidence: Evidence,
) -> tuple[RunState, str]:
    event, reason = _run_event(run, views, marks, memory, intent, evidence)
    before = RunState(memory.seen_run) if memory.seen_run else RunState.QUEUED
    return tables.run_after(before, event), reason


def _run_event(
    run: RunPlan,
    views: list[View],
    marks: Marks,
    memory: Memory,
    intent: Intent,
    evidence: Evidence,
) -> tuple[RunEvent, str]:
    if memory.seen_run in tables.ENDED:
        return RunEvent.FINISHED, "the run has ended"
    if all(stage.name in memory.done for stage in run.stages):
        return RunEvent.FINISHED, "every stage is Done"
    if intent is Intent.ABORT:
        return RunEvent.ABORTED, "aborted; what has started settles by itself"
    if evidence.superseded_by:
        return RunEvent.REPLACED, f"replaced by run {evidence.superseded_by}"
    if evidence.waits_for:
        return RunEvent.BLOCKED, f"waits for run {evidence.waits_for}"
    if memory.breached:
        stage, why = min(memory.breached.items())
        known = dict(marks.breached)
        event = RunEvent.STOPPED if set(memory.breached) <= set(known) else RunEvent.BREACHED
        return event, f"stage {stage} failed: {why}"
    if intent is Intent.PAUSE:
        return RunEvent.PAUSED, "paused by a person"
    held = freezing.frozen(evidence)
    if held is not None:
        return RunEvent.GO, held.what
    open_views = [view for view in views if view.plan.name not in memory.done]
    return RunEvent.GO, "; ".join(f"{v.plan.name}: {v.reason}" for v in open_views[:3])


def _moving(run: RunPlan, views: list[View], memory: Memory) -> list[View]:
    """The stages that no breach keeps from acting."""
    stopped = stops.stopped(run, memory)
    return [view for view in views if view.plan.name not in stopped]


def _withdraw(
    run: RunPlan,
    views: list[View],
    moving: list[View],
    evidence: Evidence,
    memory: Memory,
    now: datetime,
    wakes: list[datetime],
) -> list[str]:
    """Unstarted offers that must not be started any more; their clusters are free at once."""
    taken = []
    names = {view.plan.name for view in moving}
    for view in views:
        acts = view.plan.name in names
        turnstile = Turnstile.of(run, view.plan, evidence, memory, now)
        for one in view.standings:
            if not one.unstarted:
                continue
            if acts and not one.lapsed and one.state is ClusterState.ASSIGNED:
                passage = turnstile.passage(one.cluster)
                wakes.extend([passage.closes] if passage.closes else [])
                one.refused = passage.refused
                if one.refused is None:
                    continue
            taken.append(one.cluster)
            if one.state is ClusterState.ASSIGNED:
                known = evidence.clusters.get(one.cluster, NOWHERE)
                one.state = ClusterState.QUEUED if known.online else ClusterState.OFFLINE
                one.lapsed = one.refused is None
                standing.stop_clock(memory, one.cluster, now)
    return taken


def _offer(
    run: RunPlan,
    views: list[View],
    evidence: Evidence,
    memory: Memory,
    now: datetime,
    wakes: list[datetime],
) -> dict[str, datetime | None]:
    """Cluster → from when on the offer must not be started, whatever its lease."""
    offered: dict[str, datetime | None] = {}
    room = Room.of(run, evidence, memory, now, wakes)
    for view in views:
        if view.state is not StageState.UPDATING:
            continue
        starts = Starts.of(run, view.plan, view.standings, evidence, memory, room, now)
        for one in slots.choose(view.plan, view.standings, starts, memory):
            one.state, one.reason, one.code = ClusterState.ASSIGNED, "offered", "Offered"
            spent, _ = memory.clocks.get(one.cluster, (0.0, None))
            memory.clocks[one.cluster] = (spent, now)
            offered[one.cluster] = closes = starts.turnstile.passage(one.cluster).closes
            wakes.extend([closes] if closes else [])
        _show_turnstile(view, starts.turnstile, now, wakes)
    if room.full and any(_settled_now(one, memory) for view in views for one in view.standings):
        wakes.append(now)  # The caps count these as moving until this step is written.
    return offered


def _settled_now(one: Standing, memory: Memory) -> bool:
    before = memory.seen_clusters.get(one.cluster)
    return before in tables.IN_FLIGHT and one.state not in tables.IN_FLIGHT


def _show_turnstile(view: View, turnstile: Turnstile, now: datetime, wakes: list[datetime]) -> None:
    """Show how gates let clusters through, and look again when the next one may."""
    queued = [one.cluster for one in view.standings if one.state is ClusterState.QUEUED]
    found = turnstile.statuses(queued)
    untils = [status.until for status in found if status.until is not None]
    view.gates = (*view.gates, *found)
    view.until = min(untils, default=view.until)
    shut = any(status.verdict == Verdict.NONE and status.until is None for status in found)
    wakes.extend([*untils, now + POLLED] if shut else untils)
