"""From a tree to a plan with the real tools, and what one cluster would hold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from agents.protocol import read_artifact
from clusters.objects import Object
from fleet.errors import RequestError
from fleet.hub.planning import Planned, make_plan, render_cluster, warnings_of_change
from fleet.layout import MemoryTree
from fleet.model import Severity
from fleet.render import Renderer
from fleet.source import Source
from tests.fleet.source.repositories import (
    commit,
    crafted_commit,
    git,
    new_repository,
    tree_entry,
)

SHOP_FLEET = Path(__file__).parents[4] / "shared/data/shop-fleet"
CLUSTERS = "".join(
    f"---\napiVersion: fleet.dev/v1\nkind: Cluster\n"
    f"metadata: {{name: {name}, labels: {{env: {env}, region: {region}}}}}\n"
    for name, env, region in (
        ("stg-1", "staging", "eu"),
        ("prd-1", "production", "eu"),
        ("prd-2", "production", "us"),
    )
)
CHART = {
    "charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n",
    "charts/web/values.yaml": "colour: blue\n",
    "charts/web/templates/cm.yaml": (
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n"
        "data: {colour: '{{ .Values.colour }}', zone: '${ZONE}', home: '${HOME}'}\n"
    ),
}
FLEET_YAML = (
    "defaultNamespace: shop\nhelm: {chart: ../../../charts/web}\n"
    "variables: {ZONE: '${ .ClusterLabels.region }'}\n"
)
KUSTOMIZED = {
    f"apps/{group}/site/{name}": text
    for group in ("staging", "production")
    for name, text in {
        "kustomization.yaml": "kind: Kustomization\nresources: [role.json, crd.json, flow.json]\n",
        "role.json": json.dumps(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "ClusterRole",
                "metadata": {"name": "site"},
            }
        ),
        "crd.json": json.dumps(
            {
                "apiVersion": "apiextensions.k8s.io/v1",
                "kind": "CustomResourceDefinition",
                "metadata": {"name": "flows.x.dev"},
                "spec": {"group": "x.dev", "names": {"kind": "Flow"}, "scope": "Namespaced"},
            }
        ),
        "flow.json": (
            "apiVersion: x.dev/v1\nkind: Flow\nmetadata: {name: f}\n---\n"
            "apiVersion: y.dev/v1\nkind: Unknown\nmetadata: {name: u}\n"
        ),
    }.items()
}
HOME = {
    "clusters/clusters.yaml": CLUSTERS,
    "apps/staging/web/fleet.yaml": FLEET_YAML,
    "apps/production/web/fleet.yaml": FLEET_YAML,
    **{
        f"clusters/{group}/kustomization.yaml": (
            f"kind: Kustomization\nresources: [../../apps/{group}/site]\n"
        )
        for group in ("staging", "production")
    },
    **CHART,
    **KUSTOMIZED,
}


@pytest.fixture(scope="module")
def renderer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Renderer]:
    with Renderer(tmp_path_factory.mktemp("renders")) as made:
        yield made


def planned(renderer: Renderer, changes: Mapping[str, str | None] | None = None) -> Planned:
    """The plan of the home repository with some files changed or (`None`) taken out."""
    files = {p: t for p, t in (HOME | dict(changes or {})).items() if t is not None}
    return make_plan(MemoryTree(files), renderer)


def bundles(made: Planned, cluster: str) -> dict[str, str]:
    """Bundle → digest; an empty digest for what is held."""
    return {
        entry.bundle: entry.deployment.digest if entry.deployment else ""
        for entry in made.plan.entries_of(cluster)
    }


def errors(made: Planned) -> list[tuple[str, str]]:
    """Code and place of every error."""
    return [(p.code, p.at) for p in made.plan.problems if p.severity is Severity.ERROR]


def by_kind(objects: list[Object]) -> dict[str, Object]:
    """The objects by kind."""
    return {obj["kind"]: obj for obj in objects}


def test_the_plan_names_what_each_cluster_is_to_run(renderer: Renderer) -> None:
    made = planned(renderer)
    assert errors(made) == []
    assert sorted(bundles(made, "prd-1")) == ["site", "web"]
    assert all(bundles(made, "prd-1").values())
    assert bundles(made, "prd-1")["site"] == bundles(made, "prd-2")["site"]
    assert bundles(made, "prd-1")["web"] != bundles(made, "prd-2")["web"], "variables differ"
    wanted = [e.deployment for e in made.plan.entries_of("prd-1") if e.deployment]
    artifacts = {read_artifact(made.artifacts()[w.artifact], w.artifact).bundle for w in wanted}
    assert artifacts == {"site", "web"}


def test_clusters_that_differ_only_in_variables_share_one_artifact(renderer: Renderer) -> None:
    made = planned(renderer)
    found = {
        entry.deployment.artifact
        for cluster in ("stg-1", "prd-1", "prd-2")
        for entry in made.plan.entries_of(cluster)
        if entry.bundle == "web" and entry.deployment
    }
    assert len(found) == 1


def test_an_unchanged_commit_is_planned_from_the_cache(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        first = planned(renderer)
        jobs = renderer.rendered_jobs
        assert planned(renderer).plan == first.plan
        planned(renderer, {"README.md": "more"})
        assert renderer.rendered_jobs == jobs
        planned(renderer, {"charts/web/values.yaml": "colour: red\n"})
        assert renderer.rendered_jobs == jobs + 1


def test_one_bad_bundle_is_held_and_the_others_go_on(renderer: Renderer) -> None:
    made = planned(renderer, {"charts/web/templates/cm.yaml": "{{ fail `no` }}"})
    assert errors(made) == [("helm-failed", "charts/web/templates/cm.yaml:1")]
    assert bundles(made, "prd-1")["web"] == ""
    assert bundles(made, "prd-1")["site"] == bundles(planned(renderer), "prd-1")["site"]


def test_a_group_that_does_not_build_is_one_error_and_is_held(renderer: Renderer) -> None:
    broken = "kind: Kustomization\nresources: [../../apps/production/site]\nnonsense: 1\n"
    made = planned(renderer, {"clusters/production/kustomization.yaml": broken})
    assert [code for code, _ in errors(made)] == ["kustomize-failed"]
    assert bundles(made, "prd-1")["site"] == ""
    assert bundles(made, "prd-1")["web"]
    assert bundles(made, "stg-1") == bundles(planned(renderer), "stg-1")


def test_file_names_and_rollout_policies_are_judged_too(renderer: Renderer, tmp_path: Path) -> None:
    home = new_repository(tmp_path / "home", HOME | {"clusters/rollout.yaml": BAD_ROLLOUT})
    listing = git(home, "ls-tree", "HEAD").splitlines()
    entries = b"".join(
        tree_entry(mode.lstrip("0"), name.encode(), blob)
        for mode, _, rest in (line.split(" ", 2) for line in listing)
        for blob, name in [rest.split("\t")]
    )
    blob = git(home, "hash-object", "-w", "--stdin", data=b"x")
    crafted = crafted_commit(home, entries + tree_entry("100644", b"\xff.yaml", blob))
    with Source.open(str(home)) as source:
        found = {code for code, _ in errors(make_plan(source.tree(crafted), renderer))}
    assert "file-name" in found
    assert len(found) > 1, "the rollout's mistake"


BAD_ROLLOUT = (
    "apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: default}\n"
    "spec: {stages: [{name: a, group: nowhere}]}\n"
)


def test_a_change_that_skips_staging_is_warned_of(renderer: Renderer) -> None:
    before = planned(renderer)
    everywhere = planned(renderer, {"charts/web/values.yaml": "colour: red\n"})
    assert warnings_of_change(before, everywhere) == ()
    special = FLEET_YAML.replace("charts/web}", "charts/web, values: {colour: red}}")
    only = planned(renderer, {"apps/production/web/fleet.yaml": special})
    (warning,) = warnings_of_change(before, only)
    assert (warning.code, warning.severity) == ("skips-staging", Severity.WARNING)
    assert warning.bundle == "web"
    assert warnings_of_change(None, only) == ()


def test_the_stages_of_a_repositorys_own_rollout_decide_what_is_skipped(
    renderer: Renderer,
) -> None:
    rollout = (
        "apiVersion: fleet.dev/v1\nkind: Rollout\nmetadata: {name: default}\n"
        "spec: {stages: [{name: one, group: production}, {name: two, group: staging}]}\n"
    )
    before = planned(renderer, {"clusters/rollout.yaml": rollout})
    special = FLEET_YAML.replace("charts/web}", "charts/web, values: {colour: red}}")
    changed = {"clusters/rollout.yaml": rollout, "apps/staging/web/fleet.yaml": special}
    (warning,) = warnings_of_change(before, planned(renderer, changed))
    assert "in two (stg-1) and not in one" in warning.what


def test_a_cluster_is_rendered_with_variables_and_namespaces_filled_in(renderer: Renderer) -> None:
    found = render_cluster(MemoryTree(HOME), renderer, "prd-2")
    objects = by_kind(found.objects)
    assert objects["ConfigMap"]["metadata"]["namespace"] == "shop"
    assert objects["ConfigMap"]["data"] == {"colour": "blue", "zone": "us", "home": "${HOME}"}
    assert "namespace" not in objects["ClusterRole"]["metadata"]
    assert objects["Flow"]["metadata"]["namespace"] == "default", "its CRD says so"
    assert "namespace" not in objects["Unknown"]["metadata"], "only a live cluster knows"
    assert found.problems == ()


def test_one_bundle_of_a_cluster_renders_nothing_else(tmp_path: Path) -> None:
    with Renderer(tmp_path, workers=1) as renderer:
        found = render_cluster(MemoryTree(HOME), renderer, "prd-2", "web")
        assert list(by_kind(found.objects)) == ["ConfigMap"]
        assert renderer.rendered_jobs == 1


def test_a_forced_namespace_wins_over_the_objects_own(renderer: Renderer) -> None:
    text = CHART["charts/web/templates/cm.yaml"].replace("{name: web}", "{name: web, namespace: x}")
    files = HOME | {"charts/web/templates/cm.yaml": text}
    (kept,) = render_cluster(MemoryTree(files), renderer, "prd-1", "web").objects
    assert kept["metadata"]["namespace"] == "x"
    forced = FLEET_YAML.replace("defaultNamespace", "namespace")
    files |= {"apps/production/web/fleet.yaml": forced}
    (moved,) = render_cluster(MemoryTree(files), renderer, "prd-1", "web").objects
    assert moved["metadata"]["namespace"] == "shop"


def test_a_cluster_hears_of_its_own_problems_and_not_of_others(renderer: Renderer) -> None:
    files = HOME | {"apps/staging/site/role.json": "kind: ["}
    assert render_cluster(MemoryTree(files), renderer, "prd-1").problems == ()
    (problem,) = render_cluster(MemoryTree(files), renderer, "stg-1").problems
    assert problem.at == "apps/staging/site/role.json"


@pytest.mark.parametrize(("cluster", "bundle"), [("nope", ""), ("prd-1", "nope")])
def test_what_is_not_there_is_said_with_what_is(
    renderer: Renderer, cluster: str, bundle: str
) -> None:
    with pytest.raises(RequestError) as caught:
        render_cluster(MemoryTree(HOME), renderer, cluster, bundle)
    assert caught.value.status == 404
    assert "nope" in caught.value.what
    assert "web" in caught.value.fix or "prd-1" in caught.value.fix


@pytest.mark.slow
def test_what_others_published_is_planned_without_an_error(
    renderer: Renderer, tmp_path: Path
) -> None:
    if not SHOP_FLEET.is_dir():
        pytest.skip(f"{SHOP_FLEET} is not here; it holds what others published")
    files = {
        str(path.relative_to(SHOP_FLEET)): path.read_bytes()
        for path in SHOP_FLEET.rglob("*")
        if path.is_file()
    }
    home = new_repository(tmp_path / "shop", files)
    with Source.open(str(home)) as source:
        first = make_plan(source.tree(source.head()), renderer)
        assert errors(first) == []
        assert sorted(bundles(first, "lab-1")) == ["cert-manager", "ingress-nginx", "monitoring"]
        assert len(bundles(first, "prd-eu-1")) == 8
        scripts = render_cluster(source.tree(source.head()), renderer, "stg-eu-1").objects
        assert "${FRONTEND_ADDR}" in json.dumps(scripts)
        values = home / "apps/production/podinfo/fleet.yaml"
        text = values.read_text().replace("maxReplicas: 20", "maxReplicas: 30")
        commit(home, {"apps/production/podinfo/fleet.yaml": text})
        second = make_plan(source.tree(source.head()), renderer)
    changed = {c for c in first.plan.clusters() if bundles(first, c) != bundles(second, c)}
    assert changed == {"prd-eu-1", "prd-eu-2", "prd-eu-3"}
    (warning,) = warnings_of_change(first, second)
    assert (warning.code, warning.bundle) == ("skips-staging", "podinfo")
