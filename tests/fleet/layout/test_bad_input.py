"""One bad file gives one clear error that names file and cure; the others go on.

Each row: what is added to a repository that works, the error, and whom it holds. `other` is always
the bundle that has nothing to do with it.
"""

from __future__ import annotations

from typing import Any

import pytest

from fleet.model import Severity
from fleet.placement import place
from tests.fleet.layout.repositories import (
    CHART,
    CLUSTERS,
    PRODUCTION,
    STAGING,
    cluster,
    codes_of,
    kustomized,
    listing,
    outcome,
    problems_of,
    raw,
    repo_of,
)

HOME = CLUSTERS | raw(
    "apps/staging/web", "apps/production/web", "apps/staging/other", "apps/production/other"
)
FLEET = "apps/staging/web/fleet.yaml"


def fleet(text: str) -> dict[str, str]:
    """The repository that works, with this fleet.yaml in one source of `web`."""
    return HOME | {FLEET: text}


ERRORS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "broken YAML": (fleet("name: web\nhelm: [\n"), "yaml-invalid", f"{FLEET}:3", "web"),
    "a key twice": (fleet("a: 1\nname: x\nname: y\n"), "yaml-invalid", f"{FLEET}:3", "x web"),
    "a tab": (fleet("labels:\n\tteam: x\n"), "yaml-invalid", f"{FLEET}:2", "web"),
    "two documents": (fleet("name: web\n---\nname: x\n"), "yaml-invalid", FLEET, "web"),
    "a list": (fleet("- name: web\n"), "bad-field", FLEET, "web"),
    "python": (fleet("a: !!python/object:os.system {}\n"), "yaml-invalid", f"{FLEET}:1", "web"),
    "an alias bomb": (
        fleet("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
        )),
        "yaml-invalid", FLEET, "web",
    ),
    "a number for a text": (fleet("x: y\nnamespace: 5\n"), "bad-field", f"{FLEET}:2", "web"),
    "a label that is `no`": (fleet("labels:\n  eu: no\n"), "bad-field", f"{FLEET}:2", "web"),
    "a text for a flag": (fleet('keepResources: "yes"\n'), "bad-field", f"{FLEET}:1", "web"),
    "a huge number": (
        fleet("helm:\n  values: {n: 36893488147419103232}\n"), "bad-field", f"{FLEET}:2", "web",
    ),
    "infinity": (fleet("helm: {values: {n: .inf}}\n"), "yaml-invalid", f"{FLEET}:1", "web"),
    "a negative time": (fleet("helm: {timeoutSeconds: -5}\n"), "bad-field", f"{FLEET}:1", "web"),
    "a duration": (fleet("helm: {timeoutSeconds: 1.s}\n"), "bad-field", f"{FLEET}:1", "web"),
    "an unknown dependency": (
        fleet("dependsOn:\n  - name: other\n  - name: dtabase\n"),
        "unknown-dependency", f"{FLEET}:3", "web",
    ),
    "a bad operator": (
        fleet("targets: [{clusterSelector: {matchExpressions: [{key: a, operator: Gt}]}}]\n"),
        "bad-field", f"{FLEET}:1", "web",
    ),
    "In without values": (
        fleet("targets: [{clusterSelector: {matchExpressions: [{key: a, operator: In}]}}]\n"),
        "bad-field", f"{FLEET}:1", "web",
    ),
    "a number in a selector": (
        fleet("targets:\n - clusterSelector:\n     matchLabels: {a: 1}\n"),
        "bad-field", f"{FLEET}:3", "web",
    ),
    "no chart there": (fleet("helm:\n  chart: ./chart\n"), "chart-missing", f"{FLEET}:2", "web"),
    "a chart outside": (
        fleet("helm: {chart: ../../../../etc}\n"), "chart-missing", f"{FLEET}:1", "web",
    ),
    "an absolute chart": (fleet("helm: {chart: /etc}\n"), "chart-missing", f"{FLEET}:1", "web"),
    "a remote chart": (
        fleet("helm: {chart: 'oci://x/y'}\n"), "unsupported-field", f"{FLEET}:1", "web",
    ),
    "values that live in the cluster": (
        fleet("helm:\n  valuesFrom: [{secretKeyRef: {name: x}}]\n"),
        "unsupported-field", f"{FLEET}:2", "web",
    ),
    "no values file": (
        fleet("helm: {valuesFiles: [a.yaml]}\n"), "values-missing", f"{FLEET}:1", "web",
    ),
    "a broken values file": (
        fleet("helm: {valuesFiles: [../../v.txt]}\n") | {"apps/v.txt": "a: 1\nb: [\n"},
        "yaml-invalid", "apps/v.txt:3", "web",
    ),
    "values that are a list": (
        fleet("helm: {valuesFiles: [../../v.txt]}\n") | {"apps/v.txt": "[1]\n"},
        "bad-field", "apps/v.txt", "web",
    ),
    "no overlay": (fleet("yaml: {overlays: [eu]}\n"), "overlay-missing", f"{FLEET}:1", "web"),
    "an overlay outside": (
        fleet("yaml: {overlays: [../../..]}\n"), "overlay-missing", f"{FLEET}:1", "web",
    ),
    "no kustomization": (
        fleet("kustomize: {dir: ./k}\n"), "kustomize-missing", f"{FLEET}:1", "web",
    ),
    "a variable named 1x": (
        fleet("variables:\n  A: x\n  1x: y\n"), "bad-variable", f"{FLEET}:3", "web",
    ),
    "a variable that is a number": (
        fleet("variables: {A: 014}\n"), "bad-field", f"{FLEET}:1", "web",
    ),
    "an empty service account": (
        fleet('x: y\nserviceAccount: ""\n'), "bad-field", f"{FLEET}:2", "web",
    ),
    "a service account of nothing": (
        fleet("x: y\nserviceAccount:\n"), "bad-field", f"{FLEET}:2", "web",
    ),
    "a service account of blanks": (
        fleet('serviceAccount: "  "\n'), "bad-field", f"{FLEET}:1", "web",
    ),
    "a user for a service account": (
        fleet('serviceAccount: "system:admin"\n'), "bad-field", f"{FLEET}:1", "web",
    ),
    "an empty service account for one cluster": (
        fleet('targetCustomizations:\n- {clusterName: a, serviceAccount: ""}\n'),
        "bad-field", f"{FLEET}:2", "web",
    ),
    "a service account that is a number": (
        fleet("serviceAccount: 5\n"), "bad-field", f"{FLEET}:1", "web",
    ),
    "a paused bundle": (fleet("paused: true\n"), "paused", f"{FLEET}:1", "web"),
    "labels that differ": (
        fleet("labels: {a: x}\n") | {"apps/production/web/fleet.yaml": "labels: {a: z}\n"},
        "labels-differ", f"apps/production/web/fleet.yaml, {FLEET}", "web",
    ),
    "a cycle": (
        fleet("dependsOn: [{name: b}]\n")
        | raw("infrastructure/b", "infrastructure/c")
        | {"infrastructure/b/fleet.yaml": "dependsOn: [{name: c}]"}
        | {"infrastructure/c/fleet.yaml": "dependsOn: [{name: web}]"},
        "dependency-cycle",
        f"infrastructure/b/fleet.yaml:1, infrastructure/c/fleet.yaml:1, {FLEET}:1",
        "b c web",
    ),
    "a bundle that waits for itself": (
        fleet("dependsOn: [{name: web}]\n"), "dependency-cycle", f"{FLEET}:1", "web",
    ),
    "an entry of dependsOn that names nothing": (
        fleet("dependsOn:\n  - {}\n"), "bad-field", f"{FLEET}:2", "web",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", ERRORS)
def test_one_bad_declaration_holds_its_bundle_and_no_other(name: str) -> None:
    files, code, at, held = ERRORS[name]
    repo = repo_of(files)
    errors = [p for p in repo.problems if p.severity is Severity.ERROR]
    assert [(p.code, p.at) for p in errors] == [(code, at)]
    assert errors[0].fix
    assert errors[0].bundle in held.split()
    assert repo.held == set(held.split())
    assert outcome(files)["stg-1"]["other"] == "apps/staging/other"
    assert not repo.held_clusters


def test_a_variable_of_digits_is_not_shown_since_it_may_be_a_password() -> None:
    (problem,) = problems_of(fleet("variables: {PIN: 271828}\n"))
    assert "PIN" in problem.what
    assert "271828" not in repr(problem)


def test_a_broken_file_is_held_under_the_name_that_it_seems_to_give() -> None:
    files = HOME | {FLEET: "name: storefront\nhelm: [\n"}
    assert repo_of(files).held == {"storefront", "web"}


def test_a_held_bundle_is_still_placed_so_that_nobody_removes_it() -> None:
    repo = repo_of(fleet("helm: ["))
    assert [p.bundle for p in place(repo).placed_in("stg-1")] == ["other", "web"]


def test_a_cycle_is_named_in_full() -> None:
    (problem,) = [p for p in problems_of(ERRORS["a cycle"][0]) if p.severity == "error"]
    assert problem.what == "bundles wait for each other: b → c → web → b"


def test_who_waits_for_a_cycle_is_not_in_it() -> None:
    files = ERRORS["a cycle"][0] | {"apps/staging/other/fleet.yaml": "dependsOn: [{name: b}]"}
    assert repo_of(files).held == {"b", "c", "web"}


def test_two_cycles_are_two_errors() -> None:
    names = {"a": "b", "b": "a", "c": "d", "d": "c"}
    files = CLUSTERS | raw(*(f"infrastructure/{name}" for name in names))
    for name, other in names.items():
        files[f"infrastructure/{name}/fleet.yaml"] = f"dependsOn: [{{name: {other}}}]"
    assert codes_of(files).count("dependency-cycle") == 2


def test_a_dependency_may_be_selected_by_its_labels() -> None:
    files = fleet("dependsOn: [{selector: {matchLabels: {tier: data}}}]\n")
    files["apps/staging/other/fleet.yaml"] = "labels: {tier: data}"
    web = next(b for b in repo_of(files).bundles if b.name == "web")
    assert web.depends_on == ("other",)


WARNINGS = {
    "a misspelt field": ("nmae: x\n", "unknown-field", "did you mean 'name'?"),
    "rolloutStrategy": ("rolloutStrategy: {}\n", "unsupported-field", "kind: Rollout"),
    "deep down": ("helm: {releaseNme: x}\n", "unknown-field", "did you mean 'releaseName'?"),
    "in a customization": (
        "targetCustomizations: [{clusterName: a, doNotDeply: true}]\n",
        "unknown-field",
        "did you mean 'doNotDeploy'?",
    ),
    "an entry that selects nothing": (
        "targetCustomizations: [{name: a}]\n",
        "matches-nothing",
        "clusterSelector",
    ),
    "values without a chart": ("helm: {values: {a: 1}}\n", "values-unused", "helm.chart"),
    "two time-outs": (
        "helm: {timeoutSeconds: 90}\ntimeout: 5m\n",
        "timeout-twice",
        "say one of them",
    ),
    "driftDetection.mode": (
        "driftDetection: {mode: disabled}\n",
        "unsupported-field",
        "reported all the same",
    ),
}


@pytest.mark.parametrize("name", WARNINGS)
def test_what_is_not_honoured_is_said_with_its_line(name: str) -> None:
    text, code, fix = WARNINGS[name]
    (problem,) = problems_of(fleet("\n# a comment\n" + text))
    assert (problem.code, problem.severity, problem.at) == (code, "warning", _at(code))
    assert fix in problem.fix
    assert problem.bundle == "web"


def _at(code: str) -> str:
    return FLEET if code == "values-unused" else f"{FLEET}:3"


def test_two_sources_of_one_name_are_an_error_for_the_clusters_that_both_reach() -> None:
    files = CLUSTERS | raw("infrastructure/web", "apps/production/web", "apps/staging/other")
    (problem,) = problems_of(files)
    assert (problem.code, problem.severity) == ("two-sources", "error")
    assert problem.what == "two sources of bundle 'web' reach cluster prd-1 and 1 more"
    assert problem.at == "apps/production/web, infrastructure/web"
    assert problem.fix == "give one of them another name in its fleet.yaml"
    got = outcome(files)
    assert got["stg-1"] == {"other": "apps/staging/other", "web": "infrastructure/web"}
    assert got["prd-1"] == {}


@pytest.mark.parametrize(
    "field",
    ["targets: []", "namespace: x", "helm: {}", "kustomize: {dir: .}", "yaml: {overlays: []}",
     "variables: {A: b}", "targetCustomizations: []"],
)  # fmt: skip
def test_a_listed_directory_cannot_say_what_changes_objects(field: str) -> None:
    listed = kustomized("apps/staging/web", "apps/staging/other")
    files = CLUSTERS | listed | {FLEET: f"name: web\n{field}\n"}
    files["clusters/staging/kustomization.yaml"] = listing("apps/staging/web", "apps/staging/other")
    errors = [p for p in problems_of(files) if p.severity == "error"]
    assert [(p.code, p.at, p.bundle) for p in errors] == [("listed-field", f"{FLEET}:2", "web")]
    assert repo_of(files).held == {"web"}


def test_a_listed_directory_may_say_name_labels_dependencies_and_drift() -> None:
    files = CLUSTERS | kustomized("apps/staging/web", "infrastructure/dns")
    files[FLEET] = (
        "name: api\nlabels: {a: b}\ndependsOn: [{name: dns}]\ncorrectDrift: {enabled: false}\n"
    )
    files["clusters/staging/kustomization.yaml"] = listing("apps/staging/web", "infrastructure/dns")
    repo = repo_of(files)
    assert [p for p in repo.problems if p.code != "cluster-ungrouped"] == []
    api = next(b for b in repo.bundles if b.name == "api")
    assert (api.labels, api.depends_on) == ({"a": "b"}, ("dns",))
    assert api.sources[0].options.drift == "warn"


def test_a_reserved_name_is_refused_and_the_groups_own_bundle_stays() -> None:
    files = CLUSTERS | kustomized("infrastructure/x") | raw("apps/staging/web")
    files[FLEET] = "name: staging-cluster\n"
    files["clusters/staging/kustomization.yaml"] = listing("infrastructure/x")
    errors = [p for p in problems_of(files) if p.severity == "error"]
    assert [(p.code, p.at) for p in errors] == [("reserved-name", FLEET)]
    assert outcome(files)["stg-1"] == {
        "staging-cluster": "clusters/staging",
        "x": "infrastructure/x",
    }


@pytest.mark.parametrize("name", ["Web", "web_1", "-x", "x" * 64, "höme"])
def test_a_directory_whose_name_cannot_be_a_bundles_name_is_an_error(name: str) -> None:
    files = CLUSTERS | raw(f"apps/staging/{name}", "apps/staging/other", "apps/production/other")
    (problem,) = problems_of(files)
    assert (problem.code, problem.at) == ("bad-name", f"apps/staging/{name}")
    assert outcome(files)["stg-1"] == {"other": "apps/staging/other"}


@pytest.mark.parametrize(
    "text", ["resources: [\n", "resources: {a: b}\n", "- a\n", "resources: [{a: b}]\n"]
)
def test_a_groups_file_that_cannot_be_read_holds_its_clusters_and_no_others(text: str) -> None:
    files = CLUSTERS | kustomized("apps/production/web", "infrastructure/dns")
    files |= raw("apps/staging/other")
    files["clusters/production/kustomization.yaml"] = (
        "# - ../../x\nbases:\n  - ../../infrastructure/dns\n" + text
    )
    repo = repo_of(files)
    (problem,) = repo.problems
    assert problem.at.startswith("clusters/production/kustomization.yaml")
    assert problem.cluster == "production"
    assert repo.held_clusters == {"prd-1", "prd-2"}
    # What it seems to list is not given to the others for that.
    assert outcome(files)["stg-1"] == {"other": "apps/staging/other"}


def test_a_listed_directory_that_is_missing_is_held() -> None:
    files = CLUSTERS | raw("apps/production/other")
    files["clusters/staging/kustomization.yaml"] = listing("apps/staging/gone")
    (problem,) = problems_of(files)
    assert (problem.code, problem.at) == (
        "listed-missing",
        "clusters/staging/kustomization.yaml:2",
    )
    assert repo_of(files).held == {"gone"}
    assert [p.bundle for p in place(repo_of(files)).placed_in("stg-1")] == [
        "gone",
        "staging-cluster",
    ]


def test_a_broken_document_leaves_the_other_clusters_of_its_file() -> None:
    bad = "---\napiVersion: fleet.dev/v1\nkind: Cluster\nmetadata:\n name: bad-1\n labels: {a: [\n"
    files = {"clusters/all.yaml": STAGING + bad + PRODUCTION} | raw(
        "apps/staging/web", "apps/production/web"
    )
    repo = repo_of(files)
    assert [c.name for c in repo.clusters] == ["bad-1", "prd-1", "prd-2", "stg-1"]
    assert repo.held_clusters == {"bad-1"}
    (problem,) = repo.problems
    assert (problem.code, problem.at) == ("yaml-invalid", "clusters/all.yaml:11")
    assert outcome(files)["prd-2"] == {"web": "apps/production/web"}
    assert not repo.unread


BAD_CLUSTERS = {
    "a number as label": ("labels: {env: production, size: 3}", ""),
    "labels that are a list": ("labels: []", ""),
    "a version that YAML cut": ("labels: {}", "spec: {kubernetesVersion: 1.30}"),
    "a version that is none": ("labels: {}", "spec: {kubernetesVersion: latest}"),
    "a way to leave that is none": ("labels: {}", "spec: {deletionPolicy: obliterate}"),
    "values that are a text": ("labels: {}", "spec: {values: x}"),
    "values too large": ("labels: {}", "spec: {values: {a: 18446744073709551616}}"),
}


@pytest.mark.parametrize("name", BAD_CLUSTERS)
def test_a_cluster_that_cannot_be_read_is_declared_and_held(name: str) -> None:
    labels, spec = BAD_CLUSTERS[name]
    text = f"apiVersion: fleet.dev/v1\nkind: Cluster\nmetadata: {{name: odd, {labels}}}\n{spec}\n"
    repo = repo_of(HOME | {"clusters/odd.yaml": text})
    assert repo.held_clusters == {"odd"}
    (problem,) = repo.problems
    assert (problem.code, problem.cluster) == ("bad-field", "odd")
    assert problem.at.startswith("clusters/odd.yaml:")
    assert place(repo).placed_in("odd") == ()


def test_a_cluster_that_is_declared_twice_is_held() -> None:
    repo = repo_of(HOME | {"clusters/z.yaml": cluster("stg-1", "production")})
    (problem,) = repo.problems
    assert (problem.code, problem.at) == (
        "cluster-twice",
        "clusters/clusters.yaml:2, clusters/z.yaml:2",
    )
    assert repo.held_clusters == {"stg-1"}


def test_a_group_that_is_declared_twice_holds_whom_either_selects() -> None:
    group = (
        "apiVersion: fleet.dev/v1\nkind: ClusterGroup\nmetadata: {name: g}\nspec: {selector: %s}\n"
    )
    files = HOME | {
        "clusters/a.yaml": group % "{matchLabels: {region: us}}",
        "clusters/b.yaml": group % "{matchLabels: {env: staging}}",
    }
    repo = repo_of(files)
    assert [p.code for p in repo.problems] == ["group-twice"]
    assert repo.held_clusters == {"prd-2", "stg-1"}


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("apiVersion: fleet.dev/v1\nkind: Cluster\nmetadata: {name: A_b}\n", "Cluster"),
        ("apiVersion: fleet.dev/v1\nkind: Rollout\nspec: {}\n", "Rollout"),
        ("apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: x}\nspec: [\n", "Rollout"),
        ("apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: x}\nspec: 5\n", "Rollout"),
        ("apiVersion: fleet.dev/v1\nkind: [\n", ""),
        ("kind: Cluster\nmetadata: {name: x}\n", "Cluster"),
        ("apiVersion: fleet.dev/v1\nmetadata: []\n", ""),
    ],
)
def test_a_document_that_cannot_be_read_says_of_which_kind_nothing_is_known(
    text: str, kind: str
) -> None:
    repo = repo_of(HOME | {"clusters/odd.yaml": text})
    assert repo.unread == {kind}
    assert len([p for p in repo.problems if p.severity == "error"]) == 1
    assert len(repo.clusters) == 3


def test_documents_of_others_are_not_ours() -> None:
    other = "apiVersion: cluster.x-k8s.io/v1beta1\nkind: Cluster\nmetadata: {name: x}\n"
    repo = repo_of(HOME | {"clusters/capi.yaml": other, "clusters/broken.yaml": "a: [\n"})
    assert repo.problems == ()
    assert len(repo.clusters) == 3


def test_a_chart_with_a_kustomization_file_says_which_is_used() -> None:
    files = CLUSTERS | kustomized("apps/staging/web") | {"apps/staging/web/Chart.yaml": CHART}
    assert "two-forms" in codes_of(files)


def test_a_directory_with_nothing_to_deploy_is_said() -> None:
    files = HOME | {"infrastructure/notes/README.md": "x"}
    (problem,) = problems_of(files)
    assert (problem.code, problem.at) == ("empty-directory", "infrastructure/notes")
