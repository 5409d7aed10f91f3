"""The engine: `advance(run, marks, intent, evidence, now) → Step`. Pure; no clock, no disk.

::

    answers → where is every cluster → budgets → where is every stage → withdraw, offer → history
            └ rollback: where is every touched cluster on its way back → its budget → offer ┘

The order is the promise: a breach is judged before anything is assigned in the same tick, and what
is withdrawn frees its slot in that tick. The run's state is derived from plan, assignments,
reports, decisions and time; only `Marks` are remembered, so a crash loses nothing. Asking again
with the stored marks yields no offer and no event twice.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from fleet.rollout import (
    bisection,
    budgets,
    deadlines,
    freezing,
    gates,
    history,
    rollback,
    rulings,
    slots,
    standing,
    stops,
    tables,
    vetoes,
)
from fleet.rollout.caps import Room
from fleet.rollout.evidence import Evidence
from fleet.rollout.explain import words_for
from fleet.rollout.gates import POLLED, Turnstile, Verdict
from fleet.rollout.marks import Marks
from fleet.rollout.memory import Memory
from fleet.rollout.progress import View, walk
from fleet.rollout.rules import FailureAction
from fleet.rollout.run_plan import Change, RunPlan, StagePlan
from fleet.rollout.standing import NOWHERE, Standing
from fleet.rollout.starts import Starts
from fleet.rollout.states import ClusterState, Intent, RunState, StageState
from fleet.rollout.step import Bisection, Event, Step
from fleet.rollout.tables import RunEvent


def advance(run: RunPlan, marks: Marks, intent: Intent, evidence: Evidence, now: datetime) -> Step:
    """What may happen now in this run, and why it is where it is."""
    memory = Memory.of(marks)
    ended = memory.seen_run in tables.ENDED
    tick = _Tick(run, marks, memory, intent, evidence, now)
    if not ended:
        rulings.carry_out(run, memory, evidence)
        gates.resume(memory, evidence, now)
    if not ended and rollback.begin(run, memory, evidence, now):
        _back(tick)
    else:
        _forward(tick, ended)
    return _answer(tick)


@dataclass(slots=True)
class _Tick:
    """The work of one `advance`."""

    run: RunPlan
    marks: Marks
    memory: Memory
    intent: Intent
    evidence: Evidence
    now: datetime
    wakes: list[datetime] = field(default_factory=list)
    views: list[View] = field(default_factory=list)
    state: RunState = RunState.QUEUED
    reason: str = ""
    offer: dict[str, datetime | None] = field(default_factory=dict)
    """Cluster → when its gates close for it, if they do."""
    withdraw: list[str] = field(default_factory=list)
    revert: list[tuple[str, tuple[Change, ...]]] = field(default_factory=list)


def _forward(tick: _Tick, ended: bool) -> None:
    """Through the stages."""
    run, memory, evidence, now, wakes = (tick.run, tick.memory, tick.evidence, tick.now, tick.wakes)
    tick.views = [_view(run, stage, evidence, memory, ended, now, wakes) for stage in run.stages]
    for view in tick.views:
        if budgets.stops_at_once(run.rules.on_failure):
            budgets.judge(view.plan, view.standings, memory)
        if not ended:
            deadlines.judge(view.plan, memory, evidence, now, wakes)
    may_act = _may_act(tick) and not ended
    if ended:
        _as_it_ended(tick.views, memory)
    else:
        walk(run, tick.views, memory, evidence, may_act, now, wakes)
    _name_state(tick, *_run_event(tick))
    moving = _moving(tick)
    tick.withdraw = _withdraw(run, tick.views, moving, evidence, memory, now, wakes)
    if tick.withdraw:
        wakes.append(now)  # Who is free of an offer now may end a stage, or take the slot.
    tick.offer = _offer(run, moving, evidence, memory, now, wakes)
    if tick.offer:
        wakes.append(_first_due(run, now))


def _back(tick: _Tick) -> None:
    """The way back of what the run touched; its stages stay as they were."""
    memory, evidence = tick.memory, tick.evidence
    tick.views = [
        View(stage, [_as_told(c, evidence, memory) for c in stage.clusters])
        for stage in tick.run.stages
    ]
    _as_it_ended(tick.views, memory)
    way = rollback.go_back(tick.run, tick.views, memory, evidence, tick.now, tick.wakes)
    event, reason = way.event, way.reason
    if event is RunEvent.STOPPED and tick.intent is Intent.ABORT:
        event = RunEvent.ABORTED
    elif event is RunEvent.STOPPED and evidence.superseded_by:
        event, reason = RunEvent.REPLACED, f"replaced by run {evidence.superseded_by}"
    _name_state(tick, event, reason)
    tick.withdraw, tick.revert = way.withdraw, way.revert


def _name_state(tick: _Tick, event: RunEvent, reason: str) -> None:
    seen = tick.memory.seen_run
    tick.state = tables.run_after(RunState(seen) if seen else RunState.QUEUED, event)
    tick.reason = reason


def _answer(tick: _Tick) -> Step:
    memory, state = tick.memory, tick.state
    for view in tick.views:
        view.recount()
        view.hold(freezing.frozen(tick.evidence, rollback=tick.run.restores))
    statuses = tuple(
        status
        for view in tick.views
        for status in words_for(view, state, tick.reason, tick.evidence)
    )
    events = history.tell(state, tick.reason, tick.views, memory)
    report = _bisect(tick)
    if report is not None:
        events.append(Event("bisected", report.said))
    if state is RunState.FAILING:
        tick.wakes.append(tick.now)
    known, done = dict(tick.marks.breached), dict(tick.marks.done)
    return Step(
        state=state,
        stages=tuple(view.status(memory) for view in tick.views),
        clusters=statuses,
        offer=tuple(tick.offer),
        closes=tuple((cluster, at) for cluster, at in tick.offer.items() if at is not None),
        withdraw=tuple(tick.withdraw),
        revert=tuple(tick.revert),
        vetoes=vetoes.at_breach(tick.run, memory) if set(memory.breached) - set(known) else (),
        baked=tuple(sorted(set(memory.done) - set(done))),
        bisection=report,
        marks=memory.close(),
        events=tuple(events),
        reason=tick.reason,
        wake_at=None if state in tables.ENDED else min(tick.wakes, default=None),
    )


def _bisect(tick: _Tick) -> Bisection | None:
    """What failed has in common, as soon as more has failed of a breached run that goes forward."""
    memory, known = tick.memory, {(stage, c) for stage, c, _ in tick.marks.failed}
    is_more = not {(stage, c) for c, (stage, _) in memory.failed.items()} <= known
    is_new = not set(memory.breached) <= set(dict(tick.marks.breached))
    if not memory.breached or memory.failure.back_since is not None or not (is_more or is_new):
        return None
    standings = (one for view in tick.views for one in view.standings)
    healthy = [one.cluster for one in standings if one.state is ClusterState.HEALTHY]
    return bisection.bisect(tick.run, healthy, memory, tick.evidence)


def _first_due(run: RunPlan, now: datetime) -> datetime:
    """When time could first end an offer that is made now."""
    shortest = min(stage.cluster_deadline_seconds for stage in run.stages)
    return now + timedelta(seconds=min(shortest, run.lease_seconds))


def _may_act(tick: _Tick) -> bool:
    is_held = tick.intent is not Intent.RUN or tick.memory.gates.paused
    return not is_held and not tick.evidence.waits_for and not tick.evidence.superseded_by


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
    """A cluster of a stage that is over: as it was then, whatever happens to it later.

    A failure that people answered by a retry or a skip is none any more.
    """
    state = memory.seen_clusters.get(cluster, ClusterState.QUEUED)
    if state in tables.BAD_ENDS and cluster not in memory.failed:
        skipped = memory.skipped.get(cluster)
        state = ClusterState.QUEUED if skipped is None else ClusterState.SKIPPED
    failed = memory.failed.get(cluster)
    why = failed[1].partition(": ")[2] if failed else ""
    known = evidence.clusters.get(cluster, NOWHERE)
    if state is ClusterState.REVERTED:
        why = rollback.BACK
    offer = standing.live_assignment(known, memory.retired.get(cluster, 0))
    return Standing(cluster, state, why, unstarted=offer is not None and offer.started_at is None)


def _as_it_ended(views: list[View], memory: Memory) -> None:
    for view in views:
        view.recount()
        view.state = memory.seen_stages.get(view.plan.name, StageState.WAITING)
        view.reason = memory.breached.get(view.plan.name, "")


def _run_event(tick: _Tick) -> tuple[RunEvent, str]:
    run, memory, evidence = tick.run, tick.memory, tick.evidence
    if memory.seen_run in tables.ENDED:
        return RunEvent.FINISHED, "the run has ended"
    if all(stage.name in memory.done for stage in run.stages):
        return RunEvent.FINISHED, _how_finished(run, tick.views)
    if tick.intent is Intent.ABORT:
        return RunEvent.ABORTED, "aborted; what has started settles by itself"
    if evidence.superseded_by:
        return RunEvent.REPLACED, f"replaced by run {evidence.superseded_by}"
    open_stages = memory.started.keys() - memory.done.keys() - set(memory.gates.shut)
    if evidence.finishing_for and not open_stages:
        return RunEvent.REPLACED, f"replaced by run {evidence.finishing_for}"
    if evidence.waits_for:
        return RunEvent.BLOCKED, f"waits for run {evidence.waits_for}"
    if memory.breached:
        return _breach_event(tick)
    if memory.gates.paused:
        return RunEvent.PAUSED, gates.pause_reason(memory)
    if tick.intent is Intent.PAUSE:
        return RunEvent.PAUSED, "paused by a person"
    if evidence.vetoed:
        return RunEvent.GO, vetoes.in_words(evidence.vetoed)
    held = freezing.frozen(evidence, rollback=run.restores)
    if held is not None:
        return RunEvent.GO, held.what
    open_views = [view for view in tick.views if view.plan.name not in memory.done]
    return RunEvent.GO, "; ".join(f"{v.plan.name}: {v.reason}" for v in open_views[:3])


def _how_finished(run: RunPlan, views: list[View]) -> str:
    """What a run that succeeded did, and what it leaves to the catch-up lane."""
    if not run.changes:
        return "nothing is to change: every cluster was last given what Git wants"
    away = sum(view.count[state] for view in views for state in tables.AWAY)
    later = f"; {away} offline: the catch-up lane brings them up" if away else ""
    return f"every stage is Done{later}"


def _breach_event(tick: _Tick) -> tuple[RunEvent, str]:
    """Failing lasts one tick; what follows is the policy's action, once nothing else goes on."""
    memory, known = tick.memory, dict(tick.marks.breached)
    stage, why = min(memory.breached.items())
    reason = f"stage {stage} failed: {why}"
    if stops.goes_on(tick.run, memory):
        if tick.intent is Intent.PAUSE:
            return RunEvent.PAUSED, f"paused by a person; {reason}"
        return RunEvent.GO, f"{reason}; what does not depend on it goes on"
    went_on = memory.seen_run == RunState.RUNNING.value
    if went_on or not set(memory.breached) <= set(known):
        return RunEvent.BREACHED, reason
    if tick.run.rules.on_failure.action is FailureAction.ABORT:
        return RunEvent.ABORTED, f"{reason}; what has started settles by itself"
    return RunEvent.STOPPED, reason


def _moving(tick: _Tick) -> list[View]:
    """The stages that neither a breach nor a veto keeps from acting."""
    if not _may_act(tick) or tick.state in tables.ENDED:
        return []
    run, views, memory = tick.run, tick.views, tick.memory
    if tick.evidence.vetoed or freezing.frozen(tick.evidence, rollback=run.restores) is not None:
        return []
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
        starts.gated = view.gated
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
