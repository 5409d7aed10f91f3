"""The manifests that bring an agent into its own cluster. Pure.

    Namespace fleet-system      inventories and the agent; Pod Security "restricted" is enforced
    ServiceAccount fleet-agent
    roles and bindings          its rights, as `rights` has them
    Secret fleet-agent-token    the cluster's token, and the hub's key where one is given
    Deployment fleet-agent      one pod; never two at once (Recreate)

The pod runs as nobody, with a read-only root, no capability and the runtime's seccomp profile; it
keeps what it knows in an emptyDir, since the inventory is in the cluster.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from agents.inventory import NAMESPACE
from clusters.objects import Object

NAME = "fleet-agent"
TOKEN_SECRET = "fleet-agent-token"  # the Secret's name, not a token
PORT = 8781
USER = 65532
"""A user that is nobody's; the image has no other."""
STATE_DIR = "/var/lib/fleet"
_SECRETS = "/var/run/fleet"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "fleet"}


@dataclass(frozen=True, slots=True)
class Installation:
    """What one cluster's agent is to be."""

    cluster: str
    hub: str
    token: str
    image: str
    hub_key: str = ""
    """Empty: the first hub that answers is believed."""
    rights: Sequence[Object] = ()
    """Roles and bindings, with the namespaces that they are in."""


def agent_manifests(wanted: Installation) -> list[Object]:
    """Everything that the agent needs, in the order in which it is applied."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": NAMESPACE,
                "labels": {**LABELS, "pod-security.kubernetes.io/enforce": "restricted"},
            },
        },
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _metadata(NAME)},
        *(item for item in wanted.rights if not _is_own_namespace(item)),
        _secret(wanted),
        _deployment(wanted),
    ]


def _is_own_namespace(item: Object) -> bool:
    return bool(item["kind"] == "Namespace" and item["metadata"]["name"] == NAMESPACE)


def _metadata(name: str) -> Object:
    return {"name": name, "namespace": NAMESPACE, "labels": LABELS}


def _secret(wanted: Installation) -> Object:
    data = {"token": wanted.token}
    if wanted.hub_key:
        data["hub-key"] = wanted.hub_key
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(TOKEN_SECRET),
        "type": "Opaque",
        "data": {k: base64.b64encode(v.encode()).decode() for k, v in data.items()},
    }


def _deployment(wanted: Installation) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": _metadata(NAME),
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "template": {
                "metadata": {
                    "labels": LABELS,
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": str(PORT),
                    },
                },
                "spec": _pod(wanted),
            },
        },
    }


def _pod(wanted: Installation) -> Object:
    return {
        "serviceAccountName": NAME,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [_container(wanted)],
        "volumes": [
            {"name": "state", "emptyDir": {"sizeLimit": "1Gi"}},
            {"name": "tmp", "emptyDir": {"sizeLimit": "64Mi"}},
            {"name": "token", "secret": {"secretName": TOKEN_SECRET, "defaultMode": 0o440}},
        ],
    }


def _container(wanted: Installation) -> Object:
    return {
        "name": "agent",
        "image": wanted.image,
        "args": arguments(wanted),
        "ports": [{"name": "probes", "containerPort": PORT}],
        "livenessProbe": _probe("/healthz", period=20, failures=3),
        "readinessProbe": _probe("/readyz", period=10, failures=3),
        "startupProbe": _probe("/healthz", period=2, failures=30),
        "resources": {
            "requests": {"cpu": "50m", "memory": "96Mi"},
            "limits": {"memory": "256Mi"},
        },
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "state", "mountPath": STATE_DIR},
            {"name": "tmp", "mountPath": "/tmp"},
            {"name": "token", "mountPath": _SECRETS, "readOnly": True},
        ],
    }


def arguments(wanted: Installation) -> list[str]:
    """The arguments of `fleet agent` in the pod."""
    key = [f"--hub-key={_SECRETS}/hub-key"] if wanted.hub_key else []
    return [
        f"--cluster={wanted.cluster}",
        f"--hub={wanted.hub}",
        f"--token-file={_SECRETS}/token",
        *key,
        "--in-cluster",
        f"--state-dir={STATE_DIR}",
        f"--metrics-listen=0.0.0.0:{PORT}",
        "--log-format=json",
    ]


def _probe(path: str, *, period: int, failures: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": "probes"},
        "periodSeconds": period,
        "timeoutSeconds": 5,
        "failureThreshold": failures,
    }
