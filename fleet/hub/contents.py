"""Plans of rollouts that track another commit than the hub's own (`source.track`).

::

    Planned + Tracked ──deliver──► Planned     their bundles as they are there, all else as it was

Only what bundles hold comes from there: clusters, groups, policies, and which rollout carries a
bundle that the hub's own branch declares, always are that branch's. A rollout whose content cannot
be had is held, with its bundles alone: clusters keep what they run. Without any track nothing here
is done.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fleet.errors import FleetError
from fleet.hub.planning import Planned, make_plan, plan_content
from fleet.hub.tracks import NOTHING, Content, Refs, Tracked, held_problem, track
from fleet.model import Bundle, Labels, Problem, Repo, Tree
from fleet.plan import held_back, mixed
from fleet.render import Renderer
from fleet.rollout.policy import Unprotected
from fleet.rollout.stages import Policy
from fleet.source import Source

Choose = Callable[[Repo], frozenset[str]]
"""All that another commit declares → the bundles that are taken from it."""
PlanContent = Callable[[Tree, Tree, Choose], tuple[Planned, frozenset[str]]]
"""As `fleet.hub.planning.plan_content`, the renderer filled in."""


def plan_commit(source: Source, commit: str, renderer: Renderer) -> Planned:
    """The plan of one commit with all that its rollouts track now, for people who ask offline."""
    tree = source.tree(commit)
    planned = make_plan(tree, renderer)
    tracked = track(planned.book, source, {})

    def part(own: Tree, other: Tree, choose: Choose) -> tuple[Planned, frozenset[str]]:
        return plan_content(own, other, choose, renderer)

    return deliver(planned, tree, tracked, source, part)


def deliver(
    planned: Planned, tree: Tree, tracked: Tracked, source: Refs, plan_part: PlanContent
) -> Planned:
    """The plan with the bundles of every tracked rollout as they are in its content."""
    if tracked == NOTHING:
        return planned
    work = _Work(planned, tree, source, plan_part, dict(tracked.problems))
    for policy in planned.book.policies:
        content = tracked.contents.get(policy.name)
        if content is not None and content.about.id != planned.plan.commit:
            work.take(policy, content)
    return work.planned(tracked)


class _Work:
    """The parts of one plan."""

    def __init__(
        self,
        planned: Planned,
        tree: Tree,
        source: Refs,
        plan_part: PlanContent,
        problems: dict[str, Problem],
    ) -> None:
        self._planned, self._tree, self._source = planned, tree, source
        self._plan_part, self._problems = plan_part, problems
        self._parts: list[tuple[Planned, frozenset[str]]] = []
        self._labels: dict[str, Labels] = {
            entry.bundle: {} for entries in planned.plan.classes for entry in entries
        }
        self._labels |= {bundle.name: bundle.labels for bundle in planned.repo.bundles}

    def take(self, policy: Policy, content: Content) -> None:
        """Plan the bundles of a rollout with its content."""

        def choose(repo: Repo) -> frozenset[str]:
            more = (b.name for b in repo.bundles if b.name not in self._labels)
            labels = {bundle.name: bundle.labels for bundle in repo.bundles}
            return self._own(policy.name) | {n for n in more if self._is_of(policy.name, labels[n])}

        try:
            other = self._source.tree(content.about.id)
            self._parts.append(self._plan_part(self._tree, other, choose))
        except FleetError as error:
            self._problems[policy.name] = held_problem(policy, error)

    def planned(self, tracked: Tracked) -> Planned:
        """Everything together."""
        base, parts = self._planned, self._parts
        plan = mixed(base.plan, [(part.plan, names) for part, names in parts])
        held = frozenset(name for rollout in self._problems for name in self._own(rollout))
        plan = held_back(plan, held) if held else plan
        plan = replace(plan, problems=tuple(sorted({*plan.problems, *self._problems.values()})))
        ours = frozenset(name for _, names in parts for name in names)
        bundles = [bundle for bundle in base.repo.bundles if bundle.name not in ours]
        for part, names in parts:
            bundles += (self._carried(b) for b in part.repo.bundles if b.name in names)
        return replace(
            base,
            repo=replace(base.repo, bundles=tuple(sorted(bundles, key=lambda b: b.name))),
            plan=plan,
            rendered={
                k: r for one in (base, *(p for p, _ in parts)) for k, r in one.rendered.items()
            },
            contents={n: c for n, c in tracked.contents.items() if n not in self._problems},
            unresolved=frozenset(self._problems),
        )

    def _own(self, rollout: str) -> frozenset[str]:
        """The bundles of a rollout that the hub's own branch declares."""
        return frozenset(n for n, labels in self._labels.items() if self._is_of(rollout, labels))

    def _is_of(self, rollout: str, labels: Labels) -> bool:
        found = self._planned.book.policy_for(labels)
        return not isinstance(found, Unprotected) and found.name == rollout

    def _carried(self, bundle: Bundle) -> Bundle:
        """Its labels, which say who carries it, are those of the hub's branch."""
        return replace(bundle, labels=self._labels.get(bundle.name, bundle.labels))
