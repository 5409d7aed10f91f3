"""The promises of rollouts.md, judged on the true fleet before and after every step of the hub."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from agents.protocol import Health, SyncState
from fleet.rollout import Proposal, Situation, explain
from fleet.rollout.decisions import Verb
from fleet.rollout.evidence import BundleEvidence, Evidence
from fleet.rollout.gate_kinds import Soak
from fleet.rollout.rules import FailureScope, OfflineRule
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import ClusterState, Intent, Lane, RunState
from fleet.rollout.step import ClusterStatus, Step
from fleet.rollout.tables import ENDED, IN_FLIGHT

if TYPE_CHECKING:
    from tests.fleet.rollout.fleet_values import Stored
    from tests.fleet.rollout.pull_fleet import PullFleet

BAD = (ClusterState.FAILED, ClusterState.TIMED_OUT)


def soak_seconds(stage: StagePlan) -> float:
    """How long a stage soaks; 0 if it does not."""
    return max((g.min_seconds for g in stage.after if isinstance(g, Soak)), default=0)


def descendants(plan: RunPlan, name: str) -> set[str]:
    """All stages that depend on a stage, directly or not."""
    found = {name}
    for stage in plan.stages:
        if not found.isdisjoint(stage.depends_on):
            found.add(stage.name)
    return found - {name}


class Oracle:
    """Raises `AssertionError` with the number of the promise that does not hold."""

    def __init__(self, fleet: PullFleet) -> None:
        self.fleet = fleet
        self.approved: set[tuple[str, str, str]] = set()
        self.proofs: dict[tuple[str, int, str], datetime] = {}
        """(cluster, generation, bundle) → when the hub last heard that it became healthy."""
        self.moved: dict[str, set[str]] = {}
        """Stage of the run in hand → who was in motion before its step."""

    def heard(self, cluster: str, report: BundleEvidence) -> None:
        """A report reached the hub."""
        if report.sync is SyncState.SYNCED and report.health is Health.HEALTHY:
            self.proofs[cluster, report.generation, report.bundle] = self.fleet.now

    def proposed(self, situation: Situation, proposal: Proposal) -> None:
        """Judge new runs."""
        live = {r.plan.uid: r.plan for r in situation.runs if r.is_live}
        for run in proposal.runs:
            placed = [cluster for stage in run.stages for cluster in stage.clusters]
            assert len(placed) == len(set(placed)), "I16: a cluster in two stages"
            assert set(placed) == set(run.changes), "I16: a changing cluster in no stage"
            for changes in run.changes.values():
                for change in changes:
                    assert change.wanted != change.previous, "I25: a change to the same digest"
        for new, old in proposal.waits.items():
            plans = {**live, **{run.uid: run for run in proposal.runs}}
            shared = set(plans[new].bundles) & set(plans[old].bundles)
            assert shared, f"I26: {new} waits for {old} with no bundle in common"

    def before(self, run: Stored, evidence: Evidence, step: Step) -> None:
        """Judge an answer of the engine before it is performed."""
        old, new = run.marks, step.marks
        assert old.ever_failed <= new.ever_failed, "I12: a failure was forgotten"
        if step.offer:
            assert run.intent is Intent.RUN, "I9: an offer while paused"
            assert not evidence.waits_for, "a queued run offers"
            assert not evidence.superseded_by, "a superseded run offers"
            self._nothing_vetoed(run)
            self._no_breach(run, step)
            self._offers_in_order(run, step)
        self.moved = {stage.name: self._changing(run, stage) for stage in run.plan.stages}
        for name, _ in step.revert:
            assert self._touched(run, name), f"I18: {name} goes back and was never touched"
        for one in step.clusters:
            self._has_reason(run, evidence, step, one)
        self._causes(run, step)
        self._health_is_proven(run, step)
        for stage in run.plan.stages:
            if stage.name in dict(new.done) and stage.name not in dict(old.done):
                self._done(run, stage, step)

    def after(self, run: Stored, step: Step) -> None:
        """Judge the true fleet after the step was performed."""
        for stage in run.plan.stages:
            if any(name in step.offer for name in stage.clusters):
                self._parallelism(run, stage)
        for one in self.fleet.assignments:
            if one.run == run.plan.uid and one.can_start and not one.reverts:
                assert run.intent is Intent.RUN, "a paused run leaves an offer open"
                stops = run.plan.rules.on_failure.scope is FailureScope.RUN
                assert not (run.marks.breached and stops), "I3: a breach leaves an offer open"

    def _touched(self, run: Stored, cluster: str) -> bool:
        """Did the cluster start what this run offered it?"""
        mine = (a for a in self.fleet.assignments if a.run == run.plan.uid and not a.reverts)
        return any(a.cluster == cluster and a.started_at for a in mine)

    def _has_reason(self, run: Stored, evidence: Evidence, step: Step, one: ClusterStatus) -> None:
        """I22: who neither moves nor is Healthy has a reason in words."""
        if one.state in IN_FLIGHT or one.state is ClusterState.HEALTHY:
            return
        reasons = explain(run.plan, step, evidence, one.cluster)
        assert any(why.code and why.what for why in reasons), f"I22: {one.cluster}: {reasons}"

    def _nothing_vetoed(self, run: Stored) -> None:
        for bundle in run.plan.bundles:
            vetoed = self.fleet.vetoed.get(bundle, {})
            wants = {c for c, some in self.fleet.wanted.items() if some.get(bundle) in vetoed}
            assert not wants, f"I24: {bundle} is offered while {sorted(wants)} want what is vetoed"

    def _no_breach(self, run: Stored, step: Step) -> None:
        rules = run.plan.rules.on_failure
        if run.plan.lane is Lane.CATCH_UP or rules.scope is FailureScope.CLUSTER:
            return
        for stage in run.plan.stages:
            if rules.scope is FailureScope.STAGE and not rules.veto:
                reach = {stage.name, *descendants(run.plan, stage.name)}
                reached = {c for s in run.plan.stages if s.name in reach for c in s.clusters}
                if reached.isdisjoint(step.offer):
                    continue
            failed = {c for where, c in step.marks.ever_failed if where == stage.name}
            forgiven = {c for where, c in step.marks.failure.forgiven if where == stage.name}
            failed -= forgiven
            standing = {c for where, c, _ in step.marks.failed if where == stage.name} & failed
            size = dict(step.marks.denominators).get(stage.name, 0)
            budget = self.budget(stage, size)
            assert len(failed) <= budget or not standing, "I3: an offer after a breach"

    def budget(self, stage: StagePlan, size: int) -> int:
        """The tolerance, worked out here once more in plain words; who joins never enlarges it."""
        said = stage.failure_budget_said
        if said.endswith("%"):
            return min(int(float(said[:-1]) * size / 100), stage.failure_budget)
        return min(int(said or 0), len(stage.clusters), stage.failure_budget)

    def _offers_in_order(self, run: Stored, step: Step) -> None:
        stages = {stage.name: stage for stage in run.plan.stages}
        for stage in run.plan.stages:
            if not any(name in step.offer for name in stage.clusters):
                continue
            forward = {c for c in stage.clusters if c in step.offer} - run.plan.restoring
            gated = forward and not run.plan.restores and run.plan.lane is Lane.STAGED
            if stage.approvals and gated:
                assert self.is_approved(run, stage), f"I4: {stage.name} moves without an approval"
            for name in stage.depends_on:
                assert name in dict(step.marks.done), f"I2: {stage.name} moves before {name}"
                for cluster in stages[name].clusters:
                    assert self._is_over(run, name, cluster, step), f"I2/I14: {cluster} unproven"

    def is_approved(self, run: Stored, stage: StagePlan) -> bool:
        """Was a good answer given to exactly this run, stage and plan?"""
        return (run.plan.uid, stage.name, run.plan.plan_hash) in self.approved

    def _is_over(self, run: Stored, stage: str, cluster: str, step: Step) -> bool:
        """Was it proven healthy under this run's generation, or failed, never started, or gone?"""
        if cluster in run.plan.left:
            return True
        found = self.fleet.newest(run.plan.uid, cluster)
        if found is None or found.started_at is None:
            return True
        if (stage, cluster) in step.marks.ever_failed:
            return True
        if any(c == cluster and w.startswith("StillUnhealthy") for _, c, w in step.marks.failed):
            return True
        return self._proof(run, cluster) is not None

    def _proof(self, run: Stored, cluster: str) -> datetime | None:
        """When the last of a cluster's bundles was heard to be healthy under this run."""
        found = self.fleet.newest(run.plan.uid, cluster)
        if found is None:
            return None
        times = [self.proofs.get((cluster, found.generation, b)) for b in found.digests]
        known = [moment for moment in times if moment is not None]
        return max(known) if known and len(known) == len(times) else None

    def _health_is_proven(self, run: Stored, step: Step) -> None:
        done = dict(run.marks.done)
        for one in step.clusters:
            if one.state is ClusterState.HEALTHY and one.stage not in done:
                assert self._proof(run, one.cluster), f"I14: {one.cluster} is Healthy unproven"

    def _causes(self, run: Stored, step: Step) -> None:
        """I11: what fails has a cause, and what breaches has one too."""
        for stage, cluster in step.marks.ever_failed - run.marks.ever_failed:
            why = next(w for s, c, w in step.marks.failed if (s, c) == (stage, cluster))
            lost = cluster in run.plan.lost
            if not why.startswith("Failed") or lost or self._fails_dark(run, cluster, why):
                continue
            found = self.fleet.newest(run.plan.uid, cluster)
            assert found is not None
            assert found.started_at is not None, "I11: failed, and never started"
            reports = self.fleet.reports[cluster]
            own = [reports[b] for b in found.digests if b in reports]
            own = [one for one in own if one.generation == found.generation]
            bad = [o for o in own if o.sync is SyncState.FAILED or o.health is Health.DEGRADED]
            assert bad, f"I11: {cluster} counts as failed on stale evidence"
        for stage, why in set(step.marks.breached) - set(run.marks.breached):
            self._has_cause(run, stage, why, step)

    def _fails_dark(self, run: Stored, cluster: str, why: str) -> bool:
        """Is it dark in truth, and does the policy say that this is a failure?"""
        fails = run.plan.rules.connectivity.offline is OfflineRule.FAIL
        return "offline" in why and fails and not self.fleet.agents[cluster].online

    def _has_cause(self, run: Stored, name: str, why: str, step: Step) -> None:
        stage = next(one for one in run.plan.stages if one.name == name)
        size = dict(step.marks.denominators).get(name, 0)
        failed = sum(1 for where, _ in step.marks.ever_failed if where == name)
        healthy = sum(
            1 for c in step.clusters if c.stage == name and c.state is ClusterState.HEALTHY
        )
        rejected = any(d.verb is Verb.REJECT and d.stage == name for d in run.decisions)
        over = failed > self.budget(stage, size)
        few = healthy < max(1, self.least(stage, size))
        row = stage.consecutive is not None and failed >= stage.consecutive
        begun, most = dict(step.marks.started).get(name), stage.stage_deadline_seconds
        spent = (self.fleet.now - begun).total_seconds() if begun else 0
        late = most is not None and spent >= most
        causes = (over, few, row, rejected, late, self.says_no(stage))
        assert any(causes), f"I11: no cause: {why}"

    def least(self, stage: StagePlan, size: int) -> int:
        """How many must be Healthy, likewise; who joined before the stage started counts."""
        said = stage.min_healthy_said
        return ceil(float(said[:-1]) * size / 100) if said.endswith("%") else stage.min_healthy

    def says_no(self, stage: StagePlan) -> bool:
        """Does a machine that a gate asks keep the stage out for good?"""
        return False

    def _done(self, run: Stored, stage: StagePlan, step: Step) -> None:
        states = {c.cluster: c.state for c in step.clusters if c.stage == stage.name}
        away = (ClusterState.OFFLINE, ClusterState.PENDING, ClusterState.REMOVED)
        if not states or all(state in away for state in states.values()):
            return
        healthy = [c for c, state in states.items() if state is ClusterState.HEALTHY]
        if run.plan.lane is Lane.CATCH_UP:
            return
        forgiven = (stage.name, "") in step.marks.failure.forgiven
        assert healthy or forgiven, f"minHealthy: stage {stage.name} is Done and nobody is Healthy"
        for cluster in healthy:
            assert self._proof(run, cluster) is not None, f"I14: {cluster} is Healthy without proof"
        if run.plan.restores or not healthy:
            return
        spared = {*run.plan.restoring, *run.plan.left}
        forward = [cluster for cluster in healthy if cluster not in spared]
        if not forward:
            return
        last = max(filter(None, (self._proof(run, cluster) for cluster in forward)))
        soaked = self.fleet.now - last
        assert soaked >= timedelta(seconds=soak_seconds(stage)), f"I5: soaked only {soaked}"

    def _parallelism(self, run: Stored, stage: StagePlan) -> None:
        """I1, on the true fleet: offers bring no more than the cap into motion.

        What runs that ended have left in motion may be more than that; it never grows.
        """
        moving = self._changing(run, stage)
        cap = max(*stage.parallelism.steps, len(self.moved[stage.name]))
        assert len(moving) <= cap, f"I1: {sorted(moving)} change at once, allowed are {cap}"

    def _changing(self, run: Stored, stage: StagePlan) -> set[str]:
        """Who changes, or could still start to change, and is not counted as failed."""
        counted = {c for where, c in run.marks.ever_failed if where == stage.name}
        return set(self._moving(run, stage)) - counted - run.plan.left.keys()

    def _moving(self, run: Stored, stage: StagePlan) -> Iterator[str]:
        uid = run.plan.uid
        for one in self.fleet.assignments:
            if one.run == uid and one.cluster in stage.clusters and one.can_start:
                yield one.cluster
        settled = {c for where, c, _ in run.marks.failed if where == stage.name}
        for name in stage.clusters:
            for current in self.fleet.agents[name].current.values():
                mine = current.run == uid
                if mine and not current.was_healthy and name not in settled:
                    yield name
                if not mine and self._moves_for_an_ended_run(run, name, stage):
                    yield name

    def _moves_for_an_ended_run(self, run: Stored, name: str, stage: StagePlan) -> bool:
        for bundle, current in self.fleet.agents[name].current.items():
            other = self.fleet.runs[current.run]
            if bundle not in run.plan.bundles or current.phase != "applying":
                continue
            if other.state not in ENDED - {RunState.SUCCEEDED} or not other.ended_at:
                continue
            limit = timedelta(seconds=stage.cluster_deadline_seconds)
            if self.fleet.now - other.ended_at < limit:
                return True
        return False
