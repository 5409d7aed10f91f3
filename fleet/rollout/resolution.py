"""From a policy and a fleet to stages with clusters and integers.

`Membership` says, once per policy and commit, which stage has which cluster (the first stage that
selects it; a cluster is in at most one) and why others are held. `stage_plans` makes the
`StagePlan`s of a run. Pure; equal input in any order gives equal plans.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from pydantic import TypeAdapter

from clusters.objects import Digest, digest_of
from fleet.model import Cluster, ClusterGroup
from fleet.rollout import numbers, ordering
from fleet.rollout.gate_kinds import Proven
from fleet.rollout.numbers import Amount
from fleet.rollout.run_plan import Change, Ramp, SpreadPlan, StagePlan
from fleet.rollout.stages import Policy, Spread, StagePolicy, in_order


@dataclass(frozen=True, slots=True)
class Membership:
    """Who is in which stage of a policy."""

    stage_of: Mapping[str, str]
    held: Mapping[str, str]
    """Cluster → why no stage has it: `OutsideTargets` or `Unmatched`."""
    clusters: Mapping[str, tuple[str, ...]]
    """Stage → all clusters that it has, changing or not."""
    declared: Mapping[str, Cluster] = field(default_factory=dict)
    """Name → the cluster, for orders and domains."""
    overlaps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Cluster → the stages that select it, if several do; a catch-all never counts."""


def membership(
    policy: Policy, clusters: Iterable[Cluster], groups: Iterable[ClusterGroup]
) -> Membership:
    """Every cluster's stage: the first in the list that selects it; a catch-all comes last."""
    members = {group.name: frozenset(group.members) for group in groups}
    stage_of: dict[str, str] = {}
    held: dict[str, str] = {}
    placed: dict[str, list[str]] = {stage.name: [] for stage in policy.stages}
    overlaps: dict[str, tuple[str, ...]] = {}
    declared = {cluster.name: cluster for cluster in sorted(clusters, key=lambda c: c.name)}
    for name, cluster in declared.items():
        if not _is_target(policy, cluster):
            held[name] = "OutsideTargets"
            continue
        stages = _stages_for(policy, cluster, members)
        if not stages:
            held[name] = "Unmatched"
            continue
        stage_of[name] = stages[0]
        placed[stages[0]].append(name)
        if len(stages) > 1:
            overlaps[name] = stages
    by_stage = {name: tuple(some) for name, some in placed.items()}
    return Membership(stage_of, held, by_stage, declared, overlaps)


def _is_target(policy: Policy, cluster: Cluster) -> bool:
    if policy.targets is not None and not policy.targets.matches(cluster.labels):
        return False
    return policy.exclude is None or not policy.exclude.matches(cluster.labels)


def _stages_for(
    policy: Policy, cluster: Cluster, members: Mapping[str, frozenset[str]]
) -> tuple[str, ...]:
    """Every stage that selects the cluster, as written; the catch-all only if no other does."""
    found = [stage.name for stage in policy.stages if _selects(stage, cluster, members)]
    return tuple(found or [stage.name for stage in policy.stages if stage.catch_all])


def _selects(stage: StagePolicy, cluster: Cluster, members: Mapping[str, frozenset[str]]) -> bool:
    if stage.group:
        return cluster.name in members.get(stage.group, ())
    return (
        stage.selector is not None
        and not stage.catch_all
        and stage.selector.matches(cluster.labels)
    )


def stage_plans(
    policy: Policy, who: Membership, changing: Collection[str], uid: str
) -> tuple[StagePlan, ...]:
    """The stages of the run `uid` that changes these clusters, dependencies first."""
    clusters: dict[str, list[str]] = {stage.name: [] for stage in policy.stages}
    for name in sorted(changing):
        clusters[who.stage_of[name]].append(name)
    in_dag = in_order(policy.stages)
    assert in_dag is not None, "read_policy refuses circles"
    plans = [_stage_plan(stage, clusters[stage.name], who, uid) for stage in in_dag]
    asked = {gate.stage for one in plans for gate in one.before if isinstance(gate, Proven)}
    return tuple(
        replace(one, proving=who.clusters[one.name]) if one.name in asked else one for one in plans
    )


def _stage_plan(stage: StagePolicy, names: list[str], who: Membership, uid: str) -> StagePlan:
    clusters = ordering.ordered(stage.order, names, who.declared, uid)
    changing, members = len(clusters), len(who.clusters[stage.name])
    return StagePlan(
        name=stage.name,
        clusters=clusters,
        depends_on=stage.depends_on,
        members=members,
        parallelism=Ramp(steps(stage, members)),
        spread=_spread(stage, clusters, who),
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


def steps(stage: StagePolicy, members: int) -> tuple[int, ...]:
    """The batch sizes for a stage of so many members; none is larger than `max`."""
    sizes = tuple(numbers.parallelism(step, members) for step in stage.parallelism)
    if stage.max_parallelism is None:
        return sizes
    most = numbers.parallelism(stage.max_parallelism, members)
    return tuple(min(size, most) for size in sizes)


def _spread(stage: StagePolicy, clusters: Iterable[str], who: Membership) -> SpreadPlan | None:
    """A percentage is taken of the stage's members in each domain."""
    if stage.spread is None:
        return None
    key = stage.spread.key
    return SpreadPlan(
        key=key,
        domain_of={name: domain(who, name, key) for name in clusters},
        limits=limits(stage.spread, who.clusters[stage.name], who),
    )


def limits(spread: Spread, members: Iterable[str], who: Membership) -> dict[str, int]:
    """Domain → how many of it may be in flight, in a stage of these members."""
    sizes = Counter(domain(who, name, spread.key) for name in members)
    return {
        value: numbers.parallelism(spread.max_in_flight, size)
        for value, size in sorted(sizes.items())
    }


def domain(who: Membership, cluster: str, key: str) -> str:
    """A cluster's value of a label; empty without it, and of a cluster that is not declared."""
    found = who.declared.get(cluster)
    return found.labels.get(key, "") if found else ""


def _least_healthy(said: Amount, changing: int) -> int:
    """A count above the clusters that change asks for all of them; 0 clusters ask for none."""
    return min(numbers.min_healthy(said, changing), changing)


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
