"""Removals: held while they look like missing data, and last in a run, a few at a time.

::

    more than maxRemovalPerRun of the rollout's clusters              ┐
    more than requireApprovalAbove                                    ├ TurndownSuspected, until
    the bundle from every cluster that has it                         │ `approve --removals`
    everything that a cluster has                                     ┘

Only the removals are held; whatever else the commit changes goes on. An approval names clusters,
bundle and the digests that are removed, so it is void once something else runs there. In a run, the
clusters that only lose something come after all others: each stage is passed once more as
`<stage>/removal`, through its gates, `removal.parallelism` at a time. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from agents.protocol import ABSENT
from fleet.rollout import numbers
from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.rules import RemovalRules, Rules
from fleet.rollout.run_plan import Change, Ramp, StagePlan
from fleet.rollout.situation import Approved

SUFFIX = "/removal"
CODE = "TurndownSuspected"


def approved(decisions: Iterable[Decision]) -> Approved:
    """(cluster, bundle, digest) that people said may be removed."""
    return frozenset(
        (cluster, decision.bundle, digest)
        for decision in decisions
        if decision.verb is Verb.APPROVE_REMOVALS
        for cluster in decision.clusters
        for digest in decision.digests
    )


def suspicion(rules: Rules, members: int, removing: int, having: int) -> str:
    """Why removals of a bundle wait for a person: `removing` of the `having` clusters that have
    it, in a rollout of `members` clusters; empty if they may go."""
    if removing >= having:
        return "no cluster would have it any more"
    most = numbers.removals(rules.membership.max_removal_per_run, members)
    if removing > most:
        said = f"maxRemovalPerRun {rules.membership.max_removal_per_run}"
        return f"it is removed from {removing} clusters; {said} of {members} is {most}"
    above = rules.removal.require_approval_above
    if above is not None and removing > above:
        return f"it is removed from {removing} clusters; requireApprovalAbove is {above}"
    return ""


def removing_clusters(changes: Mapping[str, tuple[Change, ...]]) -> frozenset[str]:
    """The clusters that only lose something."""
    return frozenset(
        cluster for cluster, some in changes.items() if all(one.wanted == ABSENT for one in some)
    )


def removals_last(
    stages: tuple[StagePlan, ...], removing: Collection[str], rule: RemovalRules
) -> tuple[StagePlan, ...]:
    """The stages with those clusters taken out and put behind all others."""
    if not removing:
        return stages
    if all(cluster in removing for stage in stages for cluster in stage.clusters):
        return tuple(_slow(stage, rule) for stage in stages)
    every = tuple(stage.name for stage in stages)
    first = (_only(stage, [c for c in stage.clusters if c not in removing]) for stage in stages)
    then = (_only(stage, [c for c in stage.clusters if c in removing]) for stage in stages)
    return (*first, *(_behind(_slow(stage, rule), every) for stage in then))


def _only(stage: StagePlan, clusters: list[str]) -> StagePlan:
    changing = len(clusters)
    return replace(
        stage,
        clusters=tuple(clusters),
        failure_budget=min(stage.failure_budget, changing),
        min_healthy=min(stage.min_healthy, changing),
    )


def _slow(stage: StagePlan, rule: RemovalRules) -> StagePlan:
    return replace(stage, parallelism=Ramp((numbers.parallelism(rule.parallelism, stage.members),)))


def _behind(stage: StagePlan, every: tuple[str, ...]) -> StagePlan:
    before = tuple(f"{name}{SUFFIX}" for name in stage.depends_on)
    return replace(stage, name=f"{stage.name}{SUFFIX}", depends_on=(*every, *before))
