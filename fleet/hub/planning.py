"""From a tree to a plan: layout, placement, render and plan, one after the other.

::

    make_plan(tree, renderer) → Planned          what the hub and `fleet plan` start from
    render_cluster(tree, renderer, name) → …     what one cluster would hold, for `fleet render`

The parts are pure, only the renderer performs; at an unchanged tree all of it comes from its cache.
Needs no hub, no cluster and no network. Blocks: a program with an event loop calls it in a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from agents.protocol import Options, read_artifact, substitute
from clusters.objects import Digest, Kind, Object, kind_of
from clusters.objects.apis import namespaced_kinds
from fleet.errors import RequestError
from fleet.hub.tracks import Content
from fleet.layout import discover
from fleet.model import Problem, Rendered, Repo, Tree
from fleet.placement import Placement, place
from fleet.plan import Plan, compare, plan, requests, skipped_stages
from fleet.render import Renderer
from fleet.rollout import PolicyBook, overlaps, read_policies
from fleet.rollout.gate_kinds import Proven
from fleet.rollout.policy import Unprotected
from fleet.rollout.resolution import membership
from fleet.rollout.stages import Policy, in_order
from fleet.source import GitTree


@dataclass(frozen=True, slots=True)
class Planned:
    """All that follows from one commit."""

    repo: Repo
    placement: Placement
    plan: Plan
    """Its problems include those of file names and of rollout policies."""
    rendered: Mapping[Digest, Rendered] = field(default_factory=dict)
    """By `RenderRequest.key`."""
    book: PolicyBook = field(default_factory=PolicyBook)
    contents: Mapping[str, Content] = field(default_factory=dict)
    """Rollout → what it delivers, if that is another commit (`fleet.hub.contents`)."""
    unresolved: frozenset[str] = frozenset()
    """Rollouts that are held because what they track cannot be had."""

    def artifacts(self) -> dict[Digest, bytes]:
        """The bytes of every artifact that the plan names."""
        found = {r.artifact: r.data for r in self.rendered.values() if r.artifact}
        return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class ClusterObjects:
    """What one cluster would hold."""

    objects: list[Object]
    """By bundle in its order, hooks after plain objects."""
    problems: tuple[Problem, ...]
    """Those that concern the cluster or the repository as a whole."""


def make_plan(tree: Tree, renderer: Renderer) -> Planned:
    """The plan of one commit. Errors: `SourceError`, `RenderError`; the rest are problems."""
    repo = discover(tree)
    return _planned(tree, repo, place(repo), renderer)


def _planned(tree: Tree, repo: Repo, placement: Placement, renderer: Renderer) -> Planned:
    rendered = renderer.render_all(tree, *requests(repo, placement))
    made = plan(repo, placement, rendered)
    book = read_policies(repo.policies, [group.name for group in repo.groups], repo.unread)
    named = tree.problems if isinstance(tree, GitTree) else ()
    problems = {*made.problems, *book.problems, *overlaps(book, repo.bundles), *named}
    made = replace(made, problems=tuple(sorted(problems)))
    return Planned(repo, placement, made, rendered, book)


def plan_content(
    tree: Tree,
    content: Tree,
    choose: Callable[[Repo], frozenset[str]],
    renderer: Renderer,
) -> tuple[Planned, frozenset[str]]:
    """The plan for today's clusters of some bundles as another commit holds them, and which.

    `choose` is asked with all that the other commit declares. Nothing else is rendered.
    Errors: `SourceError`, `RenderError`; the rest are problems.
    """
    repo = discover(tree, content)
    names = choose(repo)
    others = frozenset(bundle.name for bundle in repo.bundles) - names
    asked = replace(repo, held=repo.held | others)
    placement = place(asked)
    rendered = renderer.render_all(content, *requests(asked, placement))
    made = replace(plan(asked, placement, rendered), held=repo.held)
    return Planned(repo, placement, made, rendered), names


def warnings_of_change(before: Planned | None, planned: Planned) -> tuple[Problem, ...]:
    """A warning for each bundle whose new content skips the first stage of its rollout.

    None where a `proven` gate stands in its way.
    """
    if before is None:
        return ()
    labels = {bundle.name: bundle.labels for bundle in planned.repo.bundles}
    by_policy: dict[str, set[str]] = {}
    policies: dict[str, Policy] = {}
    for change in compare(before.plan, planned.plan):
        policy = planned.book.policy_for(labels.get(change.bundle, {}))
        if not isinstance(policy, Unprotected):
            policies[policy.name] = policy
            by_policy.setdefault(policy.name, set()).add(change.bundle)
    found: list[Problem] = []
    for name, policy in sorted(policies.items()):
        stages = _unproven(policy, _stages(policy, planned.repo))
        warnings = skipped_stages(before.plan, planned.plan, stages)
        found.extend(problem for problem in warnings if problem.bundle in by_policy[name])
    return tuple(sorted(found))


def _unproven(
    policy: Policy, stages: Sequence[tuple[str, frozenset[str]]]
) -> tuple[tuple[str, frozenset[str]], ...]:
    """The first stage, and the later ones that no `proven` gate guards."""
    proven = {s.name for s in policy.stages if any(isinstance(g, Proven) for g in s.before)}
    return (*stages[:1], *(stage for stage in stages[1:] if stage[0] not in proven))


def _stages(policy: Policy, repo: Repo) -> tuple[tuple[str, frozenset[str]], ...]:
    """The policy's stages in order, each with its clusters; those without any are left out."""
    who = membership(policy, repo.clusters, repo.groups)
    stages = (
        (stage.name, frozenset(c for c, name in who.stage_of.items() if name == stage.name))
        for stage in in_order(policy.stages) or ()
    )
    return tuple((name, clusters) for name, clusters in stages if clusters)


def render_cluster(
    tree: Tree, renderer: Renderer, cluster: str, bundle: str = ""
) -> ClusterObjects:
    """Every object that the cluster would get, variables and namespaces filled in.

    A namespace is filled in for built-in kinds and for those whose CRD is among the objects; of
    other kinds only a live cluster knows whether they have one, so those are left as they are.
    Errors: `RequestError` for a cluster or bundle that is not there; `SourceError`, `RenderError`.
    """
    repo = discover(tree)
    placement = place(repo)
    if cluster not in placement.class_of:
        raise _no_such("cluster", cluster, placement.class_of)
    only = tuple(p for p in placement.placed_in(cluster) if bundle in ("", p.bundle))
    if bundle and not only:
        raise _no_such("bundle", bundle, [p.bundle for p in placement.placed_in(cluster)], cluster)
    share = replace(placement, classes=(only,), class_of={cluster: 0})
    planned = _planned(tree, repo, share, renderer)
    data = planned.artifacts()
    everything = [
        (wanted, read_artifact(data[wanted.artifact], wanted.artifact).all_objects())
        for entry in planned.plan.entries_of(cluster)
        for wanted in [entry.deployment]
        if wanted is not None
    ]
    scopes = namespaced_kinds(obj for _, objects in everything for obj in objects)
    filled = [
        _in_namespace(substitute(obj, wanted.variables), wanted.options, scopes)
        for wanted, objects in everything
        for obj in objects
    ]
    names = {placed.bundle for placed in only}
    groups = {group.name for group in repo.groups if cluster in group.members}
    return ClusterObjects(filled, _about(planned.plan.problems, cluster, groups, names))


def _in_namespace(obj: Object, options: Options, scopes: Mapping[Kind, bool]) -> Object:
    if not scopes.get(kind_of(obj), False):
        return obj
    said = obj["metadata"].get("namespace")
    if said and not options.force_namespace:
        return obj
    namespace = options.namespace or said or "default"
    return obj | {"metadata": obj["metadata"] | {"namespace": namespace}}


def _about(
    problems: Iterable[Problem], cluster: str, groups: set[str], bundles: set[str]
) -> tuple[Problem, ...]:
    """The problems that a person who asks about one cluster wants to see."""
    return tuple(
        problem
        for problem in problems
        if (not problem.bundle or problem.bundle in bundles)
        and (not problem.cluster or problem.cluster == cluster or problem.cluster in groups)
    )


def _no_such(
    what: str, name: str, known: Sequence[str] | Mapping[str, int], cluster: str = ""
) -> RequestError:
    shown = ", ".join(sorted(known)[:20]) or "none"
    where = f" of cluster {cluster}" if cluster else ""
    error = RequestError(
        f"there is no {what} {name!r}{where}", fix=f"choose one of: {shown}", code="not-found"
    )
    error.status = 404
    return error
