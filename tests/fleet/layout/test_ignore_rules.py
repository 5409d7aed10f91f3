"""Fields to leave alone, as three dialects say it, become one model; what cannot is a problem."""

from __future__ import annotations

import re

import pytest

from agents.protocol import DriftMode, IgnoreRule, Options
from clusters.objects import ObjectKey
from fleet.placement import place
from tests.fleet.layout.repositories import CLUSTERS, problems_of, raw, repo_of

WEB = "apps/staging/web"
DEPLOYMENT = ObjectKey("apps", "Deployment", "shop", "web")


def options_of(text: str) -> Options:
    """What the fleet.yaml of `web` comes to."""
    (source,) = next(
        b for b in repo_of(CLUSTERS | raw(WEB) | {f"{WEB}/fleet.yaml": text}).bundles
    ).sources
    return source.options


def rules_of(text: str) -> tuple[IgnoreRule, ...]:
    """The rules in it."""
    return options_of(text).ignore


RANCHER = """
diff:
  comparePatches:
    - apiVersion: apps/v1
      kind: Deployment
      namespace: shop
      name: web
      operations: [{op: remove, path: /spec/replicas}]
      jsonPointers: [/metadata/annotations]
"""
ARGO = """
ignoreDifferences:
  - group: apps
    kind: Deploy*
    namespace: shop
    name: web
    jsonPointers: [/spec/replicas, /metadata/annotations]
    jqPathExpressions: ['.spec.template.spec.containers[] | select(.name == "proxy")']
    managedFieldsManagers: [kube-controller-manager]
"""
FLUX = """
driftDetection:
  mode: warn
  ignore:
    - paths: [/spec/replicas, /metadata/annotations]
      target: {group: apps, kind: Deployment, namespace: shop, name: we.}
"""


@pytest.mark.parametrize("text", [RANCHER, ARGO, FLUX])
def test_every_dialect_names_the_same_objects_and_fields(text: str) -> None:
    (rule,) = rules_of(text)
    assert set(rule.pointers) == {"/spec/replicas", "/metadata/annotations"}
    assert rule.is_about(DEPLOYMENT)
    for other in (
        ObjectKey("", "Deployment", "shop", "web"),
        ObjectKey("apps", "StatefulSet", "shop", "web"),
        ObjectKey("apps", "Deployment", "other", "web"),
        ObjectKey("apps", "Deployment", "shop", "website"),
    ):
        assert not rule.is_about(other)
    found = problems_of(CLUSTERS | raw(WEB) | {f"{WEB}/fleet.yaml": text})
    assert [problem for problem in found if problem.bundle == "web"] == []


def test_argo_also_names_jq_paths_and_managers() -> None:
    (rule,) = rules_of(ARGO)
    assert rule.jq == ('.spec.template.spec.containers[] | select(.name == "proxy")',)
    assert rule.managers == ("kube-controller-manager",)


def test_argo_without_a_group_means_the_core_group() -> None:
    (rule,) = rules_of("ignoreDifferences: [{kind: Service, jsonPointers: [/spec/ports]}]")
    assert rule.is_about(ObjectKey("", "Service", "any", "thing"))
    assert not rule.is_about(ObjectKey("serving.knative.dev", "Service", "any", "thing"))


def test_argo_with_stars_means_everything() -> None:
    (rule,) = rules_of('ignoreDifferences: [{group: "*", kind: "*", managedFieldsManagers: [x]}]')
    assert rule.is_about(DEPLOYMENT)


def test_flux_modes() -> None:
    assert options_of("driftDetection: {mode: enabled}").drift is DriftMode.CORRECT
    assert options_of(FLUX).drift is DriftMode.WARN
    assert options_of("driftDetection: {mode: disabled}").drift is DriftMode.WARN


@pytest.mark.parametrize(
    "text",
    [
        "diff: {comparePatches: [{kind: Job, operations: [{op: ignore}]}]}",
        'driftDetection: {ignore: [{paths: [""], target: {kind: Job}}]}',
        'ignoreDifferences: [{group: batch, kind: Job, jsonPointers: [""]}]',
    ],
)
def test_a_whole_object_can_be_ignored(text: str) -> None:
    (rule,) = rules_of(text)
    assert rule.everything
    assert rule.pointers == ()
    assert rule.is_about(ObjectKey("batch", "Job", "a", "b"))


def test_what_a_customization_ignores_is_added() -> None:
    text = "diff: {comparePatches: [{kind: A, jsonPointers: [/a]}]}\n"
    text += "targetCustomizations: [{clusterName: stg-1, diff: {comparePatches: "
    text += "[{kind: B, jsonPointers: [/b]}]}}]\n"
    placed = place(repo_of(CLUSTERS | raw(WEB) | {f"{WEB}/fleet.yaml": text}))
    (found,) = (one for one in placed.placed_in("stg-1") if one.bundle == "web")
    assert [rule.pointers for rule in found.options.ignore] == [("/a",), ("/b",)]


def test_a_listed_directory_may_say_it_too() -> None:
    files = CLUSTERS | raw(WEB) | {f"{WEB}/fleet.yaml": RANCHER}
    files[f"{WEB}/kustomization.yaml"] = "resources: [deployment.yaml]\n"
    listing = "kind: Kustomization\nresources: [../../apps/staging/web]\n"
    files["clusters/staging/kustomization.yaml"] = listing
    repo = repo_of(files)
    assert [p for p in repo.problems if p.bundle == "web"] == []
    assert next(b for b in repo.bundles if b.name == "web").sources[0].options.ignore


REFUSED = {
    "a pointer without a slash": ("spec/replicas", "does not begin with /"),
    "a pointer with a bad escape": ("/spec/~2", "neither ~0 nor ~1"),
}
HOSTILE = {
    "an operation": (
        "diff: {comparePatches: [{kind: A, operations: [{op: add, path: /a}]}]}",
        "operation 'add' is not honoured",
    ),
    "a label selector": (
        "driftDetection: {ignore: [{paths: [/a], target: {labelSelector: a=b}}]}",
        "target.labelSelector is not honoured",
    ),
    "no kind": ("ignoreDifferences: [{jsonPointers: [/a]}]", "names no kind"),
    "no field": ("diff: {comparePatches: [{kind: A}]}", "names no field to ignore"),
    "a mode": ("driftDetection: {mode: sometimes}", "'sometimes' is none"),
    "jq that loops": (
        "ignoreDifferences: [{kind: A, jqPathExpressions: ['def f: f; f']}]",
        "says 'def'",
    ),
    "jq that is invalid": (
        "ignoreDifferences: [{kind: A, jqPathExpressions: ['.a[']}]",
        "never closes its [",
    ),
    "jq that is no path": (
        "ignoreDifferences: [{kind: A, jqPathExpressions: ['.a | length']}]",
        "is no jq path expression",
    ),
    "a pattern that takes for ever": (
        "diff: {comparePatches: [{kind: A, name: (a+)+b, jsonPointers: [/a]}]}",
        "repeats or refers to a group",
    ),
    "a pattern that is none": (
        "driftDetection: {ignore: [{paths: [/a], target: {name: '['}}]}",
        "is no regular expression",
    ),
    "a list of numbers": ("diff: {comparePatches: [{kind: A, jsonPointers: [1]}]}", "not text"),
    "no list": ("diff: {comparePatches: {}}", "not a list"),
}


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.parametrize(
    "text",
    [
        "diff: {comparePatches: [{kind: A, jsonPointers: [P]}]}",
        "diff: {comparePatches: [{kind: A, operations: [{op: remove, path: P}]}]}",
        "ignoreDifferences: [{kind: A, jsonPointers: [P]}]",
        "driftDetection: {ignore: [{paths: [P]}]}",
    ],
)
def test_pointers_that_are_none_are_errors_at_their_line(name: str, text: str) -> None:
    pointer, why = REFUSED[name]
    _is_held(text.replace("P]", f"{pointer}]").replace("P}", f"{pointer}}}"), why)


@pytest.mark.parametrize("name", HOSTILE)
def test_what_cannot_be_honoured_holds_the_bundle_and_says_why(name: str) -> None:
    _is_held(*HOSTILE[name])


def _is_held(text: str, why: str) -> None:
    files = CLUSTERS | raw(WEB, "apps/staging/other") | {f"{WEB}/fleet.yaml": f"\n\n{text}\n"}
    repo = repo_of(files)
    found = [problem for problem in repo.problems if why in problem.what]
    assert found, [problem.what for problem in repo.problems]
    assert found[0].severity == "error"
    assert re.fullmatch(rf"{WEB}/fleet.yaml:3", found[0].at)
    assert repo.held == {"web"}
