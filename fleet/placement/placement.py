"""Which cluster gets which bundle: clusters that get the same form a class.

The answer for a cluster and a bundle depends on the cluster's `Facets` only, so each is computed
once for each different key. A held cluster is in the class of those that get nothing; the plan
says that it keeps all it has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import Any

from fleet.model import Bundle, ClusterGroup, Form, Problem, Repo, Severity
from fleet.placement.facets import Facets, Facts, facets_of
from fleet.placement.placed import Placed, place_bundle, reaching

_BY_BUNDLE = attrgetter("bundle")


@dataclass(frozen=True, slots=True)
class Placement:
    """For every declared cluster what it is to get."""

    classes: tuple[tuple[Placed, ...], ...] = ()
    """Each sorted by bundle; equal answers are the same `Placed`."""
    class_of: Mapping[str, int] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    """Found here; those of the repository are in `Repo.problems`."""

    def placed_in(self, cluster: str) -> tuple[Placed, ...]:
        """What one cluster gets. Errors: `KeyError`."""
        return self.classes[self.class_of[cluster]]


def place(repo: Repo) -> Placement:
    """Place every bundle on every cluster."""
    work = _Work(repo)
    classes: dict[tuple[int, ...], int] = {}
    answers: list[tuple[Placed, ...]] = []
    by_key: dict[tuple[Any, ...], int] = {}
    class_of: dict[str, int] = {}
    for cluster in repo.clusters:
        facts = work.facts(cluster.name)
        held = cluster.name in repo.held_clusters
        key = () if held else work.all_facets.key(facts)
        if key not in by_key:
            placed = () if held else work.answer(facts)
            identity = tuple(id(one) for one in placed)
            if identity not in classes:
                classes[identity] = len(answers)
                answers.append(placed)
            by_key[key] = classes[identity]
        class_of[cluster.name] = by_key[key]
    problems = [*_problems(answers, class_of), *_idle(repo, work.reached)]
    return Placement(tuple(answers), class_of, tuple(sorted(problems)))


class _Work:
    """What is computed once for a repository, and the answers so far."""

    def __init__(self, repo: Repo) -> None:
        self.groups: Mapping[str, ClusterGroup] = {group.name: group for group in repo.groups}
        self._alike: dict[Facets, list[Bundle]] = {}
        for bundle in repo.bundles:
            self._alike.setdefault(facets_of(bundle), []).append(bundle)
        self.all_facets = Facets.union(self._alike)
        self.reached: set[tuple[str, str]] = set()
        """(bundle, source path) of every source that reaches a cluster."""
        self._clusters = {cluster.name: cluster for cluster in repo.clusters}
        self._groups_of: dict[str, list[str]] = {}
        for name in sorted(self.groups):
            for member in self.groups[name].members:
                self._groups_of.setdefault(member, []).append(name)
        self._known: dict[tuple[int, tuple[Any, ...]], list[Placed]] = {}
        self._same: dict[tuple[Any, ...], Placed] = {}

    def facts(self, cluster: str) -> Facts:
        """The facts of one cluster."""
        return Facts.of(self._clusters[cluster], tuple(self._groups_of.get(cluster, ())))

    def answer(self, facts: Facts) -> tuple[Placed, ...]:
        """All that a cluster gets, sorted by bundle."""
        found: list[Placed] = []
        for index, (facets, bundles) in enumerate(self._alike.items()):
            key = (index, facets.key(facts))
            if key not in self._known:
                placed = (self._placed(bundle, facts) for bundle in bundles)
                self._known[key] = [one for one in placed if one is not None]
            found += self._known[key]
        return tuple(sorted(found, key=_BY_BUNDLE))

    def _placed(self, bundle: Bundle, facts: Facts) -> Placed | None:
        found = reaching(bundle, facts, self.groups)
        self.reached.update((bundle.name, reach.source.path) for reach in found)
        placed = place_bundle(bundle, found, facts, self.groups)
        return placed and self._same.setdefault(placed.identity(), placed)


def _problems(answers: list[tuple[Placed, ...]], class_of: Mapping[str, int]) -> list[Problem]:
    """The problems of what was placed, each with the clusters that it is about."""
    members: dict[int, list[str]] = {}
    for cluster in sorted(class_of):
        members.setdefault(class_of[cluster], []).append(cluster)
    about: dict[Problem, set[str]] = {}
    for index, placed in enumerate(answers):
        for one in placed:
            if one.problem is not None:
                about.setdefault(one.problem, set()).update(members[index])
    return [_about(problem, sorted(clusters)) for problem, clusters in about.items()]


def _about(problem: Problem, clusters: list[str]) -> Problem:
    said = f"cluster {clusters[0]}"
    if len(clusters) > 1:
        said += f" and {len(clusters) - 1} more"
    return replace(problem, what=problem.what.replace("{clusters}", said, 1), cluster=clusters[0])


def _idle(repo: Repo, reached: set[tuple[str, str]]) -> list[Problem]:
    """Sources that are meant for some cluster and reach none, if all clusters are known."""
    if not repo.clusters or repo.held_clusters or repo.unread:
        return []
    return [
        Problem(
            "idle-directory",
            Severity.WARNING,
            f"nothing brings {source.path} to a cluster: "
            + ("its targets match none" if source.targets is not None else "no group lists it"),
            source.at,
            "list it in a group's kustomization.yaml, correct its targets, or remove it",
            bundle.name,
        )
        for bundle in repo.bundles
        for source in bundle.sources
        if (bundle.name, source.path) not in reached
        and (source.everywhere or source.targets is not None)
        and source.form is not Form.GROUP
    ]
