"""A group's build: its bundles together are what Kustomize prints, each object in exactly one."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from clusters.objects import canonical_bytes
from fleet.layout import MemoryTree
from fleet.model import Form, Rendered, Severity, Tree
from fleet.render import GroupRequest, Renderer, RenderRequest
from fleet.source import Source
from tests.fleet.render.renders import (
    Files,
    config_map,
    deployment,
    kubectl_kustomize,
    kustomization,
    names,
    objects,
    problem,
    render_group,
)
from tests.fleet.source.repositories import new_repository

SHOP_FLEET = Path(__file__).parents[4] / "shared/data/shop-fleet"
WEB = {
    "apps/web/kustomization.yaml": kustomization(resources=["deploy.json", "cm.json"]),
    "apps/web/deploy.json": deployment("web", "nginx:1"),
    "apps/web/cm.json": config_map("web", colour="blue"),
}
API = {
    "apps/api/kustomization.yaml": kustomization(resources=["deploy.json"]),
    "apps/api/deploy.json": deployment("api", "api:1"),
}
PATHS = ("apps/web", "apps/api")
LISTED = (("apps/web", "web"), ("apps/api", "api"))


def group(**fields: Any) -> dict[str, str]:
    """The file of the group `prod`, listing both apps unless told otherwise."""
    said = {"resources": [f"../../{path}" for path in PATHS]} | fields
    return {"clusters/prod/kustomization.yaml": kustomization(**said)}


def build(
    renderer: Renderer, files: Files, listed: Sequence[tuple[str, str]] = LISTED
) -> dict[str, Rendered]:
    return render_group(renderer, MemoryTree(files), "prod", listed)


def assert_union(results: dict[str, Rendered], tree: Tree, name: str, folder: Path) -> None:
    """The promise, with the program run over the whole tree as the judge."""
    printed = sorted(map(canonical_bytes, kubectl_kustomize(tree, f"clusters/{name}", folder)))
    shares = [share for rendered in results.values() if rendered.artifact for share in [rendered]]
    together = sorted(canonical_bytes(obj) for share in shares for obj in objects(share))
    assert together == printed
    assert printed


PATCH = {
    "target": {"kind": "Deployment"},
    "patch": '[{"op":"add","path":"/spec/paused","value":true}]',
}
BASE = {
    "base/kustomization.yaml": kustomization(resources=["d.json"]),
    "base/d.json": deployment("shared"),
}
CASES: dict[str, dict[str, str]] = {
    "nothing but a list": group(),
    "patches": group(patches=[PATCH]),
    "images, namespace, prefix, replicas": group(
        images=[{"name": "nginx", "newTag": "9"}],
        namespace="shop",
        namePrefix="p-",
        nameSuffix="-s",
        replicas=[{"name": "web", "count": 4}],
    ),
    "common labels and annotations": group(
        labels=[{"pairs": {"tier": "x"}, "includeSelectors": True, "includeTemplates": True}],
        commonAnnotations={"who": "me"},
    ),
    "the group's own resources": group(resources=["../../apps/web", "ns.json", "../../apps/api"])
    | {"clusters/prod/ns.json": config_map("own")},
    "generators, and a merge into a directory's generator": group(
        configMapGenerator=[
            {"name": "own", "literals": ["a=b"]},
            {"name": "theirs", "behavior": "merge", "literals": ["c=d"]},
        ]
    )
    | {
        "apps/web/kustomization.yaml": kustomization(
            resources=["deploy.json"], configMapGenerator=[{"name": "theirs", "literals": ["a=b"]}]
        )
    },
    "a component that adds, patches and deletes": group(components=["../../parts/extra"])
    | {
        "parts/extra/kustomization.yaml": kustomization(
            kind="Component",
            resources=["np.json"],
            patches=[
                PATCH,
                {"patch": "$patch: delete\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}"},
            ],
        ),
        "parts/extra/np.json": config_map("added"),
    },
    "patches that throw annotations or labels away": group(
        patches=[
            {
                "target": {"kind": "ConfigMap"},
                "patch": '[{"op":"replace","path":"/metadata","value":'
                '{"name":"web","labels":{"fleet.dev/render-owner":"o0"}}}]',
            },
            {
                "target": {"kind": "Deployment"},
                "patch": '[{"op":"add","path":"/metadata/annotations","value":{"x":"y"}}]',
            },
        ]
    ),
    "one base in two directories": group()
    | BASE
    | {
        f"{path}/kustomization.yaml": kustomization(
            resources=["../../base"], namePrefix=f"{path[-3:]}-"
        )
        for path in PATHS
    },
    "replacements from one directory into another": group(
        replacements=[
            {
                "source": {"kind": "ConfigMap", "name": "web", "fieldPath": "data.colour"},
                "targets": [
                    {
                        "select": {"kind": "Deployment", "name": "api"},
                        "fieldPaths": ["spec.template.metadata.labels.colour"],
                        "options": {"create": True},
                    }
                ],
            }
        ]
    ),
    "directories named oddly": group(resources=["../../apps/web/", "./../prod/../../apps/./api"]),
}


@pytest.mark.parametrize("files", CASES.values(), ids=CASES)
def test_the_bundles_together_are_what_kustomize_prints(
    renderer: Renderer, tmp_path: Path, files: dict[str, str]
) -> None:
    content = WEB | API | files
    results = build(renderer, content)
    assert_union(results, MemoryTree(content), "prod", tmp_path / "all")
    assert all(results[bundle].objects for bundle in ("web", "api"))
    if "render-owner" not in str(files):
        assert not any(b"render-owner" in rendered.data for rendered in results.values())


def test_a_mark_of_a_persons_own_confuses_nobody(renderer: Renderer, tmp_path: Path) -> None:
    own = config_map("own").replace('"own"}', '"own", "labels": {"fleet.dev/render-owner": "o9"}}')
    files = WEB | API | group(resources=["../../apps/web", "../../apps/api", "own.json"])
    files |= {"clusters/prod/own.json": own}
    results = build(renderer, files)
    assert names(results["prod-cluster"]) == ["ConfigMap/own"]
    assert_union(results, MemoryTree(files), "prod", tmp_path / "all")


def test_objects_of_no_directory_are_the_groups_own(renderer: Renderer) -> None:
    files = WEB | API | CASES["a component that adds, patches and deletes"]
    results = build(renderer, files)
    assert names(results["web"]) == ["Deployment/web"]
    assert names(results["api"]) == ["Deployment/api"]
    assert names(results["prod-cluster"]) == ["ConfigMap/added"]
    assert objects(results["web"])[0]["spec"]["paused"] is True


def test_a_group_that_brings_nothing_itself_has_no_bundle_of_its_own(renderer: Renderer) -> None:
    assert build(renderer, WEB | API | group())["prod-cluster"] == Rendered()


def test_a_directory_that_does_not_build_is_dropped_and_named(renderer: Renderer) -> None:
    files = WEB | API | group(patches=[PATCH]) | {"apps/api/deploy.json": "kind: [\n"}
    results = build(renderer, files)
    assert problem(results["api"]).at == "apps/api/deploy.json"
    assert names(results["web"]) == ["ConfigMap/web", "Deployment/web"]
    assert results["prod-cluster"].problem is None


@pytest.mark.parametrize(
    "broken",
    [
        kustomization(resources=["https://example.test/x"]),
        kustomization(resources=["../../../outside"]),
        "a: 1\na: 2\n",
    ],
)
def test_a_directory_that_may_not_be_read_is_dropped_and_named(
    renderer: Renderer, broken: str
) -> None:
    results = build(renderer, WEB | API | group() | {"apps/api/kustomization.yaml": broken})
    assert problem(results["api"]).bundle == "api"
    assert names(results["web"]) == ["ConfigMap/web", "Deployment/web"]


def test_a_listed_directory_that_is_missing_holds_only_itself(renderer: Renderer) -> None:
    results = build(renderer, WEB | group())
    assert problem(results["api"]).code == "kustomize-failed"
    assert names(results["web"]) == ["ConfigMap/web", "Deployment/web"]


def test_when_nothing_is_left_to_blame_the_whole_group_is_held(renderer: Renderer) -> None:
    files = WEB | API | group(patches=[{"path": "missing.yaml"}])
    results = build(renderer, files)
    assert {problem(rendered).code for rendered in results.values()} == {"kustomize-failed"}
    assert len({problem(rendered) for rendered in results.values()}) == 1, "shown once"
    assert problem(results["web"]).cluster == "prod"


def test_what_is_built_without_a_culprit_may_still_need_it(renderer: Renderer) -> None:
    needs_api = group(patches=[{"path": "p.json"}]) | {
        "clusters/prod/p.json": deployment("api", "x:2"),
        "apps/api/deploy.json": "kind: [\n",
    }
    results = build(renderer, WEB | API | needs_api)
    assert problem(results["api"]).at == "apps/api/deploy.json"
    assert "no matches for Id Deployment" in problem(results["web"]).what


def test_one_object_in_two_directories_holds_the_group_and_is_named(renderer: Renderer) -> None:
    files = WEB | API | group() | {"apps/api/deploy.json": deployment("web")}
    results = build(renderer, files)
    assert all("Deployment" in problem(rendered).what for rendered in results.values())


def test_a_build_that_cannot_be_divided_is_one_bundle_with_a_warning(
    renderer: Renderer, tmp_path: Path
) -> None:
    rename = '[{"op":"replace","path":"/metadata/name","value":"renamed"}]'
    target = {"kind": "ConfigMap", "labelSelector": "!fleet.dev/render-owner"}
    files = WEB | API | group(patches=[{"target": target, "patch": rename}])
    results = build(renderer, files)
    assert results["web"] == results["api"] == Rendered()
    whole = results["prod-cluster"]
    assert names(whole) == ["ConfigMap/renamed", "Deployment/api", "Deployment/web"]
    (warning,) = whole.warnings
    assert (warning.code, warning.severity) == ("group-not-split", Severity.WARNING)
    assert_union(results, MemoryTree(files), "prod", tmp_path / "all")


def test_the_groups_of_one_repository_do_not_disturb_each_other(renderer: Renderer) -> None:
    files = WEB | API | group()
    files |= {"clusters/broken/kustomization.yaml": "a: 1\na: 2\n"}
    good = RenderRequest("web", Form.GROUP, "apps/web", group="prod")
    bad = RenderRequest("broken-cluster", Form.GROUP, "clusters/broken", group="broken")
    found = renderer.render_all(
        MemoryTree(files),
        [good, bad],
        [
            GroupRequest("prod", "clusters/prod", LISTED),
            GroupRequest("broken", "clusters/broken", ()),
        ],
    )
    assert names(found[good.key]) == ["ConfigMap/web", "Deployment/web"]
    assert problem(found[bad.key]).at == "clusters/broken/kustomization.yaml:2"


SHOP = {
    "staging": ("apps/staging/online-boutique", "apps/staging/webapp"),
    "production": ("apps/production/online-boutique", "apps/production/webapp"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SHOP)
def test_the_promise_holds_for_what_others_published(
    renderer: Renderer, tmp_path: Path, name: str
) -> None:
    if not SHOP_FLEET.is_dir():
        pytest.skip(f"{SHOP_FLEET} is not here; it holds what others published")
    files = {
        str(path.relative_to(SHOP_FLEET)): path.read_bytes()
        for path in SHOP_FLEET.rglob("*")
        if path.is_file()
    }
    with Source.open(str(new_repository(tmp_path / "shop", files))) as source:
        tree = source.tree(source.head())
        listed = [(path, path.rpartition("/")[2]) for path in (*SHOP[name],)]
        listed.append(("infrastructure/metrics-server", "metrics-server"))
        results = render_group(renderer, tree, name, listed)
        assert_union(results, tree, name, tmp_path / "all")
    assert all(results[bundle].objects > 5 for _, bundle in listed)
    own = results[f"{name}-cluster"]
    if name == "production":
        assert names(own) == ["PodDisruptionBudget/metrics-server"]
        replicas = [
            o["spec"].get("replicas") for o in objects(results["metrics-server"]) if "spec" in o
        ]
        assert 2 in replicas
    else:
        assert own == Rendered()
