"""Plans whose bundles come from several commits: the hub's own, and those that rollouts track.

Clusters are those of the first plan. A bundle is taken from exactly one plan; of what its plan does
not know nothing is concluded. What cannot be read in another commit holds the bundles that come
from there, and no others. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from fleet.model import Problem, Severity
from fleet.plan.entries import Plan, PlanEntry

Part = tuple[Plan, frozenset[str]]
"""A plan with the content of another commit, and the bundles that are taken from it."""


def mixed(base: Plan, parts: Sequence[Part]) -> Plan:
    """`base`, but for the bundles of each part as that part has them."""
    ours = frozenset(name for _, names in parts for name in names)
    classes: dict[tuple[int, ...], int] = {}
    merged: list[tuple[PlanEntry, ...]] = []
    class_of: dict[str, int] = {}
    for cluster, index in base.class_of.items():
        key = (index, *(part.class_of.get(cluster, -1) for part, _ in parts))
        if key not in classes:
            classes[key] = len(merged)
            kept = [entry for entry in base.classes[index] if entry.bundle not in ours]
            kept += _taken(parts, key[1:])
            merged.append(tuple(sorted(kept, key=lambda entry: entry.bundle)))
        class_of[cluster] = classes[key]
    return replace(
        base,
        classes=tuple(merged),
        class_of=class_of,
        problems=tuple(sorted(_problems(base, parts, ours))),
        held=base.held | _held(base, parts, ours),
    )


def held_back(plan: Plan, names: frozenset[str]) -> Plan:
    """The plan with these bundles held: whoever runs them keeps what it has."""
    classes = tuple(
        tuple(
            replace(entry, deployment=None) if entry.bundle in names else entry for entry in entries
        )
        for entries in plan.classes
    )
    return replace(plan, classes=classes, held=plan.held | names)


def _taken(parts: Sequence[Part], classes: Iterable[int]) -> Iterator[PlanEntry]:
    for (part, names), index in zip(parts, classes, strict=True):
        if index >= 0:
            yield from (entry for entry in part.classes[index] if entry.bundle in names)


def _held(base: Plan, parts: Sequence[Part], ours: frozenset[str]) -> set[str]:
    theirs = {entry.bundle for entries in base.classes for entry in entries} - ours
    found: set[str] = set()
    for part, names in parts:
        found |= part.held - theirs
        if part.held_clusters or any(_concerns_all(problem) for problem in _own(base, part)):
            found |= names
    return found


def _own(base: Plan, part: Plan) -> set[Problem]:
    """The problems of the other commit; those of the clusters are the first plan's."""
    return set(part.problems) - set(base.problems)


def _concerns_all(problem: Problem) -> bool:
    return problem.severity is Severity.ERROR and not problem.bundle and not problem.cluster


def _problems(base: Plan, parts: Sequence[Part], ours: frozenset[str]) -> Iterator[Problem]:
    yield from (problem for problem in base.problems if problem.bundle not in ours)
    for part, names in parts:
        for problem in _own(base, part):
            if problem.bundle in names:
                yield problem
            elif not problem.bundle:
                # An error of the whole repository would hold what comes from other commits too.
                yield replace(problem, severity=Severity.WARNING)
