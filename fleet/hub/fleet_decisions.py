"""What people decide about the whole fleet: freeze it, lift that, let removals go.

Each is one Decision that names no run, written in one transaction with what follows at once: a
freeze takes back every offer that lies open. Why it is refused is a `RequestError`.
"""

from __future__ import annotations

from datetime import datetime

from fleet.errors import RequestError
from fleet.rollout import freezing
from fleet.rollout.decisions import Actor, Decision, Verb
from fleet.rollout.removals import CODE
from fleet.store import Connection
from fleet.store.agents import cluster_known
from fleet.store.budgets import FLEET
from fleet.store.decisions import add_decision, decisions_of
from fleet.store.events import add_event
from fleet.store.targets import withdraw


def decide(
    c: Connection,
    verb: Verb,
    actor: Actor,
    reason: str,
    bundle: str,
    clusters: tuple[str, ...],
    now: datetime,
) -> tuple[str, set[str]]:
    """Record it; what was done in words, and the clusters whose target changed. Writes."""
    digests: tuple[str, ...] = ()
    if verb is Verb.APPROVE_REMOVALS:
        clusters, digests = _suspected(c, bundle)
    _check(c, verb, reason, bundle, clusters)
    decision = Decision(
        number=0,
        run=FLEET,
        verb=verb,
        actor=actor.name,
        at=now,
        reason=reason,
        clusters=clusters,
        groups=actor.groups,
        aliases=actor.aliases,
        method=actor.method,
        bundle=bundle,
        digests=digests,
    )
    add_decision(c, decision)
    said = f"{actor.name}: {verb}" + (f" {bundle}" if bundle else "")
    add_event(c, now, f"decided-{verb}", f"{said} ({reason})" if reason else said)
    changed = _take_back(c, reason, now) if verb is Verb.FREEZE else set()
    where = f" of {bundle} from {len(clusters)} clusters" if bundle else ""
    return f"{verb}: recorded{where}, by {actor.name}", changed


def _check(c: Connection, verb: Verb, reason: str, bundle: str, clusters: tuple[str, ...]) -> None:
    if verb is Verb.FREEZE and not reason.strip():
        raise RequestError(
            "a freeze says why", fix="give a reason: -m REASON", code="decision-refused", status=409
        )
    if verb is Verb.UNFREEZE and freezing.by_people(decisions_of(c, FLEET)) is None:
        raise RequestError(
            "nobody froze the fleet by a decision",
            fix="a freeze in Git is lifted there: RolloutBudget.spec.freeze",
            code="decision-refused",
            status=409,
        )
    if verb is Verb.CATCH_UP and not all(cluster_known(c, name) for name in clusters or ("",)):
        raise RequestError(
            "that names no cluster that Git declares",
            fix="name those to be tried again; see `fleet clusters`",
            code="decision-refused",
            status=409,
        )
    if verb is Verb.APPROVE_REMOVALS and not clusters:
        raise RequestError(
            f"no removal of {bundle!r} waits for anybody",
            fix="see what is held: fleet problems",
            code="decision-refused",
            status=409,
        )


def _suspected(c: Connection, bundle: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The clusters whose removal of the bundle is held, and what they run of it."""
    rows = c.execute(
        "SELECT DISTINCT d.cluster, d.current FROM held_change h JOIN bundle_deployment d"
        " ON d.cluster = h.cluster AND d.bundle = h.bundle"
        " WHERE h.code = ? AND h.bundle = ? ORDER BY d.cluster",
        (CODE, bundle),
    ).fetchall()
    clusters = tuple(row["cluster"] for row in rows)
    return clusters, tuple(sorted({row["current"] for row in rows}))


def _take_back(c: Connection, reason: str, now: datetime) -> set[str]:
    rows = c.execute(
        "SELECT run, cluster FROM assignment WHERE started_at IS NULL AND withdrawn_at IS NULL"
    ).fetchall()
    why = f"frozen: {reason}"
    return {row["cluster"] for row in rows if withdraw(c, row["run"], row["cluster"], why, now)}
