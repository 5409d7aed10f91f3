"""What differs between two commits, and the warning of content that skips staging."""

from __future__ import annotations

import pytest

from fleet.layout import MemoryTree
from fleet.model import Rendered, Severity
from fleet.plan import Change, compare, preset_stages, skipped_stages
from tests.fleet.layout.repositories import (
    CLUSTERS,
    SHOP_FLEET,
    cluster,
    raw,
    read_folder,
    repo_of,
)
from tests.fleet.plan.plans import plan_of, planned

WEB = raw("apps/staging/web", "apps/production/web")
HOME = CLUSTERS | WEB
STAGES = preset_stages(repo_of(HOME))
OTHER = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: other}\n"
STAGED = "apps/staging/web/deployment.yaml"
LIVE = "apps/production/web/deployment.yaml"


def test_no_difference_is_no_change() -> None:
    assert compare(plan_of(HOME), plan_of(HOME)) == ()


def test_before_the_first_commit_everything_is_added() -> None:
    everybody = ("prd-1", "prd-2", "stg-1")
    assert compare(None, plan_of(HOME)) == (Change("web", added=everybody, content=everybody),)


def test_changed_content_options_and_removal_are_told_apart() -> None:
    old = plan_of(HOME | raw("infrastructure/dns", "infrastructure/log"))
    files = HOME | raw("infrastructure/dns") | {STAGED: OTHER}
    files["infrastructure/dns/fleet.yaml"] = "defaultNamespace: dns"
    everybody = ("prd-1", "prd-2", "stg-1")
    assert compare(old, plan_of(files)) == (
        Change("dns", changed=everybody),
        Change("log", removed=everybody),
        Change("web", changed=("stg-1",), content=("stg-1",)),
    )


@pytest.mark.parametrize(
    "broken",
    [
        {"apps/staging/web/fleet.yaml": "a: ["},
        {"clusters/staging/kustomization.yaml": "a: ["},
        {"infrastructure/web/deployment.yaml": OTHER},
    ],
)
def test_what_is_held_is_no_change(broken: dict[str, str]) -> None:
    assert compare(plan_of(HOME), plan_of(HOME | broken)) == ()
    assert compare(plan_of(HOME | broken), plan_of(HOME)) == ()


def test_the_absence_of_a_held_bundle_is_no_removal() -> None:
    gone = {p: t for p, t in HOME.items() if not p.startswith("apps/production/web/")}
    files = gone | {"apps/production/web/fleet.yaml": "targets: [{clusterName: x}]\nhelm: ["}
    assert compare(plan_of(HOME), plan_of(files)) == ()
    assert compare(plan_of(HOME), plan_of(gone | {"apps/production/x.md": ""})) == (
        Change("web", removed=("prd-1", "prd-2")),
    )


def test_a_cluster_that_is_declared_no_more_is_no_change_of_its_bundles() -> None:
    files = HOME | {"clusters/clusters.yaml": cluster("stg-1", "staging", region="eu")}
    assert compare(plan_of(HOME), plan_of(files)) == ()


def warned(old: dict[str, str] | None, new: dict[str, str]) -> list[str]:
    """The texts of the warnings."""
    before = plan_of(old) if old is not None else None
    problems = skipped_stages(before, plan_of(new), STAGES)
    assert all((p.code, p.severity) == ("skips-staging", Severity.WARNING) for p in problems)
    return [p.what for p in problems]


def test_content_that_reaches_production_alone_is_warned_of() -> None:
    (what,) = warned(HOME, HOME | {LIVE: OTHER})
    assert what == (
        "bundle web changes in production (prd-1, prd-2) and not in staging: "
        "staging is skipped as unchanged"
    )


def test_what_staging_does_not_run_at_all_is_said_to_be_so() -> None:
    (what,) = warned(HOME, HOME | raw("apps/production/new"))
    assert what.endswith("no cluster of staging runs it")


def test_nothing_is_warned_of_that_passes_staging_or_brings_nothing() -> None:
    assert warned(HOME, HOME | {LIVE: OTHER, STAGED: OTHER}) == []
    assert warned(HOME, HOME | {STAGED: OTHER}) == []
    assert warned(HOME, CLUSTERS | raw("apps/staging/web") | {"apps/production/x/x.md": ""}) == []
    options = HOME | {"apps/production/web/fleet.yaml": "keepResources: true"}
    assert warned(HOME, options) == []
    assert warned(None, HOME) == []


def test_a_repository_without_both_groups_has_no_preset_stages() -> None:
    assert preset_stages(repo_of({"clusters/c.yaml": cluster("a", "staging")} | WEB)) == ()
    assert skipped_stages(plan_of(HOME), plan_of(HOME | {LIVE: OTHER}), ()) == ()
    assert [name for name, _ in STAGES] == ["staging", "production"]


def test_many_clusters_are_summed_up() -> None:
    many = "".join(cluster(f"prd-{n}", "production") for n in range(9))
    files = WEB | {"clusters/c.yaml": cluster("stg-1", "staging") + many}
    problems = skipped_stages(
        plan_of(files), plan_of(files | {LIVE: OTHER}), preset_stages(repo_of(files))
    )
    assert "(prd-0, prd-1, prd-2 and 6 more)" in problems[0].what


def test_a_render_that_fails_now_is_no_change() -> None:
    from tests.fleet.plan.test_planning import FAILED

    assert compare(plan_of(HOME), plan_of(HOME, {"web": Rendered(problem=FAILED)})) == ()


@pytest.mark.skipif(not SHOP_FLEET.is_dir(), reason=f"{SHOP_FLEET} is not on this machine")
def test_a_change_of_the_shop_for_eu_reaches_three_clusters_and_is_warned_of() -> None:
    tree = read_folder(SHOP_FLEET)
    files = {path: tree.read(path) for path in tree.entries()}
    path = "apps/production/podinfo/fleet.yaml"
    edited = files | {path: files[path].replace(b"maxReplicas: 20", b"maxReplicas: 21")}
    repo, old = planned(tree)
    _, new = planned(MemoryTree(edited))
    eu = ("prd-eu-1", "prd-eu-2", "prd-eu-3")
    assert compare(old, new) == (Change("podinfo", changed=eu, content=eu),)
    (problem,) = skipped_stages(old, new, preset_stages(repo))
    assert "staging is skipped as unchanged" in problem.what
    chart = "apps/base/podinfo-chart/values.yaml"
    _, both = planned(MemoryTree(files | {chart: files[chart] + b"\n# edited\n"}))
    (change,) = compare(old, both)
    assert len(change.changed) == 11
    assert skipped_stages(old, both, preset_stages(repo)) == ()
