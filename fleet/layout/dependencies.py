"""`dependsOn` between bundles: every name must be known, and nobody may wait for themselves.

A bundle that depends on an unknown one, or is in a cycle, is held; the others go on.
"""

from __future__ import annotations

from collections.abc import Mapping

from fleet.layout.findings import Findings
from fleet.layout.sources import Draft
from fleet.model import Labels


def resolve(draft: Draft, labels: Mapping[str, Labels]) -> tuple[str, ...]:
    """The bundles that a source waits for, sorted: by name and by label, itself not by label."""
    names = {name for name, _ in draft.said.depends_on}
    for selector, _ in draft.said.depends_on_labels:
        names |= {n for n, found in labels.items() if selector.matches(found) and n != draft.name}
    return tuple(sorted(names))


def check_known(drafts: list[Draft], known: set[str], findings: Findings, held: set[str]) -> None:
    """Report every name that no bundle has."""
    for draft in drafts:
        for name, at in draft.said.depends_on:
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


def check_cycles(
    drafts: list[Draft],
    depends_on: Mapping[str, tuple[str, ...]],
    findings: Findings,
    held: set[str],
) -> None:
    """Report every cycle, named in full."""
    said = {
        (draft.name, other): at for draft in reversed(drafts) for other, at in draft.said.depends_on
    }
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
