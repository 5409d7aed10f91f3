"""Which customization wins, what comes of it, and that classes change no answer."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.protocol import DriftMode
from fleet.layout import MemoryTree, discover
from fleet.model import Repo
from fleet.placement import Placed, place
from fleet.placement.facets import Facts
from fleet.placement.placed import place_bundle, reaching
from tests.fleet.layout.repositories import CHART, CLUSTERS, cluster, raw, repo_of
from tests.fleet.layout.test_promises import repositories

CHARTED = CLUSTERS | {"infrastructure/web/Chart.yaml": CHART}


def placed(fleet_yaml: str, name: str, files: dict[str, str] | None = None) -> Placed:
    """What one cluster gets of the bundle `web`."""
    all_files = (files or CHARTED) | {"infrastructure/web/fleet.yaml": fleet_yaml}
    return next(p for p in place(repo_of(all_files)).placed_in(name) if p.bundle == "web")


CUSTOMIZED = """
defaultNamespace: base
helm: {releaseName: r, values: {a: 1, deep: {k: 1, m: 1}}}
variables: {V: base, W: "${ .ClusterLabels.region }"}
targetCustomizations:
  - {name: us, clusterSelector: {matchLabels: {region: us}}, helm: {values: {deep: {m: null}}}}
  - name: production
    clusterGroup: production
    helm: {values: {a: 2}, releaseName: prd}
    defaultNamespace: other
    variables: {V: "${ .ClusterName }"}
    correctDrift: {enabled: false}
  - {name: all, clusterSelector: {}, helm: {values: {a: 3}}}
"""
GROUPED = CHARTED | raw("apps/production/x", "apps/staging/x")


def test_the_first_match_wins_and_only_it() -> None:
    us, eu, stg = (placed(CUSTOMIZED, n, GROUPED) for n in ("prd-2", "prd-1", "stg-1"))
    assert [p.customization for p in (us, eu, stg)] == ["us", "production", "all"]
    assert us.values == {"a": 1, "deep": {"k": 1, "m": None}}
    assert eu.values == {"a": 2, "deep": {"k": 1, "m": 1}}
    assert stg.values == {"a": 3, "deep": {"k": 1, "m": 1}}
    assert [p.release_name for p in (us, eu)] == ["r", "prd"]
    assert [p.options.namespace for p in (us, eu)] == ["base", "other"]
    assert eu.options.drift is DriftMode.WARN
    assert (us.variables, eu.variables) == ({"V": "base", "W": "us"}, {"V": "prd-1", "W": "eu"})


def test_a_forced_namespace_is_not_undone_by_a_default() -> None:
    text = "namespace: all\ntargetCustomizations: [{clusterSelector: {}, defaultNamespace: d}]"
    options = placed(text, "prd-1").options
    assert (options.namespace, options.force_namespace) == ("all", True)


def test_do_not_deploy_is_no_conflict_and_no_idle_directory() -> None:
    text = "targetCustomizations: [{clusterSelector: {}, doNotDeploy: true}]"
    repo = repo_of(CHARTED | {"infrastructure/web/fleet.yaml": text})
    placement = place(repo)
    assert placement.classes == ((),)
    assert placement.problems == ()


@pytest.mark.parametrize(
    ("rule", "names"),
    [
        ("{clusterName: prd-1}", {"prd-1"}),
        ("{clusterGroup: production}", {"prd-1", "prd-2"}),
        ("{clusterGroup: production, clusterSelector: {matchLabels: {region: eu}}}", {"prd-1"}),
        ("{clusterSelector: {}}", {"stg-1", "prd-1", "prd-2"}),
        ("{clusterSelector: {matchExpressions: [{key: x, operator: DoesNotExist}]}}",
         {"stg-1", "prd-1", "prd-2"}),
        ("{clusterSelector: {matchExpressions: [{key: region, operator: NotIn, values: [eu]}]}}",
         {"prd-2"}),
        ("{clusterSelector: {matchExpressions: [{key: env, operator: Exists}]},"
         " clusterName: stg-1}", {"stg-1"}),
        ("{name: nothing}", set()),
    ],
)  # fmt: skip
def test_all_that_a_rule_says_must_hold(rule: str, names: set[str]) -> None:
    files = GROUPED | {"infrastructure/web/fleet.yaml": f"targets: [{rule}]"}
    placement = place(repo_of(files))
    found = {n for n in placement.class_of for p in placement.placed_in(n) if p.bundle == "web"}
    assert found == names


def test_a_missing_label_holds_the_bundle_for_that_cluster_only() -> None:
    files = CHARTED | {"clusters/c.yaml": cluster("bare", "staging")}
    files["infrastructure/web/fleet.yaml"] = (
        "helm: {values: {r: '${ .ClusterLabels.region }'}}\n"
        "targetCustomizations: [{name: c, clusterSelector: {}}]"
    )
    placement = place(repo_of(files))
    (problem,) = placement.problems
    assert (problem.code, problem.cluster, problem.bundle) == ("template", "bare", "web")
    assert problem.what == (
        "bundle web: values (customization c) cannot be filled in for cluster bare: "
        "there is no .ClusterLabels.region"
    )
    assert problem.at == "infrastructure/web/fleet.yaml"
    (bare,) = placement.placed_in("bare")
    assert bare.problem is not None
    (good,) = placement.placed_in("stg-1")
    assert (good.problem, good.values) == (None, {"r": "eu"})


def test_templating_can_be_turned_off() -> None:
    text = "helm: {disablePreProcess: true, values: {sh: '${HOME}'}}"
    assert placed(text, "prd-1").values == {"sh": "${HOME}"}


def test_a_number_that_json_cannot_hold_is_a_problem() -> None:
    found = placed("helm: {values: {n: '${ mul 9223372036854775807 9 }'}}", "prd-1")
    assert found.problem is not None
    assert "JSON" in found.problem.what


def test_clusters_that_get_the_same_are_one_class() -> None:
    files = CHARTED | {
        "clusters/more.yaml": "".join(
            cluster(f"c-{n}", "production", size=str(n), zone=f"z{n % 3}") for n in range(60)
        ),
        "infrastructure/web/fleet.yaml": "helm: {values: {z: '${ get .ClusterLabels `zone` }'}}",
    }
    placement = place(repo_of(files))
    assert len(placement.classes) == 4
    assert len(placement.class_of) == 63


def test_a_template_that_looks_at_names_makes_classes_only_where_they_count() -> None:
    text = (
        "helm: {values: {a: b}}\n"
        "targetCustomizations: [{clusterName: prd-1, helm: {values: {a: '${ .ClusterName }'}}}]"
    )
    placement = place(repo_of(CHARTED | {"infrastructure/web/fleet.yaml": text}))
    assert len(placement.classes) == 2


def test_only_charts_care_for_the_version_of_kubernetes() -> None:
    versions = cluster("v1", spec='{kubernetesVersion: "1.30"}') + cluster(
        "v2", spec='{kubernetesVersion: "1.31"}'
    )
    files = {"clusters/c.yaml": versions}
    assert len(place(repo_of(files | raw("infrastructure/web"))).classes) == 1
    charted = place(repo_of(files | {"infrastructure/web/Chart.yaml": CHART}))
    assert [p.kubernetes_version for (p,) in charted.classes] == ["1.30", "1.31"]


def brute_force(repo: Repo) -> dict[str, list[Placed]]:
    """Every pair of cluster and bundle by itself."""
    groups = {group.name: group for group in repo.groups}
    found: dict[str, list[Placed]] = {}
    for one in repo.clusters:
        names = tuple(sorted(n for n, g in groups.items() if one.name in g.members))
        facts = Facts.of(one, names)
        placed = (place_bundle(b, reaching(b, facts, groups), facts, groups) for b in repo.bundles)
        held = one.name in repo.held_clusters
        found[one.name] = [] if held else [p for p in placed if p is not None]
    return found


FLEET_YAMLS = st.sampled_from(
    [
        "helm: {values: {n: '${ .ClusterName }'}}",
        "helm: {values: {n: '${ index .ClusterAnnotations `a` }', v: '${ .ClusterValues.k }'}}",
        "variables: {L: '${ toJson .ClusterLabels }'}",
        "targets: [{clusterName: c-1}, {clusterGroup: staging}]",
        "targetCustomizations: [{clusterName: c-2, variables: {A: b}}]",
        "targetCustomizations: [{clusterSelector: {matchLabels: {size: s}}, namespace: x}]",
    ]
)
ODD_CLUSTERS = st.lists(
    st.tuples(
        st.sampled_from(["staging", "production", ""]),
        st.sampled_from(["s", "l"]),
        st.sampled_from(["{values: {k: 1}}", "{values: {k: 2}}", '{kubernetesVersion: "1.30"}']),
    ),
    max_size=8,
)


@given(repositories(), FLEET_YAMLS, FLEET_YAMLS, ODD_CLUSTERS)
@settings(max_examples=150, deadline=None)
def test_classes_give_every_cluster_what_it_would_get_alone(
    files: dict[str, str], first: str, second: str, odd: list[tuple[str, str, str]]
) -> None:
    files = files | {
        "infrastructure/chart/Chart.yaml": CHART,
        "infrastructure/chart/fleet.yaml": first,
        "apps/staging/chart2/Chart.yaml": CHART,
        "apps/staging/chart2/fleet.yaml": second,
        "clusters/many.yaml": "".join(
            cluster(f"m-{n}", env, spec, size=size) for n, (env, size, spec) in enumerate(odd)
        ),
    }
    repo = discover(MemoryTree(files))
    placement = place(repo)
    assert set(placement.class_of) == {c.name for c in repo.clusters}
    for name, wanted in brute_force(repo).items():
        assert list(placement.placed_in(name)) == wanted
    assert place(replace(repo, clusters=repo.clusters[::-1])).problems == placement.problems
