"""Rollout runs as rows: pinned plans, marks, statuses, decisions; and a step performed at once.

`perform` writes everything that `advance` answered in the caller's one transaction, and only if
nobody decided anything since the evidence was read (`version`): a pause that came in between wins.
Performing the same step twice repeats nothing: an open offer is not offered again, an ended run is
not stepped.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fleet.rollout import hotfix
from fleet.rollout.amendments import amended
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import Change, RunPlan
from fleet.rollout.states import ClusterState, Intent, RunState
from fleet.rollout.step import ClusterStatus, StageStatus, Step
from fleet.rollout.tables import ENDED
from fleet.store.amendments import amendments_of
from fleet.store.baked import record_baked
from fleet.store.codec import (
    BISECTION,
    MARKS,
    RUN_PLAN,
    STAGES,
    dump,
    json_value,
    moment_of,
    moment_or_none,
    text_of,
    text_or_none,
)
from fleet.store.database import Connection
from fleet.store.events import add_event
from fleet.store.old_plans import as_of_today
from fleet.store.targets import has_open_offer, offer, withdraw
from fleet.store.vetoes import add_vetoes


@dataclass(frozen=True, slots=True)
class RunRow:
    """What changes of a run between two steps; its plan is read once by `read_plan`."""

    uid: str
    number: int
    state: RunState
    intent: Intent
    marks: Marks
    superseded_by: str
    finishing: bool
    """It may finish the stages that it has started before `superseded_by` replaces it."""
    wake_at: datetime | None
    created_at: datetime
    ended_at: datetime | None
    bundles: tuple[str, ...]
    version: int


def add_run(c: Connection, plan: RunPlan, now: datetime) -> bool:
    """Begin a run; one that is there already is left alone. Was it new?"""
    added = c.execute(
        "INSERT INTO run (uid, number, rollout, lane, commit_id, title, author, created_at, plan,"
        " plan_hash, state, intent, marks) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (
            *(plan.uid, plan.number, plan.rollout, str(plan.lane), plan.commit, plan.title),
            *(plan.author, text_of(plan.created), dump(RUN_PLAN, plan), plan.plan_hash),
            *(str(RunState.QUEUED), str(Intent.RUN), dump(MARKS, Marks())),
        ),
    ).rowcount
    if not added:
        return False
    c.executemany(
        "INSERT INTO run_bundle (bundle, run) VALUES (?, ?)",
        [(bundle, plan.uid) for bundle in plan.bundles],
    )
    c.executemany(
        "INSERT INTO run_cluster (run, cluster, stage, state) VALUES (?, ?, ?, 'Queued')",
        [(plan.uid, cluster, s.name) for s in plan.stages for cluster in s.clusters],
    )
    bundles = ", ".join(plan.bundles)
    made = f"{plan.uid}: {bundles} of {plan.commit[:12]}"
    if plan.hotfix_of:
        made += f", in the hotfix lane that was opened for {plan.hotfix_of}"
    add_event(c, now, "run-created", made, run=plan.uid)
    if hotfix.asks(plan) and not plan.hotfix_of:
        add_event(c, now, "hotfix-asked", f"{plan.uid} {hotfix.OPENS_BY}", run=plan.uid)
    return True


def next_run_number(c: Connection) -> int:
    """One more than any run of this hub ever had."""
    (highest,) = c.execute("SELECT coalesce(max(number), 0) FROM run").fetchone()
    return int(highest) + 1


def read_plan(c: Connection, uid: str) -> RunPlan:
    """The pinned plan of a run, with what joined, left or moved since. Errors: `KeyError`."""
    row = c.execute("SELECT plan FROM run WHERE uid = ?", (uid,)).fetchone()
    if row is None:
        raise KeyError(uid)
    plan = RUN_PLAN.validate_python(as_of_today(json_value(row["plan"])))
    return amended(plan, amendments_of(c, uid))


_COLUMNS = (
    "uid, number, state, intent, marks, superseded_by, finishing, wake_at, created_at, ended_at,"
    " version,"
    " (SELECT json_group_array(bundle) FROM run_bundle WHERE run = uid) AS bundles"
)


def active_runs(c: Connection) -> list[RunRow]:
    """Every run that has not ended, oldest first."""
    rows = c.execute(f"SELECT {_COLUMNS} FROM run WHERE ended_at IS NULL ORDER BY number")
    return [_run_row(row) for row in rows]


def live_runs_of(c: Connection, commit: str) -> list[str]:
    """The runs of a commit (or its unique beginning of 4 characters or more) that have not ended,
    oldest first; none if several commits begin so."""
    rows = c.execute(
        "SELECT uid, commit_id FROM run WHERE ended_at IS NULL AND length(?) >= 4"
        " AND substr(commit_id, 1, length(?)) = ? ORDER BY number",
        (commit, commit, commit),
    ).fetchall()
    return [row["uid"] for row in rows] if len({row["commit_id"] for row in rows}) == 1 else []


def find_run(c: Connection, uid: str) -> RunRow | None:
    """One run."""
    row = c.execute(f"SELECT {_COLUMNS} FROM run WHERE uid = ?", (uid,)).fetchone()
    return None if row is None else _run_row(row)


@dataclass(frozen=True, slots=True)
class Remembered:
    """A run as newer ones care about it."""

    uid: str
    state: RunState
    breached: bool
    finishing: bool
    reopened: bool
    ended_at: datetime | None
    failed: frozenset[str]
    started: frozenset[str]
    done: frozenset[str]
    touched: frozenset[str]
    has_hotfix: bool
    """A Decision on this very run opened the hotfix lane."""


_UNTOUCHED = frozenset(
    {
        *(ClusterState.QUEUED, ClusterState.ASSIGNED, ClusterState.OFFLINE, ClusterState.PENDING),
        *(ClusterState.HELD, ClusterState.REMOVED),
    }
)


def remembered_runs(c: Connection) -> list[Remembered]:
    """Every live run and, for each bundle, its runs back to the last staged one that succeeded;
    oldest first."""
    rows = c.execute(
        "SELECT DISTINCT r.uid, r.number, r.state, r.marks, r.finishing, r.reopened,"
        " r.ended_at, EXISTS (SELECT 1 FROM decision d"
        " WHERE d.run = r.uid AND d.verb = 'hotfix') AS has_hotfix FROM run r"
        " JOIN run_bundle rb ON rb.run = r.uid"
        " WHERE r.ended_at IS NULL OR r.number >= coalesce((SELECT max(s.number) FROM run s"
        " JOIN run_bundle sb ON sb.run = s.uid WHERE sb.bundle = rb.bundle"
        " AND s.state = 'Succeeded' AND s.lane = 'Staged'), 0) ORDER BY r.number"
    )
    return [_remembered(row, MARKS.validate_json(row["marks"])) for row in rows]


def _remembered(row: Any, marks: Marks) -> Remembered:
    return Remembered(
        row["uid"],
        RunState(row["state"]),
        bool(marks.breached),
        bool(row["finishing"]),
        bool(row["reopened"]),
        moment_or_none(row["ended_at"]),
        frozenset(cluster for _, cluster in marks.ever_failed),
        frozenset(stage for stage, _ in marks.started),
        frozenset(stage for stage, _ in marks.done),
        frozenset(cluster for cluster, state in marks.seen_clusters if state not in _UNTOUCHED),
        bool(row["has_hotfix"]),
    )


def _run_row(row: Any) -> RunRow:
    return RunRow(
        uid=row["uid"],
        number=row["number"],
        state=RunState(row["state"]),
        intent=Intent(row["intent"]),
        marks=MARKS.validate_json(row["marks"]),
        superseded_by=row["superseded_by"],
        finishing=bool(row["finishing"]),
        wake_at=moment_or_none(row["wake_at"]),
        created_at=moment_of(row["created_at"]),
        ended_at=moment_or_none(row["ended_at"]),
        bundles=tuple(sorted(json_value(row["bundles"]))),
        version=row["version"],
    )


def perform(
    c: Connection, run: RunRow, plan: RunPlan, step: Step, now: datetime
) -> set[str] | None:
    """Write a step. Returns the clusters whose target changed; `None` if it is out of date."""
    ended = step.state in ENDED
    written = c.execute(
        "UPDATE run SET state = ?, reason = ?, marks = ?, stages = ?, wake_at = ?, ended_at = ?,"
        " version = version + 1 WHERE uid = ? AND version = ? AND ended_at IS NULL",
        (
            *(str(step.state), step.reason, dump(MARKS, step.marks), dump(STAGES, step.stages)),
            *(text_or_none(step.wake_at), text_of(now) if ended else None, run.uid, run.version),
        ),
    ).rowcount
    if not written:
        return None
    changed = {x for x in step.withdraw if withdraw(c, run.uid, x, step.reason, now)}
    closes = dict(step.closes)
    for cluster in step.offer:
        if not has_open_offer(c, run.uid, cluster):
            _offer(c, plan, cluster, now, closes.get(cluster))
            changed.add(cluster)
    for cluster, changes in step.revert:
        if not has_open_offer(c, run.uid, cluster):
            offer(c, run.uid, cluster, changes, plan.lease_seconds, now, reverts=True)
            changed.add(cluster)
    if ended:
        changed |= _withdraw_all(c, run.uid, f"run {run.uid} is {step.state}", now)
    _write_clusters(c, run.uid, step.clusters)
    record_baked(c, plan, step, now)
    add_vetoes(c, step.vetoes, now)
    if step.bisection is not None:
        report = dump(BISECTION, step.bisection)
        c.execute("UPDATE run SET bisection = ? WHERE uid = ?", (report, run.uid))
    for event in step.events:
        add_event(
            c, now, event.kind, event.message, run=run.uid, stage=event.stage, cluster=event.cluster
        )
    return changed


def _offer(
    c: Connection, plan: RunPlan, cluster: str, now: datetime, closes: datetime | None
) -> None:
    changes: tuple[Change, ...] = plan.changes[cluster]
    lease = plan.lease_seconds
    if closes is not None:
        lease = min(lease, (closes - now).total_seconds())
    offer(c, plan.uid, cluster, changes, lease, now)


def _withdraw_all(c: Connection, run: str, why: str, now: datetime) -> set[str]:
    rows = c.execute(
        "SELECT cluster FROM assignment"
        " WHERE run = ? AND started_at IS NULL AND withdrawn_at IS NULL",
        (run,),
    ).fetchall()
    return {row["cluster"] for row in rows if withdraw(c, run, row["cluster"], why, now)}


def _write_clusters(c: Connection, run: str, statuses: Iterable[ClusterStatus]) -> None:
    had = {
        row["cluster"]: (row["stage"], row["state"], row["reason"], row["code"])
        for row in c.execute(
            "SELECT cluster, stage, state, reason, code FROM run_cluster WHERE run = ?", (run,)
        )
    }
    c.executemany(
        "INSERT INTO run_cluster (run, cluster, stage, state, reason, code)"
        " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (run, cluster) DO UPDATE SET"
        " stage = excluded.stage, state = excluded.state, reason = excluded.reason,"
        " code = excluded.code",
        [
            (run, s.cluster, s.stage, str(s.state), s.reason, s.code)
            for s in statuses
            if had.get(s.cluster) != (s.stage, str(s.state), s.reason, s.code)
        ],
    )


def supersede(c: Connection, run: str, by: str, now: datetime) -> set[str]:
    """A newer run replaces this one: what it offered is withdrawn now, its next step ends it.

    Returns the clusters whose target changed.
    """
    written = c.execute(
        "UPDATE run SET superseded_by = ?, finishing = 0, version = version + 1"
        " WHERE uid = ? AND (superseded_by = '' OR finishing) AND ended_at IS NULL",
        (by, run),
    ).rowcount
    if written:
        add_event(c, now, "run-replaced", f"{run} is replaced by {by}", run=run)
    return _withdraw_all(c, run, f"run {run} is replaced by {by}", now)


def let_finish(c: Connection, run: str, by: str, now: datetime) -> None:
    """A newer run waits until this one has finished the stages that it has started."""
    written = c.execute(
        "UPDATE run SET superseded_by = ?, finishing = 1, version = version + 1"
        " WHERE uid = ? AND superseded_by = '' AND ended_at IS NULL",
        (by, run),
    ).rowcount
    if written:
        what = f"{run} finishes the stages that it has started, for {by}"
        add_event(c, now, "run-finishes-stages", what, run=run)


def set_intent(c: Connection, run: str, intent: Intent) -> None:
    """What people want of the run from now on; a step that was decided before is void."""
    c.execute("UPDATE run SET intent = ?, version = version + 1 WHERE uid = ?", (str(intent), run))


def reopen(c: Connection, runs: Iterable[str]) -> None:
    """What these ended runs carried is wanted again, as if they had never been."""
    c.executemany(
        "UPDATE run SET reopened = 1 WHERE uid = ? AND ended_at IS NOT NULL",
        [(uid,) for uid in runs],
    )


def commits_since_success(c: Connection, plan: RunPlan) -> dict[str, tuple[str, ...]]:
    """Bundle of a run → the commits of its staged runs after the last that succeeded, up to this
    one, newest first: `1a2b3c4 Bump the image`."""
    found: dict[str, list[str]] = {}
    for bundle in plan.bundles:
        rows = c.execute(
            "SELECT r.commit_id, r.title FROM run r JOIN run_bundle rb ON rb.run = r.uid"
            " WHERE rb.bundle = :bundle AND r.lane = 'Staged' AND r.number <= :number"
            " AND r.number > coalesce((SELECT max(s.number) FROM run s JOIN run_bundle sb"
            "  ON sb.run = s.uid WHERE sb.bundle = :bundle AND s.lane = 'Staged'"
            "  AND s.state = 'Succeeded' AND s.number < :number), 0)"
            " ORDER BY r.number DESC LIMIT 20",
            {"bundle": bundle, "number": plan.number},
        )
        found[bundle] = [f"{row['commit_id'][:7]} {row['title']}".rstrip() for row in rows]
    return {bundle: tuple(dict.fromkeys(commits)) for bundle, commits in found.items()}


def stages_of(c: Connection, run: str) -> tuple[StageStatus, ...]:
    """The stages of a run as its last step left them."""
    row = c.execute("SELECT stages FROM run WHERE uid = ?", (run,)).fetchone()
    return () if row is None else STAGES.validate_json(row["stages"])
