"""What holds for every repository: the order of files means nothing, and nothing ever raises."""

from __future__ import annotations

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.layout import MemoryTree, discover
from fleet.layout.dependencies import cycles
from fleet.placement import place
from tests.fleet.layout.repositories import CHART, DEPLOYMENT, KUSTOMIZATION, cluster, listing

names = st.sampled_from(["web", "api", "db", "Bad_Name"])
groups = st.sampled_from(["staging", "production", "base"])
directories = st.one_of(
    st.builds(lambda g, n: f"apps/{g}/{n}", groups, names),
    st.builds(lambda n: f"infrastructure/{n}", names),
)
contents = st.sampled_from(
    [
        {"deployment.yaml": DEPLOYMENT},
        {"deployment.yaml": DEPLOYMENT, "kustomization.yaml": KUSTOMIZATION},
        {"Chart.yaml": CHART},
        {"README.md": "x"},
        {"kustomization.yaml": "resources: [../../base/web]\n"},
    ]
)
fleet_yamls = st.sampled_from(
    [
        "",
        "name: other\n",
        "targets: [{clusterSelector: {matchLabels: {region: eu}}}]\n",
        "dependsOn: [{name: web}, {name: db}]\n",
        "labels: {a: b}\n",
        "helm: [\n",
        "helm: {values: {r: '${ .ClusterLabels.region }'}}\n",
        "targetCustomizations: [{clusterGroup: staging, doNotDeploy: true}]\n",
        "namespace: 5\n",
    ]
)


@st.composite
def repositories(draw: st.DrawFn) -> dict[str, str]:
    """Small repositories with everything that may be in one, right and wrong."""
    files: dict[str, str] = {}
    for directory in draw(st.lists(directories, max_size=6, unique=True)):
        files |= {f"{directory}/{n}": text for n, text in draw(contents).items()}
        if draw(st.booleans()):
            files[f"{directory}/fleet.yaml"] = draw(fleet_yamls)
    for group in draw(st.sets(groups)):
        listed = draw(st.lists(directories, max_size=3))
        files[f"clusters/{group}/kustomization.yaml"] = draw(
            st.sampled_from([listing(*listed), listing(*listed) + "x: ["])
        )
    envs = st.sampled_from(["staging", "production", "lab", ""])
    regions = st.sampled_from(["eu", "us"])
    for number in range(draw(st.integers(0, 5))):
        files[f"clusters/c{number}.yaml"] = cluster(f"c-{number}", draw(envs), region=draw(regions))
    if draw(st.booleans()):
        files["clusters/odd.yaml"] = "apiVersion: fleet.dev/v1\nkind: Cluster\nmetadata: [\n"
    return files


@given(repositories(), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_the_order_of_files_means_nothing(files: dict[str, str], random: Random) -> None:
    shuffled = list(files.items())
    random.shuffle(shuffled)
    first, second = discover(MemoryTree(files)), discover(MemoryTree(dict(shuffled)))
    assert first == second
    assert place(first) == place(second)


@given(repositories())
@settings(max_examples=150, deadline=None)
def test_every_source_goes_to_no_cluster_that_its_group_does_not_hold(
    files: dict[str, str],
) -> None:
    repo = discover(MemoryTree(files))
    members = {group.name: set(group.members) for group in repo.groups}
    placement = place(repo)
    assert set(placement.class_of) == {c.name for c in repo.clusters}
    for name in placement.class_of:
        for placed in placement.placed_in(name):
            source = placed.source
            by_group = any(name in members[g] for g in source.groups)
            assert source.targets is not None or source.everywhere or by_group


@given(repositories())
@settings(max_examples=100, deadline=None)
def test_a_broken_document_never_removes_anything_from_anyone(
    files: dict[str, str],
) -> None:
    """Break one fleet.yaml: whoever had a bundle still has it, unless it is held."""
    before = discover(MemoryTree(files))
    had = {c.name: {p.bundle for p in place(before).placed_in(c.name)} for c in before.clusters}
    for path in [p for p in files if p.endswith("fleet.yaml")]:
        after = discover(MemoryTree(files | {path: files[path] + "\nbroken: ["}))
        placement = place(after)
        for name, bundles in had.items():
            if name not in after.held_clusters:
                now = {p.bundle for p in placement.placed_in(name)}
                assert bundles <= now | after.held, (path, name)


@given(st.dictionaries(st.sampled_from("abcdefg"), st.sets(st.sampled_from("abcdefg"))))
def test_cycles_are_found_if_and_only_if_there_are_some(graph: dict[str, set[str]]) -> None:
    edges = {name: tuple(sorted(others)) for name, others in graph.items()}
    found = cycles(edges)
    for cycle in found:
        pairs = zip(cycle, (*cycle[1:], cycle[0]), strict=True)
        assert all(other in edges[name] for name, other in pairs)
        assert cycle[0] == min(cycle)
    left = {n: set(o) & set(edges) for n, o in edges.items()}
    for cycle in found:
        for name in cycle:
            left.pop(name)
    while free := [n for n, others in left.items() if not others & set(left)]:
        for name in free:
            del left[name]
    assert not left
