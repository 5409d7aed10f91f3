"""What a fleet.yaml in Rancher Fleet's schema becomes."""

from __future__ import annotations

from agents.protocol import Deletion, DriftMode, Options
from fleet.model import (
    Customization,
    Form,
    HelmSpec,
    Requirement,
    Selector,
    Source,
    TargetRule,
)
from tests.fleet.layout.repositories import CHART, CLUSTERS, problems_of, raw, repo_of

WEB = "apps/staging/web"
FULL = """
name: shop
labels: {team: retail}
defaultNamespace: shop
keepResources: true
helm:
  chart: ../../base/chart
  releaseName: shop-web
  takeOwnership: true
  force: true
  timeoutSeconds: 90
  maxHistory: 3
  valuesFiles: [a.yaml, b.yaml]
  values: {from: values, deep: {values: 1, gone: null}}
variables:
  REGION: "${ .ClusterLabels.region }"
  PLAIN: null
dependsOn: [{name: dns}]
correctDrift: {enabled: true, force: true, keepFailHistory: true}
targetCustomizations:
  - name: eu
    clusterSelector:
      matchLabels: {region: eu}
      matchExpressions: [{key: size, operator: NotIn, values: [small]}]
    clusterGroup: staging
    namespace: shop-eu
    correctDrift: {enabled: false}
    helm: {values: {deep: {eu: true}}, force: false}
    variables: {REGION: europe}
  - clusterName: stg-9
    doNotDeploy: true
"""
FILES = CLUSTERS | {
    f"{WEB}/fleet.yaml": FULL,
    f"{WEB}/a.yaml": "from: a\ndeep: {a: 1, gone: 1}\nonly: a\n",
    f"{WEB}/b.yaml": "from: b\ndeep: {b: 2}\n",
    "apps/base/chart/Chart.yaml": CHART,
    **raw("infrastructure/dns"),
}


def source_of(files: dict[str, str], name: str) -> Source:
    """The first source of a bundle."""
    return next(b for b in repo_of(files).bundles if b.name == name).sources[0]


def test_every_honoured_field_arrives() -> None:
    source = source_of(FILES, "shop")
    assert [p for p in problems_of(FILES) if p.code != "cluster-ungrouped"] == []
    assert source.form is Form.HELM
    assert source.options == Options(
        namespace="shop",
        keep_resources=True,
        take_ownership=True,
        force=True,
        timeout_seconds=90,
        drift=DriftMode.CORRECT,
        drift_force=True,
        depends_on=("dns",),
    )
    assert source.helm == HelmSpec(
        chart="apps/base/chart",
        release_name="shop-web",
        values={
            "from": "values",
            "deep": {"a": 1, "b": 2, "values": 1, "gone": None},
            "only": "a",
        },
        values_files=(f"{WEB}/a.yaml", f"{WEB}/b.yaml"),
    )
    assert source.variables == {"REGION": "${ .ClusterLabels.region }", "PLAIN": ""}
    assert source.at == f"{WEB}/fleet.yaml"


def test_customizations_arrive_in_order() -> None:
    eu, off = source_of(FILES, "shop").customizations
    assert eu == Customization(
        name="eu",
        selector=Selector((("region", "eu"),), (Requirement("size", "NotIn", ("small",)),)),
        group="staging",
        helm=HelmSpec(values={"deep": {"eu": True}}),
        namespace="shop-eu",
        variables={"REGION": "europe"},
        options={"drift": DriftMode.WARN, "force": False},
    )
    assert (off.name, off.cluster, off.do_not_deploy) == ("target001", "stg-9", True)


def test_namespace_forces_and_default_namespace_does_not() -> None:
    files = CLUSTERS | raw(WEB)
    both = files | {f"{WEB}/fleet.yaml": "namespace: a\ndefaultNamespace: b\n"}
    assert source_of(both, "web").options == Options(namespace="a", force_namespace=True)
    only = files | {f"{WEB}/fleet.yaml": "defaultNamespace: b\n"}
    assert source_of(only, "web").options == Options(namespace="b")


def test_what_becomes_of_objects_and_namespaces_is_said() -> None:
    files = CLUSTERS | raw(WEB)
    text = (
        "defaultNamespace: shop\nnamespaceLabels: {tier: one, team: shop}\n"
        "namespaceAnnotations: {owner: sre}\ndeletionPolicy: orphan\nallowWipe: true\n"
        "serviceAccount: team-a\n"
    )
    assert source_of(files | {f"{WEB}/fleet.yaml": text}, "web").options == Options(
        namespace="shop",
        namespace_labels=(("team", "shop"), ("tier", "one")),
        namespace_annotations=(("owner", "sre"),),
        deletion=Deletion.ORPHAN,
        allow_wipe=True,
        service_account="team-a",
    )
    wrong = files | {f"{WEB}/fleet.yaml": "deletionPolicy: shred\n"}
    assert "bad-field" in [p.code for p in problems_of(wrong)]


def test_drift_is_corrected_unless_it_is_said_otherwise() -> None:
    files = CLUSTERS | raw(WEB)
    assert source_of(files, "web").options.drift is DriftMode.CORRECT
    said = {"correctDrift: {}": DriftMode.CORRECT, "correctDrift: {enabled: false}": DriftMode.WARN}
    for text, mode in said.items():
        assert source_of(files | {f"{WEB}/fleet.yaml": text}, "web").options.drift is mode


def test_override_targets_are_targets() -> None:
    files = CLUSTERS | raw(WEB) | {f"{WEB}/fleet.yaml": "overrideTargets: [{clusterName: prd-1}]"}
    assert source_of(files, "web").targets == (TargetRule(cluster="prd-1"),)


def test_an_empty_fleet_yaml_changes_nothing() -> None:
    files = CLUSTERS | raw(WEB)
    assert source_of(files | {f"{WEB}/fleet.yaml": ""}, "web").options == Options()


def test_forms() -> None:
    files = (
        CLUSTERS
        | raw("infrastructure/raw", "infrastructure/kdir/k")
        | {
            "infrastructure/chart/Chart.yaml": CHART,
            "infrastructure/kust/kustomization.yml": "resources: []\n",
            "infrastructure/kdir/fleet.yaml": "kustomize: {dir: ./k}\n",
            "infrastructure/kdir/k/Kustomization": "resources: [deployment.yaml]\n",
        }
    )
    forms = {b.name: (b.sources[0].form, b.sources[0].listable) for b in repo_of(files).bundles}
    assert forms == {
        "chart": (Form.HELM, False),
        "kdir": (Form.KUSTOMIZE, False),
        "kust": (Form.KUSTOMIZE, True),
        "raw": (Form.RAW, False),
    }
    assert source_of(files, "kdir").kustomize_dir == "infrastructure/kdir/k"


def test_raw_manifests_leave_out_what_is_not_theirs() -> None:
    web = "infrastructure/web"
    files = CLUSTERS | raw(web, f"{web}/sub/deep", f"{web}/own", f"{web}/chart", f"{web}/kust")
    files |= {
        f"{web}/fleet.yaml": "yaml: {overlays: [eu]}\n",
        f"{web}/config.json": "{}",
        f"{web}/notes.md": "x",
        f"{web}/.hidden.yaml": "x",
        f"{web}/.github/ci.yaml": "x",
        f"{web}/overlays/eu/deployment.yaml": "x",
        f"{web}/own/fleet.yaml": "targets: [{clusterName: stg-1}]\n",
        f"{web}/chart/Chart.yaml": CHART,
        f"{web}/kust/kustomization.yaml": "resources: [deployment.yaml]\n",
    }
    source = source_of(files, "web")
    assert source.files == (
        f"{web}/config.json",
        f"{web}/deployment.yaml",
        f"{web}/sub/deep/deployment.yaml",
    )
    assert source.overlays == (f"{web}/overlays/eu",)
    nested = {p.at for p in problems_of(files) if p.code == "nested-source"}
    assert nested == {f"{web}/chart", f"{web}/kust"}
    assert source_of(files, "own").targets == (TargetRule(cluster="stg-1"),)


def test_clusters_groups_and_policies_arrive() -> None:
    files = {
        "clusters/all.yaml": "apiVersion: fleet.dev/v1\nkind: Cluster\n"
        "metadata: {name: a, labels: {x: 'y'}, annotations: {m: 'o'}}\n"
        'spec: {kubernetesVersion: "1.33", apiVersions: [b/v1, a/v1], values: {k: [1]}}\n'
        "---\napiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: default}\n"
        "spec: {stages: []}\n",
        "clusters/rancher.yaml": "apiVersion: fleet.cattle.io/v1alpha1\nkind: Cluster\n"
        "metadata: {name: b, namespace: fleet-default}\n"
        "spec: {templateValues: {k: 1}, deletionPolicy: wait}\n",
    }
    repo = repo_of(files)
    first, second = repo.clusters
    assert (first.labels, first.annotations, first.values) == ({"x": "y"}, {"m": "o"}, {"k": [1]})
    assert (first.kubernetes_version, first.api_versions) == ("1.33", ("a/v1", "b/v1"))
    assert first.at == "clusters/all.yaml:1"
    assert second.values == {"k": 1}
    assert (first.deletion, second.deletion) == (Deletion.ORPHAN, Deletion.WAIT)
    (policy,) = repo.policies
    assert (policy.kind, policy.name, policy.spec) == ("Rollout", "default", {"stages": []})
    assert policy.at == "clusters/all.yaml:6"
