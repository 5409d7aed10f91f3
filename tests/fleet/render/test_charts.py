"""Helm's own engine, and what Helm does between templates and a cluster."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agents.protocol import HookEvent
from fleet.layout import MemoryTree
from fleet.model import Severity
from fleet.render import Limits, Renderer
from tests.fleet.render.renders import artifact, chart, helm, names, objects, problem

CONFIG = """\
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}
  namespace: {{ .Release.Namespace }}
data:
"""


def object_text(kind: str, name: str, hook: str = "", **annotations: str) -> str:
    """One object as a template prints it."""
    said = ({"helm.sh/hook": hook} if hook else {}) | annotations
    metadata: dict[str, Any] = {"name": name} | ({"annotations": said} if said else {})
    return json.dumps({"apiVersion": "v1", "kind": kind, "metadata": metadata})


def data_of(renderer: Renderer, template: str, **fields: Any) -> dict[str, Any]:
    """The data of a ConfigMap whose template ends with `template`."""
    values = fields.pop("chart_values", "")
    files = chart(templates__cm=CONFIG + template, values=values)
    found: dict[str, Any] = objects(helm(renderer, files, **fields))[0]["data"]
    return found


def test_release_values_and_capabilities_reach_the_templates(renderer: Renderer) -> None:
    template = (
        "  a: x{{ .Values.a }}-{{ .Values.b }}\n"
        "  kube: {{ .Capabilities.KubeVersion }}\n"
        "  job: {{ .Capabilities.APIVersions.Has `batch/v1/CronJob` }}\n"
        "  mine: {{ .Capabilities.APIVersions.Has `x.dev/v1` }}\n"
        "  found: {{ len (lookup `v1` `Secret` `` ``) }}\n"
        "  install: {{ .Release.IsInstall }}\n"
    )
    found = data_of(
        renderer,
        template,
        chart_values="a: default\nb: kept\n",
        values={"a": "set"},
        api_versions=("x.dev/v1",),
    )
    assert found == {
        "a": "xset-kept",
        "kube": "v1.37.0",
        "job": True,
        "mine": True,
        "found": 0,
        "install": True,
    }
    old = data_of(renderer, template, kubernetes_version="1.30.2")
    assert (old["kube"], old["mine"]) == ("v1.30.2", False)


def test_the_release_is_named_after_the_bundle_unless_it_says_otherwise(renderer: Renderer) -> None:
    files = chart(templates__cm=CONFIG + "  a: b\n")
    (obj,) = objects(helm(renderer, files))
    assert obj["metadata"] == {"name": "web", "namespace": "default"}
    rendered = helm(renderer, files, release_name="shop", namespace="prod")
    assert objects(rendered)[0]["metadata"] == {"name": "shop", "namespace": "prod"}
    assert artifact(rendered).release == {"name": "shop", "chart": "demo", "version": "1.2.3"}
    assert rendered.charts == ("demo@1.2.3",)
    assert problem(helm(renderer, files, release_name="Not_A_Name")).code == "helm-failed"


def test_null_deletes_a_default_and_big_numbers_are_helms(renderer: Renderer) -> None:
    found = data_of(
        renderer,
        "  gone: {{ hasKey .Values `a` }}\n  big: {{ .Values.big | int64 }}\n",
        chart_values="a: 1\n",
        values={"a": None, "big": 12345678901},
    )
    assert found == {"gone": False, "big": 12345678901}


def test_documents_are_split_as_helm_splits_them(renderer: Renderer) -> None:
    one, two, three = (object_text("ConfigMap", name) for name in "abc")
    text = f"---# first\n{one}\n---# comment\n{two}\n---\n---\n# nothing\n---\n{three}\n"
    assert names(helm(renderer, chart(templates__cm=text))) == [
        "ConfigMap/a",
        "ConfigMap/b",
        "ConfigMap/c",
    ]


def test_objects_stand_in_helms_install_order_and_notes_are_left_out(renderer: Renderer) -> None:
    kinds = ["Ingress", "Zebra", "Deployment", "Secret", "Apple", "Namespace", "Service"]
    files = chart(**{f"templates__{n}": object_text(kind, "x") for n, kind in enumerate(kinds)})
    files["chart/templates/NOTES.txt"] = "Thank you for installing"
    assert [obj["kind"] for obj in objects(helm(renderer, files))] == [
        "Namespace",
        "Secret",
        "Service",
        "Deployment",
        "Ingress",
        "Apple",
        "Zebra",
    ]


def test_crds_come_first_and_are_no_templates(renderer: Renderer) -> None:
    crd = '{"apiVersion": "v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}'
    files = chart(
        templates__a=object_text("Namespace", "n"),
        crds__x=crd + ', "spec": {"text": "{{ not a template }}"}}',
    )
    assert names(helm(renderer, files)) == ["CustomResourceDefinition/x", "Namespace/n"]


def test_hooks_become_hooks_of_the_artifact_in_the_order_of_their_weight(
    renderer: Renderer,
) -> None:
    weight, policy = "helm.sh/hook-weight", "helm.sh/hook-delete-policy"
    files = chart(
        templates__a=object_text("Job", "late", "pre-install, Pre-Upgrade", **{weight: "5"}),
        templates__b=object_text("Job", "early", "pre-install", **{weight: "-5"}),
        templates__c=object_text(
            "Job",
            "odd",
            "post-delete,test",
            **{weight: "heavy", policy: "hook-failed, hook-succeeded"},
        ),
        templates__d=object_text("ConfigMap", "plain"),
    )
    rendered = helm(renderer, files)
    assert names(rendered) == ["ConfigMap/plain"]
    hooks = artifact(rendered).hooks
    assert [(h.object["metadata"]["name"], h.weight) for h in hooks] == [
        ("early", -5),
        ("odd", 0),
        ("late", 5),
    ]
    assert hooks[2].events == (HookEvent.PRE_INSTALL, HookEvent.PRE_UPGRADE)
    assert hooks[1].events == (HookEvent.POST_DELETE,)
    assert hooks[1].delete_policies == ("hook-failed", "hook-succeeded")
    assert hooks[0].delete_policies == ("before-hook-creation",)
    assert rendered.objects == 4


def test_test_hooks_never_get_in_even_if_they_are_random(renderer: Renderer) -> None:
    random = "{{ randAlphaNum 8 | lower }}"
    files = chart(
        templates__a=object_text("ConfigMap", "plain"),
        **{
            f"templates__tests__{n}": object_text("Pod", f"t{random}", hook)
            for n, hook in enumerate(("test", "test-success", "test-failure,test"))
        },
    )
    rendered = helm(renderer, files)
    assert names(rendered) == ["ConfigMap/plain"]
    assert artifact(rendered).hooks == ()


def test_an_annotation_of_another_tool_wins_over_helms(renderer: Renderer) -> None:
    argo = {"argocd.argoproj.io/hook": "PostSync", "argocd.argoproj.io/sync-wave": "4"}
    files = chart(templates__a=object_text("Job", "both", "pre-install", **argo))
    (hook,) = artifact(helm(renderer, files)).hooks
    assert (hook.events, hook.weight) == ((HookEvent.POST_SYNC,), 4)


@pytest.mark.parametrize("word", ["pre-sync", "sync", "post-sync", "sync-fail"])
def test_helm_knows_no_hooks_of_a_sync(renderer: Renderer, word: str) -> None:
    rendered = helm(renderer, chart(templates__a=object_text("Job", "odd", word)))
    assert artifact(rendered).hooks == ()
    assert [item.code for item in rendered.warnings] == ["hook-unknown"]


def test_a_hook_that_helm_does_not_know_is_left_out_with_a_warning(renderer: Renderer) -> None:
    files = chart(templates__a=object_text("Job", "odd", "crd-install,pre-install"))
    rendered = helm(renderer, files)
    assert names(rendered) == []
    (warning,) = rendered.warnings
    assert (warning.code, warning.severity) == ("hook-unknown", Severity.WARNING)
    assert (warning.at, "crd-install" in warning.what) == ("chart/templates/a.yaml", True)


@pytest.mark.parametrize(
    "template",
    ["{{ randAlphaNum 8 }}", "{{ uuidv4 }}", "{{ now }}", "{{ now | unixEpoch }}"],
)
def test_a_template_that_renders_differently_twice_is_refused_by_name(
    renderer: Renderer, template: str
) -> None:
    files = chart(
        templates__fine=object_text("ConfigMap", "fine"),
        templates__sub__secret=CONFIG + f"  a: '{template}'\n",
    )
    found = problem(helm(renderer, files))
    assert (found.code, found.at) == (
        "nondeterministic-template",
        "chart/templates/sub/secret.yaml",
    )


@pytest.mark.parametrize(
    ("template", "at", "said"),
    [
        ("{{ .Values.a.b.c }}", "chart/templates/cm.yaml:7", "nil pointer"),
        ("{{ required `say foo` .Values.foo }}", "chart/templates/cm.yaml:7", "say foo"),
        ("{{ if }}", "chart/templates/cm.yaml:7", "missing value for if"),
        ("{{ include `nope` . }}", "chart/templates/cm.yaml:7", "nope"),
        ("x\n bad: [", "chart/templates/cm.yaml", "cannot be read as YAML"),
    ],
)
def test_a_template_error_names_file_line_and_reason(
    renderer: Renderer, template: str, at: str, said: str
) -> None:
    found = problem(helm(renderer, chart(templates__cm=CONFIG + f"  a: {template}\n")))
    assert found.at == at
    assert said in found.what


def test_an_error_does_not_show_the_value_of_a_secret(renderer: Renderer) -> None:
    files = chart(templates__cm="{{ fail (printf `bad: %s` .Values.db.password) }}")
    found = problem(helm(renderer, files, values={"db": {"password": "canary-7"}}))
    assert "bad:" in found.what
    assert "canary-7" not in found.what


def test_values_are_held_against_the_charts_schema(renderer: Renderer) -> None:
    files = chart(templates__cm=CONFIG + "  a: b\n") | {
        "chart/values.schema.json": json.dumps(
            {"properties": {"port": {"type": "integer"}, "key": {"pattern": "^a$"}}}
        )
    }
    assert helm(renderer, files, values={"port": 80}).problem is None
    found = problem(helm(renderer, files, values={"port": "80"}))
    assert (found.code, "/port" in found.what) == ("helm-values", True)
    assert "canary-7" not in problem(helm(renderer, files, values={"key": "canary-7"})).what


def head(**fields: Any) -> str:
    """A Chart.yaml."""
    return json.dumps({"apiVersion": "v2", "name": "demo", "version": "1.2.3"} | fields)


def test_the_declared_kubernetes_version_must_be_one_that_the_chart_supports(
    renderer: Renderer,
) -> None:
    files = chart(templates__a=object_text("ConfigMap", "a"))
    files["chart/Chart.yaml"] = head(kubeVersion=">=1.31.0-0")
    assert helm(renderer, files).problem is None
    found = problem(helm(renderer, files, kubernetes_version="1.30.4"))
    assert found.code == "chart-kube-version"
    assert "v1.30.4" in found.what
    files["chart/Chart.yaml"] = head(kubeVersion="as you like")
    assert problem(helm(renderer, files)).code == "chart-kube-version"


def with_subchart(**dependency: Any) -> dict[str, str]:
    """A chart with one subchart that has a template and a CRD."""
    files = chart(templates__a=object_text("ConfigMap", "parent"), values="sub: {enabled: false}\n")
    files["chart/Chart.yaml"] = head(
        dependencies=[{"name": "sub", "version": "1.x", "repository": ""} | dependency]
    )
    return files | {
        "chart/charts/sub/Chart.yaml": head(name="sub"),
        "chart/charts/sub/templates/a.yaml": object_text("ConfigMap", "child-{{ .Chart.Name }}"),
        "chart/charts/sub/crds/x.yaml": object_text("CustomResourceDefinition", "x"),
    }


def test_subcharts_follow_condition_tags_and_alias_and_so_do_their_crds(renderer: Renderer) -> None:
    assert names(helm(renderer, with_subchart())) == [
        "CustomResourceDefinition/x",
        "ConfigMap/child-sub",
        "ConfigMap/parent",
    ]
    assert names(helm(renderer, with_subchart(condition="sub.enabled"))) == ["ConfigMap/parent"]
    on = helm(renderer, with_subchart(condition="sub.enabled"), values={"sub": {"enabled": True}})
    assert len(names(on)) == 3
    off = helm(renderer, with_subchart(tags=["db"]), values={"tags": {"db": False}})
    assert names(off) == ["ConfigMap/parent"]
    assert "ConfigMap/child-other" in names(helm(renderer, with_subchart(alias="other")))


def test_an_error_in_a_subchart_points_at_the_subcharts_file(renderer: Renderer) -> None:
    files = with_subchart() | {"chart/charts/sub/templates/a.yaml": "{{ fail `no` }}"}
    assert problem(helm(renderer, files)).at == "chart/charts/sub/templates/a.yaml:1"


def test_a_dependency_that_is_not_vendored_is_named(renderer: Renderer) -> None:
    files = chart(templates__a=object_text("ConfigMap", "a"))
    files["chart/Chart.yaml"] = head(
        dependencies=[{"name": "redis", "version": "1", "repository": "https://example.test"}]
    )
    found = problem(helm(renderer, files))
    assert (found.code, "redis" in found.what) == ("chart-dependency-missing", True)
    assert "helm dependency build" in found.fix


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({"chart/x.yaml": "a: b"}, "chart-missing"),
        ({"chart/Chart.yaml": head(type="library")}, "chart-library"),
        ({"chart/Chart.yaml": "name: [\n"}, "helm-failed"),
        ({"chart/Chart.yaml": head(), "chart/values.yaml": "a: [\n"}, "helm-failed"),
    ],
)
def test_what_is_no_usable_chart_is_said(
    renderer: Renderer, files: dict[str, str], code: str
) -> None:
    found = problem(helm(renderer, files, at="apps/x/fleet.yaml"))
    assert found.code == code
    assert "/tmp" not in found.what


def test_a_chart_at_the_root_or_behind_a_link_renders_too(renderer: Renderer) -> None:
    files = chart(templates__a=object_text("ConfigMap", "a"))
    root = {path.removeprefix("chart/"): text for path, text in files.items()}
    assert names(helm(renderer, root, path="")) == ["ConfigMap/a"]
    linked = MemoryTree(files, links={"apps/x": "../chart"})
    assert names(helm(renderer, linked, path="apps/x")) == ["ConfigMap/a"]


def test_a_link_out_of_the_repository_is_refused_before_helm_sees_it(renderer: Renderer) -> None:
    files = chart(templates__a="{{ .Files.Get `secret` }}")
    tree = MemoryTree(files, links={"chart/secret": "../../../../../../etc/passwd"})
    assert problem(helm(renderer, tree)).code == "link-leaves-repository"


def test_one_object_printed_twice_names_both_templates(renderer: Renderer) -> None:
    text = object_text("ConfigMap", "a")
    found = problem(helm(renderer, chart(templates__one=text, templates__two=text)))
    assert (found.code, found.at) == (
        "object-twice",
        "chart/templates/one.yaml, chart/templates/two.yaml",
    )


@pytest.mark.slow
def test_a_template_that_eats_all_memory_is_one_problem_and_the_next_one_renders(
    tmp_path: Path,
) -> None:
    limits = Limits(memory_bytes=512 * 1024**2, seconds=20)
    bomb = chart(templates__a="{{ range until 1000000000 }}x{{ end }}")
    with Renderer(tmp_path, workers=1, limits=limits) as renderer:
        assert problem(helm(renderer, bomb)).code == "render-crashed"
        assert names(helm(renderer, chart(templates__a=object_text("Pod", "p")))) == ["Pod/p"]
        assert problem(helm(renderer, bomb)).code == "render-crashed", "a crash is never kept"
        assert renderer.rendered_jobs == 3


@pytest.mark.slow
def test_a_template_that_never_ends_is_ended(tmp_path: Path) -> None:
    loop = chart(
        templates__a="{{ range until 30000 }}{{ range until 30000 }}{{ end }}{{ end }}",
    )
    with Renderer(tmp_path, workers=1, limits=Limits(seconds=0.1)) as renderer:
        assert problem(helm(renderer, loop)).code == "render-timeout"


FAKE_HELM = """\
#!/bin/sh
[ "$1" = version ] && echo v9 && exit 0
cat > /dev/null
echo "$*" | grep -q -- '--kube-version v1.30.0' || { echo 'Error: wrong flags' >&2; exit 1; }
cat <<'END'
---
# Source: demo/crds/x.yaml
{"apiVersion": "v1", "kind": "CustomResourceDefinition", "metadata": {"name": "x"}}
---
# Source: demo/templates/a.yaml
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
---
# Source: demo/templates/a.yaml
{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}}
END
"""


def test_a_helm_program_can_stand_in_for_the_library(tmp_path: Path) -> None:
    program = tmp_path / "helm"
    program.write_text(FAKE_HELM)
    program.chmod(0o755)
    files = chart(templates__a="ignored by the stand-in")
    with Renderer(tmp_path / "cache", workers=1, helm=str(program)) as renderer:
        rendered = helm(renderer, files, kubernetes_version="1.30.0")
        assert names(rendered) == ["CustomResourceDefinition/x", "ConfigMap/a", "ConfigMap/b"]
        assert rendered.charts == ("demo@1.2.3",)
        assert "wrong flags" in problem(helm(renderer, files)).what
