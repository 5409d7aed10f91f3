"""`fleet.yaml`: the options of a source, in Rancher Fleet's own schema.

What Rancher Fleet says and this Fleet honours becomes `FleetFile`; what it does not honour is a
warning with file and line, or an error (which holds the bundle) where going on without it would
deploy something else than what was meant. `variables:` is Fleet's own.

`correctDrift` is on unless `enabled: false`. Paths come out relative to the repository.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from agents.protocol import Deletion, DriftMode, Readiness
from agents.protocol.substitution import NAME as VARIABLE_NAME
from fleet.layout.fields import Fields
from fleet.layout.files import Files, join, relative, within
from fleet.layout.helm_fields import read_helm
from fleet.layout.ignore_rules import read_drift_mode, read_ignore_rules
from fleet.layout.reconcile_fields import read_accepted_states, read_reconciling
from fleet.model import Customization, HelmSpec, Selector, TargetRule

_ACCOUNT = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?\Z")
_LATER = "Fleet does not honour it yet; remove it, or do without what it asks for"
UNSUPPORTED = {
    "rolloutStrategy": "say it in a document `kind: Rollout` under clusters/",
    "ignore": _LATER,
    "imageScans": _LATER,
    "forceSyncGeneration": _LATER,
    "deleteNamespace": "Fleet never deletes a namespace that it did not apply",
    "deleteCRDResources": "Fleet keeps CustomResourceDefinitions; delete them by hand",
}
_CHANGES_OBJECTS = (
    "targets", "overrideTargets", "namespace", "helm", "kustomize", "yaml", "variables",
    "targetCustomizations",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dependency:
    """One entry of `dependsOn`: a bundle by name, bundles by label, or both."""

    name: str
    selector: Selector | None
    accepted: tuple[Readiness, ...]
    at: str


@dataclass(slots=True)
class FleetFile:
    """What one fleet.yaml says, or what holds where there is none."""

    name: str = ""
    labels: dict[str, str] | None = None
    """`None` if it says nothing about them."""
    options: dict[str, Any] = field(default_factory=dict)
    """Fields of `Options` but for depends_on and accepted_states."""
    depends_on: list[Dependency] = field(default_factory=list)
    targets: tuple[TargetRule, ...] | None = None
    helm: HelmSpec | None = None
    kustomize_dir: str = ""
    overlays: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    customizations: tuple[Customization, ...] = ()
    broken: bool = False
    at: str = ""


def read_fleet_yaml(fields: Fields, files: Files, directory: str, *, listed: bool) -> FleetFile:
    """The file of a source directory. `listed`: a group's file lists the directory."""
    page = fields.page
    said = FleetFile(at=page.file)
    said.name = fields.text("name")
    page.bundle = said.name or page.bundle
    if "labels" in fields:
        said.labels = fields.text_map("labels")
    said.depends_on = _depends_on(fields)
    said.options = read_options(fields)
    _read_namespaces(fields, said.options)
    if fields.flag("paused"):
        page.error(
            "paused", "the bundle is paused: its clusters keep what they run", ("paused",),
            "remove `paused` to go on",
        )  # fmt: skip
    if listed:
        _refuse_changes(fields)
    else:
        _read_content(fields, files, directory, said)
    fields.done(UNSUPPORTED)
    said.broken = page.broken
    return said


def _refuse_changes(fields: Fields) -> None:
    """A listed directory is what `kustomize build` of the group prints: nothing may change it."""
    for key in _CHANGES_OBJECTS:
        if key in fields:
            fields.ask(key)
            fields.page.error(
                "listed-field",
                f"{fields.page.file} says `{key}`, but a group's kustomization.yaml lists its "
                "directory",
                (key,),
                f"remove `{key}`, or take the directory off the list so that place or targets "
                "bring it",
            )


def _read_content(fields: Fields, files: Files, directory: str, said: FleetFile) -> None:
    said.helm = read_helm(fields.part("helm"), files, directory, said.options)
    said.kustomize_dir = read_kustomize(fields, files, directory)
    said.overlays = read_overlays(fields, files, directory)
    said.variables = read_variables(fields)
    said.targets = _targets(fields)
    said.customizations = tuple(
        _customization(part, index, files, directory)
        for index, part in enumerate(fields.parts("targetCustomizations"))
    )


def _read_namespaces(fields: Fields, options: dict[str, Any]) -> None:
    forced, default = fields.text("namespace"), fields.text("defaultNamespace")
    if forced or default:
        options["namespace"] = forced or default
    if forced:
        options["force_namespace"] = True
    for key, option in (
        ("namespaceLabels", "namespace_labels"),
        ("namespaceAnnotations", "namespace_annotations"),
    ):
        if key in fields:
            options[option] = tuple(sorted(fields.text_map(key).items()))


def read_options(fields: Fields) -> dict[str, Any]:
    """Drift, what of it is ignored, waiting, trying again and removal, as fields of `Options`."""
    options: dict[str, Any] = {}
    deletion = fields.word("deletionPolicy", Deletion)
    if deletion is not None:
        options["deletion"] = deletion
    if "serviceAccount" in fields:
        options["service_account"] = _account(fields)
    if fields.flag("allowWipe"):
        options["allow_wipe"] = True
    if fields.value.get("keepResources") is not None:
        options["keep_resources"] = fields.flag("keepResources")
    fields.ask("keepResources")
    read_reconciling(fields, options)
    drift = fields.part("correctDrift")
    if drift is not None:
        corrects = drift.flag("enabled", True)
        options["drift"] = DriftMode.CORRECT if corrects else DriftMode.WARN
        # Fleet keeps no Helm releases, so there is no history of failed ones to keep or drop.
        drift.flag("keepFailHistory")
        if drift.flag("force"):
            options["drift_force"] = True
        drift.done()
    mode = read_drift_mode(fields)
    if mode is not None:
        options["drift"] = mode
    ignore = read_ignore_rules(fields)
    if ignore:
        options["ignore"] = ignore
    return options


def _account(fields: Fields) -> str:
    """An empty name must not come to mean the agent's own rights, which are more."""
    name, said = fields.text("serviceAccount"), fields.value["serviceAccount"]
    if not _ACCOUNT.match(name) and isinstance(said, str | None):
        fields.page.error(
            "bad-field", f"serviceAccount {name!r} is no name of an account",
            (*fields.path, "serviceAccount"),
            "name an account of fleet-system, or remove the line: then the agent's rights count",
        )  # fmt: skip
    return name


def _depends_on(fields: Fields) -> list[Dependency]:
    found: list[Dependency] = []
    for part in fields.parts("dependsOn"):
        name, selector = part.text("name"), part.selector("selector")
        states = read_accepted_states(part)
        found.append(Dependency(name, selector, states, part.page.at(part.path)))
        if not name and selector is None:
            part.page.error(
                "bad-field", "an entry of dependsOn names no bundle", part.path, "give it a name"
            )
        part.done()
    return found


def read_kustomize(fields: Fields, files: Files, directory: str) -> str:
    """`kustomize.dir` as a repository path, `""` if it is not said."""
    part = fields.part("kustomize")
    if part is None:
        return ""
    said = part.text("dir")
    part.done()
    if not said:
        return ""
    path = relative(directory, said)
    if path is None or not files.kustomization(path):
        part.page.error(
            "kustomize-missing",
            f"kustomize.dir {said!r} has no kustomization file",
            (*part.path, "dir"),
            "point it at a directory of this repository that has one, relative to the fleet.yaml",
        )
        return ""
    return path


def read_overlays(fields: Fields, files: Files, directory: str) -> tuple[str, ...]:
    """`yaml.overlays` as directories below `overlays/`."""
    part = fields.part("yaml")
    if part is None:
        return ()
    found: list[str] = []
    overlays = join(directory, "overlays")
    for index, name in enumerate(part.texts("overlays")):
        path = relative(overlays, name)
        if path is None or not within(path, overlays) or not files.is_directory(path):
            part.page.error(
                "overlay-missing",
                f"there is no directory {name} in {overlays}",
                (*part.path, "overlays", index),
                "make it, or take its name off the list",
            )
        else:
            found.append(path)
    part.done()
    return tuple(found)


def read_variables(fields: Fields) -> dict[str, str]:
    """`variables`: names that `${NAME}` may stand for; null leaves the default in the text."""
    found: dict[str, str] = {}
    for name, value in fields.mapping("variables").items():
        path = (*fields.path, "variables", name)
        if not VARIABLE_NAME.match(name):
            fields.page.error(
                "bad-variable", f"{name!r} is no name of a variable", path,
                "use letters, digits and `_`, no digit at the start",
            )  # fmt: skip
        elif value is None or isinstance(value, str):
            found[name] = value or ""
        else:
            fields.page.error(
                "bad-field", f"variables.{name} is no text", path, "put it in quotes"
            )  # the value is not shown: it may be a password of digits
    return found


def _targets(fields: Fields) -> tuple[TargetRule, ...] | None:
    key = "overrideTargets" if "overrideTargets" in fields else "targets"
    if key not in fields:
        return None
    rules = []
    for part in fields.parts(key):
        name, match = part.text("name"), _match(part)
        part.done()
        rules.append(TargetRule(name=name, **match))
    return tuple(rules)


def _match(part: Fields) -> dict[str, Any]:
    """Whom an entry of targets or targetCustomizations selects; all that it says must hold."""
    match = {
        "selector": part.selector("clusterSelector"),
        "group": part.text("clusterGroup"),
        "group_selector": part.selector("clusterGroupSelector"),
        "cluster": part.text("clusterName"),
    }
    if match["selector"] is match["group_selector"] is None and not (
        match["group"] or match["cluster"]
    ):
        part.page.warning(
            "matches-nothing",
            "an entry that selects no cluster",
            part.path,
            "give it a clusterSelector ({} selects all), clusterGroup or clusterName",
        )
    return match


def _customization(part: Fields, index: int, files: Files, directory: str) -> Customization:
    options = read_options(part)
    helm = read_helm(part.part("helm"), files, directory, options)
    result = Customization(
        name=part.text("name") or f"target{index:03d}",
        **_match(part),
        do_not_deploy=part.flag("doNotDeploy"),
        helm=helm,
        kustomize_dir=read_kustomize(part, files, directory),
        overlays=read_overlays(part, files, directory),
        namespace=part.text("namespace"),
        default_namespace=part.text("defaultNamespace"),
        variables=read_variables(part),
        options=options,
    )
    part.done(UNSUPPORTED)
    return result
