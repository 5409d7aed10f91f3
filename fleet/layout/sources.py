"""Directories that can be sources of bundles, and each one's form and options.

::

    apps/<group>/<app>    infrastructure/<component>    any directory with a fleet.yaml
    and every directory that a group's file lists

Form: a chart (helm.chart, or a Chart.yaml in the directory) → HELM; a kustomization file →
KUSTOMIZE; else the manifests below → RAW. Who gets a source is decided in `bundles`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from clusters.objects import YamlError, read_yaml
from clusters.objects.lines import FieldLines
from fleet.layout.documents import NAME, NAME_FIX
from fleet.layout.fields import Fields
from fleet.layout.files import LINK, MANIFESTS, SUBMODULE, Files, TooLarge, join, within
from fleet.layout.findings import Findings, Page, yaml_invalid
from fleet.layout.fleet_yaml import FleetFile, read_fleet_yaml
from fleet.model import Form

FLEET_YAML = "fleet.yaml"
_NAME_BY_HAND = re.compile(r"^name:\s*[\"']?([a-z0-9][-a-z0-9.]*)", re.M)


@dataclass(frozen=True, slots=True)
class Draft:
    """A source directory before it is known who gets it."""

    path: str
    name: str
    said: FleetFile
    form: Form
    chart: str = ""
    files: tuple[str, ...] = ()

    @property
    def at(self) -> str:
        """The fleet.yaml, or the directory where there is none."""
        return self.said.at or self.path


def candidates(files: Files) -> list[str]:
    """Directories that place or a fleet.yaml make candidates, sorted."""
    found = set(files.subdirectories("infrastructure"))
    for group in files.subdirectories("apps"):
        found.update(files.subdirectories(group))
    for path in files.entries:
        directory, _, name = path.rpartition("/")
        if name == FLEET_YAML and not within(path, "clusters") and "/." not in f"/{directory}":
            found.add(directory)
    return sorted(found)


def draft_of(
    files: Files,
    directory: str,
    said: FleetFile,
    findings: Findings,
    held: set[str],
    *,
    listed: bool,
) -> Draft | None:
    """A source directory, or `None` if there is nothing to deploy in it.

    A bundle whose declaration cannot be read gets into `held`.
    """
    name = name_of(directory, said)
    if not NAME.match(name):
        findings.error(
            "bad-name",
            f"bundle {name!r} of {directory or 'the root'} has a name that cannot be used",
            at=said.at or directory,
            fix=f"give it `name:` in its fleet.yaml; {NAME_FIX}",
            bundle=name,
        )
        return None
    if said.broken:
        held.add(name)
    if listed:
        return Draft(directory, name, said, Form.GROUP)
    chart = chart_of(files, directory, said)
    if chart:
        _warn_two_forms(files, directory, name, said, findings)
        return Draft(directory, name, said, Form.HELM, chart=chart)
    _warn_unused_values(name, said, findings)
    if files.kustomization(directory) or said.kustomize_dir:
        return Draft(directory, name, said, Form.KUSTOMIZE)
    manifests = raw_files(files, directory, name, findings, held)
    if manifests or name in held:
        return Draft(directory, name, said, Form.RAW, files=manifests)
    if files.below(directory):
        findings.warning(
            "empty-directory",
            f"{directory} holds nothing to deploy",
            at=said.at or directory,
            fix="add manifests, a kustomization.yaml or a chart, or remove it",
            bundle=name,
        )
    return None


def name_of(directory: str, said: FleetFile) -> str:
    """The bundle's name: what the fleet.yaml says, else the directory's last part."""
    return said.name or directory.rpartition("/")[2] or "root"


def chart_of(files: Files, directory: str, said: FleetFile) -> str:
    """The directory of the source's chart, `""` if it is none."""
    if said.helm is not None and said.helm.chart:
        return said.helm.chart
    return directory if files.is_file(join(directory, "Chart.yaml")) else ""


def read_said(
    files: Files, directory: str, findings: Findings, held: set[str], *, listed: bool
) -> FleetFile:
    """The directory's fleet.yaml; one that cannot be read holds the bundle it seems to name."""
    path = join(directory, FLEET_YAML)
    last = directory.rpartition("/")[2]
    if files.entry(path) is None:
        return FleetFile()
    data = b""
    try:
        data = files.read(path)
        document = read_yaml(data)
    except YamlError as error:
        problem = yaml_invalid(error, path)
    except TooLarge as error:
        problem = {"code": "too-large", "what": str(error), "at": path, "fix": "make it smaller"}
    except KeyError:
        problem = bad_link(path)
    else:
        if isinstance(document, dict | None):
            page = Page(path, FieldLines(data), findings, bundle=last)
            return read_fleet_yaml(Fields(document or {}, page), files, directory, listed=listed)
        problem = {
            "code": "bad-field",
            "what": f"{path} holds a {type(document).__name__}, not options",
            "at": path,
            "fix": "give keys and values as in the documentation of fleet.yaml",
        }
    named = _NAME_BY_HAND.search(data.decode("utf-8", "replace"))
    name = named[1] if named else last
    findings.error(**problem, bundle=name)
    held.update({name, last})
    return FleetFile(name=name, broken=True, at=path)


def bad_link(path: str) -> dict[str, str]:
    """The problem of a symbolic link that cannot be followed."""
    return {
        "code": "bad-link",
        "what": f"{path} is a symbolic link that leads nowhere or out of the repository",
        "at": path,
        "fix": "point it at a file of the repository, or put the file in its place",
    }


def _warn_two_forms(
    files: Files, directory: str, name: str, said: FleetFile, findings: Findings
) -> None:
    if files.kustomization(directory) or said.kustomize_dir:
        findings.warning(
            "two-forms",
            f"bundle {name} is a chart; the kustomization file in {directory} is not used",
            at=said.at or directory,
            fix="remove one of them: Fleet does not run Kustomize over what Helm prints",
            bundle=name,
        )


def _warn_unused_values(name: str, said: FleetFile, findings: Findings) -> None:
    specs = [said.helm, *(c.helm for c in said.customizations)]
    if any(spec is not None and (spec.values or spec.chart) for spec in specs):
        findings.warning(
            "values-unused",
            f"bundle {name} has Helm values and no chart",
            at=said.at,
            fix="name the chart in helm.chart, or remove the values",
            bundle=name,
        )


def raw_files(
    files: Files, directory: str, name: str, findings: Findings, held: set[str]
) -> tuple[str, ...]:
    """The manifests below a directory, links followed, sorted.

    Not taken: fleet.yaml, hidden files, `overlays/`, and directories below that are something of
    their own (a chart, a kustomization, a source with a fleet.yaml).
    """
    found: set[str] = set()
    pending = [directory]
    while pending:
        here = pending.pop()
        for child in files.children(here):
            path = join(here, child)
            entry = files.entry(path)
            if child.startswith(".") or path == join(directory, "overlays"):
                continue
            if entry is None:
                if not _is_own(files, path, name, findings):
                    pending.append(path)
            elif entry.mode == SUBMODULE or not _utf8(path):
                _refuse(path, entry.mode, name, findings)
                held.add(name)
            elif path.endswith(MANIFESTS) and child != FLEET_YAML:
                target = files.resolve(path)
                if target is not None and files.is_file(target):
                    found.add(target)
                elif entry.mode == LINK:
                    findings.error(**bad_link(path), bundle=name)
                    held.add(name)
    return tuple(sorted(found))


def _is_own(files: Files, directory: str, name: str, findings: Findings) -> bool:
    kustomization = files.kustomization(directory)
    chart = files.is_file(join(directory, "Chart.yaml"))
    if (kustomization or chart) and files.entry(join(directory, FLEET_YAML)) is None:
        findings.warning(
            "nested-source",
            f"{directory} is no part of the raw manifests of bundle {name}: it has "
            f"{'a Chart.yaml' if chart else 'a kustomization file'} of its own",
            at=directory,
            fix="list it in a kustomization.yaml above, or give it a fleet.yaml of its own",
            bundle=name,
        )
    return bool(kustomization or chart or files.entry(join(directory, FLEET_YAML)))


def _utf8(path: str) -> bool:
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _refuse(path: str, mode: str, name: str, findings: Findings) -> None:
    shown = path.encode("utf-8", "backslashreplace").decode()
    if mode == SUBMODULE:
        findings.error(
            "submodule",
            f"{shown} is a Git submodule, which Fleet does not read",
            at=shown,
            fix="put the files themselves into the repository",
            bundle=name,
        )
    else:
        findings.error(
            "bad-path",
            f"the name of {shown} is not UTF-8",
            at=shown,
            fix="give the file another name",
            bundle=name,
        )
