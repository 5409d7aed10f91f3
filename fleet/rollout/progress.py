"""Where the stages of a run are in this tick, in the order of their dependencies.

A stage waits for all that it depends on to be Done *in this run*, then for its gates, then moves
its clusters, then soaks. It acts (starts, becomes Done) only while the run may act; what it *is*
is told either way. A stage with no changing cluster (or that all of them left) is Done(Skipped) as
soon as it is its turn; one where nobody is online waits if a later one needs its proof and is
Done(Offline) otherwise.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from fleet.rollout import budgets, connectivity, gates, stops, tables
from fleet.rollout.evidence import Evidence
from fleet.rollout.gate_kinds import Side
from fleet.rollout.gates import Verdict
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.standing import Standing
from fleet.rollout.states import ClusterState, StageState
from fleet.rollout.step import GateStatus, StageStatus
from fleet.rollout.tables import StageEvent

UNTOUCHED = frozenset(
    {ClusterState.QUEUED, ClusterState.OFFLINE, ClusterState.PENDING, ClusterState.REMOVED}
)
"""Nothing of the run moves in these, nor has it come to an end."""
UNSETTLED = (ClusterState.QUEUED, ClusterState.ASSIGNED, ClusterState.APPLYING)


AND_KEPT = ", and nobody may start: "
"""Between the count of an open stage and what keeps everybody."""
_FAR = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class View:
    """One stage in this tick."""

    plan: StagePlan
    standings: list[Standing]
    state: StageState = StageState.WAITING
    reason: str = ""
    code: str = ""
    until: datetime | None = None
    again: datetime | None = None
    """When its gates are to be judged again; nobody is shown it."""
    gated: Reason | None = None
    """The gate before it that is not open, while what goes back moves all the same."""
    gates: tuple[GateStatus, ...] = ()
    count: Counter[ClusterState] = field(default_factory=Counter)

    def recount(self) -> None:
        """Count the clusters by state again, after some were offered or withdrawn."""
        self.count = Counter(one.state for one in self.standings)

    def hold(self, why: Reason | None) -> None:
        """Nothing of the run may start: every queued cluster is told."""
        if why is not None:
            for one in self.standings:
                one.refused = why if one.state is ClusterState.QUEUED else one.refused

    @property
    def present(self) -> int:
        """How many of its changing clusters did not leave."""
        return len(self.standings) - self.count[ClusterState.REMOVED]

    def status(self, memory: Memory) -> StageStatus:
        """As shown to people."""
        done = self.plan.name in memory.done
        denominator = memory.denominators.get(self.plan.name, self.present)
        return StageStatus(
            name=self.plan.name,
            state=self.state,
            total=self.present,
            healthy=self.count[ClusterState.HEALTHY],
            in_flight=sum(self.count[state] for state in tables.IN_FLIGHT),
            failed=memory.count_failed(self.plan.name),
            offline=sum(self.count[state] for state in tables.AWAY - {ClusterState.REMOVED}),
            budget=budgets.failure_budget(self.plan, denominator),
            reason=self._reason(),
            until=None if done else self.until,
            denominator=denominator,
            gates=() if done else self.gates,
        )

    def _reason(self) -> str:
        """Its own, and what keeps everybody of an open stage in which nobody moves."""
        moving = any(self.count[state] for state in tables.IN_FLIGHT)
        if moving or self.state is not StageState.UPDATING:
            return self.reason
        whys = [one.refused for one in self.standings if one.state is ClusterState.QUEUED]
        kept = [why for why in whys if why is not None]
        if not kept or len(kept) < len(whys):
            return self.reason
        soonest = min(kept, key=lambda why: (why.until is None, why.until or _FAR))
        return f"{self.reason}{AND_KEPT}{soonest.what}"


def walk(
    run: RunPlan,
    views: Sequence[View],
    memory: Memory,
    evidence: Evidence,
    may_act: bool,
    now: datetime,
    wakes: list[datetime],
) -> None:
    """Give every stage its state; marks starts, ends, soaks and breaches."""
    needed = needed_stages(run)
    for view in views:
        view.recount()
        name = view.plan.name
        before = memory.seen_stages.get(name, StageState.WAITING)
        if name in memory.done:
            view.state = StageState.DONE
            view.reason, view.code = _how_done(view)
            continue
        acts = may_act and name not in stops.stopped(run, memory) and not evidence.vetoed
        if evidence.waits_for:
            event = StageEvent.BLOCKED
            view.reason, view.code = f"waits for run {evidence.waits_for}", "RunQueued"
        else:
            event = _event(run, view, memory, evidence, acts, name in needed, now)
        if connectivity.fails_offline(run, view.count) and memory.started.get(name) == now:
            wakes.append(now)
        if event is StageEvent.FINISHED:
            memory.done[name] = now
            gates.close(memory, f"{name}/")
            for cluster in view.plan.clusters:
                memory.clocks.pop(cluster, None)
        wakes.extend(at for at in (view.until, view.again) if at is not None and at > now)
        view.state = tables.stage_after(before, event)


def needed_stages(run: RunPlan) -> set[str]:
    """The stages that must be proven because a later one changes something.

    None in a run that restores: a dark cluster keeps nobody from getting back what worked.
    """
    needed: set[str] = set()
    for stage in reversed(run.stages):
        if not run.restores and (stage.clusters or stage.name in needed):
            needed.update(stage.depends_on)
    return needed


def _event(
    run: RunPlan,
    view: View,
    memory: Memory,
    evidence: Evidence,
    acts: bool,
    is_needed: bool,
    now: datetime,
) -> StageEvent:
    stage = view.plan
    missing = [name for name in stage.depends_on if name not in memory.done]
    if missing:
        view.reason, view.code = f"waits for stage {', '.join(missing)}", "WaitsForStage"
        return StageEvent.BLOCKED
    if not view.present:
        view.reason, view.code = _how_done(view)
        return StageEvent.FINISHED if acts else StageEvent.BLOCKED
    if stage.name in memory.breached:
        return _breached(view, memory)
    if evidence.finishing_for and all(one.state in UNTOUCHED for one in view.standings):
        # A window or a cap kept everybody: nothing has begun here that is to be finished.
        memory.started.pop(stage.name, None)
    if stage.name not in memory.started or stage.name in memory.gates.shut:
        event = _before(run, view, memory, evidence, acts, is_needed, now)
        if event is not None:
            return event
    return _inside(run, view, memory, evidence, acts, is_needed, now)


def _breached(view: View, memory: Memory) -> StageEvent:
    view.reason, view.code = memory.breached[view.plan.name], "Breached"
    return StageEvent.BREACHED


def _before(
    run: RunPlan,
    view: View,
    memory: Memory,
    evidence: Evidence,
    acts: bool,
    is_needed: bool,
    now: datetime,
) -> StageEvent | None:
    """Why the stage cannot start; `None` once it has."""
    stage = view.plan
    shut = stage.name in memory.gates.shut
    if evidence.finishing_for:
        view.reason, view.code = f"run {evidence.finishing_for} takes it from here", "Superseded"
        return StageEvent.BLOCKED
    gate = gates.judge(run, stage, Side.BEFORE, evidence, memory, now)
    view.gates, view.again = gate.gates, gate.again
    if gate.verdict is Verdict.FAIL:
        memory.breached[stage.name] = gate.reason
        return _breached(view, memory)
    if gate.verdict is not Verdict.PASS and _goes_forward(run, view):
        view.reason, view.code, view.until = gate.reason, gate.code, gate.until
        return _through_shut_gates(run, view, memory, acts, now)
    if shut:
        memory.gates = replace(memory.gates, shut=_others(memory, stage.name))
    elif nobody_online(view) and not connectivity.fails_offline(run, view.count):
        return _with_nobody(run, view, is_needed, acts)
    elif not acts:
        view.reason, view.code = "may start when the run goes on", "RunStandsStill"
        return StageEvent.BLOCKED
    gates.close(memory, f"{stage.name}/{Side.BEFORE}/")
    _start(run, view, memory, now)
    return None


def _start(run: RunPlan, view: View, memory: Memory, now: datetime) -> None:
    """The stage starts; what failures are judged by is frozen."""
    name = view.plan.name
    memory.started[name] = now
    memory.denominators.setdefault(name, view.present - connectivity.left_out(run, view.count))


def _through_shut_gates(
    run: RunPlan, view: View, memory: Memory, acts: bool, now: datetime
) -> StageEvent:
    """No gate before keeps a cluster that goes back to what it ran before."""
    going = (ClusterState.VERIFYING, *UNSETTLED)
    if not any(s.state in going and s.cluster in run.restoring for s in view.standings):
        return StageEvent.GATED
    name = view.plan.name
    if name not in memory.gates.shut:
        if not acts:
            return StageEvent.GATED
        memory.gates = replace(memory.gates, shut=(*_others(memory, name), name))
        _start(run, view, memory, now)
    view.gated = Reason(view.code or "Gated", view.reason, view.until)
    view.reason = f"only what goes back may start: {view.reason}"
    return StageEvent.MOVING


def _goes_forward(run: RunPlan, view: View) -> bool:
    """Does any cluster of the stage get what it did not run before?"""
    here = (one for one in view.standings if one.state is not ClusterState.REMOVED)
    return any(one.cluster not in run.restoring for one in here)


def _others(memory: Memory, name: str) -> tuple[str, ...]:
    return tuple(stage for stage in memory.gates.shut if stage != name)


def _inside(
    run: RunPlan,
    view: View,
    memory: Memory,
    evidence: Evidence,
    acts: bool,
    is_needed: bool,
    now: datetime,
) -> StageEvent:
    stage = view.plan
    healthy = view.count[ClusterState.HEALTHY]
    view.reason = f"{healthy} of {view.present} Healthy"
    if connectivity.fails_offline(run, view.count):
        return StageEvent.MOVING
    if nobody_online(view):
        return _with_nobody(run, view, is_needed, acts)
    if any(view.count[state] for state in UNSETTLED):
        return StageEvent.MOVING
    if view.count[ClusterState.VERIFYING]:
        return StageEvent.CHECKING
    if dark := connectivity.waits_for(run, view.count):
        view.reason, view.code = f"waits for {dark} offline clusters", "WaitsForOffline"
        return StageEvent.CHECKING
    budgets.judge_settled(
        run.rules.on_failure, stage, view.standings, healthy, view.present, memory
    )
    if stage.name in memory.breached:
        return _breached(view, memory)
    _keep_soak(run, view, memory)
    gate = gates.judge(run, stage, Side.AFTER, evidence, memory, now)
    view.until, view.again, view.gates = gate.until, gate.again, gate.gates
    if gate.verdict is Verdict.FAIL:
        memory.breached[stage.name] = gate.reason
        return _breached(view, memory)
    if gate.verdict is not Verdict.PASS:
        view.reason, view.code = gate.reason, gate.code
        return StageEvent.SOAKING
    if not acts:
        view.code = "RunStandsStill"
        return StageEvent.SOAKING
    view.reason, view.code = _how_done(view)
    return StageEvent.FINISHED


def _keep_soak(run: RunPlan, view: View, memory: Memory) -> None:
    """What goes back to what was proven needs no soak."""
    well = (one for one in view.standings if one.state is ClusterState.HEALTHY)
    healthy = [one for one in well if one.cluster not in run.restoring]
    gates.keep_clock(view.plan, {o.cluster: o.since for o in healthy if o.since}, memory)


def nobody_online(view: View) -> bool:
    """Is every changing cluster Offline or Pending?"""
    return all(one.state in tables.AWAY for one in view.standings)


def _with_nobody(run: RunPlan, view: View, is_needed: bool, acts: bool) -> StageEvent:
    if is_needed or connectivity.waits_for(run, view.count):
        view.reason, view.code = "no cluster of this stage is online", "NobodyOnline"
        return StageEvent.BLOCKED
    view.reason, view.code = _how_done(view)
    return StageEvent.FINISHED if acts else StageEvent.BLOCKED


def _how_done(view: View) -> tuple[str, str]:
    if not view.present:
        left = "every cluster left" if view.standings else "no cluster changes here"
        return left, "Skipped"
    if nobody_online(view):
        if all(one.state is ClusterState.SKIPPED for one in view.standings):
            return "every cluster was skipped", "Skipped"
        return "no cluster was online; they are caught up later", "Offline"
    healthy = view.count[ClusterState.HEALTHY]
    return f"{healthy} of {view.present} Healthy", "Done"
