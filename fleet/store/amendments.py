"""What joined, left or changed its stage while a run was live: rows that are only ever added.

The run's plan stays as it was stored; `fleet.store.runs.read_plan` reads it with these.
"""

from __future__ import annotations

from datetime import datetime

from fleet.rollout.amendments import Amendment, MoveKind, but_for
from fleet.store.codec import AMENDMENT, dump, text_of
from fleet.store.database import Connection
from fleet.store.events import add_event
from fleet.store.targets import withdraw

_EVENTS = {
    MoveKind.JOINED: "cluster-joined",
    MoveKind.LEFT: "cluster-left",
    MoveKind.LOST: "cluster-left",
    MoveKind.RESTAGED: "cluster-restaged",
}


def amendments_of(c: Connection, run: str) -> list[Amendment]:
    """Every amendment of a run, in order."""
    rows = c.execute("SELECT amendment FROM run_amendment WHERE run = ? ORDER BY number", (run,))
    return [AMENDMENT.validate_json(row["amendment"]) for row in rows]


def add_amendment(c: Connection, run: str, amendment: Amendment, now: datetime) -> set[str]:
    """Record it, with an event for each fact; the clusters whose target changed.

    What is offered to a cluster that leaves or changes its stage is withdrawn; one that has started
    meanwhile keeps its stage. A step that was decided before is void.
    """
    amendment = but_for(amendment, _started(c, run))
    if not amendment.moves and not amendment.sizes:
        return set()
    c.execute(
        "INSERT INTO run_amendment (run, number, at, amendment) VALUES"
        " (?, (SELECT count(*) + 1 FROM run_amendment WHERE run = ?), ?, ?)",
        (run, run, text_of(now), dump(AMENDMENT, amendment)),
    )
    c.execute("UPDATE run SET version = version + 1 WHERE uid = ?", (run,))
    changed = set()
    for move in amendment.moves:
        why, kind = move.why, _EVENTS[move.kind]
        add_event(c, now, kind, why, run=run, stage=move.stage, cluster=move.cluster)
        if move.kind is not MoveKind.JOINED and withdraw(c, run, move.cluster, why, now):
            changed.add(move.cluster)
    for size in amendment.sizes:
        steps = ", ".join(map(str, size.steps))
        why = f"{size.members} members: parallelism {steps}"
        add_event(c, now, "stage-resized", why, run=run, stage=size.stage)
    return changed


def _started(c: Connection, run: str) -> set[str]:
    rows = c.execute(
        "SELECT DISTINCT cluster FROM assignment WHERE run = ? AND started_at IS NOT NULL", (run,)
    )
    return {row["cluster"] for row in rows}
