"""How far runs are and why clusters wait: the engine is asked again, and nothing is written.

What `advance` answers for the rows of this moment is what the hub would do now; its step is only
shown. Every answer is one read transaction.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from clusters.clock import Clock
from fleet import status
from fleet.errors import RequestError
from fleet.rollout import RunRecord, advance, explain, hotfix, obstacles, waits_for
from fleet.rollout.evidence import Evidence
from fleet.rollout.forecast import forecast, whole
from fleet.rollout.obstacles import gates_ahead
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Intent, RunState
from fleet.rollout.step import Step
from fleet.store import Connection, Store
from fleet.store import questions as rows
from fleet.store.durations import took_by_stage
from fleet.store.evidence import read_evidence, read_surroundings
from fleet.store.runs import active_runs, find_run, read_plan

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Seen:
    """One run as the engine sees it now."""

    row: Document
    plan: RunPlan
    intent: Intent
    evidence: Evidence
    step: Step


class Prospects:
    """What people ask of the course of runs."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store, self._clock = store, clock

    def progress(self, uid: str = "", commit: str = "") -> Document:
        """One run, all runs of a commit, or every live run. Errors: 404; 409 if ambiguous."""
        now = self._clock.now()
        with self._store.read() as c:
            seen = _looks(c, _chosen(c, uid, commit), now)
            return {"items": [_progress(c, one, now) for one in seen]}

    def explain(self, cluster: str, uid: str = "") -> Document:
        """Why a cluster waits: in one run, or in every live run that changes it. Errors: 404."""
        now = self._clock.now()
        with self._store.read() as c:
            if not rows.cluster_rows(c, cluster):
                raise RequestError(
                    f"there is no cluster {cluster!r}",
                    fix="see `fleet clusters`; for a bundle: `fleet explain CLUSTER BUNDLE`",
                    code="no-such-cluster",
                    status=404,
                )
            seen = _looks(c, _chosen(c, uid, ""), now)
            found = [one for one in seen if uid or cluster in one.plan.changes]
            return {"items": [_explanation(one, cluster, now) for one in found]}

    def history(self, uid: str = "", commit: str = "") -> Document:
        """What happened, the oldest first: in one run, in the runs of a commit, or in all."""
        with self._store.read() as c:
            chosen = [row["uid"] for row in _chosen(c, uid, commit)] if uid or commit else [""]
            events = [event for one in chosen for event in rows.event_rows(c, one)]
        events.sort(key=lambda event: event["number"])
        return {"items": [status.event_document(event) for event in events]}


def _chosen(c: Connection, uid: str, commit: str) -> list[Document]:
    if uid:
        return [dict(rows.run_rows(c, rows.one_uid(c, uid))[0])]
    found = [dict(row) for row in rows.run_rows(c, live=not commit)]
    if not commit:
        return found
    same = [row for row in found if row["commit_id"].startswith(commit)]
    if not same:
        raise RequestError(
            f"no run brings commit {commit!r}",
            fix="see `fleet runs`",
            code="no-such-run",
            status=404,
        )
    return same


def _looks(c: Connection, chosen: Iterable[Document], now: datetime) -> Iterator[_Seen]:
    """Ask the engine of each of these runs; read while the transaction is open."""
    shared = read_surroundings(c)
    live = [RunRecord(read_plan(c, one.uid), one.state) for one in active_runs(c)]
    for row in chosen:
        run, plan = find_run(c, row["uid"]), read_plan(c, row["uid"])
        assert run is not None, "it was read in this transaction"
        first = waits_for(plan, live) if run.ended_at is None else ""
        evidence = read_evidence(c, run, plan, shared, now, first)
        step = advance(plan, run.marks, run.intent, evidence, now)
        yield _Seen(row, plan, run.intent, evidence, step)


def _progress(c: Connection, seen: _Seen, now: datetime) -> Document:
    plan, step = seen.plan, seen.step
    took = took_by_stage(c, plan, itself=True)
    halted = "" if step.state is RunState.RUNNING else f"the run is {step.state}"
    ramp = dict(step.marks.ramp_step)
    ahead = gates_ahead(plan, step, seen.evidence, now)
    estimates = forecast(plan, step.stages, took, ramp, halted, now, ahead)
    row = seen.row
    if not row["ended_at"]:  # what is shown is of one moment, and not half of the last step
        row = row | {"state": str(step.state), "reason": step.reason}
    return status.progress_document(
        status.run_document(row, step.stages, row["clusters"]),
        step.stages,
        step.clusters,
        obstacles(plan, step, seen.evidence, now, seen.intent),
        estimates,
        whole(estimates, now),
        took,
        ahead,
        hotfix.in_words(plan, opened=seen.evidence.is_hotfix),
    )


def _explanation(seen: _Seen, cluster: str, now: datetime) -> Document:
    plan, step = seen.plan, seen.step
    if cluster in plan.changes:
        reasons = obstacles(plan, step, seen.evidence, now, seen.intent).get(cluster, ())
    else:
        reasons = explain(plan, step, seen.evidence, cluster)
    at = next((one for one in step.clusters if one.cluster == cluster), None)
    stage = next((s for s in step.stages if at is not None and s.name == at.stage), None)
    return {
        "run": plan.uid,
        "runState": str(step.state),
        "cluster": cluster,
        "bundles": [change.bundle for change in plan.changes.get(cluster, ())],
        "stage": at.stage if at else "",
        "state": str(at.state) if at else "Unchanged",
        "said": at.reason if at else "",
        "bisection": seen.row["bisection"].said if seen.row["bisection"] else "",
        "reasons": [status.reason_document(reason) for reason in reasons],
        "gates": [status.gate_document(gate) for gate in stage.gates] if stage else [],
    }
