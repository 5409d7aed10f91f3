"""What to make of a target: may it be accepted, what is to be asked for, who waits for whom. Pure.

| question | answer |
|---|---|
| `may_replace` | a target of this cluster whose (epoch, serial) is not lower |
| `is_as_named` | does a bundle deployment say what its (signed) digest stands for |
| `claims_of` | which bundle wants which object, over the whole target |
| `held_by` | the bundles in `dependsOn` that are in no accepted state here |
| `left_out` | bundles with objects here that the target no longer names: kept, reported |

A bundle that is only missing from a target is never removed; `absent` is the one order to remove.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.apply import BundleState, Claims, Prepared
from agents.inventory import Inventory
from agents.protocol import (
    BundleDeployment,
    DeploymentReport,
    Readiness,
    Target,
    deployment_digest,
)
from clusters.objects import Digest, Kind, ObjectKey


def may_replace(new: Target, held: Target | None, cluster: str) -> bool:
    """Is `new` for this cluster, and not older than what the agent holds?"""
    return new.cluster == cluster and (held is None or new.order >= held.order)


def is_as_named(deployment: BundleDeployment) -> bool:
    """Are artifact, variables and options what the digest was made of?

    Not so where somebody changed them on the way, or where a newer hub asks for an option that this
    agent does not know: going on without it would be something else than what was asked for.
    """
    if deployment.is_absent:
        return True
    made_of = (deployment.artifact, deployment.variables, deployment.options)
    return deployment.digest == deployment_digest(*made_of)


def artifacts_of(target: Target) -> frozenset[Digest]:
    """Every artifact that the target names, in current and in offers."""
    deployments = [*target.current, *(item for o in target.offers for item in o.deployments)]
    return frozenset(item.artifact for item in deployments if item.artifact)


def claims_of(
    target: Target, prepared: Mapping[str, Prepared | None], known: Mapping[str, BundleState]
) -> Claims:
    """Who wants what; a bundle without `Prepared` is named as missing."""
    by_key: dict[ObjectKey, tuple[str, ...]] = {}
    unresolved: set[tuple[Kind, str]] = set()
    missing: list[str] = []
    for item in target.current:
        ready = prepared.get(item.bundle)
        if item.is_absent:
            continue
        if ready is None:
            missing.append(item.bundle)
            continue
        for key in ready.objects:
            by_key[key] = (*by_key.get(key, ()), item.bundle)
        unresolved |= {
            (failure.key.kind_key, failure.key.name)
            for failure in ready.failures
            if failure.code == "kind-not-found"
        }
    bundles = sorted({item.bundle for item in target.current} | known.keys())
    return Claims(by_key, frozenset(unresolved), tuple(bundles), tuple(missing))


def held_by(
    deployment: BundleDeployment, target: Target, reports: Mapping[str, DeploymentReport]
) -> tuple[str, ...]:
    """Why the deployment may not start yet: each dependency, and how it is."""
    wanted = {item.bundle: item for item in target.current}
    accepted = dict(deployment.options.accepted_states)
    reasons = []
    for name in sorted(deployment.options.depends_on):
        dependency, report = wanted.get(name), reports.get(name)
        if dependency is None or dependency.is_absent:
            reasons.append(f"{name} is not in this cluster")
            continue
        state, said = Readiness.PENDING, "not started"
        if report is not None and report.digest == dependency.digest:
            state = Readiness.of(report.sync, report.health)
            said = f"{report.sync.value}, {report.health.value}"
        if state not in accepted.get(name, (Readiness.READY,)):
            reasons.append(f"{name} is {said}")
    return tuple(reasons)


def left_out(target: Target, inventories: Mapping[str, Inventory]) -> tuple[str, ...]:
    """Bundles that the inventory knows and the target does not name."""
    named = {item.bundle for item in target.current}
    return tuple(sorted(name for name in inventories if name not in named))
