"""Objects that the tests of the simulated cluster apply, each as small as Kubernetes allows."""

from __future__ import annotations

from typing import Any

from clusters.clock import FakeClock
from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.server import ApiServer

DEPLOYMENT = Kind("apps", "Deployment")
CONFIG_MAP = Kind("", "ConfigMap")
WEB = ObjectKey("apps", "Deployment", "default", "web")
SETTINGS = ObjectKey("", "ConfigMap", "default", "settings")
WIDGET = ObjectKey("example.com", "Widget", "default", "blue")


def new_server(**options: int) -> ApiServer:
    """A server whose clock stands still."""
    return ApiServer(FakeClock(), seed=1, name="lab", **options)


def deployment(replicas: int | None = 2, image: str = "nginx:1.27", name: str = "web") -> Object:
    """A Deployment with one container, env and a port; without replicas if those are None."""
    container: dict[str, Any] = {
        "name": "app",
        "image": image,
        "ports": [{"containerPort": 80}],
        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
    }
    spec: dict[str, Any] = {
        "selector": {"matchLabels": {"app": name}},
        "template": {
            "metadata": {"labels": {"app": name}},
            "spec": {"containers": [container]},
        },
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }


def config_map(name: str = "settings", namespace: str = "default", **data: str) -> Object:
    """A ConfigMap."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": namespace},
        **({"data": data} if data else {}),
    }


def namespace(name: str) -> Object:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def service(name: str = "web", **spec: Any) -> Object:
    """A Service with one port."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"selector": {"app": name}, "ports": [{"port": 80}], **spec},
    }


def owned_by(obj: Object, owner: Object, *, blocking: bool = False) -> Object:
    """`obj` with one more owner reference."""
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": blocking,
    }
    references = [*obj["metadata"].get("ownerReferences", ()), reference]
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": references}}


def widget_definition(**version: Any) -> Object:
    """The CustomResourceDefinition of `widgets.example.com`, with a status and a list map."""
    part = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "size": {"type": "integer"}},
    }
    spec_schema = {
        "type": "object",
        "required": ["color"],
        "properties": {
            "color": {"type": "string"},
            "count": {"type": "integer", "default": 3},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "tags": {"type": "array", "items": {"type": "string"}},
            "parts": {
                "type": "array",
                "items": part,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["name"],
            },
        },
    }
    served = {
        "name": "v1",
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": spec_schema, "status": {"type": "object"}},
            }
        },
        **version,
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "widgets.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "widgets", "kind": "Widget", "shortNames": ["wd"]},
            "versions": [served],
        },
    }


def widget(**spec: Any) -> Object:
    """A Widget."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "blue", "namespace": "default"},
        "spec": {"color": "blue", **spec},
    }


def managers_of(obj: Object) -> dict[str, dict[str, Any]]:
    """The field sets of an object's managers; those of subresources as `name/subresource`."""
    found = {}
    for entry in obj["metadata"].get("managedFields", ()):
        subresource = entry.get("subresource")
        name = f"{entry['manager']}/{subresource}" if subresource else entry["manager"]
        found[name] = entry["fieldsV1"]
    return found
