"""From the files of one commit to all that it declares."""

from __future__ import annotations

from fleet.layout.bundles import read_bundles
from fleet.layout.documents import Declared, read_documents
from fleet.layout.files import Files
from fleet.layout.findings import Findings
from fleet.layout.groups import ENV, Groups, read_groups
from fleet.model import Repo, Tree

_SHOWN = 10


def discover(tree: Tree, content: Tree | None = None) -> Repo:
    """All that the commit declares, with what is wrong in it. Errors: only `SourceError`.

    With `content`, the bundles are those of that commit, and the groups' own files too; clusters,
    groups and policies are the tree's.
    """
    files, findings = Files(tree), Findings()
    holding = files if content is None else Files(content)
    declared = read_documents(files, findings)
    groups = read_groups(files, declared, findings, holding)
    bundles = read_bundles(holding, groups, findings)
    held = declared.held | {m for name in groups.held for m in _members(groups, name)}
    _warn_ungrouped(declared, groups, held, findings)
    return Repo(
        commit=tree.commit if content is None else content.commit,
        clusters=tuple(declared.clusters[name] for name in sorted(declared.clusters)),
        groups=tuple(groups.groups[name] for name in sorted(groups.groups)),
        bundles=bundles.bundles,
        policies=tuple(sorted(declared.policies, key=lambda p: (p.kind, p.name, p.at))),
        problems=findings.sorted(),
        held=frozenset(bundles.held),
        held_clusters=frozenset(held),
        unread=frozenset(declared.unread),
    )


def _members(groups: Groups, name: str) -> tuple[str, ...]:
    return groups.groups[name].members if name in groups.groups else ()


def _warn_ungrouped(declared: Declared, groups: Groups, held: set[str], findings: Findings) -> None:
    grouped = {member for group in groups.groups.values() for member in group.members}
    alone = sorted(declared.clusters.keys() - grouped - held)
    for name in alone[:_SHOWN]:
        findings.warning(
            "cluster-ungrouped",
            f"cluster {name} is in no cluster group",
            at=declared.clusters[name].at,
            fix=f"label it {ENV}=<group>, put it into clusters/<group>/, or select it",
            cluster=name,
        )
    if len(alone) > _SHOWN:
        findings.warning(
            "cluster-ungrouped",
            f"{len(alone) - _SHOWN} more clusters are in no cluster group",
            at=declared.clusters[alone[_SHOWN]].at,
            fix=f"label them {ENV}=<group>",
        )
