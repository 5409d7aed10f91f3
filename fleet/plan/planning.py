"""From placement and renders to the plan: what every cluster is to run, and why.

A bundle that is held, could not be placed or did not render has an entry without a deployment: the
clusters keep what they run of it. An entry that is not there is an order to remove, so nothing is
left out because of a problem. The one exception is `<group>-cluster` without any object.
"""

from __future__ import annotations

from collections.abc import Mapping

from agents.protocol import BundleDeployment, Options
from clusters.objects import Digest
from fleet.model import Problem, Rendered, Repo, Severity
from fleet.placement import Placed, Placement
from fleet.plan.entries import Plan, PlanEntry
from fleet.plan.wishes import is_held, requests_of


def plan(repo: Repo, placement: Placement, rendered: Mapping[Digest, Rendered]) -> Plan:
    """The plan of one commit; `rendered` is keyed by `RenderRequest.key`."""
    work = _Work(repo, rendered)
    classes = tuple(work.entries(answer) for answer in placement.classes)
    problems = {*repo.problems, *placement.problems, *work.problems}
    return Plan(
        commit=repo.commit,
        classes=classes,
        class_of=placement.class_of,
        problems=tuple(sorted(problems)),
        held=repo.held,
        held_clusters=repo.held_clusters,
        unread=repo.unread,
    )


class _Work:
    """Entries so far: equal answers are one entry, shared by all classes that have it."""

    def __init__(self, repo: Repo, rendered: Mapping[Digest, Rendered]) -> None:
        self.problems: set[Problem] = set()
        self._repo = repo
        self._rendered = rendered
        self._results: dict[int, Rendered] = {}
        self._entries: dict[tuple[int, tuple[str, ...]], PlanEntry] = {}
        self._simple: dict[int, PlanEntry | None] = {}
        """Entries of what waits for nobody: the same for every class."""
        self._own = {group.kustomization for group in repo.groups if group.kustomization}

    def entries(self, answer: tuple[Placed, ...]) -> tuple[PlanEntry, ...]:
        """The entries of one class, sorted by bundle."""
        names: set[str] = set()
        found: list[PlanEntry | None] = []
        for placed in answer:
            if id(placed) not in self._simple:
                if placed.options.depends_on and not self._is_empty(placed):
                    names = names or {one.bundle for one in answer}
                    found.append(self._entry(placed, names))
                    continue
                empty = self._is_empty(placed)
                self._simple[id(placed)] = None if empty else self._make(placed, ())
            found.append(self._simple[id(placed)])
        return tuple(entry for entry in found if entry is not None)

    def _is_empty(self, placed: Placed) -> bool:
        """Does a group's file bring nothing itself?"""
        if placed.source.path not in self._own or is_held(self._repo, placed):
            return False
        result = self._result(placed)
        return result.problem is None and not result.objects

    def _is_undivided(self, placed: Placed) -> bool:
        """Is it part of what its group's own bundle brings, as the build cannot be divided?

        It has an entry without a deployment: if it was a bundle before, it must not be removed.
        """
        result = self._result(placed)
        return result.problem is None and not result.artifact

    def _entry(self, placed: Placed, names: set[str]) -> PlanEntry:
        depends_on = tuple(n for n in placed.options.depends_on if n in names)
        key = (id(placed), depends_on)
        if key not in self._entries:
            self._entries[key] = self._make(placed, depends_on)
        return self._entries[key]

    def _make(self, placed: Placed, depends_on: tuple[str, ...]) -> PlanEntry:
        options = placed.options
        if options.depends_on != depends_on:
            options = options.model_copy(update={"depends_on": depends_on})
        held = is_held(self._repo, placed)
        result = Rendered() if held else self._result(placed)
        apart = held or not self._is_undivided(placed)
        return PlanEntry(
            bundle=placed.bundle,
            deployment=None if held else self._deployment(placed, options, result),
            reason=placed.reason if apart else f"{placed.reason}, which cannot be divided",
            source=placed.source.path,
            customization=placed.customization,
            images=result.images,
            charts=result.charts,
            objects=result.objects,
        )

    def _deployment(
        self, placed: Placed, options: Options, result: Rendered
    ) -> BundleDeployment | None:
        if result.problem is not None or not result.artifact:
            return None
        return BundleDeployment.of(
            placed.bundle, result.artifact, dict(placed.variables), options, self._repo.commit
        )

    def _result(self, placed: Placed) -> Rendered:
        if id(placed) not in self._results:
            result = self._merge(placed)
            self.problems.update(result.warnings)
            if result.problem is not None:
                self.problems.add(result.problem)
            self._results[id(placed)] = result
        return self._results[id(placed)]

    def _merge(self, placed: Placed) -> Rendered:
        """The render, or a problem if it was not made or the groups do not agree in it."""
        asked = requests_of(placed)
        results = [self._rendered.get(request.key) or _not_made(placed) for request in asked]
        failed = next((r for r in results if r.problem is not None), None)
        if failed is not None:
            return failed
        if len({r.artifact for r in results}) > 1:
            return Rendered(problem=_disagree(placed))
        return results[0]


def _not_made(placed: Placed) -> Rendered:
    return Rendered(
        problem=Problem(
            code="not-rendered",
            severity=Severity.ERROR,
            what=f"bundle {placed.bundle} was not rendered",
            at=placed.source.at,
            fix="try again; its clusters keep what they run",
            bundle=placed.bundle,
        )
    )


def _disagree(placed: Placed) -> Problem:
    return Problem(
        code="groups-disagree",
        severity=Severity.ERROR,
        what=f"groups {', '.join(placed.groups)} have clusters in common and make different "
        f"objects of bundle {placed.bundle}",
        at=placed.source.path,
        fix="take the directory off one group's list, or the clusters out of one group",
        bundle=placed.bundle,
    )
