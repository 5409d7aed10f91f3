"""Runs: which are wanted, and one advance of each that is live. Decides nothing itself.

`fleet.rollout` answers, this reads what it is asked with and writes what it answers, each answer
in one transaction. An answer that was computed from rows that changed meanwhile is thrown away.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from fleet.hub.planning import Planned
from fleet.model import Problem, Severity
from fleet.rollout import Held, RunRecord, Situation, advance, propose, waits_for
from fleet.rollout.state import RunPlan, RunState, StageState, Step
from fleet.store import Connection, Store
from fleet.store.events import replace_problems
from fleet.store.evidence import read_evidence
from fleet.store.runs import (
    TERMINAL,
    RunRow,
    active_runs,
    add_run,
    mark_baked,
    next_run_number,
    perform,
    read_plan,
    supersede,
)
from fleet.store.standing import granted, online, relevant_runs, unhealthy


class Deciding:
    """The runs of one hub."""

    def __init__(self, store: Store, degraded_seconds: float) -> None:
        self._store = store
        self._degraded_seconds = degraded_seconds
        self._plans: dict[str, RunPlan] = {}
        self._written: dict[str, Step] = {}

    def open_runs(self, planned: Planned, title: str, author: str, now: datetime) -> bool:
        """Store the runs that are wanted and not there; were there any?"""
        with self._store.read() as c:
            situation = self._situation(c, planned, title, author, now)
        proposal = propose(situation)
        problems = held_problems(proposal.held)
        with self._store.write() as c:
            for plan in proposal.runs:
                add_run(c, replace(plan, degraded_seconds=self._degraded_seconds), now)
            for old, new in proposal.superseded.items():
                supersede(c, old, new, now)
            replace_problems(c, "rollout", problems, now, planned.repo.commit)
        return bool(proposal.runs or proposal.superseded)

    def _situation(
        self, c: Connection, planned: Planned, title: str, author: str, now: datetime
    ) -> Situation:
        plan, repo = planned.plan, planned.repo
        classes = [
            {entry.bundle: entry.deployment.digest if entry.deployment else None for entry in some}
            for some in plan.classes
        ]
        return Situation(
            commit=plan.commit,
            now=now,
            wanted={cluster: classes[index] for cluster, index in plan.class_of.items()},
            assigned=granted(c),
            policies=planned.book,
            clusters=repo.clusters,
            groups=repo.groups,
            bundles={bundle.name: bundle.labels for bundle in repo.bundles},
            depends_on={bundle.name: bundle.depends_on for bundle in repo.bundles},
            held=plan.held,
            held_clusters=plan.held_clusters,
            runs=tuple(
                RunRecord(self._plan(c, uid), RunState(state), breached)
                for uid, state, breached in relevant_runs(c)
            ),
            online=online(c),
            unhealthy=unhealthy(c),
            next_number=next_run_number(c),
            title=title,
            author=author,
        )

    def advance_runs(self, now: datetime) -> tuple[set[str], datetime | None, bool]:
        """One advance of each live run.

        Returns the clusters whose target changed, when time alone could change an answer, and
        whether a run ended.
        """
        with self._store.read() as c:
            runs = active_runs(c)
            records = [
                RunRecord(self._plan(c, run.uid), run.state, bool(run.marks.breached))
                for run in runs
            ]
        changed: set[str] = set()
        wakes: list[datetime] = []
        ended = False
        for run, record in zip(runs, records, strict=True):
            step, targets = self._advance(run, record.plan, waits_for(record.plan, records), now)
            changed |= targets
            ended = ended or step.state in TERMINAL
            if step.wake_at is not None:
                wakes.append(step.wake_at)
        self._forget({run.uid for run in runs})
        return changed, min(wakes, default=None), ended

    def _advance(
        self, run: RunRow, plan: RunPlan, first: str, now: datetime
    ) -> tuple[Step, set[str]]:
        with self._store.read() as c:
            evidence = read_evidence(c, run, plan, first)
        step = advance(plan, run.marks, run.intent, evidence, now)
        quiet = not (step.offer or step.withdraw or step.events) and step.marks == run.marks
        if quiet and self._written.get(run.uid) == step:
            return step, set()
        with self._store.write() as c:
            changed = perform(c, run, plan, step, now)
            if changed is not None:
                mark_baked(c, run.uid, _baked(plan, step))
                self._written[run.uid] = step
        return step, changed or set()

    def _plan(self, c: Connection, uid: str) -> RunPlan:
        if uid not in self._plans:
            self._plans[uid] = read_plan(c, uid)
        return self._plans[uid]

    def _forget(self, live: set[str]) -> None:
        self._written = {uid: step for uid, step in self._written.items() if uid in live}


def _baked(plan: RunPlan, step: Step) -> Iterable[str]:
    done = {stage.name for stage in step.stages if stage.state is StageState.DONE}
    return [cluster for stage in plan.stages if stage.name in done for cluster in stage.clusters]


def held_problems(held: Iterable[Held]) -> list[Problem]:
    """Changes that are wanted and not released, as warnings; one for each bundle and reason."""
    where: dict[tuple[str, str, str], list[str]] = {}
    for one in held:
        where.setdefault((one.bundle, one.code, one.reason), []).append(one.cluster)
    return [
        Problem(
            code="held",
            severity=Severity.WARNING,
            what=f"{bundle or 'the fleet'} is held ({code}): {reason}",
            at=", ".join(sorted(filter(None, clusters))[:10]) or "every cluster",
            fix="mend what the reason names; what is held keeps what it runs",
            bundle=bundle,
        )
        for (bundle, code, reason), clusters in sorted(where.items())
    ]
