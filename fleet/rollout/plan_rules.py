"""What is judged when a run is planned, before anything moves: can this policy release at all?

::

    stage-overlap              membership.overlap: Reject, and several stages select a cluster
    unmatched-clusters         membership.unmatched: Fail, and a cluster is in no stage
    min-healthy-unsatisfiable  a stage asks for more Healthy clusters than it has
    cap-unsatisfiable          an invariant comes to 0 in some domain and does not say atLeastOne,
                               or the maxUnavailable of a RolloutBudget does; or maxExposed has
                               no room for the stages up to the first that soaks

A policy that breaks a rule releases nothing: its bundles are held, and people see why. Pure.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fleet.rollout import numbers
from fleet.rollout.gate_kinds import Soak
from fleet.rollout.resolution import Membership
from fleet.rollout.rules import Invariant, Overlap, Unmatched
from fleet.rollout.shared_budget import RolloutBudget
from fleet.rollout.stages import Policy, StagePolicy, in_order

NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why nothing is released under a policy."""

    code: str
    reason: str


def refusals(
    policy: Policy, who: Membership, budgets: Iterable[RolloutBudget] = ()
) -> tuple[Refusal, ...]:
    """Every rule that the policy breaks with the clusters as they are."""
    return tuple(
        Refusal(code, reason)
        for code, reason in (
            ("stage-overlap", _overlapping(policy, who)),
            ("unmatched-clusters", _unmatched(policy, who)),
            ("min-healthy-unsatisfiable", _too_few(policy, who)),
            (
                "cap-unsatisfiable",
                _no_room(policy, who) or _never_baked(policy, who) or _no_shared_room(budgets, who),
            ),
        )
        if reason
    )


def named(names: Iterable[str]) -> str:
    """`a, b, c, d, e and 12 more`."""
    every = sorted(names)
    more = f" and {len(every) - NAMES_SHOWN} more" if len(every) > NAMES_SHOWN else ""
    return ", ".join(every[:NAMES_SHOWN]) + more


def _overlapping(policy: Policy, who: Membership) -> str:
    if policy.rules.membership.overlap is not Overlap.REJECT or not who.overlaps:
        return ""
    first = min(who.overlaps)
    stages = " and ".join(who.overlaps[first])
    return f"several stages select {named(who.overlaps)} ({first}: {stages})"


def _unmatched(policy: Policy, who: Membership) -> str:
    left = [name for name, code in who.held.items() if code == "Unmatched"]
    if policy.rules.membership.unmatched is not Unmatched.FAIL or not left:
        return ""
    return f"no stage selects {named(left)}"


def _too_few(policy: Policy, who: Membership) -> str:
    for stage in policy.stages:
        size = len(who.clusters[stage.name])
        if size and numbers.min_healthy(stage.min_healthy, size) > size:
            return (
                f"stage {stage.name!r} asks for {stage.min_healthy} Healthy clusters and has {size}"
            )
    return ""


def _no_room(policy: Policy, who: Membership) -> str:
    for invariant in policy.rules.invariants:
        for domain, size in domains(invariant.key, who):
            if _room(invariant, size) == 0:
                where = f"{invariant.key}={domain}" if invariant.key else "the fleet"
                said = invariant.max_unavailable or invariant.max_exposed
                return f"{invariant.name}: {said} of {where} ({size}) is no cluster at all"
    return ""


def _never_baked(policy: Policy, who: Membership) -> str:
    """Would every run stand still under maxExposed before its first full soak?"""
    stages = [stage for stage in policy.stages if who.clusters[stage.name]]
    soaking = [s for s in stages if any(isinstance(gate, Soak) for gate in s.after)] or stages
    for invariant in policy.rules.invariants:
        if invariant.max_exposed is None or not soaking:
            continue
        full = [_too_many_before(stage, invariant, policy, who) for stage in soaking]
        if all(full):
            return f"{invariant.name}: {full[0]}"
    return ""


def _too_many_before(
    stage: StagePolicy, invariant: Invariant, policy: Policy, who: Membership
) -> str:
    """More clusters of some domain than may be exposed have the revision when it is proven here."""
    names = {stage.name}
    for one in reversed(in_order(policy.stages) or ()):
        if one.name in names:
            names.update(one.depends_on)
    key, sizes = invariant.key, dict(domains(invariant.key, who))
    exposed = Counter(
        who.declared[cluster].labels.get(key, "") if key else ""
        for name in sorted(names)
        for cluster in who.clusters[name]
    )
    for domain, count in sorted(exposed.items()):
        if count > _room(invariant, sizes[domain]):
            where = f"{key}={domain}" if key else "the fleet"
            return (
                f"{invariant.max_exposed} of {where} ({sizes[domain]}) may be exposed, and {count} "
                f"are when stage {stage.name!r}, where a revision is first proven, is Done"
            )
    return ""


def _no_shared_room(budgets: Iterable[RolloutBudget], who: Membership) -> str:
    for budget in budgets:
        for one in budget.per_domain:
            for domain, size in domains(one.key, who):
                said = one.max_unavailable
                if said is not None and numbers.cap(said, size, at_least_one=False) == 0:
                    where = f"{one.key}={domain} ({size})"
                    return f"budget {budget.name}: maxUnavailable {said} of {where} is no cluster"
    return ""


def domains(key: str, who: Membership) -> Iterator[tuple[str, int]]:
    """Every value of a label with the number of declared clusters; without a key, all clusters."""
    sizes = Counter(cluster.labels.get(key, "") if key else "" for cluster in who.declared.values())
    yield from sorted(sizes.items())


def _room(invariant: Invariant, size: int) -> int:
    said = invariant.max_unavailable or invariant.max_exposed
    assert said is not None, "the document has one of them"
    return numbers.cap(said, size, at_least_one=invariant.at_least_one)
