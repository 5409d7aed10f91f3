"""`helm:` of a fleet.yaml or of a customization in it.

Charts and values files lie in the repository. Whatever would have to be fetched, or exists only in
the cluster (`repo`, `valuesFrom`), is an error that holds the bundle: rendering without it would
deploy something else than what was meant.
"""

from __future__ import annotations

from typing import Any

from clusters.objects import YamlError, canonical_bytes, read_yaml
from clusters.objects.lines import FieldPath
from fleet.layout.fields import Fields, shown
from fleet.layout.files import Files, TooLarge, is_remote, join, relative
from fleet.layout.findings import place
from fleet.model import HelmSpec, merge_values

UNSUPPORTED = {
    "version": "it selects among fetched charts; a chart in the repository has one version",
    "atomic": "a rollout pauses on failure; nothing is rolled back by the agent alone",
    "waitForJobs": "hooks are waited for; use dependsOn to wait for a bundle",
    "skipSchemaValidation": "the chart's schema always holds; correct the values",
}
_HOLDING = {
    "repo": "put the chart into the repository and name its directory in helm.chart",
    "valuesFrom": "put the values into helm.values or a file of helm.valuesFiles",
    "templateValues": "put the template into helm.values: ${ … } is filled in there",
}
_QUIET = ("maxHistory", "disableDNS")
"""Fleet keeps no Helm releases and never looks up names while rendering: nothing to honour."""


def read_helm(
    fields: Fields | None, files: Files, directory: str, options: dict[str, Any]
) -> HelmSpec | None:
    """What `helm:` says; writes force, take_ownership and timeout_seconds to `options`."""
    if fields is None:
        return None
    for key, fix in _HOLDING.items():
        if fields.ask(key):
            path = (*fields.path, key)
            fields.page.error("unsupported-field", f"{shown(path)} is not honoured", path, fix)
    for key in _QUIET:
        fields.ask(key)
    for key, option in (("force", "force"), ("takeOwnership", "take_ownership")):
        if fields.flag(key) or fields.value.get(key) is False:
            options[option] = fields.flag(key)
    seconds = fields.count("timeoutSeconds")
    if seconds:
        _note_time_out(fields, options.get("timeout_seconds", seconds), seconds)
        options["timeout_seconds"] = seconds
    chart = _chart(fields, files, directory)
    paths, from_files = _values_files(fields, files, directory)
    spec = HelmSpec(
        chart=chart,
        release_name=fields.text("releaseName"),
        values=merge_values(from_files, fields.mapping("values")),
        values_files=paths,
        disable_templating=fields.flag("disablePreProcess"),
    )
    fields.done(UNSUPPORTED)
    return spec


def _chart(fields: Fields, files: Files, directory: str) -> str:
    said = fields.text("chart")
    if not said or fields.value.get("repo"):
        return ""
    where = (*fields.path, "chart")
    if is_remote(said) or said.endswith((".tgz", ".tar.gz")):
        fields.page.error(
            "unsupported-field",
            f"{shown(where)} {said[:80]!r} is not a directory of this repository",
            where,
            "unpack the chart into the repository and name its directory",
        )
        return ""
    path = relative(directory, said)
    if path is None or not files.is_file(join(path, "Chart.yaml")):
        fields.page.error(
            "chart-missing",
            f"there is no chart at {path if path is not None else said!r}",
            where,
            "name a directory of this repository with a Chart.yaml, relative to the fleet.yaml",
        )
        return ""
    return files.resolve(path) or path


def _note_time_out(fields: Fields, other: int, seconds: int) -> None:
    """`timeout` says the same thing in another place."""
    if other != seconds:
        fields.page.warning(
            "timeout-twice",
            f"`timeout` says {other} s and helm.timeoutSeconds {seconds} s: {seconds} s it is",
            (*fields.path, "timeoutSeconds"),
            "say one of them",
        )


def _values_files(
    fields: Fields, files: Files, directory: str
) -> tuple[tuple[str, ...], dict[str, Any]]:
    paths: list[str] = []
    values: dict[str, Any] = {}
    for index, said in enumerate(fields.texts("valuesFiles")):
        where: FieldPath = (*fields.path, "valuesFiles", index)
        path = relative(directory, said)
        if path is None or not files.is_file(path):
            fields.page.error(
                "values-missing",
                f"there is no values file {path if path is not None else said!r}",
                where,
                "name a file of this repository, relative to the fleet.yaml",
            )
            continue
        paths.append(path)
        values = merge_values(values, _read_values(fields, files, path))
    return tuple(paths), values


def _read_values(fields: Fields, files: Files, path: str) -> dict[str, Any]:
    page = fields.page
    try:
        values = read_yaml(files.read(path))
        canonical_bytes(values)
    except (YamlError, TooLarge, TypeError) as error:
        page.broken = True
        line = error.line if isinstance(error, YamlError) else 0
        page.findings.error(
            "yaml-invalid",
            f"{path} cannot be read as values: {error}",
            at=place(path, line),
            fix="correct the values file",
            bundle=page.bundle,
        )
        return {}
    if isinstance(values, dict | None):
        return values or {}
    page.broken = True
    page.findings.error(
        "bad-field",
        f"{path} holds a {type(values).__name__}, not a mapping of values",
        at=path,
        fix="give keys and values",
        bundle=page.bundle,
    )
    return {}
