"""What agents say, taken in once and in order. The hot path: plain SQL, one transaction a report.

::

    incarnation that speaks, next sequence   → rows updated, `since` in hub time
    the same or an older sequence            → accepted, nothing changes
    unknown incarnation, deltas              → resync
    unknown incarnation, full                → it speaks from now on (a hub that lost its memory)
    one that another replaced                → refused; shown as a second live agent

Only what the hub granted counts: a report on another digest or generation is kept beside the row
(`stray`) and is evidence of nothing. A report that is ahead of the hub (after a restore from a
backup) raises the epoch and the generation counter, so that no number is used twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from sqlite3 import Row

from agents.protocol import ABSENT, DeploymentReport, Report, SyncState, was_applied
from fleet.store.agents import TROUBLE_LETTERS, find_agent, speaks, touch_incarnation, was_replaced
from fleet.store.codec import json_text, text_of
from fleet.store.database import Connection
from fleet.store.events import add_event, epoch, set_meta
from fleet.store.leaving import take_farewell
from fleet.store.syncs import take_results
from fleet.store.targets import raise_serials

LARGEST_NUMBER = 2**53
"""Numbers above it are nonsense and never move a counter."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a report."""

    accepted: bool
    resync: bool = False
    message: str = ""
    changed: tuple[str, ...] = ()
    """Bundles of which a run could care that they are different now."""
    came_back: bool = False
    """The agent was offline, or spoke for the first time."""
    target_changed: bool = False


def take_report(c: Connection, report: Report, now: datetime) -> Taken:
    """Take in one report. Idempotent by (incarnation, sequence)."""
    agent = find_agent(c, report.cluster)
    if agent is None or agent.incarnation != report.incarnation:
        if was_replaced(c, report.cluster, report.incarnation):
            touch_incarnation(c, report.cluster, report.incarnation, now)
            return Taken(False, message="another agent has registered for this cluster since")
        if not report.full:
            return Taken(False, resync=True)
        speaks(c, report.cluster, report.incarnation, now)
    elif report.sequence <= agent.sequence:
        return Taken(True, message="known already")
    came_back = agent is None or not agent.online
    _heard(c, report, now)
    if came_back:
        add_event(c, now, "cluster-online", f"{report.cluster} is online", cluster=report.cluster)
    changed = _take_deployments(c, report, now)
    gone = _drop_what_is_gone(c, report)
    restored = _catch_up_counters(c, report)
    take_farewell(c, report, now)
    synced = take_results(c, report.cluster, report.syncs, now)
    if gone or restored:
        raise_serials(c, [report.cluster])
    return Taken(
        accepted=True,
        changed=changed,
        came_back=came_back,
        target_changed=gone or restored or synced,
    )


def _heard(c: Connection, report: Report, now: datetime) -> None:
    c.execute(
        "UPDATE agent SET sequence = ?, last_seen = ?, online = 1, epoch = ?, serial = ?,"
        " nodes = ?, trouble = ?, agent_version = CASE WHEN ? <> '' THEN ? ELSE agent_version END,"
        " kubernetes_version = CASE WHEN ? <> '' THEN ? ELSE kubernetes_version END"
        " WHERE cluster = ?",
        (
            *(report.sequence, text_of(now), _bounded(report.epoch), _bounded(report.serial)),
            *(_bounded(report.nodes), report.trouble[:TROUBLE_LETTERS]),
            *(report.agent_version, report.agent_version),
            *(report.kubernetes_version, report.kubernetes_version, report.cluster),
        ),
    )


def _take_deployments(c: Connection, report: Report, now: datetime) -> tuple[str, ...]:
    known = {
        row["bundle"]: row
        for row in c.execute(
            "SELECT bundle, current, generation, reported, reported_generation, sync, health,"
            " drifted, since, code, message FROM bundle_deployment WHERE cluster = ?",
            (report.cluster,),
        )
    }
    said = {d.bundle: d for d in report.deployments}
    answers = [d for d in said.values() if _is_given(known.get(d.bundle), d)]
    strays = [d for d in said.values() if not _is_given(known.get(d.bundle), d)]
    _write_answers(c, report.cluster, answers, known, now)
    _write_strays(c, report.cluster, strays, known, now)
    silent = [name for name, row in known.items() if name not in said and row["current"]]
    forgotten = silent if report.full and _forget(c, report.cluster, silent, now) else []
    return (*forgotten, *(d.bundle for d in answers if _is_news(known[d.bundle], d)))


def _is_given(row: Row | None, d: DeploymentReport) -> bool:
    if row is None or not row["current"]:
        return False
    return bool(row["current"] == d.digest and row["generation"] == d.generation)


def _is_news(row: Row, d: DeploymentReport) -> bool:
    told = (row["sync"], row["code"], row["message"])
    return not _stays(row, d) or told != (str(d.sync), d.code, d.message)


def _stays(row: Row, d: DeploymentReport) -> bool:
    """Is it as it was to a release? Drift that is left alone changes nothing there."""
    before = (row["reported"], row["reported_generation"], row["health"])
    return before == (d.digest, d.generation, str(d.health)) and _word(
        SyncState(row["sync"]), row["drifted"]
    ) is _word(d.sync, _bounded(d.drifted))


def _word(sync: SyncState, drifted: int) -> SyncState:
    return SyncState.SYNCED if was_applied(sync, drifted) else sync


def _write_answers(
    c: Connection,
    cluster: str,
    answers: list[DeploymentReport],
    known: dict[str, Row],
    now: datetime,
) -> None:
    at = text_of(now)
    c.executemany(
        "UPDATE bundle_deployment SET reported = ?, reported_generation = ?, sync = ?, health = ?,"
        " code = ?, message = ?, since = ?, reported_at = ?, objects_total = ?, objects_ready = ?,"
        " drifted = ?, contested = ?, paused = ?, healed = ?, objects = ?, stray = '',"
        " stray_generation = NULL, stray_at = NULL WHERE cluster = ? AND bundle = ?",
        [
            (
                *(d.digest, d.generation, str(d.sync), str(d.health), d.code, d.message),
                *(_since(known[d.bundle], d, at), at, _bounded(d.objects_total)),
                *(_bounded(d.objects_ready), _bounded(d.drifted), _bounded(d.contested)),
                *(_bounded(d.paused), _bounded(d.healed)),
                json_text([o.model_dump(mode="json") for o in d.objects]),
                *(cluster, d.bundle),
            )
            for d in answers
        ],
    )


def _since(row: Row, d: DeploymentReport, at: str) -> str:
    return row["since"] if row["since"] and _stays(row, d) else at


def _write_strays(
    c: Connection,
    cluster: str,
    strays: list[DeploymentReport],
    known: dict[str, Row],
    now: datetime,
) -> None:
    c.executemany(
        "UPDATE bundle_deployment SET stray = ?, stray_generation = ?, stray_at = ?"
        " WHERE cluster = ? AND bundle = ?",
        [
            (d.digest, _bounded(d.generation), text_of(now), cluster, d.bundle)
            for d in strays
            if d.bundle in known
        ],
    )


def _forget(c: Connection, cluster: str, bundles: list[str], now: datetime) -> bool:
    """A full report that leaves a bundle out says that the agent knows nothing of it."""
    at = text_of(now)
    before = c.total_changes
    c.executemany(
        "UPDATE bundle_deployment SET sync = 'Unknown', health = 'Unknown', code = '',"
        " message = 'not in the last full report of the agent', since = ?, reported_at = ?"
        " WHERE cluster = ? AND bundle = ? AND gone = 0 AND reported <> ''"
        " AND (sync <> 'Unknown' OR health <> 'Unknown')",
        [(at, at, cluster, bundle) for bundle in bundles],
    )
    return c.total_changes > before


def _drop_what_is_gone(c: Connection, report: Report) -> bool:
    """A removal whose inventory is empty leaves the target."""
    empty = [
        (report.cluster, d.bundle, d.generation)
        for d in report.deployments
        if d.digest == ABSENT and d.objects_total == 0 and d.sync is SyncState.SYNCED
    ]
    before = c.total_changes
    c.executemany(
        "UPDATE bundle_deployment SET gone = 1 WHERE cluster = ? AND bundle = ? AND generation = ?"
        " AND current = 'absent' AND gone = 0",
        empty,
    )
    return c.total_changes > before


def _catch_up_counters(c: Connection, report: Report) -> bool:
    """Numbers that the agent has and the hub never gave: the hub was restored from a backup."""
    row = c.execute(
        "SELECT serial, generation FROM cluster WHERE name = ?", (report.cluster,)
    ).fetchone()
    if row is None:
        return False
    highest = max((_bounded(d.generation) for d in report.deployments), default=0)
    if highest > row["generation"]:
        c.execute("UPDATE cluster SET generation = ? WHERE name = ?", (highest, report.cluster))
    ours = epoch(c)
    seen = (_bounded(report.epoch), _bounded(report.serial))
    if seen <= (ours, row["serial"]):
        return False
    set_meta(c, "epoch", str(seen[0] + 1))
    return True


def _bounded(number: int) -> int:
    return number if 0 <= number < LARGEST_NUMBER else 0
