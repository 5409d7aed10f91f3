"""Short words for the values that the tests of the engine are about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from agents.protocol import Health, SyncState
from fleet.rollout.advance import advance
from fleet.rollout.decisions import EVERY_GROUP, Decision, Verb
from fleet.rollout.evidence import AssignmentEvidence, BundleEvidence, ClusterEvidence, Evidence
from fleet.rollout.gate_kinds import Approval, Soak
from fleet.rollout.marks import Marks
from fleet.rollout.run_plan import Change, Ramp, RunPlan, StagePlan
from fleet.rollout.states import Intent
from fleet.rollout.step import Step

NOW = datetime(2030, 1, 1, tzinfo=UTC)


def after(seconds: float) -> datetime:
    """That many seconds after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def stage(name: str = "one", *clusters: str, **said: Any) -> StagePlan:
    """A stage; parallelism may be given as one number or several, and the plainest gates by name:
    `approval=True`, `approvers=("sre",)`, `soak_seconds=600`."""
    if said.pop("approval", False):
        said["before"] = (Approval(groups=said.pop("approvers", ())),)
    if "soak_seconds" in said:
        said["after"] = (Soak(said.pop("soak_seconds")),)
    steps = said.pop("parallelism", 1)
    ramp = Ramp(tuple(steps) if isinstance(steps, list) else (steps,))
    return StagePlan(name, clusters, parallelism=ramp, members=len(clusters), **said)


def run(*stages: StagePlan, **said: Any) -> RunPlan:
    """A run that brings `app` from v1 to v2 in every cluster of its stages."""
    changes = {c: (Change("app", "v2", "v1"),) for s in stages for c in s.clusters}
    plan = RunPlan("r1", "default", "abc", ("app",), NOW, stages, changes, plan_hash="h1")
    return replace(plan, **said)


def report(
    generation: int = 1,
    sync: SyncState = SyncState.SYNCED,
    health: Health = Health.HEALTHY,
    since: float = 0,
    digest: str = "v2",
    bundle: str = "app",
) -> BundleEvidence:
    """What an agent said, and since when."""
    return BundleEvidence(bundle, digest, generation, sync, health, after(since))


def cluster(*reports: BundleEvidence, **said: Any) -> ClusterEvidence:
    """An online cluster; `offered`, `started` and `withdrawn` are seconds after NOW."""
    offered = said.pop("offered", None)
    started, withdrawn = said.pop("started", None), said.pop("withdrawn", None)
    generation = said.pop("generation", 1)
    assignment = None
    if offered is not None:
        assignment = AssignmentEvidence(
            generation,
            after(offered),
            None if started is None else after(started),
            None if withdrawn is None else after(withdrawn),
        )
    return ClusterEvidence(
        registered=said.pop("registered", True),
        online=said.pop("online", True),
        assignment=assignment,
        bundles={one.bundle: one for one in reports},
        **said,
    )


def offered(at: float = 0) -> ClusterEvidence:
    """Offered, not started."""
    return cluster(offered=at)


def healthy(since: float = 0) -> ClusterEvidence:
    """Started at once and Healthy since then."""
    return cluster(report(since=since), offered=0, started=0)


def failed() -> ClusterEvidence:
    """Started and failed for good."""
    bad = report(sync=SyncState.FAILED, health=Health.UNKNOWN)
    return cluster(bad, offered=0, started=0)


def decision(number: int, verb: Verb, **said: Any) -> Decision:
    """A decision on the run `r1` and its plan."""
    made = Decision(number, "r1", verb, "ann", NOW, plan_hash="h1", groups=(EVERY_GROUP,))
    return replace(made, **said)


def tick(
    plan: RunPlan,
    clusters: Mapping[str, ClusterEvidence],
    marks: Marks = Marks(),
    at: float = 0,
    intent: Intent = Intent.RUN,
    **said: Any,
) -> Step:
    """One `advance`; clusters that are not given are online with nothing offered."""
    known = {name: clusters.get(name, cluster()) for name in plan.changes}
    return advance(plan, marks, intent, Evidence(known, **said), after(at))


def states(step: Step) -> dict[str, str]:
    """Cluster → its state's word."""
    return {one.cluster: one.state.value for one in step.clusters}


def stage_states(step: Step) -> dict[str, str]:
    """Stage → its state's word."""
    return {one.name: one.state.value for one in step.stages}
