"""What a Kubernetes release serves."""

from __future__ import annotations

from clusters.objects import Kind
from clusters.objects.apis import NEWEST, built_in_apis, namespaced_kinds


def test_newer_releases_serve_all_that_older_ones_serve_and_more() -> None:
    assert set(built_in_apis("1.29")) < set(built_in_apis("v1.34.1-eks-1")) < set(built_in_apis())
    assert "resource.k8s.io/v1" not in built_in_apis("1.33.9")
    assert "resource.k8s.io/v1/DeviceClass" in built_in_apis("1.34.0")
    assert "apps/v1" in built_in_apis("1.25")
    assert built_in_apis("latest") == built_in_apis(NEWEST)


def test_scopes_are_known_for_built_in_kinds_and_for_those_of_crds() -> None:
    crd = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "flows.x.dev"},
        "spec": {"group": "x.dev", "names": {"kind": "Flow"}, "scope": "Namespaced"},
    }
    broken = crd | {"spec": "no mapping"}
    found = namespaced_kinds([crd, broken])
    assert found[Kind("x.dev", "Flow")] is True
    assert found[Kind("apps", "Deployment")] is True
    assert found[Kind("", "Namespace")] is False
    assert Kind("y.dev", "Flow") not in found
