"""From placement and renders to wanted bundle deployments; what fails is held, never removed."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings

from agents.protocol import BundleDeployment, Options
from fleet.layout import MemoryTree, discover
from fleet.model import Form, Problem, Rendered, Severity
from fleet.placement import place
from fleet.plan import GroupRequest, RenderRequest, plan, requests
from tests.fleet.layout.repositories import (
    CHART,
    CLUSTERS,
    SHOP_FLEET,
    cluster,
    kustomized,
    listing,
    raw,
    read_folder,
    repo_of,
)
from tests.fleet.layout.test_promises import repositories
from tests.fleet.plan.plans import plan_of, planned, wanted

FAILED = Problem("kustomize", Severity.ERROR, "it failed", "apps/staging/web", "mend it", "web")
LISTED = (
    CLUSTERS
    | kustomized("apps/staging/web", "apps/production/web", "infrastructure/dns")
    | {"clusters/staging/kustomization.yaml": listing("infrastructure/dns", "apps/staging/web")}
)


def asked(files: dict[str, str]) -> tuple[list[RenderRequest], list[GroupRequest]]:
    """What must be rendered."""
    repo = repo_of(files)
    renders, groups = requests(repo, place(repo))
    return list(renders), list(groups)


def test_each_form_is_asked_for_in_its_way() -> None:
    files = LISTED | raw("infrastructure/crds") | {"infrastructure/db/Chart.yaml": CHART}
    files["infrastructure/db/fleet.yaml"] = "namespace: data\nhelm: {values: {a: 1}}\n"
    files["clusters/staging/kustomization.yaml"] += "  - ../../apps/gone\n"
    renders, groups = asked(files)
    crds, db, dns, own, by_place, web = renders
    assert crds == RenderRequest(
        "crds",
        Form.RAW,
        "infrastructure/crds",
        files=("infrastructure/crds/deployment.yaml",),
        at="infrastructure/crds",
    )
    assert db == RenderRequest(
        "db",
        Form.HELM,
        "infrastructure/db",
        values={"a": 1},
        release_name="db",
        namespace="data",
        at="infrastructure/db/fleet.yaml",
    )
    assert (dns.form, dns.group, dns.path) == (Form.GROUP, "staging", "infrastructure/dns")
    assert (own.bundle, own.path) == ("staging-cluster", "clusters/staging")
    assert (by_place.form, by_place.path) == (Form.KUSTOMIZE, "apps/production/web")
    assert (web.form, web.path, web.group) == (Form.GROUP, "apps/staging/web", "staging")
    # `gone` is held and not asked for, but the group must know whose it is.
    assert groups == [
        GroupRequest(
            "staging",
            "clusters/staging",
            (("infrastructure/dns", "dns"), ("apps/staging/web", "web"), ("apps/gone", "gone")),
        )
    ]


def test_equal_wishes_are_asked_for_once() -> None:
    many = "".join(cluster(f"c-{n}", region=f"r{n % 2}", size=f"s{n}") for n in range(40))
    files = {"clusters/c.yaml": many, "infrastructure/web/Chart.yaml": CHART}
    files["infrastructure/web/fleet.yaml"] = "helm: {values: {r: '${ .ClusterLabels.region }'}}"
    renders, _ = asked(files)
    assert sorted(r.values["r"] for r in renders) == ["r0", "r1"]


def test_the_key_names_the_wish_and_not_where_it_was_said() -> None:
    one = RenderRequest("a", Form.HELM, "p", values={"x": 1, "k": {"b": 1, "a": 2}}, at="here")
    same = RenderRequest("a", Form.HELM, "p", values={"k": {"a": 2, "b": 1}, "x": 1}, at="there")
    assert one.key == same.key
    others = [
        RenderRequest("b", Form.HELM, "p", values=one.values),
        RenderRequest("a", Form.RAW, "p", values=one.values),
        RenderRequest("a", Form.HELM, "p", values=one.values, kubernetes_version="1.30"),
        RenderRequest("a", Form.HELM, "p", values={"x": "1", "k": one.values["k"]}),
    ]
    assert len({one.key, *(o.key for o in others)}) == 5


def test_an_entry_says_what_and_why() -> None:
    entry = next(e for e in plan_of(LISTED).entries_of("stg-1") if e.bundle == "web")
    assert entry.reason == "listed in clusters/staging/kustomization.yaml"
    assert entry.source == "apps/staging/web"
    assert entry.images == ("apps/staging/web",)
    assert entry.deployment is not None
    expected = BundleDeployment.of("web", entry.deployment.artifact, {}, Options(), "ignored")
    assert entry.deployment.digest == expected.digest


def test_variables_and_options_are_part_of_the_digest_and_artifacts_are_shared() -> None:
    files = CLUSTERS | raw("infrastructure/web")
    files["infrastructure/web/fleet.yaml"] = "variables: {R: '${ .ClusterLabels.region }'}"
    of = plan_of(files)
    eu, us = (of.entries_of(name)[0].deployment for name in ("prd-1", "prd-2"))
    assert eu is not None
    assert us is not None
    assert (eu.variables, us.variables) == ({"R": "eu"}, {"R": "us"})
    assert eu.artifact == us.artifact
    assert eu.digest != us.digest


@pytest.mark.parametrize("bad", [Rendered(problem=FAILED), None])
def test_what_did_not_render_is_held_and_the_others_go_on(bad: Rendered | None) -> None:
    repo = repo_of(LISTED)
    placement = place(repo)
    renders, _ = requests(repo, placement)
    good = {r.key: Rendered(r.key, objects=1) for r in renders if r.bundle != "web"}
    failed = {r.key: bad for r in renders if r.bundle == "web" and bad}
    of = plan(repo, placement, good | failed)
    got = wanted(of, "stg-1")
    assert got["web"] is None
    assert got["dns"]
    assert [p.code for p in of.problems] == (["kustomize"] if bad else ["not-rendered"] * 2)


def test_warnings_of_renders_are_in_the_plan() -> None:
    warning = Problem("odd", Severity.WARNING, "w", "a", "f")
    rendered = Rendered("sha256:1", objects=1, warnings=(warning,))
    assert plan_of(LISTED, {"web": rendered}).problems == (warning,)


def test_dependencies_that_a_cluster_does_not_get_do_not_hold_it() -> None:
    files = CLUSTERS | raw("infrastructure/web", "apps/production/db", "apps/staging/x")
    files["infrastructure/web/fleet.yaml"] = "dependsOn: [{name: db}]"
    of = plan_of(files)
    options = {n: of.entries_of(n)[-1].deployment for n in ("stg-1", "prd-1")}
    assert options["stg-1"].options.depends_on == ()  # type: ignore[union-attr]
    assert options["prd-1"].options.depends_on == ("db",)  # type: ignore[union-attr]


def test_a_held_dependency_is_still_waited_for() -> None:
    files = CLUSTERS | raw("infrastructure/web", "infrastructure/db")
    files |= {
        "infrastructure/web/fleet.yaml": "dependsOn: [{name: db}]",
        "infrastructure/db/fleet.yaml": "a: [",
    }
    of = plan_of(files)
    assert wanted(of, "stg-1")["db"] is None
    assert of.held == {"db"}
    web = of.entries_of("stg-1")[1].deployment
    assert web is not None
    assert web.options.depends_on == ("db",)


def test_a_groups_own_bundle_without_objects_is_no_bundle() -> None:
    assert "staging-cluster" in wanted(plan_of(LISTED), "stg-1")
    for nothing in (Rendered(), Rendered("sha256:1", objects=0)):
        of = plan_of(LISTED, {"staging-cluster": nothing})
        assert "staging-cluster" not in wanted(of, "stg-1")
        assert of.problems == ()


def test_a_group_that_cannot_be_divided_removes_none_of_its_bundles() -> None:
    of = plan_of(LISTED, {"web": Rendered(), "dns": Rendered()})
    got = wanted(of, "stg-1")
    assert (got["web"], got["dns"]) == (None, None)
    assert got["staging-cluster"]
    reason = next(e.reason for e in of.entries_of("stg-1") if e.bundle == "dns")
    assert reason.endswith("which cannot be divided")


def test_a_bundle_with_no_objects_left_is_still_wanted() -> None:
    of = plan_of(CLUSTERS | raw("infrastructure/web"), {"web": Rendered("sha256:1", objects=0)})
    assert wanted(of, "stg-1")["web"]


def test_two_groups_may_list_a_directory_for_one_cluster_if_they_agree() -> None:
    files = {
        "clusters/a/c.yaml": cluster("both", "b"),
        "clusters/a/kustomization.yaml": listing("infrastructure/dns"),
        "clusters/b/kustomization.yaml": listing("infrastructure/dns"),
    } | kustomized("infrastructure/dns")
    agree = plan_of(files, {"dns": Rendered("sha256:1", objects=1)})
    assert wanted(agree, "both")["dns"]
    (entry,) = [e for e in plan_of(files).entries_of("both") if e.bundle == "dns"]
    assert entry.deployment is None
    (problem,) = plan_of(files).problems
    assert (problem.code, problem.bundle) == ("groups-disagree", "dns")


def test_held_clusters_and_unread_kinds_are_in_the_plan() -> None:
    files = CLUSTERS | {"clusters/odd.yaml": "apiVersion: fleet.dev/v1\nkind: Rollout\nspec: [\n"}
    files["clusters/staging/kustomization.yaml"] = "resources: [\n"
    of = plan_of(files)
    assert of.held_clusters == {"stg-1"}
    assert of.unread == {"Rollout"}
    assert of.entries_of("stg-1") == ()


def test_the_commit_is_named_and_is_no_part_of_digests() -> None:
    files = CLUSTERS | raw("infrastructure/web")
    one, two = (planned(MemoryTree(files, commit=c))[1] for c in ("c1", "c2"))
    assert (one.commit, two.commit) == ("c1", "c2")
    assert one.entries_of("stg-1")[0].deployment.commit == "c1"  # type: ignore[union-attr]
    assert wanted(one, "stg-1") == wanted(two, "stg-1")


@given(repositories())
@settings(max_examples=100, deadline=None)
def test_equal_input_gives_an_equal_plan_with_every_cluster_in_it(files: dict[str, str]) -> None:
    shuffled = list(files.items())
    Random(len(files)).shuffle(shuffled)
    one, two = plan_of(files), plan_of(dict(shuffled))
    assert one == two
    assert set(one.class_of) == {c.name for c in discover(MemoryTree(files)).clusters}
    assert list(one.problems) == sorted(set(one.problems))
    for entries in one.classes:
        assert [e.bundle for e in entries] == sorted({e.bundle for e in entries})
        assert all(e.deployment is None for e in entries if e.bundle in one.held)


@pytest.mark.skipif(not SHOP_FLEET.is_dir(), reason=f"{SHOP_FLEET} is not on this machine")
def test_the_shop_fleet_is_planned_as_its_readme_says() -> None:
    repo, of = planned(read_folder(SHOP_FLEET))
    assert [(p.code, p.cluster) for p in of.problems] == [("cluster-ungrouped", "lab-1")]
    infrastructure = {"cert-manager", "ingress-nginx", "monitoring"}
    apps = {"metrics-server", "online-boutique", "podinfo", "webapp"}
    assert set(wanted(of, "lab-1")) == infrastructure
    assert set(wanted(of, "stg-eu-1")) == (infrastructure | apps | {"staging-cluster"})
    assert set(wanted(of, "prd-ap-3")) == infrastructure | apps | {"production-cluster"}
    custom = {
        name: next(e.customization for e in of.entries_of(name) if e.bundle == "podinfo")
        for name in of.class_of
        if name.startswith("prd")
    }
    assert {n for n, c in custom.items() if c == "eu"} == {"prd-eu-1", "prd-eu-2", "prd-eu-3"}
    assert {n for n, c in custom.items() if c == "small"} == {"prd-us-3", "prd-ap-3"}
    assert len(of.classes) == 6
    assert len(repo.bundles) == 9
