"""Real input: a fleet made of what others published, from `fleet plan` to converged clusters.

The folder `../shared/data/shop-fleet` beside the checkout holds Online Boutique, podinfo,
cert-manager, ingress-nginx, metrics-server and node-exporter as published, for twelve clusters.
Where it is not there, these tests say so and are skipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.local_fleet import LocalFleet, Row, running
from tests.e2e.shop import SHOP, Shop, needs_shop, new_shop

pytestmark = needs_shop

STAGING = {"stg-eu-1", "stg-eu-2"}
PRODUCTION = {f"prd-{region}-{n}" for region in ("eu", "us", "ap") for n in (1, 2, 3)}
EU = {"prd-eu-1", "prd-eu-2", "prd-eu-3"}
EVERYWHERE = {"cert-manager", "ingress-nginx", "monitoring"}
IN_GROUPS = EVERYWHERE | {"metrics-server", "online-boutique", "podinfo", "webapp"}
CHART_VALUES = "apps/base/podinfo-chart/values.yaml"
PRODUCTION_PODINFO = "apps/production/podinfo/fleet.yaml"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop that no test changes."""
    return new_shop(tmp_path_factory.mktemp("shop"))


@pytest.fixture(scope="module")
def plan(shop: Shop) -> Any:
    """What is planned for it."""
    return shop.plan()


@pytest.fixture(scope="module")
def rendered(shop: Shop) -> dict[str, list[Row]]:
    """What `fleet render` prints for a cluster of each sort, read back as YAML."""
    found = {}
    for cluster in ("stg-eu-1", "prd-eu-1", "prd-us-3", "lab-1"):
        done = shop.fleet("render", cluster)
        assert done.returncode == 0, done.stderr
        found[cluster] = list(yaml.load_all(done.stdout, Loader=yaml.CSafeLoader))
    return found


def test_every_cluster_gets_the_bundles_of_its_group_and_those_for_all(plan: Any) -> None:
    planned: dict[str, set[str]] = {}
    for row in plan["bundleDeployments"]:
        assert row["digest"], row
        assert row["objects"] > 0, row
        planned.setdefault(row["cluster"], set()).add(row["bundle"])
    expected = dict.fromkeys(STAGING, IN_GROUPS) | {"lab-1": EVERYWHERE}
    expected |= {name: IN_GROUPS | {"production-cluster"} for name in PRODUCTION}
    assert planned == expected


def test_the_only_complaint_is_the_cluster_in_no_group(plan: Any) -> None:
    assert [(p["code"], p["severity"], p["cluster"]) for p in plan["problems"]] == [
        ("cluster-ungrouped", "warning", "lab-1")
    ]


def test_clusters_differ_exactly_where_their_values_and_variables_do(plan: Any) -> None:
    rows = [row for row in plan["bundleDeployments"] if row["bundle"] == "podinfo"]
    by_digest: dict[str, set[str]] = {}
    for row in rows:
        by_digest.setdefault(row["digest"], set()).add(row["cluster"])
    assert sorted(by_digest.values(), key=sorted) == [
        {"prd-ap-1", "prd-ap-2", "prd-us-1", "prd-us-2"},
        {"prd-ap-3", "prd-us-3"},
        EU,
        {"stg-eu-1"},
        {"stg-eu-2"},
    ]
    chosen = {row["cluster"]: row["customization"] for row in rows if row["customization"]}
    assert chosen == dict.fromkeys(EU, "eu") | {"prd-ap-3": "small", "prd-us-3": "small"}


def test_the_plan_is_a_table_too(shop: Shop, plan: Any) -> None:
    narrow, wide = shop.fleet("plan"), shop.fleet("plan", "-o", "wide")
    assert (narrow.returncode, wide.returncode) == (0, 0)
    assert len(narrow.stdout.splitlines()) == 1 + len(plan["bundleDeployments"])
    assert "cluster lab-1 is in no cluster group" in narrow.stderr
    assert "ghcr.io/stefanprodan/podinfo:6.14.1" in wide.stdout
    assert "ghcr.io/stefanprodan/podinfo:6.14.1" not in narrow.stdout


def test_shell_variables_in_published_scripts_arrive_untouched(
    rendered: dict[str, list[Row]],
) -> None:
    generator = _one(rendered["stg-eu-1"], "Deployment", "loadgenerator", "shop")
    [waits] = generator["spec"]["template"]["spec"]["initContainers"]
    published = yaml.safe_load_all(
        (SHOP / "apps/base/online-boutique/loadgenerator.yaml").read_text(encoding="utf-8")
    )
    original = next(obj for obj in published if obj["kind"] == "Deployment")
    [expected] = original["spec"]["template"]["spec"]["initContainers"]
    assert waits["command"] == expected["command"]
    assert "http://${FRONTEND_ADDR} 2>&1 | awk" in waits["command"][-1]


@pytest.mark.parametrize(
    ("cluster", "count"), [("stg-eu-1", 145), ("prd-eu-1", 159), ("prd-us-3", 158), ("lab-1", 73)]
)
def test_a_rendered_cluster_reads_back_with_every_object_once(
    rendered: dict[str, list[Row]], plan: Any, cluster: str, count: int
) -> None:
    objects = rendered[cluster]
    names = {(o["apiVersion"], o["kind"], _namespace(o), o["metadata"]["name"]) for o in objects}
    planned = [row for row in plan["bundleDeployments"] if row["cluster"] == cluster]
    assert len(names) == len(objects) == count == sum(row["objects"] for row in planned)


@pytest.mark.parametrize("cluster", ["prd-eu-1", "lab-1"])
def test_each_component_is_in_the_namespace_that_it_was_made_for(
    rendered: dict[str, list[Row]], cluster: str
) -> None:
    objects = rendered[cluster]
    _one(objects, "Deployment", "cert-manager-webhook", "cert-manager")
    _one(objects, "Job", "ingress-nginx-admission-create", "ingress-nginx")
    _one(objects, "Deployment", "ingress-nginx-controller", "ingress-nginx")
    _one(objects, "DaemonSet", "node-exporter-prometheus-node-exporter", "monitoring")
    _one(objects, "Role", "cert-manager:leaderelection", "kube-system")
    if cluster != "lab-1":
        _one(objects, "Deployment", "metrics-server", "kube-system")
        _one(objects, "StatefulSet", "database-primary", "webapp")
    clusterwide = {o["kind"] for o in objects if not _namespace(o)}
    assert clusterwide <= {
        "APIService",
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "Namespace",
        "ValidatingWebhookConfiguration",
    }


def test_values_of_cluster_labels_and_names_arrive(rendered: dict[str, list[Row]]) -> None:
    assert _message(rendered["stg-eu-1"]) == "staging on stg-eu-1"
    eu, us = rendered["prd-eu-1"], rendered["prd-us-3"]
    assert _message(eu) == "hello from eu"
    assert _one(eu, "HorizontalPodAutoscaler", "podinfo", "podinfo")["spec"]["maxReplicas"] == 20
    assert _one(us, "HorizontalPodAutoscaler", "podinfo", "podinfo")["spec"]["maxReplicas"] == 10


def test_helms_test_hooks_are_left_out(rendered: dict[str, list[Row]]) -> None:
    hooks = [
        (o["metadata"].get("annotations") or {}).get("helm.sh/hook", "")
        for o in rendered["stg-eu-1"]
    ]
    assert not [hook for hook in hooks if "test" in hook]
    assert "post-install" in hooks


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_commits_travel_through_the_whole_shop(tmp_path: Path) -> None:
    shop = new_shop(tmp_path)
    async with running(shop.root, tmp_path / "fleet") as fleet:
        rows = await fleet.converged(240)
        assert len(rows) == 89
        assert {row["cluster"] for row in rows} == STAGING | PRODUCTION | {"lab-1"}
        assert not [row for row in rows if row["drifted"] or row["healed"]]
        await _a_chart_change_goes_through_staging_first(shop, fleet)
        await _a_change_for_eu_reaches_eu_only(shop, fleet)


async def _a_chart_change_goes_through_staging_first(shop: Shop, fleet: LocalFleet) -> None:
    before = await _digests(fleet)
    commit = shop.change(CHART_VALUES, 'color: "#34577c"', 'color: "#123456"')
    [run] = await fleet.runs_of(commit, 120)
    assert (run["bundles"], run["state"]) == (["podinfo"], "Succeeded")
    assert _clusters(run) == {"staging": STAGING, "production": PRODUCTION}
    await fleet.converged(60)
    healthy = {
        r["cluster"]: r["since"]
        for r in await fleet.rows("bundledeployments")
        if r["bundle"] == "podinfo"
    }
    started = await _started(fleet, run)
    assert max(healthy[name] for name in STAGING) < min(started[name] for name in PRODUCTION)
    assert _changed(before, await _digests(fleet)) == {
        (name, "podinfo") for name in STAGING | PRODUCTION
    }


async def _a_change_for_eu_reaches_eu_only(shop: Shop, fleet: LocalFleet) -> None:
    before = await _digests(fleet)
    commit = shop.change(PRODUCTION_PODINFO, "maxReplicas: 20", "maxReplicas: 25")
    warned = [p for p in shop.plan()["problems"] if p["bundle"] == "podinfo"]
    assert [(p["code"], p["severity"]) for p in warned] == [("skips-staging", "warning")]
    [run] = await fleet.runs_of(commit, 120)
    assert (run["bundles"], run["state"]) == (["podinfo"], "Succeeded")
    assert _clusters(run) == {"production": EU}
    [staging] = [stage for stage in run["stages"] if stage["stage"] == "staging"]
    assert (staging["state"], staging["total"]) == ("Done", 0)  # nothing of it changes
    await fleet.converged(60)
    assert _changed(before, await _digests(fleet)) == {(name, "podinfo") for name in EU}
    words = ("-n", "podinfo", "get", "hpa/podinfo", "-o", "jsonpath={.spec.maxReplicas}")
    assert [await fleet.kubectl(name, *words) for name in ("prd-eu-2", "prd-us-2")] == ["25", "10"]


def _one(objects: list[Row], kind: str, name: str, namespace: str) -> Row:
    found = [
        obj
        for obj in objects
        if (obj["kind"], obj["metadata"]["name"], _namespace(obj)) == (kind, name, namespace)
    ]
    assert len(found) == 1, f"{kind} {namespace}/{name}: {len(found)} found"
    return found[0]


def _namespace(obj: Row) -> str:
    return obj["metadata"].get("namespace") or ""


def _message(objects: list[Row]) -> str:
    deployment = _one(objects, "Deployment", "podinfo", "podinfo")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return next(str(e["value"]) for e in container["env"] if e["name"] == "PODINFO_UI_MESSAGE")


async def _digests(fleet: LocalFleet) -> dict[tuple[str, str], str]:
    rows = await fleet.rows("bundledeployments")
    return {(row["cluster"], row["bundle"]): row["current"] for row in rows}


def _changed(
    before: dict[tuple[str, str], str], after: dict[tuple[str, str], str]
) -> set[tuple[str, str]]:
    return {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}


async def _started(fleet: LocalFleet, run: Row) -> dict[str, str]:
    """When the run let each cluster start."""
    asked = f"SELECT cluster, started_at FROM assignment WHERE run = '{run['run']}'"
    found = await fleet.post("/v1/query", {"sql": asked})
    return dict(found["rows"])


def _clusters(run: Row) -> dict[str, set[str]]:
    """The clusters that a run reached, by stage."""
    found: dict[str, set[str]] = {}
    for row in run["clusterStates"]:
        found.setdefault(row["stage"], set()).add(row["cluster"])
    return found
