"""Forgetting: ended runs that are kept no longer, old decisions, and content that nothing names.

::

    run      with its clusters, events, assignments, amendments and readings; one in a transaction
    decision of a rollout, on a run that has ended, older than `history.decisions`
    content  files of artifacts that no agent could ask for any more; their bodies and what they
             hold stay for as long as a `proven` gate may ask where it was Healthy

`needed_runs` and `needed_digests` say what something still stands on: what clusters run, want,
baked or go back to, live runs, the runs of each bundle since its last success, vetoes. Decisions
are append-only: the table lets one go only when it is older than the time that its rollout's policy
was written down to keep (`keep_decisions`), whoever asks. What goes leaves room in the file.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime

from clusters.objects import Digest
from fleet.rollout.retention import Past
from fleet.rollout.run_plan import RunPlan
from fleet.store.artifacts import Artifacts
from fleet.store.codec import text_of
from fleet.store.database import Connection
from fleet.store.events import set_meta
from fleet.store.runs import active_runs, read_plan

_COLUMNS = ("wanted", "current", "previous", "reported", "baked", "baked_before")
"""What a cluster runs, is to run, or could go back to."""


def past_runs(c: Connection) -> list[Past]:
    """Every stored run."""
    rows = c.execute("SELECT uid, number, rollout, lane, ended_at FROM run")
    return [Past(r["uid"], r["number"], r["rollout"], r["lane"], bool(r["ended_at"])) for r in rows]


def needed_runs(c: Connection) -> set[str]:
    """The runs that something still stands on; the newest is always one, for its number."""
    rows = c.execute(
        "WITH good AS (SELECT rb.bundle, max(r.number) AS number FROM run r"
        " JOIN run_bundle rb ON rb.run = r.uid"
        " WHERE r.state = 'Succeeded' AND r.lane = 'Staged' GROUP BY rb.bundle)"
        " SELECT uid FROM run WHERE ended_at IS NULL OR number = (SELECT max(number) FROM run)"
        " UNION SELECT r.uid FROM run r JOIN run_bundle rb ON rb.run = r.uid"
        "  LEFT JOIN good g ON g.bundle = rb.bundle WHERE r.number >= coalesce(g.number, 0)"
        " UNION SELECT current_run FROM bundle_deployment WHERE gone = 0"
        " UNION SELECT baked_run FROM bundle_deployment WHERE gone = 0"
        " UNION SELECT run FROM veto WHERE lifted_at IS NULL"
    )
    return {row["uid"] for row in rows}


def forget_run(c: Connection, run: str) -> None:
    """Delete an ended run with all that is only about it; decisions stay."""
    c.execute(
        "DELETE FROM assignment_bundle WHERE (cluster, generation) IN"
        " (SELECT cluster, generation FROM assignment WHERE run = ?)",
        (run,),
    )
    c.execute(
        "DELETE FROM run_bundle WHERE run = :run AND bundle IN (SELECT j.value FROM run r,"
        " json_each(r.plan, '$.bundles') j WHERE r.uid = :run)",
        {"run": run},
    )
    for table in ("assignment", "run_cluster", "run_amendment", "reading", "event"):
        c.execute(f"DELETE FROM {table} WHERE run = ?", (run,))
    c.execute("DELETE FROM run WHERE uid = ? AND ended_at IS NOT NULL", (run,))


def keep_decisions(c: Connection, rollout: str, since: datetime) -> int:
    """Delete the decisions of a rollout from before `since` on runs that have ended; how many."""
    set_meta(c, f"decisions-since:{rollout}", text_of(since))
    return c.execute(
        "DELETE FROM decision WHERE rollout = ? AND at < ?"
        " AND run NOT IN (SELECT uid FROM run WHERE ended_at IS NULL)",
        (rollout, text_of(since)),
    ).rowcount


def needed_digests(c: Connection) -> set[Digest]:
    """The digests of all content that an agent may still be told to run."""
    selects = [f"SELECT {column} AS digest FROM bundle_deployment" for column in _COLUMNS]
    selects.append(
        "SELECT ab.digest FROM assignment a JOIN assignment_bundle ab USING (cluster, generation)"
        " WHERE a.started_at IS NULL AND a.withdrawn_at IS NULL"
    )
    found = {row["digest"] for row in c.execute(" UNION ".join(selects))}
    for run in active_runs(c):
        found |= _brought(read_plan(c, run.uid))
    return found


def _brought(plan: RunPlan) -> set[Digest]:
    every = (change for changes in plan.changes.values() for change in changes)
    return {digest for change in every for digest in (change.wanted, change.previous)}


@dataclass(frozen=True, slots=True)
class Unneeded:
    """Content that nothing needs any more."""

    bodies: frozenset[Digest]
    """By the digest of the bundle deployment."""
    materials: frozenset[Digest]
    """By artifact."""
    files: frozenset[Digest]
    """By artifact."""


def unneeded_content(c: Connection, planned: Collection[Digest] = ()) -> Unneeded:
    """What of the content may go; `planned` may not, though no row names it yet."""
    runs = needed_digests(c).union(planned)
    proves = {row["digest"] for row in c.execute("SELECT DISTINCT digest FROM healthy_span")}
    artifact_of = {r["digest"]: r["artifact"] for r in c.execute("SELECT * FROM deployment_body")}
    bodies = artifact_of.keys() - runs - proves
    every = frozenset(artifact_of.values())
    told = frozenset(artifact for digest, artifact in artifact_of.items() if digest not in bodies)
    fetched = frozenset(artifact for digest, artifact in artifact_of.items() if digest in runs)
    return Unneeded(frozenset(bodies), every - told, every - fetched)


def forget_content(c: Connection, found: Unneeded) -> None:
    """Delete these rows; the files go after this is written (`forget_files`)."""
    c.executemany("DELETE FROM deployment_body WHERE digest = ?", [(x,) for x in found.bodies])
    c.executemany(
        "DELETE FROM artifact_material WHERE artifact = ?", [(x,) for x in found.materials]
    )


def forget_files(artifacts: Artifacts, found: Unneeded) -> None:
    """Delete the files; a plan that wants one again writes it again."""
    for digest in sorted(found.files):
        artifacts.remove(digest)
