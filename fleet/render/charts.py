r"""A chart's output → an artifact: what Helm does between its templates and a cluster.

====================== ===========================================================
documents              split by Helm's own pattern (`---# comment` is legal there)
`helm.sh/hook`         a hook of the artifact: events, weight, delete policies
test hooks             dropped before anything else looks at them
unknown hooks          left out, as Helm does, with a warning
other tools' hooks     by annotation of Fleet or Argo CD, which wins: `manifests.finish`
`crds/`                first, as written
order                  Helm's install order by kind, then by template
====================== ===========================================================

Everything is rendered twice: a template that says something else the second time is refused by
name. Templates that read the clock wait a second in between, so that seconds count too.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from agents.protocol import Hook, HookEvent, names_hook
from clusters.objects import Object, annotations_of, canonical_bytes, kind_of
from clusters.objects.apis import NEWEST, built_in_apis
from fleet.model import Problem, Rendered
from fleet.render.failure import RenderFailed, failed, tidy, warning
from fleet.render.helm import ChartFailed, ChartOutput, Engine, NativeEngine, ProgramEngine, Release
from fleet.render.job import Job
from fleet.render.manifests import Document, check_unique, finish, read_documents
from fleet.render.request import RenderRequest

HOOK, WEIGHT, POLICY = "helm.sh/hook", "helm.sh/hook-weight", "helm.sh/hook-delete-policy"
TESTS = frozenset({"test", "test-success", "test-failure"})
EVENTS = {
    str(event): event
    for event in HookEvent
    if str(event).endswith(("install", "upgrade", "delete", "rollback"))
}
_SEPARATOR = re.compile(r"(?:^|\s*\n)---\s*")
_TEMPLATE = re.compile(
    r"([\w.+-]+/(?:charts/[\w.+-]+/)*(?:templates|crds)/[^\s:()'\"]+)(?::(\d+))?"
)
_CLOCK = re.compile(r"\{\{[^}]*\bnow\b")
INSTALL_ORDER = (
    "PriorityClass", "Namespace", "NetworkPolicy", "ResourceQuota", "LimitRange",
    "PodSecurityPolicy", "PodDisruptionBudget", "ServiceAccount", "Secret", "SecretList",
    "ConfigMap", "StorageClass", "PersistentVolume", "PersistentVolumeClaim",
    "CustomResourceDefinition", "ClusterRole", "ClusterRoleList", "ClusterRoleBinding",
    "ClusterRoleBindingList", "Role", "RoleList", "RoleBinding", "RoleBindingList", "Service",
    "DaemonSet", "Pod", "ReplicationController", "ReplicaSet", "Deployment",
    "HorizontalPodAutoscaler", "StatefulSet", "Job", "CronJob", "IngressClass", "Ingress",
    "APIService", "MutatingWebhookConfiguration", "ValidatingWebhookConfiguration",
)  # fmt: skip
_RANK = {kind: rank for rank, kind in enumerate(INSTALL_ORDER)}


def build_chart(job: Job, request: RenderRequest) -> Rendered:
    """The chart's artifact. Errors: `RenderFailed`."""
    engine: Engine = ProgramEngine(job.tools.helm) if job.tools.helm else NativeEngine()
    chart = Path(job.folder) / request.path
    output = _render(engine, job, request, chart)
    if _reads_the_clock(chart):
        threading.Event().wait(1.0)  # in a worker process of its own; nothing else waits with it
    documents = _plain(output, job, request)
    _check_same(documents, output, _render(engine, job, request, chart), job, request)
    hooks, objects, warnings = _sort_out(documents, request)
    everything = [*_documents(output.crds, job, request), *sorted(objects, key=_install_order)]
    check_unique(everything, request.bundle)
    release = {
        "name": _release(request).name,
        "chart": output.name,
        "version": output.version,
    }
    return finish(
        request.bundle,
        [document.object for document in everything],
        job.limits,
        at=request.at or request.path,
        hooks=hooks,
        release=release,
        warnings=tuple(warnings),
    )


def split_documents(text: str) -> list[str]:
    """The documents of a rendered template, as Helm tells them apart."""
    return [part for part in _SEPARATOR.split(text.strip()) if part.strip()]


def _release(request: RenderRequest) -> Release:
    version = request.kubernetes_version.removeprefix("v") or NEWEST
    return Release(
        name=request.release_name or request.bundle,
        namespace=request.namespace or "default",
        kubernetes_version=f"v{version}",
        api_versions=tuple(sorted({*built_in_apis(version), *request.api_versions})),
    )


def _render(engine: Engine, job: Job, request: RenderRequest, chart: Path) -> ChartOutput:
    try:
        output = engine.render(chart, request.values, _release(request), job.limits.seconds)
    except ChartFailed as error:
        raise _chart_failed(error, job, request) from error
    size = sum(len(text) for text in (*output.templates.values(), *output.crds.values()))
    if size > job.limits.output_bytes:
        raise failed(
            "render-too-large",
            f"the chart printed {size:,} bytes, more than {job.limits.output_bytes:,}",
            at=request.at or request.path,
            fix="split it into several bundles",
            bundle=request.bundle,
        )
    return output


def _plain(output: ChartOutput, job: Job, request: RenderRequest) -> list[Document]:
    """The documents of the templates, tests left out."""
    found = _documents(output.templates, job, request)
    return [document for document in found if not _is_test(document.object)]


def _documents(templates: Mapping[str, str], job: Job, request: RenderRequest) -> list[Document]:
    return [
        document
        for template, text in templates.items()
        for part in split_documents(text)
        for document in read_documents(
            part, _repository_path(template, job, request), request.bundle, lines=False
        )
    ]


def _repository_path(template: str, job: Job, request: RenderRequest) -> str:
    """`podinfo/templates/x.yaml` → the file in the repository, as far as it can be known."""
    inside = template.partition("/")[2]
    path = f"{request.path}/{inside}" if request.path not in ("", ".") else inside
    if (Path(job.folder) / path).is_file():
        return path
    return f"{request.path} ({template})"


def _is_test(obj: Object) -> bool:
    events = _events(obj)
    return bool(events) and events <= TESTS


def _events(obj: Object) -> set[str]:
    said = annotations_of(obj).get(HOOK) or ""
    return {event.strip().lower() for event in said.split(",") if event.strip()}


def _check_same(
    documents: list[Document],
    output: ChartOutput,
    again: ChartOutput,
    job: Job,
    request: RenderRequest,
) -> None:
    if again.templates == output.templates:
        return  # by far the most; parsing costs more than rendering
    one, other = _by_template(documents), _by_template(_plain(again, job, request))
    for template in sorted({*one, *other}):
        if one.get(template) != other.get(template):
            raise failed(
                "nondeterministic-template",
                f"{template} renders differently every time (a random value or a date)",
                at=template,
                fix="set what it makes up in helm.values, or give it from a Secret of your own",
                bundle=request.bundle,
            )


def _by_template(documents: Iterable[Document]) -> dict[str, list[bytes]]:
    found: dict[str, list[bytes]] = {}
    for document in documents:
        found.setdefault(document.at, []).append(canonical_bytes(document.object))
    return found


def _sort_out(
    documents: Iterable[Document], request: RenderRequest
) -> tuple[list[Hook], list[Document], list[Problem]]:
    """Hooks by weight, then the plain objects; what Helm would skip is a warning."""
    hooks: list[Hook] = []
    plain: list[Document] = []
    warnings: list[Problem] = []
    for document in sorted(documents, key=_install_order):
        events = _events(document.object)
        unknown = events - TESTS - EVENTS.keys()
        if not events or names_hook(document.object):
            plain.append(document)
        elif unknown:
            warnings.append(_unknown_hook(document, unknown, request))
        else:
            hooks.append(_hook(document.object, events))
    return sorted(hooks, key=lambda hook: hook.weight), plain, warnings


def _hook(obj: Object, events: set[str]) -> Hook:
    annotations = annotations_of(obj)
    said = (annotations.get(POLICY) or "").split(",")
    policies = tuple(policy.strip().lower() for policy in said if policy.strip())
    try:
        weight = int(annotations.get(WEIGHT) or "0")
    except ValueError:
        weight = 0  # as Helm reads what is no number
    return Hook(
        events=tuple(EVENTS[name] for name in sorted(events - TESTS)),
        weight=weight,
        deletePolicies=policies or ("before-hook-creation",),
        object=obj,
    )


def _unknown_hook(document: Document, unknown: set[str], request: RenderRequest) -> Problem:
    return warning(
        "hook-unknown",
        f"{document.object['kind']} {document.object['metadata']['name']} has the hook "
        f"{', '.join(sorted(unknown))}, which Helm does not know; it is left out",
        at=document.at,
        fix=f"use one of {', '.join(sorted(EVENTS))}",
        bundle=request.bundle,
    )


def _install_order(document: Document) -> tuple[int, str]:
    kind = kind_of(document.object).kind
    rank = _RANK.get(kind)
    return (rank, "") if rank is not None else (len(_RANK), kind)


def _reads_the_clock(chart: Path) -> bool:
    return any(
        _CLOCK.search(path.read_text(errors="replace"))
        for path in chart.rglob("templates/**/*")
        if path.is_file()
    )


def _chart_failed(error: ChartFailed, job: Job, request: RenderRequest) -> RenderFailed:
    text = tidy(str(error), job.folder, request.values)
    named = _named_templates(text, job, request)
    return failed(
        error.code,
        f"Helm cannot render the chart {request.path}: {text}",
        at=named[-1] if named else request.at or request.path,
        fix=error.fix,
        bundle=request.bundle,
    )


def _named_templates(text: str, job: Job, request: RenderRequest) -> Sequence[str]:
    """The templates that a message names, with lines: the first is where the error shows."""
    found = [
        (path, line)
        for template, line in _TEMPLATE.findall(text)
        for path in [_repository_path(template, job, request)]
        if not path.endswith(")")
    ]
    return [f"{path}:{line}" if line else path for path, line in found[:1]]
