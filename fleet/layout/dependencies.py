"""`dependsOn` between bundles: every name must be known, and nobody may wait for themselves.

A bundle that depends on an unknown one, or is in a cycle, is held; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.protocol import Readiness
from fleet.layout.findings import Findings
from fleet.layout.sources import Draft
from fleet.model import Labels


def resolve(draft: Draft, labels: Mapping[str, Labels]) -> dict[str, tuple[Readiness, ...]]:
    """The bundles that a source waits for, sorted, each with the states that are accepted of it.

    By name and by label, itself not by label; of two entries about one bundle both accept.
    """
    found: dict[str, set[Readiness]] = {}
    for entry in draft.said.depends_on:
        names = {entry.name} if entry.name else set()
        if entry.selector is not None:
            matching = {n for n, said in labels.items() if entry.selector.matches(said)}
            names |= matching - {draft.name}
        for name in names:
            found.setdefault(name, set()).update(entry.accepted or (Readiness.READY,))
    return {n: tuple(s for s in Readiness if s in found[n]) for n in sorted(found)}


def check_known(drafts: list[Draft], known: set[str], findings: Findings, held: set[str]) -> None:
    """Report every name that no bundle has."""
    for draft in drafts:
        for name, at in _named(draft):
            if name not in known:
                held.add(draft.name)
                findings.error(
                    "unknown-dependency",
                    f"bundle {draft.name} depends on {name!r}, which is no bundle",
                    at=at,
                    fix="correct the name; a bundle is named by its directory's last part or by "
                    "`name:` in its fleet.yaml",
                    bundle=draft.name,
                )


def _named(draft: Draft) -> list[tuple[str, str]]:
    """Bundles that are named, and where."""
    return [(entry.name, entry.at) for entry in draft.said.depends_on if entry.name]


def check_cycles(
    drafts: list[Draft],
    depends_on: Mapping[str, tuple[str, ...]],
    findings: Findings,
    held: set[str],
) -> None:
    """Report every cycle, named in full."""
    said = {(draft.name, other): at for draft in reversed(drafts) for other, at in _named(draft)}
    files = {draft.name: draft.at for draft in drafts}
    for cycle in cycles(depends_on):
        held.update(cycle)
        pairs = zip(cycle, (*cycle[1:], cycle[0]), strict=True)
        findings.error(
            "dependency-cycle",
            f"bundles wait for each other: {' → '.join((*cycle, cycle[0]))}",
            at=", ".join(said.get(pair, files[pair[0]]) for pair in pairs),
            fix="take one dependsOn of these away",
            bundle=cycle[0],
        )


def cycles(depends_on: Mapping[str, tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Cycles that have no bundle in common, each from its smallest name on.

    Whoever is left after these are taken away waits for no cycle but through them.
    """
    waiting = {n: {d for d in names if d in depends_on} for n, names in depends_on.items()}
    found: list[tuple[str, ...]] = []
    while True:
        _drop_free(waiting)
        if not waiting:
            return found
        cycle = _walk(waiting)
        found.append(cycle)
        for name in cycle:
            del waiting[name]
        for names in waiting.values():
            names.difference_update(cycle)


def _drop_free(waiting: dict[str, set[str]]) -> None:
    """Take away, again and again, those that wait for nobody."""
    waited_by: dict[str, list[str]] = {}
    for name, names in waiting.items():
        for other in names:
            waited_by.setdefault(other, []).append(name)
    free = [name for name, names in waiting.items() if not names]
    while free:
        name = free.pop()
        del waiting[name]
        for other in waited_by.get(name, ()):
            waiting[other].discard(name)
            if not waiting[other]:
                free.append(other)


def _walk(waiting: Mapping[str, set[str]]) -> tuple[str, ...]:
    """Everybody waits for somebody here, so that following the smallest names ends in a cycle."""
    seen: dict[str, int] = {}
    name = min(waiting)
    while name not in seen:
        seen[name] = len(seen)
        name = min(waiting[name])
    cycle = tuple(seen)[seen[name] :]
    start = cycle.index(min(cycle))
    return cycle[start:] + cycle[:start]
