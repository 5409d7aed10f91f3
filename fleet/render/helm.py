"""The one door to Helm: a chart on disk, values and a release in; rendered templates out.

Two engines behind one method: Helm's own, in process by `helm_python` (1 ms), and a `helm` program
(60 ms). Both are Helm's code; nothing here is a look-alike. `lookup` finds nothing, no cluster and
no network is asked.

`NativeEngine` belongs into a worker process that was spawned: forking after the library was loaded
hangs, and a panic in it ends the process.

A probe template is laid into each chart for the native engine: it lets the engine itself say which
subcharts are on and whether `kubeVersion` is met, which its library does not tell otherwise.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

PROBE = "templates/zz-fleet-probe.yaml"
PROBE_TEXT = """\
{{- $met := true -}}
{{- with .Chart.KubeVersion -}}
{{- $met = semverCompare . $.Capabilities.KubeVersion.Version -}}
{{- end -}}
{{ dict "subcharts" (keys .Subcharts | sortAlpha) "kubeVersionMet" $met | toJson }}
"""
_SOURCE = re.compile(r"^# Source: (\S+)$", re.MULTILINE)


class ChartFailed(Exception):
    """The chart does not render; `code` is a problem's, the text is Helm's."""

    def __init__(self, code: str, message: str, fix: str) -> None:
        super().__init__(message)
        self.code, self.fix = code, fix


@dataclass(frozen=True, slots=True)
class Release:
    """For whom a chart is rendered."""

    name: str
    namespace: str
    kubernetes_version: str
    api_versions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ChartOutput:
    """What a chart gave, by template (`podinfo/templates/service.yaml`), sorted."""

    name: str
    version: str
    templates: Mapping[str, str] = field(default_factory=dict)
    crds: Mapping[str, str] = field(default_factory=dict)
    """Files of `crds/`, of subcharts too."""


class Engine(Protocol):
    """Something that renders charts."""

    def render(
        self, chart: Path, values: Mapping[str, Any], release: Release, seconds: float
    ) -> ChartOutput:
        """Errors: `ChartFailed`."""
        ...


class NativeEngine:
    """Helm's engine in this process."""

    def render(
        self, chart: Path, values: Mapping[str, Any], release: Release, seconds: float
    ) -> ChartOutput:
        """Errors: `ChartFailed`. Time is kept by whoever owns the process."""
        import helm_python

        try:
            helm_python.validate_release_name(release.name)
            with helm_python.Chart.load(chart) as loaded:
                metadata = loaded.metadata
                _check_chart(metadata, {str(d.get("name")) for d in loaded.dependencies})
                rendered = _native_render(loaded, values, release)
                probe = json.loads(rendered.pop(f"{metadata['name']}/{PROBE}"))
                if not probe["kubeVersionMet"]:
                    raise _kube_version(metadata, release)
                crds = {str(crd["filename"]): str(crd["data"]) for crd in loaded.crds}
        except helm_python.HelmError as error:
            raise _helm_said(helm_python, error) from error
        on = _enabled(metadata, set(probe["subcharts"]))
        return ChartOutput(
            name=str(metadata["name"]),
            version=str(metadata["version"]),
            templates=_without_notes(rendered),
            crds={path: crds[path] for path in sorted(crds) if on(path)},
        )


class ProgramEngine:
    """A `helm` program."""

    def __init__(self, program: str) -> None:
        self._program = program

    def render(
        self, chart: Path, values: Mapping[str, Any], release: Release, seconds: float
    ) -> ChartOutput:
        """Errors: `ChartFailed`."""
        command = [
            self._program, "template", release.name, str(chart), "--namespace", release.namespace,
            "--include-crds", "--values", "-", "--kube-version", release.kubernetes_version,
            *(f"--api-versions={version}" for version in release.api_versions),
        ]  # fmt: skip
        try:
            ended = subprocess.run(
                command,
                input=json.dumps(values).encode(),
                capture_output=True,
                timeout=seconds,
                check=False,
                env={"HOME": str(chart / ".fleet-no-home"), "LC_ALL": "C"},
            )
        except subprocess.TimeoutExpired as error:
            raise ChartFailed(
                "render-timeout", f"Helm took longer than {seconds:g} s", "make the chart smaller"
            ) from error
        if ended.returncode:
            raise ChartFailed("helm-failed", ended.stderr.decode(errors="replace"), _FIX)
        return _from_stream(ended.stdout.decode(errors="replace"), chart)


_FIX = "correct the template or the values that it reads"


def _native_render(loaded: Any, values: Mapping[str, Any], release: Release) -> dict[str, str]:
    """`Chart.render` with the two options that its Python face does not pass on."""
    from helm_python import _native

    options = {
        "name": release.name,
        "namespace": release.namespace,
        "kube_version": release.kubernetes_version,
        "api_versions": list(release.api_versions),
    }
    loaded.validate_schema(dict(values))
    answer = _native.call_string(
        "helm_render", loaded._raw(), json.dumps(values), json.dumps(options)
    )
    found: dict[str, str] = json.loads(answer)
    return found


def _check_chart(metadata: Mapping[str, Any], present: set[str]) -> None:
    """What `helm template` checks before it renders."""
    if metadata.get("type") == "library":
        raise ChartFailed(
            "chart-library", "it is a library chart, which renders nothing", "name another chart"
        )
    missing = [d["name"] for d in metadata.get("dependencies") or () if d["name"] not in present]
    if missing:
        raise ChartFailed(
            "chart-dependency-missing",
            f"Chart.yaml names dependencies that are not in charts/: {', '.join(missing)}",
            "run `helm dependency build` and commit charts/; nothing is downloaded",
        )


def _kube_version(metadata: Mapping[str, Any], release: Release) -> ChartFailed:
    return ChartFailed(
        "chart-kube-version",
        f"it wants kubeVersion {metadata.get('kubeVersion')}, "
        f"the cluster has {release.kubernetes_version}",
        "use a chart that supports the cluster, or correct the cluster's declared version",
    )


def _helm_said(helm_python: Any, error: Exception) -> ChartFailed:
    text = str(error)
    if PROBE in text:
        return ChartFailed("chart-kube-version", "its kubeVersion is no constraint", "correct it")
    if isinstance(error, helm_python.HelmValuesError):
        return ChartFailed("helm-values", text, "correct the values; the chart's schema says how")
    if isinstance(error, helm_python.HelmChartLoadError):
        return ChartFailed("helm-failed", text, "correct the chart's files")
    return ChartFailed("helm-failed", text, _FIX)


def _enabled(metadata: Mapping[str, Any], subcharts: set[str]) -> Callable[[str], bool]:
    """Does a path of `crds/` belong to the chart itself or to a subchart that is on?"""
    called: dict[str, set[str]] = {}
    for dependency in metadata.get("dependencies") or ():
        called.setdefault(dependency["name"], set()).add(
            dependency.get("alias") or dependency["name"]
        )

    def on(path: str) -> bool:
        parts = path.split("/")
        if len(parts) < 3 or parts[1] != "charts":
            return True
        return bool(called.get(parts[2], {parts[2]}) & subcharts)

    return on


def _without_notes(rendered: Mapping[str, str]) -> dict[str, str]:
    return {
        path: rendered[path]
        for path in sorted(rendered)
        if not path.endswith("/NOTES.txt") and not path.endswith(f"/{PROBE}")
    }


def _from_stream(text: str, chart: Path) -> ChartOutput:
    """The documents of `helm template` by the template that `# Source:` names."""
    from clusters.objects import read_yaml

    metadata = read_yaml((chart / "Chart.yaml").read_bytes())
    parts = _SOURCE.split(text)
    found: dict[str, str] = {}
    for path, body in zip(parts[1::2], parts[2::2], strict=True):
        found[path] = found.get(path, "") + body
    crds = {path: body for path, body in found.items() if "/crds/" in path}
    rest = {path: body for path, body in found.items() if path not in crds}
    return ChartOutput(str(metadata["name"]), str(metadata["version"]), _without_notes(rest), crds)
