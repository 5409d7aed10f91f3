"""The runs that would be made, as documents: what `fleet rollout plan` prints.

For each run its stages with clusters in the order in which they start, every resolved number, its
price in failures, its gates, how many removals ask, and what each cap comes to in each domain; for
each rollout its whole spec, presets and defaults written out, but no query of a URL. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agents.protocol import ABSENT
from fleet.durations import say_duration
from fleet.model import Cluster, ClusterGroup, PolicyDocument
from fleet.rollout import numbers, policy
from fleet.rollout.plan_rules import domains
from fleet.rollout.policy import PolicyBook
from fleet.rollout.resolution import Membership, membership
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.stages import Policy


@dataclass(frozen=True, slots=True)
class Declared:
    """What one commit declares, as far as a preview needs it."""

    book: PolicyBook
    documents: tuple[PolicyDocument, ...]
    clusters: tuple[Cluster, ...]
    groups: tuple[ClusterGroup, ...]


def preview(declared: Declared, runs: Iterable[RunPlan]) -> dict[str, Any]:
    """`{"runs": [...], "rollouts": [{"rollout", "spec"}]}`; runs in the order given."""
    plans = list(runs)
    names = sorted({run.rollout for run in plans})
    policies = {name: found for name in names if (found := declared.book.by_name(name))}
    specs = {name: _spec(declared, found) for name, found in policies.items()}
    who = {
        name: membership(found, declared.clusters, declared.groups)
        for name, found in policies.items()
    }
    return {
        "runs": [
            _run(run, policies[run.rollout], specs[run.rollout], who[run.rollout])
            for run in plans
            if run.rollout in policies
        ],
        "rollouts": [{"rollout": name, "spec": specs[name]} for name in sorted(specs)],
    }


def _spec(declared: Declared, found: Policy) -> dict[str, Any]:
    groups = [group.name for group in declared.groups]
    said: Mapping[str, Any] = next(
        (d.spec for d in declared.documents if (d.name, d.at) == (found.name, found.at)), {}
    )
    shown: dict[str, Any] = _without_queries(policy.full_spec(said, groups))
    return shown


def _without_queries(value: Any, name: str = "") -> Any:
    """The same, but for what stands behind `?` in a URL, where keys of other systems stand."""
    if isinstance(value, dict):
        return {key: _without_queries(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_queries(item) for item in value]
    if name == "url" and isinstance(value, str) and "?" in value:
        return value.partition("?")[0] + "?…"
    return value


def _run(run: RunPlan, found: Policy, spec: Mapping[str, Any], who: Membership) -> dict[str, Any]:
    gates = {stage["name"]: stage.get("gates", {}) for stage in spec["stages"]}
    changes = [change for some in run.changes.values() for change in some]
    return {
        "bundles": list(run.bundles),
        "rollout": run.rollout,
        "commit": run.commit,
        "lane": str(run.lane),
        "restores": run.restores,
        "restoring": sorted(run.restoring),
        "planHash": run.plan_hash,
        "clusters": len(run.changes),
        "removals": _removals(sum(c.wanted == ABSENT for c in changes), found, who),
        "caps": list(_caps(found, who)),
        "stages": [_stage(stage, gates.get(stage.name, {})) for stage in run.stages],
    }


def _removals(count: int, found: Policy, who: Membership) -> dict[str, Any]:
    """How many, and how many may go without a person saying so."""
    most = found.rules.membership.max_removal_per_run
    return {"count": count, "withoutAsking": numbers.removals(most, len(who.stage_of))}


def _caps(found: Policy, who: Membership) -> Iterable[dict[str, Any]]:
    for one in found.rules.invariants:
        said = one.max_unavailable or one.max_exposed
        assert said is not None, "the document has one of them"
        for domain, size in domains(one.key, who):
            yield {
                "name": one.name,
                "domain": f"{one.key}={domain}" if one.key else "fleet",
                "clusters": size,
                "what": "unavailable" if one.max_unavailable else "exposed",
                "atMost": numbers.cap(said, size, at_least_one=one.at_least_one),
            }


def _stage(stage: StagePlan, gates: Mapping[str, Any]) -> dict[str, Any]:
    changing = len(stage.clusters)
    spread = stage.spread
    return {
        "stage": stage.name,
        "dependsOn": list(stage.depends_on),
        "clusters": list(stage.clusters),
        "members": stage.members,
        "parallelism": list(stage.parallelism.steps),
        "spread": {"key": spread.key, "maxInFlight": dict(spread.limits)} if spread else None,
        "failureBudget": stage.failure_budget,
        "consecutive": stage.consecutive,
        "minHealthy": stage.min_healthy,
        "clusterDeadline": say_duration(stage.cluster_deadline_seconds),
        "stageDeadline": _duration_or_none(stage.stage_deadline_seconds),
        "gates": {side: list(gates.get(side, ())) for side in ("before", "after")},
        "price": price(stage) if changing else "no cluster changes here",
    }


def price(stage: StagePlan) -> str:
    """What the stage's error budget is worth, in words."""
    row = f", or {stage.consecutive} in a row" if stage.consecutive is not None else ""
    budget, changing = stage.failure_budget, len(stage.clusters)
    return f"one more failure than {budget} of {changing}{row} stops it"


def _duration_or_none(seconds: float | None) -> str | None:
    return None if seconds is None else say_duration(seconds)


def gate_words(gates: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
    """`approval, proven → soak 30m`: the gates of a stage on one line."""
    before = ", ".join(_gate(one) for one in gates.get("before", ()))
    after = ", ".join(_gate(one) for one in gates.get("after", ()))
    return " → ".join(part for part in (before, after and f"then {after}") if part)


def _gate(gate: Mapping[str, Any]) -> str:
    (kind, said), *_ = gate.items()
    detail = {"soak": "min", "proven": "in", "dependency": "rollout", "analysis": "ref"}.get(kind)
    return f"{kind} {said[detail]}" if detail else str(kind)
