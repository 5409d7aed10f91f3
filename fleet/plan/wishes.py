"""What must be rendered for a placement: each different wish once, whoever has it."""

from __future__ import annotations

from collections.abc import Iterator

from fleet.model import ClusterGroup, Form, Repo
from fleet.placement import Placed, Placement
from fleet.plan.request import GroupRequest, RenderRequest


def requests(
    repo: Repo, placement: Placement
) -> tuple[tuple[RenderRequest, ...], tuple[GroupRequest, ...]]:
    """All renders, sorted by bundle, and the builds of the groups that they need.

    Nothing is asked for a bundle that is held. A group is asked for with all that its file lists,
    also with what is held: its objects must not be taken for those of another bundle.
    """
    found: dict[str, RenderRequest] = {}
    seen: set[int] = set()
    for placed in (one for answer in placement.classes for one in answer):
        if id(placed) not in seen:
            seen.add(id(placed))
            if not is_held(repo, placed):
                found.update((request.key, request) for request in requests_of(placed))
    renders = sorted(found.items(), key=lambda pair: (pair[1].bundle, pair[1].path, pair[0]))
    needed = {request.group for request in found.values()}
    groups = tuple(_group_request(repo, g) for g in repo.groups if g.name in needed)
    return tuple(request for _, request in renders), groups


def is_held(repo: Repo, placed: Placed) -> bool:
    """Do the clusters keep what they run, whatever would be rendered?"""
    return placed.problem is not None or placed.bundle in repo.held


def requests_of(placed: Placed) -> tuple[RenderRequest, ...]:
    """The renders that answer for it: one, or one for each group whose file lists it."""
    return tuple(_requests_of(placed))


def _requests_of(placed: Placed) -> Iterator[RenderRequest]:
    source = placed.source
    if source.form is Form.GROUP:
        for group in placed.groups:
            yield RenderRequest(placed.bundle, Form.GROUP, source.path, group=group, at=source.at)
    elif source.form is Form.HELM:
        yield RenderRequest(
            placed.bundle,
            Form.HELM,
            placed.chart,
            values=placed.values,
            release_name=placed.release_name,
            namespace=placed.options.namespace or "default",
            kubernetes_version=placed.kubernetes_version,
            api_versions=placed.api_versions,
            at=source.at,
        )
    elif source.form is Form.KUSTOMIZE or placed.kustomize_dir:
        path = placed.kustomize_dir or source.path
        yield RenderRequest(placed.bundle, Form.KUSTOMIZE, path, at=source.at)
    else:
        yield RenderRequest(
            placed.bundle,
            Form.RAW,
            source.path,
            files=source.files,
            overlays=placed.overlays,
            at=source.at,
        )


def _group_request(repo: Repo, group: ClusterGroup) -> GroupRequest:
    names = {
        source.path: bundle.name
        for bundle in repo.bundles
        for source in bundle.sources
        if source.form is Form.GROUP and group.name in source.groups
    }
    # A listed directory whose bundle has no usable name goes by its path, which no bundle has.
    listed = tuple((directory, names.get(directory, directory)) for directory in group.listed)
    return GroupRequest(group.name, group.kustomization, listed)
