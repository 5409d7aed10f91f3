"""A small pull fleet in memory: a hub that performs what the engine answers, and its agents.

The hub stores and forgets as the real one does: one transaction for each step, starts granted by
compare-and-set on the generation. Agents may be dark, fetch without starting, start late, fail or
regress. `Oracle` (oracle.py) looks at this fleet as it truly is, never at the hub's view of it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from agents.protocol import ABSENT, Health, SyncState
from fleet import rollout
from fleet.model import Cluster, ClusterGroup, PolicyDocument
from fleet.rollout import PolicyBook, Proposal, RunRecord, Situation, vetoes
from fleet.rollout.decisions import EVERY_GROUP, Decision, Verb
from fleet.rollout.evidence import BundleEvidence, ClusterEvidence, Evidence
from fleet.rollout.run_plan import Change
from fleet.rollout.states import ClusterState, RunState
from fleet.rollout.step import Event, Step, Veto
from fleet.rollout.tables import ENDED, IN_FLIGHT
from tests.fleet.rollout.fleet_values import (
    MARKS,
    SAID,
    START,
    Agent,
    Assignment,
    Assignments,
    Current,
    Stored,
)
from tests.fleet.rollout.oracle import Oracle

MOVES = IN_FLIGHT | {ClusterState.REVERTING}


class PullFleet:
    """Hub and agents; every public method is one thing that can happen."""

    def __init__(
        self,
        spec: dict[str, Any],
        groups: dict[str, int],
        bundles: dict[str, tuple[str, ...]] | None = None,
        others: tuple[PolicyDocument, ...] = (),
    ) -> None:
        self.now = START
        self.bundles = bundles or {"app": ()}
        self.groups = tuple(
            ClusterGroup(name, tuple(f"{name}-{i}" for i in range(count)))
            for name, count in sorted(groups.items())
        )
        names = [member for group in self.groups for member in group.members]
        self.clusters = tuple(Cluster(name) for name in names)
        documents = [PolicyDocument("Rollout", "default", spec, "rollout.yaml")] if spec else []
        self.policies: PolicyBook = rollout.read_policies([*documents, *others], groups)
        assert not self.policies.problems, self.policies.problems
        self.agents = {name: Agent(name) for name in names}
        self.wanted: dict[str, dict[str, str]] = {name: {} for name in names}
        self.granted: dict[str, dict[str, str]] = {name: {} for name in names}
        self.commit = "c000000"
        self.commits = 0
        self.trailers: dict[str, str] = {}
        """Of every commit from now on."""
        self.bad: dict[str, str] = {}
        """Digest, or cluster:digest → phase that it ends in; else healthy."""
        self.runs: dict[str, Stored] = {}
        self.assignments = Assignments()
        self.reports: dict[str, dict[str, BundleEvidence]] = {name: {} for name in names}
        self.events: list[Event] = []
        self.decided = 0
        self.baked: dict[tuple[str, str], list[tuple[str, str]]] = {}
        """(cluster, bundle) → (run, digest) that was baked, oldest first."""
        self.vetoed: dict[str, dict[str, Veto]] = {}
        self.oracle = Oracle(self)

    # Git

    def want(self, bundle: str, digest: str, clusters: list[str] | None = None) -> None:
        """A commit that gives a bundle another digest, everywhere or on some clusters."""
        self.commits += 1
        self.commit = f"c{self.commits:06d}"
        for cluster in clusters if clusters is not None else sorted(self.wanted):
            if digest == ABSENT:
                self.wanted[cluster].pop(bundle, None)
            else:
                self.wanted[cluster][bundle] = digest

    # Hub

    def tick(self, seconds: float = 0) -> None:
        """Time passes; the hub proposes, advances every live run and performs the answers."""
        self.now += timedelta(seconds=seconds)
        for _ in range(20):
            self._propose()
            again = [self._step(run) for run in list(self.runs.values())]
            if not any(again):
                return
        raise AssertionError("the hub never comes to rest")

    def _records(self) -> tuple[RunRecord, ...]:
        return tuple(
            r.record()
            for r in self.runs.values()
            if not r.superseded_by or r.finishing or r.state in ENDED
        )

    def situation(self) -> Situation:
        """What the hub would ask `propose` now."""
        return Situation(
            commit=self.commit,
            now=self.now,
            wanted={c: dict(w) for c, w in self.wanted.items()},
            assigned=self.granted,
            policies=self.policies,
            clusters=self.clusters,
            groups=self.groups,
            bundles={name: {} for name in self.bundles},
            depends_on=self.bundles,
            runs=self._records(),
            online=frozenset(a.name for a in self.agents.values() if a.online),
            unhealthy=frozenset(
                (c, b)
                for c, some in self.reports.items()
                for b, one in some.items()
                if one.health is Health.DEGRADED and one.digest == self.granted[c].get(b)
            ),
            vetoed={b: {d: v.why for d, v in some.items()} for b, some in self.vetoed.items()},
            unbaked=self.unbaked(),
            next_number=len(self.runs) + 1,
            trailers=self.trailers,
            removals_approved=frozenset(
                (c, b, d) for c, some in self.granted.items() for b, d in some.items()
            ),
        )

    def _propose(self) -> None:
        situation = self.situation()
        proposal = rollout.propose(situation)
        self.oracle.proposed(situation, proposal)
        self._amend(proposal)
        for plan in proposal.runs:
            self.runs[plan.uid] = Stored(plan)
        for old, new in proposal.superseded.items():
            self.runs[old].superseded_by, self.runs[old].finishing = new, False
        for old, new in proposal.finishing.items():
            self.runs[old].superseded_by, self.runs[old].finishing = new, True
        if proposal.runs:
            again = rollout.propose(self.situation())
            assert not again.runs, f"I8: proposed again {[r.uid for r in again.runs]}"

    def _amend(self, proposal: Proposal) -> None:
        """Only a fleet whose clusters come and go has anything to amend."""
        assert not proposal.amendments

    def _step(self, run: Stored) -> bool:
        """Advance one run and perform it; is there more to do at once?"""
        if run.state in ENDED:
            return False
        evidence = self.evidence(run)
        step = rollout.advance(run.plan, run.marks, run.intent, evidence, self.now)
        after_crash = MARKS.validate_json(MARKS.dump_json(run.marks))
        replay = rollout.advance(run.plan, after_crash, run.intent, evidence, self.now)
        assert replay == step, "I15: the answer after a crash differs"
        self.oracle.before(run, evidence, step)
        for name in step.withdraw:
            for one in self._open(run, name):
                one.withdrawn_at = self.now
        closes = dict(step.closes)
        for name in step.offer:
            self._offer(run, name, run.plan.changes[name], closes.get(name))
        for name, changes in step.revert:
            self._offer(run, name, changes, None, reverts=True)
        self._bake(run, step)
        for veto in step.vetoes:
            self.vetoed.setdefault(veto.bundle, {})[veto.digest] = veto
        newly_done = len(step.marks.done) > len(run.marks.done)
        run.marks, run.state, run.step = step.marks, step.state, step
        run.ended_at = self.now if step.state in ENDED else None
        self.events.extend(step.events)
        self.oracle.after(run, step)
        if run.state not in ENDED and not newly_done and step.wake_at != self.now:
            second = rollout.advance(run.plan, run.marks, run.intent, self.evidence(run), self.now)
            assert not second.offer, f"I8: offered again {second.offer}"
            assert not second.events, f"I8: told again {second.events}"
            assert second.marks == run.marks, "I8: marks changed without cause"
        return step.state in ENDED or (step.wake_at is not None and step.wake_at <= self.now)

    def _open(self, run: Stored, cluster: str) -> list[Assignment]:
        return [one for one in self.assignments.of(cluster, run.plan.uid) if one.can_start]

    def _offer(
        self,
        run: Stored,
        cluster: str,
        changes: tuple[Change, ...],
        closes: datetime | None,
        reverts: bool = False,
    ) -> None:
        if self._open(run, cluster):
            return
        generation = 1 + len(self.assignments.of(cluster))
        digests = {change.bundle: change.wanted for change in changes}
        lease = self.now + timedelta(seconds=run.plan.lease_seconds)
        made = Assignment(
            run.plan.uid, cluster, generation, digests, self.now, min(closes or lease, lease)
        )
        made.reverts = reverts
        self.assignments.append(made)

    def unbaked(self) -> dict[str, frozenset[str]]:
        """Bundle → the runs whose content some cluster truly runs and never baked."""
        found: dict[str, set[str]] = {}
        for name, agent in self.agents.items():
            for bundle, one in agent.current.items():
                known = self.baked.get((name, bundle), [])
                if one.digest != ABSENT and (not known or known[-1][1] != one.digest):
                    found.setdefault(bundle, set()).add(one.run)
        return {bundle: frozenset(runs) for bundle, runs in found.items()}

    def _bake(self, run: Stored, step: Step) -> None:
        for one in step.clusters:
            for change in run.plan.changes[one.cluster]:
                known = self.baked.setdefault((one.cluster, change.bundle), [])
                if one.stage in step.baked and one.state is ClusterState.HEALTHY:
                    known.append((run.plan.uid, change.wanted))
                if one.state is ClusterState.REVERTED:
                    known[:] = [pair for pair in known if pair[0] != run.plan.uid]

    def last_baked(self, run: Stored, cluster: str) -> dict[str, str]:
        """What a cluster last baked of the run's bundles, the run itself left aside."""
        found = {}
        for bundle in run.plan.bundles:
            known = self.baked.get((cluster, bundle), [])
            others = [digest for uid, digest in known if uid != run.plan.uid]
            if others:
                found[bundle] = others[-1]
        return found

    def newest(self, run: str, cluster: str) -> Assignment | None:
        """A run's newest assignment for a cluster."""
        return self.assignments.newest(cluster, run)

    def evidence(self, run: Stored) -> Evidence:
        """What the hub knows of a run's clusters."""
        return Evidence(
            clusters={name: self._cluster_evidence(run, name) for name in run.plan.changes},
            decisions=tuple(run.decisions),
            superseded_by="" if run.finishing else run.superseded_by,
            finishing_for=run.superseded_by if run.finishing else "",
            waits_for=rollout.waits_for(run.plan, self._records()),
            vetoed={b: w for b, w in self.held_bundles().items() if b in run.plan.bundles},
            is_hotfix=run.record().is_hotfix,
        )

    def held_bundles(self) -> dict[str, str]:
        """Bundles of which some cluster wants a vetoed digest → why."""
        vetoed = {b: {d: veto.why for d, veto in some.items()} for b, some in self.vetoed.items()}
        return vetoes.held_bundles(self.wanted.values(), vetoed)

    def _cluster_evidence(self, run: Stored, name: str) -> ClusterEvidence:
        agent = self.agents[name]
        found = self.newest(run.plan.uid, name)
        return ClusterEvidence(
            registered=agent.registered,
            online=agent.online and agent.registered,
            held_by=self._holder(run, name),
            assignment=found.evidence() if found else None,
            bundles=self.reports[name],
            unsettled_since=self._unsettled(run, name),
            baked=self.last_baked(run, name),
            touched_at=self.touched_at(run, name),
        )

    def touched_at(self, run: Stored, cluster: str) -> datetime | None:
        """When the newest start of this run was offered, ways back left aside."""
        mine = self.assignments.of(cluster, run.plan.uid)
        return max((a.offered_at for a in mine if a.started_at and not a.reverts), default=None)

    def _holder(self, run: Stored, name: str) -> str:
        for other in self.runs.values():
            if other is run or other.state in ENDED:
                continue
            if not set(other.plan.bundles) & set(run.plan.bundles):
                continue
            found = self.newest(other.plan.uid, name)
            if found is None or (found.withdrawn_at and not found.started_at):
                continue
            if found.started_at is None or self._state(other, name) in MOVES:
                return other.plan.uid
        return ""

    def _state(self, run: Stored, name: str) -> str:
        every = run.step.clusters if run.step else ()
        return next((one.state for one in every if one.cluster == name), "")

    def _unsettled(self, run: Stored, name: str) -> datetime | None:
        for bundle in run.plan.bundles:
            report = self.reports[name].get(bundle)
            for other in self.runs.values():
                if other is run or other.state not in ENDED - {RunState.SUCCEEDED}:
                    continue
                found = self.newest(other.plan.uid, name)
                last = self.last_granted(name, bundle)
                if found is None or found.started_at is None or found is not last:
                    continue
                settled = report is not None and report.generation == found.generation
                if not settled or report.sync is SyncState.SYNCING:  # type: ignore[union-attr]
                    return other.ended_at
        return None

    def last_granted(self, cluster: str, bundle: str) -> Assignment | None:
        """The assignment that a bundle of a cluster runs under."""
        return self.assignments.granted(cluster, bundle)

    # People

    def decide(self, where: Stored, verb: Verb, **said: Any) -> Decision:
        """Store a decision as it is given, right or wrong."""
        self.decided += 1
        decision = Decision(
            self.decided, where.plan.uid, verb, "ann", self.now, groups=(EVERY_GROUP,)
        )
        decision = replace(decision, **said)
        where.decisions.append(decision)
        return decision

    def approve(self, run: Stored, stage: str) -> None:
        """A good approval."""
        self.decide(run, Verb.APPROVE, stage=stage, plan_hash=run.plan.plan_hash)
        self.oracle.approved.add((run.plan.uid, stage, run.plan.plan_hash))

    def retry(self, run: Stored, *clusters: str) -> None:
        """Try again what failed; that lifts what the run vetoed."""
        self.lift(run)
        self.decide(run, Verb.RETRY, clusters=clusters)

    def lift(self, run: Stored) -> None:
        """Nothing that this run vetoed is vetoed any more."""
        for some in self.vetoed.values():
            for digest in [d for d, veto in some.items() if veto.run == run.plan.uid]:
                del some[digest]

    def live(self, lane: str = "Staged") -> list[Stored]:
        """The runs that have not ended."""
        return [r for r in self.runs.values() if r.state not in ENDED and r.plan.lane == lane]

    # Agents

    def fetch(self, name: str) -> None:
        """The agent reads its target and remembers the offers in it."""
        agent = self.agents[name]
        if agent.online:
            mine = [a for a in self.assignments.of(name) if a.can_start]
            agent.fetched = [*agent.fetched, *(a for a in mine if a not in agent.fetched)]

    def start(self, name: str) -> None:
        """The agent asks to start all that it ever fetched, however late."""
        agent = self.agents[name]
        if not agent.online:
            return
        for one in agent.fetched:
            if one.can_start and self.now < one.ends_at and self.runs[one.run].state not in ENDED:
                one.started_at = self.now
                for bundle, digest in one.digests.items():
                    self.granted[name][bundle] = digest
                    agent.current[bundle] = Current(digest, one.generation, one.run)
        agent.fetched = []

    def work(self, name: str) -> None:
        """The agent applies; what it says is another matter."""
        for one in self.agents[name].current.values():
            if one.phase == "applying":
                bad = self.bad.get(f"{name}:{one.digest}", self.bad.get(one.digest))
                one.phase = bad or "healthy"
            one.was_healthy = one.was_healthy or one.phase == "healthy"

    def report(self, name: str) -> None:
        """The hub hears what the cluster does now."""
        agent = self.agents[name]
        if not agent.online:
            return
        agent.registered = True
        for bundle, one in agent.current.items():
            sync, health = SAID[one.phase]
            old = self.reports[name].get(bundle)
            new = BundleEvidence(bundle, one.digest, one.generation, sync, health, self.now)
            if old is None or replace(new, since=old.since) != old:
                self.reports[name][bundle] = new
                self.oracle.heard(name, new)

    def serve(self, name: str) -> None:
        """Fetch, start, apply and report in one go."""
        self.fetch(name)
        self.start(name)
        self.work(name)
        self.report(name)

    def serve_all(self, rounds: int = 1, seconds: float = 10) -> None:
        """The whole fleet works, and the hub ticks, some times over."""
        for _ in range(rounds):
            for name in sorted(self.agents):
                self.serve(name)
            self.tick(seconds)

    def running(self, bundle: str) -> dict[str, str]:
        """What every cluster truly runs."""
        return {
            name: agent.current[bundle].digest if bundle in agent.current else ""
            for name, agent in sorted(self.agents.items())
        }
