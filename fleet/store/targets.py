"""What one cluster is to run: current bundle deployments, open offers, and what starts do.

::

    offer     ──► open ──► started: its bundle deployments are current under its generation
                   │
                   └─────► withdrawn: the start is refused

A start is a compare-and-set in one transaction: granted once, and answered alike when asked again,
also by a hub that was killed in between. Whatever changes a cluster's target raises its serial.
A generation comes from a counter in the cluster's row that only rises.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from agents.protocol import ABSENT, BundleDeployment, Offer, StartRequest, Target
from fleet.rollout.run_plan import Change
from fleet.rollout.states import Intent
from fleet.store.agents import was_replaced
from fleet.store.codec import moment_of, text_of
from fleet.store.database import Connection
from fleet.store.events import add_event, epoch
from fleet.store.leaving import leaving_of
from fleet.store.proofs import keep_spans
from fleet.store.syncs import open_requests

COMMIT = (
    "CASE WHEN a.reverts THEN coalesce((SELECT o.commit_id FROM assignment_bundle ob"
    " JOIN assignment oa USING (cluster, generation) JOIN run o ON o.uid = oa.run"
    " WHERE ob.cluster = ab.cluster AND ob.bundle = ab.bundle AND ob.digest = ab.digest"
    " AND oa.started_at IS NOT NULL AND NOT oa.reverts AND oa.run <> a.run"
    " ORDER BY oa.generation DESC LIMIT 1), '') ELSE r.commit_id END"
)
"""The commit that a digest is of: a way back brings again what an older run brought."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Why a start is refused; `code` is stable."""

    code: str
    message: str


def serial_of(c: Connection, cluster: str) -> int:
    """The serial of a cluster's target; 0 for a cluster that Git never declared."""
    row = c.execute("SELECT serial FROM cluster WHERE name = ?", (cluster,)).fetchone()
    return 0 if row is None else int(row["serial"])


def raise_serials(c: Connection, clusters: Iterable[str]) -> None:
    """The targets of these clusters changed."""
    c.executemany(
        "UPDATE cluster SET serial = serial + 1 WHERE name = ?", [(name,) for name in clusters]
    )


def read_target(c: Connection, cluster: str) -> Target:
    """Everything that the cluster is to run; empty for one that Git never declared."""
    current, generations = _current(c, cluster)
    leaving = leaving_of(c, cluster)
    return Target(
        cluster=cluster,
        epoch=epoch(c),
        serial=serial_of(c, cluster),
        current=current,
        offers=_offers(c, cluster) if leaving is None else (),
        generations=generations,
        syncs=open_requests(c, cluster),
        leaving=leaving,
    )


def _current(c: Connection, cluster: str) -> tuple[tuple[BundleDeployment, ...], dict[str, int]]:
    rows = c.execute(
        "SELECT d.bundle, d.current AS digest, d.current_commit AS commit_id, d.generation, b.body"
        " FROM bundle_deployment d LEFT JOIN deployment_body b ON b.digest = d.current"
        " WHERE d.cluster = ? AND d.current <> '' AND d.gone = 0 ORDER BY d.bundle",
        (cluster,),
    ).fetchall()
    current = tuple(
        deployment_of(row["bundle"], row["digest"], row["body"], row["commit_id"]) for row in rows
    )
    return current, {row["bundle"]: row["generation"] for row in rows}


def _offers(c: Connection, cluster: str) -> tuple[Offer, ...]:
    rows = c.execute(
        f"SELECT a.generation, a.run, ab.bundle, ab.digest, {COMMIT} AS commit_id, b.body"
        " FROM assignment a JOIN assignment_bundle ab USING (cluster, generation)"
        " JOIN run r ON r.uid = a.run LEFT JOIN deployment_body b ON b.digest = ab.digest"
        " WHERE a.cluster = ? AND a.started_at IS NULL AND a.withdrawn_at IS NULL"
        " ORDER BY a.generation, ab.bundle",
        (cluster,),
    ).fetchall()
    grouped: dict[tuple[str, int], list[BundleDeployment]] = {}
    for row in rows:
        grouped.setdefault((row["run"], row["generation"]), []).append(
            deployment_of(row["bundle"], row["digest"], row["body"], row["commit_id"])
        )
    return tuple(
        Offer(run=run, generation=generation, deployments=tuple(deployments))
        for (run, generation), deployments in grouped.items()
    )


def read_wanted(c: Connection, cluster: str) -> tuple[list[BundleDeployment], list[str]] | None:
    """What the cluster runs, is offered and is to run, and bundles of which nothing is known.

    `None` if Git does not declare it.
    """
    row = c.execute("SELECT declared FROM cluster WHERE name = ?", (cluster,)).fetchone()
    if row is None or not row["declared"]:
        return None
    rows = c.execute(
        "SELECT d.bundle, d.wanted, d.held, b.body FROM bundle_deployment d"
        " LEFT JOIN deployment_body b ON b.digest = d.wanted WHERE d.cluster = ?",
        (cluster,),
    ).fetchall()
    found = {(item.bundle, item.digest): item for item in _current(c, cluster)[0]}
    for offered in _offers(c, cluster):
        found |= {(item.bundle, item.digest): item for item in offered.deployments}
    for row in rows:
        if row["body"] is not None:
            about = (row["bundle"], row["wanted"])
            found[about] = deployment_of(*about, row["body"], "")
    return [found[about] for about in sorted(found)], [r["bundle"] for r in rows if r["held"]]


def deployment_of(bundle: str, digest: str, body: str | None, commit: str) -> BundleDeployment:
    """The bundle deployment of a digest; many clusters share one body."""
    if digest == ABSENT:
        return BundleDeployment.absent(bundle, commit)
    if body is None:
        raise RuntimeError(f"bundle deployment {digest} of {bundle} has no body in the store")
    read = BundleDeployment.model_validate_json(body)
    return read.model_copy(update={"bundle": bundle, "commit": commit})


def keep_bodies(c: Connection, deployments: Iterable[BundleDeployment]) -> None:
    """Keep the bodies that digests stand for; what is there already stays."""
    c.executemany(
        "INSERT INTO deployment_body (digest, artifact, body) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (d.digest, d.artifact, d.model_dump_json(exclude={"commit"}))
            for d in deployments
            if not d.is_absent
        ],
    )


def offer(
    c: Connection,
    run: str,
    cluster: str,
    changes: tuple[Change, ...],
    lease: float,
    now: datetime,
    *,
    reverts: bool = False,
) -> int:
    """Offer a run's changes, or their way back, under a new generation, which is returned."""
    (generation,) = c.execute(
        "UPDATE cluster SET generation = generation + 1, serial = serial + 1 WHERE name = ?"
        " RETURNING generation",
        (cluster,),
    ).fetchone()
    c.execute(
        "INSERT INTO assignment (cluster, generation, run, offered_at, lease_seconds, reverts)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (cluster, generation, run, text_of(now), lease, int(reverts)),
    )
    c.executemany(
        "INSERT INTO assignment_bundle (cluster, generation, bundle, digest, previous)"
        " VALUES (?, ?, ?, ?, ?)",
        [(cluster, generation, x.bundle, x.wanted, x.previous) for x in changes],
    )
    # A plan may have dropped the row of a bundle that the cluster never ran; a start needs it.
    c.executemany(
        "INSERT OR IGNORE INTO bundle_deployment (cluster, bundle) VALUES (?, ?)",
        [(cluster, x.bundle) for x in changes],
    )
    return int(generation)


def has_open_offer(c: Connection, run: str, cluster: str) -> bool:
    """Does the run have an offer or a start in this cluster that nobody withdrew or replaced?"""
    row = c.execute(
        "SELECT 1 FROM assignment WHERE run = ? AND cluster = ?"
        " AND started_at IS NULL AND withdrawn_at IS NULL",
        (run, cluster),
    ).fetchone()
    return row is not None


def withdraw(c: Connection, run: str, cluster: str, why: str, now: datetime) -> bool:
    """Take back what the run offered and the cluster has not started; was there any?"""
    taken = c.execute(
        "UPDATE assignment SET withdrawn_at = ?, withdrawn_why = ?"
        " WHERE run = ? AND cluster = ? AND started_at IS NULL AND withdrawn_at IS NULL",
        (text_of(now), why, run, cluster),
    ).rowcount
    if taken:
        raise_serials(c, [cluster])
    return bool(taken)


def start(c: Connection, cluster: str, asked: StartRequest, now: datetime) -> Refused | None:
    """Grant the start of an offer, or say why not. Asked again it answers alike."""
    row = c.execute(
        "SELECT a.*, r.state, r.intent, r.ended_at, k.declared FROM assignment a"
        " JOIN run r ON r.uid = a.run JOIN cluster k ON k.name = a.cluster"
        " WHERE a.cluster = ? AND a.generation = ? AND a.run = ?",
        (cluster, asked.generation, asked.run),
    ).fetchone()
    if row is None:
        return Refused("unknown-offer", "the hub made no such offer to this cluster")
    if was_replaced(c, cluster, asked.incarnation):
        return Refused("replaced", "another agent has registered for this cluster since")
    if _overtaken(c, cluster, asked.generation):
        return Refused("superseded", "a later assignment of one of its bundles was started")
    if row["started_at"] is not None:
        return None
    if row["withdrawn_at"] is not None:
        return Refused("withdrawn", row["withdrawn_why"] or "the offer was withdrawn")
    if row["ended_at"] is not None:
        return Refused("run-ended", f"run {asked.run} is {row['state']}")
    if row["intent"] != Intent.RUN and not row["reverts"]:
        return Refused("held", f"run {asked.run} is held by a person ({row['intent']})")
    if not row["declared"]:
        return Refused("undeclared", "Git does not declare this cluster any more")
    if now > moment_of(row["offered_at"]) + timedelta(seconds=row["lease_seconds"]):
        return Refused("lease-ended", "the offer lay unstarted for longer than its lease")
    _grant(c, cluster, asked, now)
    return None


def _overtaken(c: Connection, cluster: str, generation: int) -> bool:
    row = c.execute(
        "SELECT 1 FROM assignment_bundle ab JOIN bundle_deployment d USING (cluster, bundle)"
        " WHERE ab.cluster = ? AND ab.generation = ? AND d.generation > ab.generation",
        (cluster, generation),
    ).fetchone()
    return row is not None


def _grant(c: Connection, cluster: str, asked: StartRequest, now: datetime) -> None:
    at = text_of(now)
    keep_spans(c, cluster, asked.generation, now)
    c.execute(
        "UPDATE assignment SET started_at = ?, incarnation = ?"
        " WHERE cluster = ? AND generation = ?",
        (at, asked.incarnation, cluster, asked.generation),
    )
    c.execute(
        "UPDATE bundle_deployment SET previous = current, current = x.digest,"
        " current_commit = x.commit_id, current_run = ?, generation = x.generation,"
        " granted_at = ?, gone = 0 FROM"
        f" (SELECT ab.*, {COMMIT} AS commit_id FROM assignment_bundle ab"
        " JOIN assignment a USING (cluster, generation) JOIN run r ON r.uid = a.run"
        " WHERE a.cluster = ? AND a.generation = ?) x"
        " WHERE x.cluster = bundle_deployment.cluster AND x.bundle = bundle_deployment.bundle",
        (asked.run, at, cluster, asked.generation),
    )
    raise_serials(c, [cluster])
    add_event(c, now, "started", f"{cluster} starts {asked.run}", run=asked.run, cluster=cluster)


def may_fetch(c: Connection, cluster: str, artifact: str) -> bool:
    """Does the cluster's own target name this artifact?"""
    row = c.execute(
        "SELECT 1 FROM bundle_deployment d JOIN deployment_body b ON b.digest = d.current"
        " WHERE d.cluster = :cluster AND d.gone = 0 AND b.artifact = :artifact"
        " UNION ALL"
        " SELECT 1 FROM assignment a JOIN assignment_bundle ab USING (cluster, generation)"
        " JOIN deployment_body b ON b.digest = ab.digest"
        " WHERE a.cluster = :cluster AND a.started_at IS NULL AND a.withdrawn_at IS NULL"
        " AND b.artifact = :artifact LIMIT 1",
        {"cluster": cluster, "artifact": artifact},
    ).fetchone()
    return row is not None
