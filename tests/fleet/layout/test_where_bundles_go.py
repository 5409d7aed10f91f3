"""Rules 1 to 4 of the layout, as a table: a repository, and what each cluster gets from where."""

from __future__ import annotations

import pytest

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

GROUP = "apiVersion: fleet.dev/v1\nkind: ClusterGroup\nmetadata: {name: %s}\n"
EU = "spec: {selector: {matchLabels: {region: eu}}}\n"

WEB = "apps/staging/web", "apps/production/web"

TABLE = {
    "nothing but directories: place decides": (
        CLUSTERS | kustomized(*WEB, "infrastructure/dns"),
        {
            "stg-1": {"dns": "infrastructure/dns", "web": WEB[0]},
            "prd-1": {"dns": "infrastructure/dns", "web": WEB[1]},
            "prd-2": {"dns": "infrastructure/dns", "web": WEB[1]},
        },
    ),
    "a group's file decides what it can list": (
        CLUSTERS
        | kustomized(*WEB, "apps/production/old", "infrastructure/dns")
        | {"clusters/production/kustomization.yaml": listing(WEB[1])},
        {
            "stg-1": {"dns": "infrastructure/dns", "web": WEB[0]},
            "prd-1": {"web": WEB[1], "production-cluster": "clusters/production"},
            "prd-2": {"web": WEB[1], "production-cluster": "clusters/production"},
        },
    ),
    "a listed component goes only where it is listed": (
        CLUSTERS
        | {"clusters/lab.yaml": cluster("lab-1")}
        | kustomized("infrastructure/dns")
        | {"clusters/production/kustomization.yaml": listing("infrastructure/dns")},
        {
            "stg-1": {},
            "lab-1": {},
            "prd-1": {"dns": "infrastructure/dns", "production-cluster": "clusters/production"},
            "prd-2": {"dns": "infrastructure/dns", "production-cluster": "clusters/production"},
        },
    ),
    "what a file cannot list comes by place": (
        CLUSTERS
        | raw("apps/staging/raw", "infrastructure/crds")
        | {"apps/staging/chart/Chart.yaml": CHART, "infrastructure/helm/Chart.yaml": CHART}
        | {"clusters/staging/kustomization.yml": "resources: [cm.yaml]\n"},
        {
            "stg-1": {
                "chart": "apps/staging/chart",
                "crds": "infrastructure/crds",
                "helm": "infrastructure/helm",
                "raw": "apps/staging/raw",
                "staging-cluster": "clusters/staging",
            },
            "prd-1": {"crds": "infrastructure/crds", "helm": "infrastructure/helm"},
            "prd-2": {"crds": "infrastructure/crds", "helm": "infrastructure/helm"},
        },
    ),
    "a cluster in no group counts as in a group without a file": (
        {"clusters/c.yaml": STAGING + cluster("lab-1", region="eu")}
        | kustomized("infrastructure/dns", "infrastructure/log")
        | {"clusters/staging/Kustomization": listing("infrastructure/dns")},
        {
            "lab-1": {"log": "infrastructure/log"},
            "stg-1": {"dns": "infrastructure/dns", "staging-cluster": "clusters/staging"},
        },
    ),
    "a cluster in several groups gets the union": (
        {"clusters/c.yaml": STAGING, "clusters/eu/group.yaml": GROUP % "eu" + EU}
        | kustomized("apps/staging/web", "apps/eu/gdpr", "infrastructure/dns")
        | {"clusters/staging/kustomization.yaml": listing("apps/staging/web")},
        {
            "stg-1": {
                "dns": "infrastructure/dns",
                "gdpr": "apps/eu/gdpr",
                "staging-cluster": "clusters/staging",
                "web": "apps/staging/web",
            }
        },
    ),
    "Cluster documents in a group's directory are its members": (
        {"clusters/edge/all/c.yaml": cluster("edge-1")} | raw("apps/edge/cam"),
        {"edge-1": {"cam": "apps/edge/cam"}},
    ),
    "a selector takes the place of the label env": (
        {"clusters/eu/group.yaml": GROUP % "eu" + EU}
        | {"clusters/c.yaml": cluster("a", "eu", region="us") + cluster("b", region="eu")}
        | raw("apps/eu/web"),
        {"a": {}, "b": {"web": "apps/eu/web"}},
    ),
    "a group without a selector has who is labelled so": (
        {"clusters/g.yaml": GROUP % "eu", "clusters/c.yaml": cluster("a", "eu") + cluster("b")}
        | raw("apps/eu/web"),
        {"a": {"web": "apps/eu/web"}, "b": {}},
    ),
    "targets override place": (
        CLUSTERS
        | raw("apps/production/web", "infrastructure/dns", "charts/x")
        | {
            "apps/production/web/fleet.yaml": "targets: [{clusterName: stg-1}]",
            "infrastructure/dns/fleet.yaml": "targets: [{clusterGroup: production,"
            " clusterSelector: {matchLabels: {region: us}}}]",
            "charts/x/fleet.yaml": "targets: [{clusterSelector: {}}]",
        },
        {
            "stg-1": {"web": "apps/production/web", "x": "charts/x"},
            "prd-1": {"x": "charts/x"},
            "prd-2": {"dns": "infrastructure/dns", "x": "charts/x"},
        },
    ),
    "group labels select by clusterGroupSelector": (
        {
            "clusters/g.yaml": GROUP.replace("%s}", "eu, labels: {tier: gold}}")
            + EU.replace("\n", "\n---\n")
            + cluster("a", region="eu")
            + cluster("b", region="us")
        }
        | raw("infrastructure/dns")
        | {
            "infrastructure/dns/fleet.yaml": "targets: [{clusterGroupSelector: {matchLabels:"
            " {tier: gold}}}]"
        },
        {"a": {"dns": "infrastructure/dns"}, "b": {}},
    ),
    "one that others only use as a base is no bundle": (
        CLUSTERS
        | kustomized("apps/base/web", "infrastructure/lib")
        | {
            "apps/staging/web/kustomization.yaml": "resources: [../../base/web]\n"
            "components: [../../../infrastructure/lib]\n",
            "apps/production/pod/fleet.yaml": "helm: {chart: ../../base/chart}",
            "apps/base/chart/Chart.yaml": CHART,
        },
        {
            "stg-1": {"web": "apps/staging/web"},
            "prd-1": {"pod": "apps/production/pod"},
            "prd-2": {"pod": "apps/production/pod"},
        },
    ),
    "an unused file above takes nothing out of service": (
        CLUSTERS
        | kustomized("apps/staging/web")
        | {"apps/staging/kustomization.yaml": "resources: [web]\n"},
        {"stg-1": {"web": "apps/staging/web"}, "prd-1": {}, "prd-2": {}},
    ),
    "a listed directory above holds its parts": (
        CLUSTERS
        | kustomized("apps/staging/web")
        | {
            "apps/staging/kustomization.yaml": "resources: [web]\n",
            "clusters/staging/kustomization.yaml": listing("apps/staging"),
        },
        {
            "stg-1": {"staging": "apps/staging", "staging-cluster": "clusters/staging"},
            "prd-1": {},
            "prd-2": {},
        },
    ),
    "the name in fleet.yaml joins directories of different names": (
        CLUSTERS
        | raw("apps/staging/api-new", "apps/production/api")
        | {"apps/staging/api-new/fleet.yaml": "name: api\n"},
        {
            "stg-1": {"api": "apps/staging/api-new"},
            "prd-1": {"api": "apps/production/api"},
            "prd-2": {"api": "apps/production/api"},
        },
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_every_cluster_gets_what_the_layout_says(name: str) -> None:
    files, wanted = TABLE[name]
    assert outcome(files) == wanted
    assert [p for p in problems_of(files) if p.severity == "error"] == []


def test_what_is_idle_is_said_and_nothing_else() -> None:
    files = (
        CLUSTERS
        | kustomized(*WEB, "apps/production/old", "apps/prodution/typo", "apps/base/web")
        | raw("apps/flat", "elsewhere/x")
        | {
            "clusters/production/kustomization.yaml": listing(WEB[1]),
            "elsewhere/x/fleet.yaml": "name: x",
            "apps/staging/web/kustomization.yaml": "resources: [../../base/web]",
        }
    )
    found = {p.at: p.severity for p in problems_of(files) if p.code == "idle-directory"}
    assert found == dict.fromkeys(
        ["apps/production/old", "apps/prodution/typo", "apps/flat", "elsewhere/x"], "warning"
    )
    assert set(codes_of(files)) == {"idle-directory"}


def test_a_source_whose_targets_match_no_cluster_is_idle() -> None:
    files = CLUSTERS | raw("infrastructure/dns")
    files |= {"infrastructure/dns/fleet.yaml": "targets: [{clusterName: nobody}]"}
    (problem,) = [p for p in problems_of(files) if p.code != "cluster-ungrouped"]
    assert problem.code == "idle-directory"
    assert problem.bundle == "dns"
    assert "targets match none" in problem.what


def test_a_component_that_no_group_lists_is_idle_if_all_groups_have_files() -> None:
    files = {"clusters/c.yaml": STAGING, "clusters/staging/kustomization.yaml": "resources: []\n"}
    assert codes_of(files | kustomized("infrastructure/dns")) == ["idle-directory"]
    assert codes_of(files | raw("infrastructure/dns")) == []


def test_a_cluster_in_no_group_is_a_warning() -> None:
    (problem,) = problems_of({"clusters/c.yaml": STAGING + cluster("lab-1"), **raw(WEB[0])})
    assert (problem.code, problem.cluster, problem.severity) == (
        "cluster-ungrouped",
        "lab-1",
        "warning",
    )
    assert problem.at == "clusters/c.yaml:6"


def test_many_ungrouped_clusters_are_summed_up() -> None:
    files = {"clusters/c.yaml": "".join(cluster(f"c-{n:03}") for n in range(200))}
    problems = problems_of(files)
    assert len(problems) == 11
    assert any(p.what == "190 more clusters are in no cluster group" for p in problems)


def test_a_group_without_clusters_is_a_warning() -> None:
    files = {"clusters/c.yaml": PRODUCTION, "clusters/dr/kustomization.yaml": "resources: []\n"}
    (problem,) = [p for p in problems_of(files) if p.code == "group-empty"]
    assert (problem.cluster, problem.severity) == ("dr", "warning")


def test_the_groups_file_keeps_its_order_and_lists_a_directory_once() -> None:
    files = CLUSTERS | kustomized("infrastructure/b", "infrastructure/a", WEB[0])
    files |= {
        "clusters/staging/kustomization.yaml": listing(
            "infrastructure/b", WEB[0], "infrastructure/a", "infrastructure/b/"
        )
        + "  - https://example.com/x?ref=v1\n  - own.yaml\n",
        "clusters/staging/own.yaml": DEPLOYED,
    }
    (group,) = [g for g in repo_of(files).groups if g.kustomization]
    assert group.listed == ("infrastructure/b", WEB[0], "infrastructure/a")
    assert (group.name, group.file) == ("staging", "clusters/staging/kustomization.yaml")


DEPLOYED = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: own}\n"


def test_components_and_patches_of_a_groups_file_are_no_bundles() -> None:
    files = CLUSTERS | kustomized(WEB[0], "apps/base/ha")
    files["clusters/staging/kustomization.yaml"] = (
        listing(WEB[0]) + "components: [../../apps/base/ha]\npatches: [{path: p.yaml}]\n"
    )
    assert [b.name for b in repo_of(files).bundles] == ["staging-cluster", "web"]
    assert set(codes_of(files)) == {"cluster-ungrouped"}
