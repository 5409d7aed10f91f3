"""Who gets a source directory: by the list of a group's file, by its targets, or by place.

| directory | listed | else with `targets` | else by place |
|---|---|---|---|
| `apps/<group>/<app>` | who lists it | what they match | the group, unless its file could list it |
| `infrastructure/<component>` | … | … | every cluster, but for groups whose file could list it |
| any other with a fleet.yaml | … | … | nobody |

One that others only use as a base is no bundle and no problem; one that nothing brings anywhere
is the warning `idle-directory`.
"""

from __future__ import annotations

from dataclasses import dataclass

from fleet.layout.files import LINK, MANIFESTS, SUBMODULE, Files, join
from fleet.layout.findings import Findings
from fleet.layout.fleet_yaml import FleetFile
from fleet.layout.groups import ENV, Groups
from fleet.layout.references import References
from fleet.layout.sources import chart_of


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a source goes; `listed` comes with the groups that list it."""

    groups: tuple[str, ...] = ()
    everywhere: bool = False
    listed: bool = False
    listable: bool = False


def destination(
    files: Files, directory: str, said: FleetFile, groups: Groups, uses: References
) -> Destination | str | None:
    """Where it goes; the reason if nothing brings it anywhere; `None` if it is only a base."""
    listing = groups.listed.get(directory)
    if listing:
        return Destination(groups=tuple(listing), listed=True)
    if directory in groups.listed:
        return None  # listed by a file that cannot be read: its group is held
    if said.targets is not None:
        return Destination()
    base = uses.is_base(directory)
    if base and not said.at:
        return None
    listable = bool(files.kustomization(directory)) and not chart_of(files, directory, said)
    parts = directory.split("/")
    if parts[0] == "infrastructure" and len(parts) == 2:
        return Destination(everywhere=True, listable=listable)
    if parts[0] == "apps" and len(parts) == 3:
        found = _in_apps(parts[1], groups, listable)
    else:
        found = "it is not below apps/ or infrastructure/ and its fleet.yaml has no targets"
    return None if base and isinstance(found, str) else found


def _in_apps(name: str, groups: Groups, listable: bool) -> Destination | str | None:
    group = groups.groups.get(name)
    if group is None:
        return f"there is no cluster group {name}, and no cluster is labelled {ENV}={name}"
    if group.kustomization and listable:
        unread = name in groups.held
        return None if unread else f"the kustomization file in {group.kustomization} lists it not"
    return Destination(groups=(name,), listable=listable)


def warn_idle(findings: Findings, directory: str, reason: str) -> None:
    """Say that nothing brings a directory anywhere."""
    findings.warning(
        "idle-directory",
        f"nothing brings {directory or 'the root'} to a cluster: {reason}",
        at=directory or ".",
        fix="list it in a group's kustomization.yaml, give its fleet.yaml targets, or remove it",
    )


def warn_misplaced(
    files: Files, candidates: set[str], groups: Groups, uses: References, findings: Findings
) -> None:
    """Warn of manifests right in `apps/`, `apps/<x>/` or `infrastructure/`, where no rule looks."""
    for directory in ("apps", "infrastructure", *files.subdirectories("apps")):
        own = (join(directory, name) for name in files.children(directory))
        found = [p for p in own if p.endswith(MANIFESTS) and files.entry(p) is not None]
        known = directory in candidates or directory in groups.listed
        if found and not known and not uses.is_base(directory):
            warn_idle(findings, directory, f"it holds {found[0].rpartition('/')[2]} itself")


def refuse_unreadable(files: Files, findings: Findings, held: set[str]) -> None:
    """Report links and submodules that stand where a source directory should be."""
    places = ["infrastructure", *files.subdirectories("apps")]
    for path in (join(place, name) for place in places for name in files.children(place)):
        entry = files.entry(path)
        link = entry is not None and entry.mode == LINK and files.is_directory(path)
        if entry is None or not (link or entry.mode == SUBMODULE):
            continue
        name = path.rpartition("/")[2]
        held.add(name)
        findings.error(
            "bad-link" if link else "submodule",
            f"{path} is a {'symbolic link' if link else 'Git submodule'} in the place of a "
            "directory, which Fleet does not read",
            at=path,
            fix="put a directory with a kustomization.yaml or the files themselves in its place",
            bundle=name,
        )
