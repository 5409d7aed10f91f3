"""Subresources that do something instead of holding something.

::

    pods/eviction           delete the pod, if every budget that selects it allows that
    pods/binding            put the pod on a node
    serviceaccounts/token   a token that opens nothing, as nothing here is closed
    pods/log, exec, attach, portforward, ephemeralcontainers
                            refused: no container runs in a simulated cluster
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from clusters.errors import NotFoundError, TooManyRequestsError
from clusters.objects import Kind, Object, labels_of
from clusters.simulation.controllers.decision import selects
from clusters.simulation.http.routes import Target
from clusters.simulation.http.statuses import success
from clusters.simulation.server import ApiServer
from clusters.simulation.server.rejections import BadRequestError

_BUDGET = Kind("policy", "PodDisruptionBudget")
_POD = Kind("", "Pod")
_ACCOUNT = Kind("", "ServiceAccount")
_TOKEN_SECONDS = 3600
_RETRY_SECONDS = 10.0

Answer = tuple[int, Object]
Action = Callable[[ApiServer, Target, Any, datetime], Answer]


def action_for(target: Target, method: str) -> Action | None:
    """What a request to a subresource does; `None` if it is none of these."""
    if target.kind == _POD and target.subresource in _NEED_CONTAINERS:
        return _refuse
    return _ACTIONS.get((target.kind, target.subresource)) if method == "POST" else None


def _evict(server: ApiServer, target: Target, body: Any, now: datetime) -> Answer:
    pod = server.get(target.key)
    for budget in server.peek_all(_BUDGET, target.namespace):
        selector = budget["spec"].get("selector")
        if selector is None or not selects(selector, labels_of(pod)):
            continue
        status = budget.get("status") or {}
        if not status.get("disruptionsAllowed"):
            raise TooManyRequestsError(
                "Cannot evict pod as it would violate the pod's disruption budget. The disruption "
                f"budget {budget['metadata']['name']} needs {status.get('desiredHealthy', 0)} "
                f"healthy pods and has {status.get('currentHealthy', 0)} currently",
                retry_after=_RETRY_SECONDS,
            )
    options = body.get("deleteOptions") if isinstance(body, dict) else None
    dry_run = bool(options and options.get("dryRun") == ["All"])
    return 201, success(target, server.delete(target.key, dry_run=dry_run))


def _bind(server: ApiServer, target: Target, body: Any, now: datetime) -> Answer:
    node = (body.get("target") or {}).get("name") if isinstance(body, dict) else None
    if not node:
        raise BadRequestError("a Binding names its node in target.name")
    bound = server.patch(target.key, {"spec": {"nodeName": node}}, manager="kube-scheduler")
    return 201, success(target, bound)


def _issue(server: ApiServer, target: Target, body: Any, now: datetime) -> Answer:
    if server.peek(target.key) is None:
        raise NotFoundError(f'serviceaccounts "{target.name}" not found')
    sent = body if isinstance(body, dict) else {}
    spec = sent.get("spec") or {}
    seconds = spec.get("expirationSeconds") or _TOKEN_SECONDS
    ends = now + timedelta(seconds=min(int(seconds), 2**32))
    status = {
        "token": f"simulated.{target.namespace}.{target.name}",
        "expirationTimestamp": f"{ends:%Y-%m-%dT%H:%M:%SZ}",
    }
    named = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1"}
    metadata = {"name": target.name, "namespace": target.namespace}
    return 201, {**named, "metadata": metadata, "spec": spec, "status": status}


def _refuse(server: ApiServer, target: Target, body: Any, now: datetime) -> Answer:
    server.get(target.key)  # a pod that is not there is the greater news
    raise BadRequestError(
        f"no container runs in a simulated cluster: there is nothing behind pods/{target.name}"
        f"/{target.subresource}"
    )


_NEED_CONTAINERS = ("log", "exec", "attach", "portforward", "ephemeralcontainers", "proxy")
_ACTIONS: dict[tuple[Kind, str], Action] = {
    (_POD, "eviction"): _evict,
    (_POD, "binding"): _bind,
    (_ACCOUNT, "token"): _issue,
}
OFFERED = (
    (_POD, "binding", Kind("", "Binding"), "v1"),
    (_POD, "eviction", Kind("policy", "Eviction"), "v1"),
    (_ACCOUNT, "token", Kind("authentication.k8s.io", "TokenRequest"), "v1"),
)
"""As they are discovered: of which kind, their name, and what they take."""
