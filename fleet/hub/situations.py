"""What a plan says to `fleet.rollout.propose`, and the preview of what follows from it. Pure.

`wanted_situation` is the half that Git decides; what was granted, who is online and which runs are
there comes from the store (`fleet.hub.releasing`) or, offline, from the commit before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any

from fleet.hub.planning import Planned, warnings_of_change
from fleet.model import Problem, Severity
from fleet.plan import Plan
from fleet.rollout import Held, Proposal, Situation, propose
from fleet.rollout.preview import Declared, preview
from fleet.rollout.situation import CommitRecord, Wanted
from fleet.source import Commit

SHOWN_AS_PROBLEM = {
    "TurndownSuspected": "removal-suspected",
    "Vetoed": "vetoed",
    "Unmatched": "no-stage",
    "OutsideTargets": "outside-targets",
    "min-healthy-unsatisfiable": "min-healthy-unsatisfiable",
    "cap-unsatisfiable": "cap-unsatisfiable",
    "stage-overlap": "stage-overlap",
    "unmatched-clusters": "unmatched-clusters",
}
"""Reasons to hold a change that a person has to do something about → the problem's code."""


def wanted_situation(planned: Planned, now: datetime) -> Situation:
    """Everything that the commit decides; nothing is granted yet and nobody is online."""
    plan, repo = planned.plan, planned.repo
    return Situation(
        commit=plan.commit,
        now=now,
        wanted=wanted_of(plan),
        assigned={},
        policies=planned.book,
        clusters=repo.clusters,
        groups=repo.groups,
        bundles=_labels(planned),
        depends_on={b.name: b.depends_on for b in repo.bundles},
        contents={rollout: record_of(found.about) for rollout, found in planned.contents.items()},
        held=plan.held,
        held_clusters=plan.held_clusters,
    )


def record_of(about: Commit) -> CommitRecord:
    """What runs say of a commit."""
    return CommitRecord(
        about.id, 0, about.title, about.author, about.authors, trailers=about.trailers
    )


def wanted_of(plan: Plan) -> dict[str, Wanted]:
    """Cluster → bundle → digest; clusters of a class share one mapping."""
    classes: list[Wanted] = [
        {e.bundle: e.deployment.digest if e.deployment else None for e in entries}
        for entries in plan.classes
    ]
    return {cluster: classes[index] for cluster, index in plan.class_of.items()}


def _labels(planned: Planned) -> dict[str, dict[str, str]]:
    """Every bundle that the plan names, with labels; `<group>-cluster` bundles have none."""
    found: dict[str, dict[str, str]] = {
        entry.bundle: {} for entries in planned.plan.classes for entry in entries
    }
    return found | {bundle.name: dict(bundle.labels) for bundle in planned.repo.bundles}


def problems_of_held(held: Iterable[Held]) -> list[Problem]:
    """One warning for each bundle and reason that asks for a person, with the clusters counted."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in held:
        if one.code in SHOWN_AS_PROBLEM:
            found.setdefault((one.code, one.bundle, one.reason), []).append(one.cluster)
    return [
        Problem(
            SHOWN_AS_PROBLEM[code],
            Severity.WARNING,
            f"{bundle or 'everything'} is held: {reason}",
            _names(clusters),
            "see `fleet explain CLUSTER BUNDLE`, and the rollout that carries the bundle",
            bundle,
        )
        for (code, bundle, reason), clusters in sorted(found.items())
    ]


def _names(clusters: Iterable[str]) -> str:
    """The first few; a change that is held everywhere names none."""
    names = sorted(filter(None, clusters))
    return (", ".join(names[:5]) or "every cluster") + (" …" if len(names) > 5 else "")


def offline(before: Planned | None, planned: Planned, now: datetime) -> dict[str, Any]:
    """The runs of a fleet that runs all of the commit before, with every agent online.

    Without a commit before it nothing runs anywhere yet.
    """
    assigned = wanted_of(before.plan) if before else {}
    situation = replace(
        wanted_situation(planned, now),
        assigned={
            cluster: {bundle: digest for bundle, digest in wanted.items() if digest}
            for cluster, wanted in assigned.items()
        },
        online=frozenset(planned.plan.class_of),
    )
    problems = [*planned.plan.problems, *warnings_of_change(before, planned)]
    return document(planned, propose(situation), problems)


def document(planned: Planned, proposal: Proposal, problems: Iterable[Problem]) -> dict[str, Any]:
    """The runs that would be made, what would be held, and every problem of both."""
    repo = planned.repo
    declared = Declared(planned.book, repo.policies, repo.clusters, repo.groups)
    every = sorted({*problems, *problems_of_held(proposal.held)})
    return {
        "commit": planned.plan.commit,
        **preview(declared, proposal.runs),
        "held": [_held(*one) for one in sorted(_grouped(proposal).items())],
        "problems": [asdict(p) | {"severity": str(p.severity)} for p in every],
    }


def _grouped(proposal: Proposal) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for one in proposal.held:
        found.setdefault((one.bundle, one.code, one.reason), []).append(one.cluster)
    return found


def _held(key: tuple[str, str, str], clusters: Iterable[str]) -> dict[str, Any]:
    bundle, code, reason = key
    return {
        "bundle": bundle,
        "code": code,
        "reason": reason,
        "clusters": sorted(filter(None, clusters)),
    }
