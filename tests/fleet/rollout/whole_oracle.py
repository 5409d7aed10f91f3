"""What the plain oracle judges, and every gate, spread, ramp, override and cap of a policy."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from agents.protocol import ABSENT, Health, SyncState
from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import Answer, BundleEvidence, Evidence
from fleet.rollout.gate_kinds import Approval, Dependency, Proven, Side, Webhook, Window, gate_id
from fleet.rollout.marks import Marks
from fleet.rollout.rules import Invariant, OfflineRule
from fleet.rollout.run_plan import StagePlan
from fleet.rollout.states import ClusterState, Lane
from fleet.rollout.step import Step
from tests.fleet.rollout.fleet_values import Assignment
from tests.fleet.rollout.oracle import Oracle, soak_seconds
from tests.fleet.rollout.wall_clock import is_open

if TYPE_CHECKING:
    from tests.fleet.rollout.fleet_values import Stored
    from tests.fleet.rollout.whole_fleet import WholeFleet


def is_well(report: BundleEvidence) -> bool:
    """Does it say that all is applied and healthy?"""
    return report.sync is SyncState.SYNCED and report.health is Health.HEALTHY


class WholeOracle(Oracle):
    """Raises `AssertionError` with the number of the promise that does not hold."""

    fleet: WholeFleet

    def heard(self, cluster: str, report: BundleEvidence) -> None:
        """A report reached the hub."""
        super().heard(cluster, report)
        self.fleet.hears(cluster, report)

    def before(self, run: Stored, evidence: Evidence, step: Step) -> None:
        """Judge an answer of the engine before it is performed."""
        super().before(run, evidence, step)
        for stage in run.plan.stages:
            if _is_open(stage, step.marks) and not _is_open(stage, run.marks):
                self._gates_are_open(run, stage)
            forward = set(stage.clusters).intersection(step.offer) - run.plan.restoring
            if forward and self.fleet.staged(run):
                assert _is_open(stage, step.marks), f"I4: {stage.name} moves before it is open"
            mine = [name for name in step.offer if name in stage.clusters]
            if mine:
                self._lets_through(run, stage, mine)
        self._skips(run, step)
        self._exposure(run, step)
        self._soak_goes_on(run, step)

    def after(self, run: Stored, step: Step) -> None:
        """Judge the true fleet after the step was performed."""
        super().after(run, step)
        for stage in run.plan.stages:
            mine = [name for name in step.offer if name in stage.clusters]
            if mine:
                self._spread(run, stage, mine)
                self._ramp(run, stage, mine)

    def began(self, run: Stored, one: Assignment) -> None:
        """An agent was granted a start."""
        assert self.fleet.now < one.ends_at, "a start after its lease"
        if one.reverts or run.plan.restores or one.cluster in run.plan.restoring:
            return
        stage = self.fleet.stage_of(run, one)
        for at, gate in enumerate(stage.before):
            name = gate_id(stage.name, Side.BEFORE, at)
            if not isinstance(gate, Window) or self._forced(run, name):
                continue
            if not gate.only or one.cluster in gate.only:
                assert self.is_open(gate, one.cluster), f"I20: {one.cluster} starts outside"

    def is_open(self, gate: Window, cluster: str) -> bool:
        """By the wall clock of the cluster; for expressions of a minute and hours only."""
        (hours,) = gate.allow
        minute, said, *rest = hours.cron.split()
        assert rest == ["*", "*", "*"], "the oracle knows no days"
        which = range(24) if said == "*" else [int(hour) for hour in said.split(",")]
        length = timedelta(seconds=hours.duration_seconds)
        zone = self.fleet.timezone(cluster) if gate.zone_label else gate.zone_default
        return is_open(zone, frozenset(which), int(minute), length, self.fleet.now)

    def is_approved(self, run: Stored, stage: StagePlan) -> bool:
        """As the plain oracle says; or a person forced the gate."""
        ids = [gate_id(stage.name, Side.BEFORE, n) for n, g in enumerate(stage.before) if _asks(g)]
        return super().is_approved(run, stage) or all(self._forced(run, name) for name in ids)

    def says_no(self, stage: StagePlan) -> bool:
        """A webhook may run out of time."""
        asks = any(isinstance(gate, Webhook) for gate in stage.before)
        return asks and self.fleet.webhook is not Answer.PASS

    def _forced(self, run: Stored, gate: str) -> bool:
        return any(d.verb is Verb.OVERRIDE and d.gate == gate for d in run.decisions)

    def _gates_are_open(self, run: Stored, stage: StagePlan) -> None:
        """Judged where the stage starts, as a whole; what only goes back asks nobody."""
        if not self.fleet.staged(run) or run.plan.restoring.issuperset(stage.clusters):
            return
        for at, gate in enumerate(stage.before):
            if self._forced(run, gate_id(stage.name, Side.BEFORE, at)):
                continue
            if isinstance(gate, Approval):
                who = self._approvers(run, stage, gate)
                assert len(who) >= gate.min_approvers, f"I4: {stage.name} starts, approved by {who}"
            if isinstance(gate, Webhook):
                assert self.fleet.webhook is Answer.PASS, f"I14: {stage.name} starts without a yes"
            if isinstance(gate, Proven):
                self._is_proven(run, stage, gate)

    def _approvers(self, run: Stored, stage: StagePlan, gate: Approval) -> set[str]:
        found: dict[str, Decision] = {}
        for one in run.decisions:
            said = (one.run, one.stage, one.plan_hash)
            answers = one.verb in (Verb.APPROVE, Verb.REJECT)
            if answers and said == (run.plan.uid, stage.name, run.plan.plan_hash):
                found[one.actor] = one
        lasts = timedelta(seconds=gate.expires_seconds or 10**9)
        good = (d for d in found.values() if d.verb is Verb.APPROVE)
        return {d.actor for d in good if self.fleet.now < d.at + lasts}

    def newly_run(self, run: Stored, stage: StagePlan) -> set[tuple[str, str]]:
        """(bundle, digest) that the run brings to the stage, less what it replaces there."""
        some = [change for name in stage.clusters for change in run.plan.changes[name]]
        brings = {(one.bundle, one.wanted) for one in some if one.wanted != ABSENT}
        return brings - {(one.bundle, one.previous) for one in some}

    def _is_proven(self, run: Stored, stage: StagePlan, gate: Proven) -> None:
        """I27, on what the named stage's agents truly said, span by span."""
        asked = timedelta(seconds=gate.min_seconds)
        for bundle, digest in self.newly_run(run, stage):
            keys = [(name, bundle, digest) for name in self.fleet.members(gate.stage)]
            now = [self.fleet.now - self.fleet.healthy_since[k] for k in keys if self._holds(k)]
            spans = [*now, *(self.fleet.healthy_for.get(k, -MINUTE) for k in keys)]
            assert max(spans) >= asked, f"I27: {digest} runs in {stage.name} unproven"

    def _holds(self, key: tuple[str, str, str]) -> bool:
        return key in self.fleet.healthy_since

    def _spread(self, run: Stored, stage: StagePlan, mine: list[str]) -> None:
        """I6 within a stage, on the true fleet: offers lift no domain above what may move there."""
        if stage.spread is None:
            return
        moving = self._changing(run, stage)
        for value, most in stage.spread.limits.items():
            fresh = {c for c in mine if self.fleet.zone(c) == value}
            there = {c for c in moving if self.fleet.zone(c) == value and self._is_mine(run, c)}
            if fresh:
                assert len(fresh | there) <= most, f"I6: spread {value}: {fresh | there}, {most}"

    def _is_mine(self, run: Stored, cluster: str) -> bool:
        return self.fleet.newest(run.plan.uid, cluster) is not None

    def _ramp(self, run: Stored, stage: StagePlan, mine: list[str]) -> None:
        """I1 for ramps: a later entry needs that many were Healthy as the entries before it say."""
        steps = stage.parallelism.steps
        healthy = sum(1 for c in stage.clusters if self._was_proven(run, c))
        proven = [n for n in range(len(steps)) if healthy >= sum(steps[:n])]
        most = max(steps[n] for n in proven)
        failed = {c for where, c in run.marks.ever_failed if where == stage.name}
        moving = {c for c in self._moving(run, stage) if self._is_mine(run, c)} - failed
        moving -= {c for c in moving if self._proof(run, c)}
        assert len(moving | set(mine)) <= most, f"I1: {moving} and {mine} move, the ramp is {steps}"

    def _was_proven(self, run: Stored, cluster: str) -> bool:
        """Was it healthy under some assignment of this run, also one before a retry?"""
        mine = self.fleet.assignments.of(cluster, run.plan.uid)
        return any((cluster, a.generation, b) in self.proofs for a in mine for b in a.digests)

    def _lets_through(self, run: Stored, stage: StagePlan, mine: list[str]) -> None:
        for at, gate in enumerate(stage.before):
            name = gate_id(stage.name, Side.BEFORE, at)
            if not self.fleet.staged(run) or self._forced(run, name):
                continue
            if isinstance(gate, Dependency):
                late = set(mine) - self.fleet.ready - run.plan.restoring
                assert not late, f"a start before its dependency: {late}"

    def _skips(self, run: Stored, step: Step) -> None:
        """What has started is never skipped, nor Offline; who is Offline must wait or fail."""
        rule = run.plan.rules.connectivity.offline
        done = dict(step.marks.done)
        for one in step.clusters:
            begun = self.fleet.newest(run.plan.uid, one.cluster)
            started = begun is not None and begun.started_at is not None and not begun.reverts
            if one.state is ClusterState.SKIPPED and started:
                ever = {c for _, c in step.marks.ever_failed}
                still = {c for _, c in step.marks.failure.forgiven}
                assert one.cluster in ever | still, f"{one.cluster} was started, and is skipped"
            if one.state is ClusterState.OFFLINE and one.stage in done and self.fleet.staged(run):
                others = [c for c in step.clusters if c.stage == one.stage]
                alone = all(c.state in _AWAY for c in others)
                assert rule is OfflineRule.SKIP or alone, f"{one.cluster} was not waited for"

    def _exposure(self, run: Stored, step: Step) -> None:
        """I6 for `maxExposed`: how many clusters run what nobody has proven."""
        plan = run.plan
        if not step.offer or plan.restores or plan.lane is Lane.CATCH_UP or self._baked(run, step):
            return
        mine = {a.cluster for a in self.fleet.assignments if self._exposes(run, a)}
        for one in plan.rules.invariants:
            if one.max_exposed is not None:
                most = self._most(one, len(self.fleet.agents))
                assert len(mine | set(step.offer)) <= most, f"I6: {mine} exposed, {most} may be"

    def _exposes(self, run: Stored, one: Assignment) -> bool:
        is_open = one.started_at is not None or one.withdrawn_at is None
        return one.run == run.plan.uid and not one.reverts and is_open

    def _baked(self, run: Stored, step: Step) -> bool:
        """Did it pass a full soak somewhere, in a stage that is Done with a Healthy cluster?"""
        done = dict(step.marks.done)
        soaking = [s for s in run.plan.stages if soak_seconds(s)] or list(run.plan.stages)
        return any(s.name in done and any(self._proof(run, c) for c in s.clusters) for s in soaking)

    def _most(self, one: Invariant, size: int) -> int:
        said = str(one.max_exposed or one.max_unavailable)
        found = int(said[:-1]) * size // 100 if said.endswith("%") else int(said)
        return max(found, 1) if one.at_least_one else found

    def _soak_goes_on(self, run: Stored, step: Step) -> None:
        """I5: nothing, a pause least of all, makes a soak longer than it is."""
        for stage in step.stages:
            soaks = [gate for gate in stage.gates if gate.kind == "soak" and gate.verdict != "pass"]
            if not soaks:
                continue
            plan = next(one for one in run.plan.stages if one.name == stage.name)
            healthy = [c.cluster for c in step.clusters if c.stage == stage.name]
            proofs = [at for c in healthy if (at := self._proof(run, c)) is not None]
            soaked = self.fleet.now - max(proofs, default=self.fleet.now)
            assert soaked < timedelta(seconds=soak_seconds(plan)), f"I5: soaks after {soaked}"


def _is_open(stage: StagePlan, marks: Marks) -> bool:
    """Has it started, for others than those that go back, too?"""
    return stage.name in dict(marks.started) and stage.name not in marks.gates.shut


def _asks(gate: object) -> bool:
    return isinstance(gate, Approval)


MINUTE = timedelta(minutes=1)
_AWAY = (ClusterState.OFFLINE, ClusterState.PENDING, ClusterState.SKIPPED)
