"""Plans of made-up repositories, rendered by a stand-in whose artifact names what was asked."""

from __future__ import annotations

from collections.abc import Mapping

from clusters.objects import digest_of
from fleet.layout import MemoryTree, discover
from fleet.model import Rendered, Repo, Tree
from fleet.placement import place
from fleet.plan import Plan, RenderRequest, plan, requests


def render(tree: Tree, request: RenderRequest) -> Rendered:
    """An artifact that differs if the request, or a file below its path, does."""
    below = [p for p in tree.entries() if p.startswith(request.path + "/")]
    blobs = [tree.entries()[p].blob for p in below if not p.endswith("fleet.yaml")]
    return Rendered(digest_of([request.key, blobs]), images=(request.path,), objects=1)


def plan_of(
    files: Mapping[str, str | bytes], results: Mapping[str, Rendered] | None = None
) -> Plan:
    """The plan; `results` are renders by bundle that end otherwise."""
    return planned(MemoryTree(files), results)[1]


def planned(tree: Tree, results: Mapping[str, Rendered] | None = None) -> tuple[Repo, Plan]:
    """Repository and plan of a tree."""
    repo = discover(tree)
    placement = place(repo)
    asked, _ = requests(repo, placement)
    rendered = {r.key: (results or {}).get(r.bundle) or render(tree, r) for r in asked}
    return repo, plan(repo, placement, rendered)


def wanted(of: Plan, cluster: str) -> dict[str, str | None]:
    """Bundle → digest of one cluster, `None` for what is held."""
    return {e.bundle: e.deployment.digest if e.deployment else None for e in of.entries_of(cluster)}
