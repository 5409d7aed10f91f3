"""Cluster groups: who is a member, and what the group's own kustomization file lists.

::

    clusters/<group>/                 a group; members: the Cluster documents inside it, and
      kustomization.yaml                what its ClusterGroup selects, else label env=<group>
    apps/<group>/                     a group too, if some cluster is labelled env=<group>

A group whose membership or file cannot be read is held: its clusters keep all they have.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from clusters.objects import YamlError, read_yaml
from clusters.objects.lines import FieldLines
from fleet.layout.documents import NAME, NAME_FIX, Declared, GroupDocument
from fleet.layout.files import MANIFESTS, Files, TooLarge, is_remote, relative
from fleet.layout.findings import Findings, place, yaml_invalid
from fleet.model import Cluster, ClusterGroup, Selector

ENV = "env"
"""The label whose value is a cluster's group where nothing else says so."""
_LISTED_BY_HAND = re.compile(r"^\s*-\s*[\"']?(\.{1,2}/[^\s\"']+|[\w-]+/?)[\"']?\s*$", re.M)


@dataclass(slots=True)
class Groups:
    """Every group, by name, and what could not be read."""

    groups: dict[str, ClusterGroup] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)
    """Groups of which members or file cannot be read."""
    listed: dict[str, list[str]] = field(default_factory=dict)
    """Directory → the groups whose file lists it; none if the file cannot be read (a guess)."""


def read_groups(files: Files, declared: Declared, findings: Findings, holding: Files) -> Groups:
    """All groups with their members, and what their files list where `holding` has those."""
    result = Groups()
    documents = _documents(declared, findings, result)
    directories = {path.split("/")[1]: path for path in files.subdirectories("clusters")}
    labelled = {cluster.labels.get(ENV, "") for cluster in declared.clusters.values()}
    by_apps = {path.split("/")[1] for path in files.subdirectories("apps")} & labelled
    by_label = _by_env(declared)
    lists = {path.split("/")[1]: path for path in holding.subdirectories("clusters")}
    for name in sorted(directories.keys() | documents.keys() | by_apps):
        group = _members(
            name, directories.get(name, ""), documents.get(name, []), declared, by_label
        )
        result.groups[name] = _with_list(group, lists.get(name, ""), holding, findings, result)
        _warn_if_empty(result.groups[name], files, findings, result)
    return result


def _documents(
    declared: Declared, findings: Findings, result: Groups
) -> dict[str, list[GroupDocument]]:
    documents: dict[str, list[GroupDocument]] = {}
    for document in declared.groups:
        documents.setdefault(document.name, []).append(document)
    for name, same in documents.items():
        if any(d.broken for d in same):
            result.held.add(name)
        if len(same) > 1:
            result.held.add(name)
            findings.error(
                "group-twice",
                f"cluster group {name} is declared twice",
                at=", ".join(sorted(d.at for d in same)),
                fix="remove one of them; until then its clusters keep all they have",
                cluster=name,
            )
    return documents


def _by_env(declared: Declared) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for cluster in declared.clusters.values():
        found.setdefault(cluster.labels.get(ENV, ""), []).append(cluster.name)
    return found


def _members(
    name: str,
    directory: str,
    documents: list[GroupDocument],
    declared: Declared,
    by_label: dict[str, list[str]],
) -> ClusterGroup:
    """A group without its list. Of one that is declared twice, whoever either selects."""
    members = {
        c for c, place_ in declared.directory_of.items() if directory and place_ == directory
    }
    selectors = [d.selector for d in documents if d.selector is not None]
    for selector in selectors:
        members.update(c.name for c in declared.clusters.values() if _selects(selector, c))
    if not selectors or len(documents) > len(selectors):
        members.update(by_label.get(name, ()))
    first = documents[0] if documents else None
    return ClusterGroup(
        name,
        tuple(sorted(members)),
        first.selector if first else None,
        at=first.at if first else directory or f"apps/{name}",
        labels=first.labels if first else {},
    )


def _selects(selector: Selector, cluster: Cluster) -> bool:
    return selector.matches(cluster.labels)


def _with_list(
    group: ClusterGroup, directory: str, files: Files, findings: Findings, result: Groups
) -> ClusterGroup:
    path = files.kustomization(directory) if directory else ""
    if not path:
        return group
    group = replace(group, kustomization=directory, file=path)
    if not NAME.match(own_bundle(group.name)):
        findings.error(
            "bad-name",
            f"cluster group {group.name!r} has a name that cannot be used",
            at=directory,
            fix=f"rename the directory; {NAME_FIX}, and `-cluster` must fit as well",
            cluster=group.name,
        )
        result.held.add(group.name)
        return group
    data = b""
    try:
        data = files.read(path)
        listed = listed_directories(files, directory, read_yaml(data))
    except YamlError as error:
        findings.error(**yaml_invalid(error, path), cluster=group.name)
    except TooLarge as error:
        findings.error("too-large", str(error), at=path, fix="make it smaller", cluster=group.name)
    except ValueError as error:
        findings.error(
            "bad-kustomization",
            f"{path} is no kustomization file: {error}",
            at=path,
            fix="give it a list `resources` of directories and files",
            cluster=group.name,
        )
    else:
        _check_listed(group, path, FieldLines(data), listed, files, findings)
        for directory_ in listed:
            result.listed.setdefault(directory_, []).append(group.name)
        return replace(group, listed=listed)
    result.held.add(group.name)
    guesses = _LISTED_BY_HAND.findall(data.decode("utf-8", "replace"))
    for guessed in (relative(directory, guess) for guess in guesses):
        if guessed:
            result.listed.setdefault(guessed, [])
    return group


def own_bundle(group: str) -> str:
    """The name of the bundle of what a group's file brings itself; nobody else may have it."""
    return f"{group}-cluster"


def listed_directories(files: Files, directory: str, document: Any) -> tuple[str, ...]:
    """The directories that a kustomization file lists, as repository paths, each once, in order.

    One that is not there counts if it does not look like a file. Errors: `ValueError` if the
    document is no kustomization.
    """
    if not isinstance(document, dict | None):
        raise ValueError(f"it holds a {type(document).__name__}")
    found: dict[str, None] = {}
    for key in ("resources", "bases"):
        entries = (document or {}).get(key) or []
        if not isinstance(entries, list) or not all(isinstance(e, str) for e in entries):
            raise ValueError(f"`{key}` is no list of texts")
        for entry in entries:
            path = None if is_remote(entry) else relative(directory, entry)
            if path and not files.is_file(path) and (_is_directory(files, path)):
                found[path] = None
    return tuple(found)


def _is_directory(files: Files, path: str) -> bool:
    return files.is_directory(path) or not path.endswith(MANIFESTS)


def _check_listed(
    group: ClusterGroup,
    path: str,
    lines: FieldLines,
    listed: tuple[str, ...],
    files: Files,
    findings: Findings,
) -> None:
    for directory in listed:
        if not files.is_directory(directory):
            findings.error(
                "listed-missing",
                f"{path} lists {directory}, which is not there",
                at=place(path, lines.line(0, ("resources",))),
                fix="remove the entry, or add the directory; until then the bundle is held",
                cluster=group.name,
            )


def _warn_if_empty(group: ClusterGroup, files: Files, findings: Findings, result: Groups) -> None:
    runs = group.kustomization or files.subdirectories(f"apps/{group.name}")
    if not group.members and runs and group.name not in result.held:
        findings.warning(
            "group-empty",
            f"cluster group {group.name} has no clusters",
            at=group.at,
            fix=f"declare a cluster in clusters/{group.name}/, label one {ENV}={group.name}, "
            "or give the group a selector",
            cluster=group.name,
        )
