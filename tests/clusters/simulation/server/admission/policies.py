"""Objects that admission works with: quotas, limits, webhook configurations, and their subjects."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from clusters.objects import Object, ObjectKey, key_of
from clusters.simulation.server import ApiServer

QUOTA = ObjectKey("", "ResourceQuota", "default", "budget")
HOOK = "policy.example.com"


def pod(name: str = "one", namespace: str = "default", **spec: Any) -> Object:
    """A pod with one container, which asks for nothing."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"containers": [container()], **spec},
    }


def container(name: str = "app", **resources: dict[str, str]) -> Object:
    """A container; `requests` and `limits` if given."""
    made: Object = {"name": name, "image": "web:1"}
    return made | ({"resources": resources} if resources else {})


def quota(hard: dict[str, str], name: str = "budget", **spec: Any) -> Object:
    """A ResourceQuota of the default namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"hard": hard, **spec},
    }


def limit_range(kind: str = "Container", **item: Any) -> Object:
    """A LimitRange of the default namespace with one item."""
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": "bounds", "namespace": "default"},
        "spec": {"limits": [{"type": kind, **item}]},
    }


def claim(storage: str, name: str = "data", **spec: Any) -> Object:
    """A PersistentVolumeClaim."""
    asked = {"resources": {"requests": {"storage": storage}}, "accessModes": ["ReadWriteOnce"]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {**asked, **spec},
    }


def rule(*resources: str, **changes: Any) -> Object:
    """A webhook's rule for every operation on resources of the core group."""
    whole = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["*"]}
    return {**whole, "resources": list(resources), **changes}


def webhook(*rules: Object, kind: str = "Validating", **changes: Any) -> Object:
    """A configuration with one webhook behind a URL; without rules, for ConfigMaps."""
    item = {
        "name": HOOK,
        "clientConfig": {"url": "https://policy.example.com/check"},
        "rules": list(rules) or [rule("configmaps")],
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        **changes,
    }
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": f"{kind}WebhookConfiguration",
        "metadata": {"name": "policy"},
        "webhooks": [item],
    }


def behind(service: str, **more: Any) -> Object:
    """The `clientConfig` of a webhook behind a Service."""
    return {"service": {"name": service, "namespace": "default", **more}}


def used(server: ApiServer, name: str = "budget") -> dict[str, str]:
    """What a quota's status says is used."""
    found: dict[str, str] = server.get(replace(QUOTA, name=name))["status"]["used"]
    return found


def keep_from_older_release(server: ApiServer, configuration: Object, effects: str) -> None:
    """A webhook with side effects, which old releases let in: it lives on in the store."""
    made = server.create(configuration)
    (item,) = made["webhooks"]
    made["webhooks"] = [{**item, "sideEffects": effects}]
    server._state.store.put(key_of(made), made)
