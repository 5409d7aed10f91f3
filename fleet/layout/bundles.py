"""Bundles: sources of one name become one bundle, with labels that agree and known dependencies.

What is wrong in the declaration of a bundle holds that bundle, and no other.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from agents.protocol import Options, Readiness
from fleet.layout.dependencies import check_cycles, check_known, resolve
from fleet.layout.destinations import (
    Destination,
    destination,
    refuse_unreadable,
    warn_idle,
    warn_misplaced,
)
from fleet.layout.files import Files
from fleet.layout.findings import Findings
from fleet.layout.fleet_yaml import FleetFile
from fleet.layout.groups import Groups, own_bundle
from fleet.layout.references import References
from fleet.layout.sources import Draft, candidates, draft_of, read_said
from fleet.model import Bundle, Form, HelmSpec, Labels, Source


@dataclass(slots=True)
class Bundles:
    """Every bundle, sorted by name; `held` are those of which the declaration is no guide."""

    bundles: tuple[Bundle, ...] = ()
    held: set[str] = field(default_factory=set)


def read_bundles(files: Files, groups: Groups, findings: Findings) -> Bundles:
    """All bundles of the repository."""
    held: set[str] = set()
    refuse_unreadable(files, findings, held)
    placed = [*_by_directory(files, groups, findings, held)]
    placed += _own_bundles(files, groups, findings, held)
    placed.sort(key=lambda pair: (pair[0].name, pair[0].path))
    drafts = [draft for draft, _ in placed]
    labels = _labels(drafts, findings, held)
    check_known(drafts, set(labels) | held, findings, held)
    bundles = tuple(
        _bundle(name, list(same), labels) for name, same in groupby(placed, lambda p: p[0].name)
    )
    check_cycles(drafts, {b.name: b.depends_on for b in bundles}, findings, held)
    return Bundles(bundles, held)


def _by_directory(
    files: Files, groups: Groups, findings: Findings, held: set[str]
) -> list[tuple[Draft, Destination]]:
    """The sources that lists, targets and place bring somewhere."""
    found: list[tuple[Draft, Destination]] = []
    listed = {path for group in groups.groups.values() for path in group.listed}
    directories = sorted(listed.union(candidates(files)))
    reserved = {own_bundle(name): group for name, group in groups.groups.items()}
    said = {
        path: read_said(files, path, findings, held, listed=path in listed) for path in directories
    }
    uses = _references(files, groups, said)
    for path in directories:
        goes = destination(files, path, said[path], groups, uses)
        if isinstance(goes, str):
            warn_idle(findings, path, goes)
        if not isinstance(goes, Destination):
            continue
        draft = draft_of(files, path, said[path], findings, held, listed=goes.listed)
        if draft is not None and draft.name in reserved:
            _refuse_reserved(draft, findings)
        elif draft is not None:
            if goes.listed and not files.is_directory(path):
                held.add(draft.name)
            found.append((draft, goes))
    warn_misplaced(files, set(directories), groups, uses, findings)
    return found


def _references(files: Files, groups: Groups, said: dict[str, FleetFile]) -> References:
    uses = References(files, (g.kustomization for g in groups.groups.values() if g.kustomization))
    for path, file in said.items():
        if file.at:
            specs: list[HelmSpec | None] = [file.helm, *(c.helm for c in file.customizations)]
            for spec in specs:
                for used in (spec.chart, *spec.values_files) if spec is not None else ():
                    uses.add(path, used)
            for used in (file.kustomize_dir, *(c.kustomize_dir for c in file.customizations)):
                uses.add(path, used)
    return uses


def _refuse_reserved(draft: Draft, findings: Findings) -> None:
    findings.error(
        "reserved-name",
        f"bundle {draft.name} has the name of what a cluster group's file brings itself",
        at=draft.at,
        fix="give it another `name:` in its fleet.yaml",
        bundle=draft.name,
    )


def _own_bundles(
    files: Files, groups: Groups, findings: Findings, held: set[str]
) -> list[tuple[Draft, Destination]]:
    """`<group>-cluster` for every group with a file that can be read."""
    found: list[tuple[Draft, Destination]] = []
    for group in groups.groups.values():
        if group.kustomization and group.name not in groups.held:
            said = read_said(files, group.kustomization, findings, held, listed=True)
            name = own_bundle(group.name)
            if said.broken:
                held.add(name)
            draft = Draft(group.kustomization, name, said, Form.GROUP)
            found.append((draft, Destination(groups=(group.name,), listed=True)))
    return found


def _labels(drafts: list[Draft], findings: Findings, held: set[str]) -> dict[str, Labels]:
    """The labels of each bundle. Sources that say nothing agree with all."""
    labels: dict[str, Labels] = {}
    first: dict[str, Draft] = {}
    for draft in drafts:
        labels.setdefault(draft.name, {})
        if draft.said.labels is None:
            continue
        other = first.setdefault(draft.name, draft)
        labels[draft.name] = other.said.labels or {}
        if other.said.labels != draft.said.labels:
            held.add(draft.name)
            findings.error(
                "labels-differ",
                f"the sources of bundle {draft.name} have different labels",
                at=f"{other.at}, {draft.at}",
                fix="give them the same labels: policies select bundles by them",
                bundle=draft.name,
            )
    return labels


def _bundle(
    name: str, placed: list[tuple[Draft, Destination]], labels: dict[str, Labels]
) -> Bundle:
    sources = tuple(_source(draft, goes, labels) for draft, goes in placed)
    depends_on = {other for source in sources for other in source.options.depends_on}
    return Bundle(name, sources, labels[name], tuple(sorted(depends_on)))


def _source(draft: Draft, goes: Destination, labels: dict[str, Labels]) -> Source:
    said = draft.said
    helm = said.helm
    if draft.form is Form.HELM:
        helm = replace(helm or HelmSpec(), chart=draft.chart)
    return Source(
        path=draft.path,
        form=draft.form,
        groups=goes.groups,
        everywhere=goes.everywhere,
        listable=goes.listable,
        targets=None if goes.listed else said.targets,
        options=Options(**said.options, **_dependencies(draft, labels)),
        helm=helm,
        kustomize_dir=said.kustomize_dir,
        variables=said.variables,
        customizations=said.customizations,
        files=draft.files,
        overlays=said.overlays,
        at=draft.at,
    )


def _dependencies(draft: Draft, labels: dict[str, Labels]) -> dict[str, Any]:
    """depends_on and accepted_states of `Options`; the usual state is not said."""
    found = resolve(draft, labels)
    unusual = {name: states for name, states in found.items() if states != (Readiness.READY,)}
    return {"depends_on": tuple(found), "accepted_states": tuple(unusual.items())}
