"""How long a plan takes: `python tests/benchmarks/bench_plan.py [--profile]`.

Clusters × 50 bundles: 20 by place for all, 20 apps in two groups, 5 in a group's file, 4 charts
whose values look at labels and one whose values look at each cluster's name. Rendering is left out
(it is cached by content); a stand-in names an artifact for each wish. Prints seconds of each step
for 1,000 and 10,000 clusters, and their ratio: more than ten times would be worse than linear.
"""

from __future__ import annotations

import cProfile
import pstats
import sys
import time
from collections.abc import Callable
from typing import TypeVar

from fleet.layout import MemoryTree, discover
from fleet.model import Rendered
from fleet.placement import place
from fleet.plan import compare, plan, requests

T = TypeVar("T")
STEPS = ("discover", "place", "requests", "plan", "compare")
MANIFEST = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
CHART = "apiVersion: v2\nname: chart\nversion: 1.0.0\n"
CUSTOMIZED = """
helm: {values: {zone: "${ .ClusterLabels.zone }"}}
targetCustomizations:
  - {name: eu, clusterSelector: {matchLabels: {region: eu}}, helm: {values: {replicas: 3}}}
  - {name: small, clusterSelector: {matchLabels: {size: small}}, helm: {values: {replicas: 1}}}
"""


def repository(clusters: int) -> MemoryTree:
    """A repository of so many clusters and 50 bundles beside the groups' own."""
    files = {f"infrastructure/by-place-{n}/cm.yaml": MANIFEST for n in range(20)}
    for group in ("staging", "production"):
        files |= {f"apps/{group}/app-{n}/cm.yaml": MANIFEST for n in range(20)}
        listed = [f"apps/{group}/listed-{n}" for n in range(5)]
        files |= {f"{path}/kustomization.yaml": "resources: []\n" for path in listed}
        files[f"clusters/{group}/kustomization.yaml"] = "resources:\n" + "".join(
            f"  - ../../{path}\n" for path in listed
        )
    for n in range(5):
        files[f"infrastructure/chart-{n}/Chart.yaml"] = CHART
        files[f"infrastructure/chart-{n}/fleet.yaml"] = CUSTOMIZED
    files["infrastructure/chart-4/fleet.yaml"] += 'variables: {NAME: "${ .ClusterName }"}\n'
    files["clusters/clusters.yaml"] = "".join(document(n) for n in range(clusters))
    return MemoryTree(files)


def document(number: int) -> str:
    """One cluster; every label has some values, one has a value for each cluster."""
    env = "staging" if number % 10 == 0 else "production"
    region, size = ("eu", "us", "ap")[number % 3], ("small", "large")[number % 2]
    return (
        "---\napiVersion: fleet.dev/v1\nkind: Cluster\n"
        f"metadata:\n  name: c-{number:05}\n  labels: {{env: {env}, region: {region}, "
        f'size: {size}, zone: "z{number % 20}", serial: "s{number}"}}\n'
    )


def timed(seconds: list[float], step: Callable[[], T]) -> T:
    """The step's result; its seconds are added to the list."""
    start = time.perf_counter()
    result = step()
    seconds.append(time.perf_counter() - start)
    return result


def measure(clusters: int) -> list[float]:
    """Seconds of each step."""
    tree = repository(clusters)
    seconds: list[float] = []
    repo = timed(seconds, lambda: discover(tree))
    placement = timed(seconds, lambda: place(repo))
    asked, _ = timed(seconds, lambda: requests(repo, placement))
    rendered = {r.key: Rendered(r.key, objects=1) for r in asked}
    planned = timed(seconds, lambda: plan(repo, placement, rendered))
    timed(seconds, lambda: compare(planned, planned))
    bundles = {b.name for b in repo.bundles if not b.name.endswith("-cluster")}
    show(
        f"{len(repo.clusters)} clusters, {len(bundles)} bundles, {len(planned.classes)} classes, "
        f"{len(asked)} renders, {len(planned.problems)} problems"
    )
    return seconds


def show(line: str) -> None:
    """Print one line."""
    sys.stdout.write(line + "\n")


def main() -> None:
    """Print the table."""
    if "--profile" in sys.argv:
        profile = cProfile.Profile()
        profile.runcall(measure, 10_000)
        pstats.Stats(profile).sort_stats("cumulative").print_stats(30)
        return
    few, many = measure(1_000), measure(10_000)
    for name, a, b in zip((*STEPS, "all"), (*few, sum(few)), (*many, sum(many)), strict=True):
        show(f"{name:10} {a:8.3f} s {b:8.3f} s   x {b / max(a, 1e-9):5.1f}")


if __name__ == "__main__":
    main()
