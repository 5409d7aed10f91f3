"""From a policy and a fleet to stages with clusters and integers.

`Membership` says, once per policy and commit, which stage has which cluster (the first stage that
selects it; a cluster is in at most one) and why others are held. `stage_plans` makes the
`StagePlan`s of a run. Pure; equal input in any order gives equal plans.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from pydantic import TypeAdapter

from clusters.objects import Digest, digest_of
from fleet.model import Cluster, ClusterGroup
from fleet.rollout import numbers
from fleet.rollout.numbers import Amount
from fleet.rollout.run_plan import Change, Ramp, StagePlan
from fleet.rollout.stages import Policy, StagePolicy, in_order


@dataclass(frozen=True, slots=True)
class Membership:
    """Who is in which stage of a policy."""

    stage_of: Mapping[str, str]
    held: Mapping[str, str]
    """Cluster → why no stage has it: `OutsideTargets` or `Unmatched`."""
    clusters: Mapping[str, tuple[str, ...]]
    """Stage → all clusters that it selects, changing or not."""


def membership(
    policy: Policy, clusters: Iterable[Cluster], groups: Iterable[ClusterGroup]
) -> Membership:
    """Every cluster's stage: the first in the list that selects it; a catch-all comes last."""
    members = {group.name: frozenset(group.members) for group in groups}
    stage_of: dict[str, str] = {}
    held: dict[str, str] = {}
    placed: dict[str, list[str]] = {stage.name: [] for stage in policy.stages}
    for cluster in sorted(clusters, key=lambda c: c.name):
        stage = _stage_for(policy, cluster, members) if _is_target(policy, cluster) else None
        if stage:
            stage_of[cluster.name] = stage
            placed[stage].append(cluster.name)
        else:
            held[cluster.name] = "Unmatched" if _is_target(policy, cluster) else "OutsideTargets"
    return Membership(stage_of, held, {name: tuple(some) for name, some in placed.items()})


def _is_target(policy: Policy, cluster: Cluster) -> bool:
    if policy.targets is not None and not policy.targets.matches(cluster.labels):
        return False
    return policy.exclude is None or not policy.exclude.matches(cluster.labels)


def _stage_for(
    policy: Policy, cluster: Cluster, members: Mapping[str, frozenset[str]]
) -> str | None:
    rest = None
    for stage in policy.stages:
        if stage.catch_all:
            rest = stage.name
        elif stage.group:
            if cluster.name in members.get(stage.group, ()):
                return stage.name
        elif stage.selector is not None and stage.selector.matches(cluster.labels):
            return stage.name
    return rest


def stage_plans(
    policy: Policy, who: Membership, changing: Collection[str]
) -> tuple[StagePlan, ...]:
    """The stages of a run that changes these clusters, dependencies first."""
    clusters: dict[str, list[str]] = {stage.name: [] for stage in policy.stages}
    for name in sorted(changing):
        clusters[who.stage_of[name]].append(name)
    ordered = in_order(policy.stages)
    assert ordered is not None, "read_policy refuses circles"
    return tuple(
        _stage_plan(s, tuple(clusters[s.name]), len(who.clusters[s.name])) for s in ordered
    )


def _stage_plan(stage: StagePolicy, clusters: tuple[str, ...], members: int) -> StagePlan:
    changing = len(clusters)
    return StagePlan(
        name=stage.name,
        clusters=clusters,
        depends_on=stage.depends_on,
        members=members,
        parallelism=Ramp(_steps(stage, members)),
        failure_budget=numbers.failure_budget(stage.failure_budget, changing),
        min_healthy=_least_healthy(stage.min_healthy, changing),
        consecutive=stage.consecutive,
        cluster_deadline_seconds=stage.cluster_deadline_seconds,
        stage_deadline_seconds=stage.stage_deadline_seconds,
        before=stage.before,
        after=stage.after,
        failure_budget_said=str(stage.failure_budget),
        min_healthy_said=str(stage.min_healthy),
    )


def _steps(stage: StagePolicy, members: int) -> tuple[int, ...]:
    """The batch sizes; none is larger than `max`."""
    steps = tuple(numbers.parallelism(step, members) for step in stage.parallelism)
    if stage.max_parallelism is None:
        return steps
    most = numbers.parallelism(stage.max_parallelism, members)
    return tuple(min(step, most) for step in steps)


def _least_healthy(said: Amount, changing: int) -> int:
    """A count above the clusters that change asks for all of them; 0 clusters ask for none."""
    return min(numbers.min_healthy(said, changing), changing)


def unsatisfiable(policy: Policy, who: Membership) -> str:
    """Why a stage can never be Healthy enough, or empty."""
    for stage in policy.stages:
        size = len(who.clusters[stage.name])
        if size and numbers.min_healthy(stage.min_healthy, size) > size:
            return (
                f"stage {stage.name!r} asks for {stage.min_healthy} Healthy clusters and has {size}"
            )
    return ""


def plan_hash(policy: Policy, commit: str, changes: Mapping[str, tuple[Change, ...]]) -> Digest:
    """Covers revision, stages, gates and digests; never who is a member."""
    digests = sorted({(c.bundle, c.wanted) for some in changes.values() for c in some})
    return digest_of(
        {
            "commit": commit,
            "rollout": policy.name,
            "stages": [_STAGE.dump_python(stage, mode="json") for stage in policy.stages],
            "digests": [list(pair) for pair in digests],
        }
    )


_STAGE: TypeAdapter[StagePolicy] = TypeAdapter(StagePolicy)
