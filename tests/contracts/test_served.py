"""What a real API server serves, the simulation serves: read from aggregated discovery on both.

Kinds, plurals, singulars, scope, verbs, short names, categories and the order of versions are
equal. Left out, and why:

====================================  ============================================================
kinds in `NOT_SERVED`                 nothing that a fleet brings to a cluster reads or writes them
subresources but status and scale     they are ways to a kubelet, or are served without being told
====================================  ============================================================
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.contracts.pair import Pair

pytestmark = pytest.mark.xdist_group("real-cluster")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
COMPARED_SUBRESOURCES = ("status", "scale")
NOT_SERVED = frozenset(
    """
    Binding ComponentStatus TokenReview ClusterTrustBundle PodCertificateRequest DeviceTaintRule
    StorageVersionMigration
    """.split()
)
WITHOUT_STATUS_HERE = ("csinodes",)


def served(groups: list[dict[str, Any]]) -> dict[str, Any]:
    """What is served, by group, version and plural; and the versions of each group."""
    found: dict[str, Any] = {}
    for group in groups:
        name = group["metadata"].get("name", "")
        versions = [version["version"] for version in group["versions"]]
        for version in group["versions"]:
            for resource in version["resources"]:
                kind = resource["responseKind"]["kind"]
                if kind not in NOT_SERVED:
                    place = f"{name}/{version['version']} {resource['resource']}"
                    found[place] = described(resource)
                    found[f"group {name}"] = versions
    return found


def described(resource: dict[str, Any]) -> dict[str, Any]:
    """One resource without the order of its words."""
    below = [item["subresource"] for item in resource.get("subresources", ())]
    kept = [name for name in COMPARED_SUBRESOURCES if name in below]
    return {
        "kind": resource["responseKind"]["kind"],
        "singular": resource["singularResource"],
        "scope": resource["scope"],
        "verbs": sorted(resource["verbs"]),
        "short names": resource.get("shortNames", []),
        "categories": sorted(resource.get("categories", [])),
        "subresources": [] if resource["resource"] in WITHOUT_STATUS_HERE else kept,
    }


@pytest.mark.parametrize("root", ["/api", "/apis"])
def test_both_serve_the_same_kinds_in_the_same_way(pair: Pair, root: str) -> None:
    simulated, real = (
        served(pair.ask(server, root, AGGREGATED)["items"])
        for server in (pair.simulated, pair.real)
    )
    assert simulated == real
