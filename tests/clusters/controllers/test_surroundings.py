"""What a cluster does around workloads: endpoints, addresses, accounts, scaling."""

from __future__ import annotations

from clusters.objects import ObjectKey
from tests.clusters.controllers.lab import Lab, deployment, service

WEB = ObjectKey("apps", "Deployment", "default", "web")
ENDPOINTS = ObjectKey("", "Endpoints", "default", "web")


def addresses(lab: Lab) -> list[str]:
    """The addresses that serve, as Endpoints has them."""
    subsets = lab.see(ENDPOINTS).get("subsets") or ()
    return [a["ip"] for subset in subsets for a in subset.get("addresses") or ()]


def test_endpoints_follow_the_pods_that_are_ready() -> None:
    lab = Lab()
    lab.apply(service())
    lab.apply(deployment("web:1"))
    lab.run(0.1)
    assert addresses(lab) == []
    lab.run(5)
    ips = [pod["status"]["podIP"] for pod in lab.pods(app="web")]
    assert sorted(addresses(lab)) == sorted(ips)
    assert lab.see(ENDPOINTS)["subsets"][0]["ports"] == [
        {"name": "http", "port": 8080, "protocol": "TCP"}
    ]
    (found,) = lab.kinds("discovery.k8s.io", "EndpointSlice")
    assert found["metadata"]["labels"]["kubernetes.io/service-name"] == "web"
    assert [e["conditions"]["ready"] for e in found["endpoints"]] == [True] * 3
    assert found["ports"] == [{"name": "http", "port": 8080, "protocol": "TCP"}]
    lab.apply(deployment("web:1", 0))
    lab.run(1)
    assert addresses(lab) == []


def test_a_port_without_a_name_has_an_empty_one_in_a_slice() -> None:
    lab = Lab()
    plain = service()
    del plain["spec"]["ports"][0]["name"]
    lab.apply(plain)
    lab.run(0.1)
    (found,) = lab.kinds("discovery.k8s.io", "EndpointSlice")
    assert found["ports"][0]["name"] == ""


def test_a_service_that_comes_after_its_pods_finds_them() -> None:
    lab = Lab()
    lab.apply(deployment("web:1"))
    lab.run(5)
    lab.apply(service())
    lab.run(0.1)
    assert len(addresses(lab)) == 3


def test_a_deleted_service_leaves_no_endpoints() -> None:
    lab = Lab()
    key = lab.apply(service())
    lab.run(1)
    lab.server.delete(key)
    lab.run(1)
    assert lab.server.peek(ENDPOINTS) is None
    assert lab.kinds("discovery.k8s.io", "EndpointSlice") == []


def test_a_load_balancer_gets_its_address_after_a_moment() -> None:
    lab = Lab()
    key = lab.apply(service(type="LoadBalancer"))
    lab.run(0.1)
    assert "ingress" not in lab.status(key).get("loadBalancer", {})
    lab.run(1)
    assert lab.status(key)["loadBalancer"]["ingress"][0]["ip"].startswith("203.0.113.")


def test_an_ingress_gets_an_address() -> None:
    lab = Lab()
    backend = {"service": {"name": "web", "port": {"number": 80}}}
    key = lab.apply(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"defaultBackend": backend},
        }
    )
    lab.run(1)
    assert lab.status(key)["loadBalancer"]["ingress"]


def test_nodes_are_ready() -> None:
    lab = Lab(nodes=("a", "b"))
    for name in ("a", "b"):
        assert lab.condition(ObjectKey("", "Node", "", name), "Ready")[0] == "True"


def test_an_api_service_is_available_with_the_service_behind_it() -> None:
    lab = Lab()
    key = lab.apply(
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": "web", "namespace": "default"},
            },
        }
    )
    lab.run(1)
    assert lab.condition(key, "Available") == ("False", "MissingEndpoints")
    lab.apply(service())
    lab.apply(deployment("web:1"))
    lab.run(5)
    assert lab.condition(key, "Available") == ("True", "Passed")


def test_a_disruption_budget_counts_its_pods() -> None:
    lab = Lab()
    selector = {"matchLabels": {"app": "web"}}
    key = lab.apply(
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": {"name": "web", "namespace": "default"},
            "spec": {"minAvailable": 2, "selector": selector},
        }
    )
    lab.apply(deployment("web:1"))
    lab.run(5)
    status = lab.status(key)
    assert (status["currentHealthy"], status["expectedPods"]) == (3, 3)
    assert (status["desiredHealthy"], status["disruptionsAllowed"]) == (2, 1)
