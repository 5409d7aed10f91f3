"""A pull fleet whose clusters join, leave, come back and change their group while runs are live."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from fleet.model import Cluster, ClusterGroup
from fleet.rollout import Held, Proposal, Situation
from fleet.rollout.amendments import MoveKind, amended, but_for
from fleet.rollout.evidence import ClusterEvidence
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import ClusterState, Lane
from fleet.rollout.tables import ENDED
from tests.fleet.rollout.fleet_values import Agent, Stored
from tests.fleet.rollout.pull_fleet import PullFleet


class ChangingFleet(PullFleet):
    """What Git declares changes; `look` judges after each step that nobody is in two stages."""

    def __init__(self, spec: dict[str, Any], groups: dict[str, int], **said: Any) -> None:
        super().__init__(spec, groups, **said)
        self.group_of = {name: group.name for group in self.groups for name in group.members}
        self.declared: dict[str, datetime | None] = dict.fromkeys(self.group_of, self.now)
        self.digests: dict[str, str] = {}
        """Bundle → what every cluster wants."""
        self.contents: dict[str, dict[str, str]] = {}
        """Commit → bundle → what every cluster wants at it."""
        self.knows_contents = True
        """Is the content of older commits known by now?"""
        self.unread = False
        """Could some cluster or group not be read?"""
        self.held: tuple[Held, ...] = ()
        self.frozen: dict[tuple[str, str], tuple[int | None, tuple[str, ...]]] = {}
        """(run, stage) → denominator and who was in it, from when that may not change any more."""

    # Git

    def want(self, bundle: str, digest: str, clusters: list[str] | None = None) -> None:
        super().want(bundle, digest, clusters)
        self.digests[bundle] = digest
        self.contents[self.commit] = dict(self.digests)

    def declare(self, name: str, group: str) -> None:
        """A cluster joins or is back; it wants what all others want."""
        if name in self.declared:
            return
        self.agents.setdefault(name, Agent(name))
        self.granted.setdefault(name, {})
        self.reports.setdefault(name, {})
        self.wanted[name] = dict(self.digests)
        self.group_of[name] = group
        self.declared[name] = self.now
        self._commit()

    def undeclare(self, name: str) -> None:
        """A cluster is turned down."""
        if name in self.declared and len(self.declared) > 1:
            del self.declared[name], self.wanted[name]
            self._commit()

    def relabel(self, name: str, group: str) -> None:
        """A cluster changes its group."""
        self.group_of[name] = group
        self._commit()

    def _commit(self) -> None:
        self.commits += 1
        self.commit = f"c{self.commits:06d}"
        self.contents[self.commit] = dict(self.digests)
        self.clusters = tuple(Cluster(name) for name in sorted(self.declared))
        self.groups = tuple(
            ClusterGroup(
                g.name, tuple(sorted(c for c in self.declared if self.group_of[c] == g.name))
            )
            for g in self.groups
        )

    # Hub

    def situation(self) -> Situation:
        return replace(
            super().situation(),
            declared=dict(self.declared),
            members_unread=self.unread,
            as_of={
                (commit, bundle): dict.fromkeys(self.declared, digest)
                for commit, some in (self.contents if self.knows_contents else {}).items()
                for bundle, digest in some.items()
            },
        )

    def _amend(self, proposal: Proposal) -> None:
        self.held = proposal.held
        for uid, amendment in proposal.amendments.items():
            run = self.runs[uid]
            started = {a.cluster for a in self.assignments if a.run == uid and a.started_at}
            said = but_for(amendment, started)
            for move in said.moves:
                if move.kind is not MoveKind.JOINED:
                    for one in self._open(run, move.cluster):
                        one.withdrawn_at = self.now
            run.plan = amended(run.plan, [said])
            self.in_one_stage(run.plan)

    def _step(self, run: Stored) -> bool:
        again = super()._step(run)
        self.look(run)
        return again

    def _cluster_evidence(self, run: Stored, name: str) -> ClusterEvidence:
        found = super()._cluster_evidence(run, name)
        return found if name in self.declared else replace(found, online=False)

    def start(self, name: str) -> None:
        if name in self.declared:
            super().start(name)

    # Judged

    def in_one_stage(self, plan: RunPlan) -> None:
        """I16: a cluster of the run is in exactly one stage, and in no other than before."""
        placed = [name for stage in plan.stages for name in stage.clusters]
        assert len(placed) == len(set(placed)), "I16: a cluster is in two stages"
        assert set(placed) == set(plan.changes), "I16: a cluster of the run is in no stage"

    def look(self, run: Stored) -> None:
        """I16, and: a stage that is Done stays as it was, a denominator that was frozen too."""
        self.in_one_stage(run.plan)
        assert run.step is not None
        told = [one.cluster for one in run.step.clusters]
        assert sorted(told) == sorted(run.plan.changes), "I16: not told exactly once"
        if run.plan.lane is not Lane.STAGED:
            return
        done, sizes = dict(run.marks.done), dict(run.marks.denominators)
        for stage in run.plan.stages:
            key = run.plan.uid, stage.name
            known, members = self.frozen.get(key, (None, ()))
            size = sizes.get(stage.name)
            assert known in (None, size), f"{stage.name}: a denominator changed, {known} to {size}"
            if stage.name in done:
                assert not members or members == stage.clusters, f"{stage.name} was opened again"
                members = stage.clusters
            self.frozen[key] = size, members
        self._leavers_hold_nothing(run)

    def _leavers_hold_nothing(self, run: Stored) -> None:
        """Who left and had not settled is Removed or failed, and could start nothing."""
        assert run.step is not None
        states = {one.cluster: one.state for one in run.step.clusters}
        over = {ClusterState.REMOVED, ClusterState.HEALTHY, ClusterState.FAILED}
        over |= {ClusterState.TIMED_OUT, ClusterState.STILL_UNHEALTHY, ClusterState.SKIPPED}
        over |= {ClusterState.REVERTED, ClusterState.REVERT_FAILED}
        for name in run.plan.left:
            assert states[name] in over or run.state in ENDED, f"{name} left and is {states[name]}"
            assert not self._open(run, name), f"{name} left and could still start"
