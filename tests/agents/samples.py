"""Objects that tests are made of."""

from __future__ import annotations

from agents.protocol import Hook, HookEvent
from clusters.objects import Object, ObjectKey


def key(kind: str, name: str, namespace: str = "shop", group: str = "") -> ObjectKey:
    """Which object, for short."""
    return ObjectKey(group, kind, namespace, name)


WEB = key("Deployment", "web", group="apps")
SETTINGS = key("ConfigMap", "settings")


def config_map(name: str = "settings", **data: str) -> Object:
    """A ConfigMap without a namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": data or {"colour": "blue"},
    }


def secret(name: str = "password", **data: str) -> Object:
    """A Secret with plain text in it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": data,
    }


def deployment(name: str = "web", image: str = "example/web:1", replicas: int = 2) -> Object:
    """A Deployment of one container."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }


def job(name: str = "migrate", image: str = "example/migrate:1") -> Object:
    """A Job that is tried once."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": image}],
                }
            },
        },
    }


def crd(plural: str = "widgets", kind: str = "Widget", scope: str = "Namespaced") -> Object:
    """A CustomResourceDefinition of the group example.com."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }


def widget(name: str = "one", size: int = 1) -> Object:
    """A custom resource of `crd()`."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": size},
    }


def namespace(name: str) -> Object:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def hook(
    obj: Object,
    *events: str,
    weight: int = 0,
    policies: tuple[str, ...] = ("before-hook-creation",),
) -> Hook:
    """A hook of an artifact."""
    chosen = tuple(HookEvent(event) for event in events)
    return Hook(events=chosen, weight=weight, deletePolicies=policies, object=obj)
