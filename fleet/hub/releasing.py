"""From wanted to granted: open runs, ask each what may happen, write it down.

::

    propose(situation) ──► runs stored, older ones replaced           when something could want one
    advance(run, …)    ──► offers, withdrawals, marks, events         when its evidence changed

Every answer is written in one transaction, and only if nobody decided anything meanwhile. What is
kept in memory (parsed plans, the last answer, which clusters have news) only saves work: after a
kill everything is looked at once and the same answers follow. It never talks to an agent.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from fleet.hub import situations
from fleet.hub.measuring import OpenGate, open_gate
from fleet.hub.planning import Planned
from fleet.hub.settings import HubSettings
from fleet.hub.situations import problems_of_held
from fleet.rollout import Situation, advance, caps, lane, propose, waits_for
from fleet.rollout.handovers import handovers
from fleet.rollout.removals import approved
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.shared_budget import RolloutBudget
from fleet.rollout.situation import Asked, AsOf, RunRecord
from fleet.rollout.step import Step
from fleet.source import Commit
from fleet.store import Connection, Store
from fleet.store.budgets import FLEET, keep_budgets
from fleet.store.contents import content_pushes
from fleet.store.decisions import decisions_of
from fleet.store.events import replace_problems
from fleet.store.evidence import (
    Surroundings,
    labels_by_cluster,
    read_evidence,
    read_surroundings,
)
from fleet.store.identities import Identities
from fleet.store.runs import RunRow, active_runs, next_run_number, perform, read_plan
from fleet.store.situation import (
    declared_clusters,
    granted_digests,
    online_clusters,
    origins,
    pushes,
    record_proposal,
    run_records,
    unbaked,
    unwell,
)
from fleet.store.vetoes import standing_vetoes
from fleet.store.wanted import removals_are_safe

PLANS_KEPT = 1000
MEMBERS = frozenset({"", "Cluster", "ClusterGroup"})
"""Kinds whose unread documents leave open who is where."""
ALL = ""
"""News of a cluster as a whole: all its bundles."""


@dataclass(frozen=True, slots=True)
class _Last:
    """The last step of a run as it was written."""

    version: int
    """The run's, after that."""
    waits_for: str
    step: Step
    budgets: tuple[RolloutBudget, ...] = ()
    capped: bool = False
    """A shared cap holds some cluster: what happens anywhere may free it."""


class Releaser:
    """Steps the runs of one hub; used by one thread at a time, but for `news`."""

    def __init__(self, store: Store, settings: HubSettings) -> None:
        self._store, self._settings = store, settings
        self._identities = Identities(store.artifacts)
        self._plans: dict[str, RunPlan] = {}
        self._last: dict[str, _Last] = {}
        self._lock = threading.Lock()
        self._news: dict[str, set[str]] = {}
        self.wants_proposal = True
        self.asked: frozenset[Asked] = frozenset()
        """Content of older commits that the last proposal lacked."""
        self.as_of: AsOf = {}
        """What is known of it, for the commit that is planned."""
        self.proposal_due: datetime | None = None
        """When time alone could make `propose` answer otherwise."""

    def wants(self, now: datetime) -> bool:
        """Could `propose` answer something new?"""
        due = self.proposal_due is not None and self.proposal_due <= now
        return self.wants_proposal or due

    def news(self, clusters: Iterable[str], bundles: Iterable[str] = (ALL,)) -> None:
        """Something about these bundles in these clusters changed. Callable from every thread."""
        with self._lock:
            for bundle in bundles:
                self._news.setdefault(bundle, set()).update(clusters)

    def propose(self, planned: Planned, commit: Commit, now: datetime) -> set[str]:
        """Open the runs that are wanted and not there; the clusters whose target changed."""
        self.wants_proposal = False
        with self._store.read() as c:
            plan_of = partial(self._plan_of, c)
            situation = _situation(c, planned, commit, now, plan_of, self._identities)
        proposal = propose(replace(situation, as_of=self.as_of))
        self.asked = proposal.asked
        self.proposal_due = proposal.wake_at
        degraded = self._settings.degraded_seconds
        runs = tuple(replace(run, degraded_seconds=degraded) for run in proposal.runs)
        with self._store.write() as c:
            changed = record_proposal(c, replace(proposal, runs=runs), now)
            for uid in proposal.amendments:
                self._plans.pop(uid, None)
            if not planned.book.closed:
                keep_budgets(c, planned.book.budgets)
            replace_problems(c, "rollout", problems_of_held(proposal.held), now, situation.commit)
        return changed

    def advance(self, now: datetime) -> tuple[set[str], datetime | None]:
        """Step every run that has news; whose target changed, and when time alone could matter."""
        with self._lock:
            news, self._news = self._news, {}
        changed: set[str] = set()
        wakes: list[datetime] = []
        with self._store.read() as c:
            runs = active_runs(c)
            records = [RunRecord(self._plan_of(c, r.uid), r.state) for r in runs]
            shared = read_surroundings(c) if runs else Surroundings()
        for run in runs:
            plan = self._plans[run.uid]
            first = waits_for(plan, records)
            if self._is_due(run, plan, first, shared, news, now):
                changed |= self._advance_one(run, plan, first, shared, now, wakes)
            elif run.wake_at is not None:
                wakes.append(run.wake_at)
        live = {run.uid for run in runs}
        self._last = {uid: last for uid, last in self._last.items() if uid in live}
        return changed, min(wakes, default=None)

    def _advance_one(
        self,
        run: RunRow,
        plan: RunPlan,
        first: str,
        shared: Surroundings,
        now: datetime,
        wakes: list[datetime],
    ) -> set[str]:
        with self._store.read() as c:
            evidence = read_evidence(c, run, plan, shared, now, first)
        step = advance(plan, run.marks, run.intent, evidence, now)
        if step.wake_at is not None:
            wakes.append(step.wake_at)
        last = self._last.get(run.uid)
        if last is not None and (last.version, last.step) == (run.version, step):
            return set()
        with self._store.write() as c:
            changed = perform(c, run, plan, step, now)
        if changed is None:
            wakes.append(now)
            return set()
        self._tell_others(run, plan, step, last.step if last else None)
        done = replace(step, offer=(), withdraw=(), bisection=None, events=())
        capped = any(status.code in caps.CODES for status in step.clusters)
        self._last[run.uid] = _Last(run.version + 1, first, done, shared.budgets, capped)
        wakes.append(now)
        return changed

    def _tell_others(self, run: RunRow, plan: RunPlan, step: Step, before: Step | None) -> None:
        """What was written may free other runs: those who wait for a cluster, or for the end."""
        known = set(before.clusters) if before else set()
        moved = {status.cluster for status in step.clusters if status not in known}
        self.news(moved.union(step.offer, step.withdraw), plan.bundles)
        if step.state is not run.state or step.baked:
            self.wants_proposal = True
        if step.vetoes:
            self._last.clear()

    def _is_due(
        self,
        run: RunRow,
        plan: RunPlan,
        first: str,
        shared: Surroundings,
        news: dict[str, set[str]],
        now: datetime,
    ) -> bool:
        last = self._last.get(run.uid)
        if last is None or (last.version, last.waits_for) != (run.version, first):
            return True
        if last.budgets != shared.budgets or (last.capped and news):
            return True
        if run.wake_at is not None and run.wake_at <= now:
            return True
        concerned = (news[name] for name in (ALL, *plan.bundles) if name in news)
        return any(not clusters.isdisjoint(plan.changes) for clusters in concerned)

    def open_gates(self) -> list[tuple[str, str]]:
        """(run, gate_id) of the gates that are judged now and ask a machine.

        As the last `advance` left them; not to be called while one runs, nor is `questions`.
        """
        marks = ((uid, last.step.marks.gates) for uid, last in self._last.items())
        return [(uid, name) for uid, gates in marks for name, _ in gates.opened]

    def questions(self, gates: Iterable[tuple[str, str]]) -> list[OpenGate]:
        """These open gates with all that their questions depend on."""
        with self._store.read() as c:
            labels = labels_by_cluster(c)
        found = ((self._plans[uid], name, self._last[uid].step) for uid, name in gates)
        return [open_gate(plan, name, step, labels) for plan, name, step in found]

    def _plan_of(self, c: Connection, uid: str) -> RunPlan:
        if uid not in self._plans:
            if len(self._plans) >= PLANS_KEPT:
                self._plans.clear()
            self._plans[uid] = read_plan(c, uid)
        return self._plans[uid]


def preview(store: Store, planned: Planned, commit: Commit, now: datetime) -> dict[str, Any]:
    """The runs that a hub would make now, as `fleet rollout plan` shows them; writes nothing."""
    with store.read() as c:
        plan_of = partial(read_plan, c)
        situation = _situation(c, planned, commit, now, plan_of, Identities(store.artifacts))
    return situations.document(planned, propose(situation), planned.plan.problems)


def _situation(
    c: Connection,
    planned: Planned,
    commit: Commit,
    now: datetime,
    plan_of: Callable[[str], RunPlan],
    identities: Identities,
) -> Situation:
    plan = planned.plan
    granted, said = granted_digests(c), decisions_of(c, FLEET)
    origin_of, commits = origins(c)
    now_wanted = situations.wanted_situation(planned, now)
    everything = frozenset(bundle for some in granted.values() for bundle in some)
    return replace(
        now_wanted,
        assigned=granted,
        handovers=handovers(now_wanted.wanted, granted, lambda digest: identities.of(c, digest)),
        content_pushes=content_pushes(c) if now_wanted.contents else {},
        held=plan.held if removals_are_safe(plan) else plan.held | everything,
        removals_approved=approved(said),
        declared=declared_clusters(c),
        members_unread=bool(plan.unread & MEMBERS),
        catch_up_asked=lane.asked(said),
        runs=run_records(c, plan_of),
        online=online_clusters(c),
        unhealthy=unwell(c),
        vetoed=standing_vetoes(c),
        unbaked=unbaked(c),
        pushes=pushes(c),
        origins=origin_of,
        commits=commits,
        next_number=next_run_number(c),
        title=commit.title,
        author=commit.author,
        authors=commit.authors,
        trailers=dict(commit.trailers),
    )
