"""What differs between the plans of two commits, and whether it skips a stage.

Held things never change: an entry without a deployment, a held cluster, and the absence of a held
bundle say nothing. A cluster that is declared in one of the plans only is a change of the
declaration; what it gets counts as added, what it had as nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from clusters.objects import Digest
from fleet.model import Problem, Repo, Severity
from fleet.plan.entries import Plan, PlanEntry

_SHOWN = 3
PRESET_STAGES = ("staging", "production")
"""The groups of the preset `default`, in order."""


@dataclass(frozen=True, slots=True)
class Change:
    """One bundle that differs; clusters are sorted."""

    bundle: str
    added: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    """Another digest: artifact, variables or options."""
    removed: tuple[str, ...] = ()
    content: tuple[str, ...] = ()
    """Those of added and changed that get another artifact, not only other variables or options."""


def compare(old: Plan | None, new: Plan) -> tuple[Change, ...]:
    """The bundles that differ, sorted; `old` is `None` before the first commit."""
    old = old or Plan(commit="")
    found: dict[str, dict[str, list[str]]] = {}
    known: dict[tuple[int | None, int], list[tuple[str, str]]] = {}
    for cluster in sorted(new.class_of):
        if cluster in new.held_clusters or cluster in old.held_clusters:
            continue
        pair = (old.class_of.get(cluster), new.class_of[cluster])
        if pair not in known:
            before = old.classes[pair[0]] if pair[0] is not None else ()
            known[pair] = list(_differences(before, new.classes[pair[1]], new.held))
        for bundle, word in known[pair]:
            found.setdefault(bundle, {}).setdefault(word, []).append(cluster)
    return tuple(
        Change(bundle, **{word: tuple(names) for word, names in found[bundle].items()})
        for bundle in sorted(found)
    )


def _differences(
    before: Sequence[PlanEntry], after: Sequence[PlanEntry], held: frozenset[str]
) -> Iterable[tuple[str, str]]:
    """(bundle, field of `Change`) for one cluster."""
    had = {entry.bundle: entry for entry in before}
    for entry in after:
        was = had.pop(entry.bundle, None)
        if entry.deployment is None or (was is not None and was.deployment is None):
            continue
        old = was.deployment if was is not None else None
        if old is not None and old.digest == entry.deployment.digest:
            continue
        yield entry.bundle, "changed" if old is not None else "added"
        if _artifact(was) != entry.deployment.artifact:
            yield entry.bundle, "content"
    for name, was in had.items():
        if was.deployment is not None and name not in held:
            yield name, "removed"


def _artifact(entry: PlanEntry | None) -> Digest:
    return entry.deployment.artifact if entry is not None and entry.deployment is not None else ""


def preset_stages(repo: Repo) -> tuple[tuple[str, frozenset[str]], ...]:
    """The stages of the preset `default` as (name, clusters), if the repository has both groups."""
    members = {group.name: frozenset(group.members) for group in repo.groups}
    if not all(name in members for name in PRESET_STAGES):
        return ()
    return tuple((name, members[name]) for name in PRESET_STAGES)


def skipped_stages(
    old: Plan | None, new: Plan, stages: Sequence[tuple[str, frozenset[str]]]
) -> tuple[Problem, ...]:
    """Warnings for content that reaches a later stage and no cluster of the first one.

    Nothing is warned of before the first commit: then everything is new everywhere.
    """
    if old is None or len(stages) < 2:
        return ()
    first, *later = stages
    problems: list[Problem] = []
    for change in compare(old, new):
        touched = {name: sorted(members.intersection(change.content)) for name, members in later}
        reached = next(((name, found) for name, found in touched.items() if found), None)
        if reached and not first[1].intersection(change.content):
            problems.append(_skipped(change.bundle, first, reached, new))
    return tuple(problems)


def _skipped(
    bundle: str,
    first: tuple[str, frozenset[str]],
    reached: tuple[str, list[str]],
    new: Plan,
) -> Problem:
    stage, clusters = reached
    shown = ", ".join(clusters[:_SHOWN])
    if len(clusters) > _SHOWN:
        shown += f" and {len(clusters) - _SHOWN} more"
    runs = any(bundle in _bundles(new, cluster) for cluster in first[1])
    why = f"{first[0]} is skipped as unchanged" if runs else f"no cluster of {first[0]} runs it"
    source = _bundles(new, clusters[0])[bundle].source
    return Problem(
        code="skips-staging",
        severity=Severity.WARNING,
        what=f"bundle {bundle} changes in {stage} ({shown}) and not in {first[0]}: {why}",
        at=source,
        fix=f"make the change in {first[0]} as well if it is to be tried there first",
        bundle=bundle,
    )


def _bundles(plan: Plan, cluster: str) -> Mapping[str, PlanEntry]:
    if cluster not in plan.class_of:
        return {}
    return {entry.bundle: entry for entry in plan.entries_of(cluster)}
