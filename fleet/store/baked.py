"""What every cluster last baked of every bundle: where a rollback takes it back to.

A bundle deployment is baked when its stage became Done with it, Healthy. `baked_before` keeps what
was baked before the run that baked last, so that a run which fails in a later stage finds its way
back past its own first stages; a cluster that went back has baked that again.
"""

from __future__ import annotations

from datetime import datetime

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import ClusterState
from fleet.rollout.step import Step
from fleet.store.codec import text_of
from fleet.store.database import Connection


def record_baked(c: Connection, plan: RunPlan, step: Step, now: datetime) -> None:
    """Write what a step baked, and forget what it took back."""
    if step.baked:
        _bake(c, plan, step, now)
    if step.marks.failure.back_since is not None:
        _unbake(c, plan, step)


def _bake(c: Connection, plan: RunPlan, step: Step, now: datetime) -> None:
    """A removal bakes nothing: its row is forgotten when the bundle is gone."""
    done = set(step.baked)
    c.executemany(
        "UPDATE bundle_deployment SET baked_before = iif(baked_run = ?, baked_before, baked),"
        " baked = current, baked_run = ?, baked_at = ?"
        " WHERE cluster = ? AND bundle = ? AND current = ? AND current_run = ?",
        [
            (plan.uid, plan.uid, text_of(now), one.cluster, change.bundle, change.wanted, plan.uid)
            for one in step.clusters
            if one.stage in done and one.state is ClusterState.HEALTHY
            for change in plan.changes[one.cluster]
            if change.wanted != ABSENT
        ],
    )


def _unbake(c: Connection, plan: RunPlan, step: Step) -> None:
    c.executemany(
        "UPDATE bundle_deployment SET baked = baked_before, baked_run = '', baked_before = ''"
        " WHERE cluster = ? AND bundle = ? AND baked_run = ?",
        [
            (one.cluster, change.bundle, plan.uid)
            for one in step.clusters
            if one.state is ClusterState.REVERTED
            for change in plan.changes[one.cluster]
        ],
    )


def baked_before(c: Connection, plan: RunPlan) -> dict[str, dict[str, Digest]]:
    """Cluster → bundle → what was last baked there, this run left aside."""
    marks = ", ".join("?" for _ in plan.bundles)
    rows = c.execute(
        "SELECT cluster, bundle, iif(baked_run = ?, baked_before, baked) AS digest"
        f" FROM bundle_deployment WHERE bundle IN ({marks})",
        (plan.uid, *plan.bundles),
    )
    found: dict[str, dict[str, Digest]] = {}
    for row in rows:
        if row["digest"]:
            found.setdefault(row["cluster"], {})[row["bundle"]] = row["digest"]
    return found
