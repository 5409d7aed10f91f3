"""Health of what runs pods: kstatus's rules, and what the pods themselves say.

A Deployment's own status shows a crash loop only after its progress deadline (10 minutes), so a
workload that is not ready is also judged by its newest pods.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from agents.health.assessment import (
    HEALTHY,
    Assessment,
    condition,
    degraded,
    is_true,
    never_observed,
    progressing,
    status_of,
    suspended,
    why,
)
from agents.protocol import Health
from clusters.objects import Object, labels_of, spec_of

_HOPELESS = frozenset(
    {
        "CrashLoopBackOff",
        "ImagePullBackOff",
        "ErrImagePull",
        "ErrImageNeverPull",
        "InvalidImageName",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
_REVISION_LABELS = ("pod-template-hash", "controller-revision-hash")


def deployment(obj: Object) -> Assessment:
    """All replicas updated and available, none left over."""
    if never_observed(obj):
        return progressing("not observed yet")
    if spec_of(obj).get("paused"):
        return suspended("paused")
    if condition(obj, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        return degraded(why(obj, "Progressing"))
    if condition(obj, "ReplicaFailure").get("status") == "True":
        return degraded(why(obj, "ReplicaFailure"))
    wanted, status = _replicas(obj), status_of(obj)
    updated = status.get("updatedReplicas", 0)
    if updated < wanted:
        return progressing(f"{updated} of {wanted} replicas updated")
    if status.get("replicas", 0) > updated:
        return progressing(f"{status['replicas'] - updated} old replicas still there")
    return _available(status.get("availableReplicas", 0), wanted)


def stateful_set(obj: Object) -> Assessment:
    """All replicas ready, and of the newest revision where updates roll."""
    if never_observed(obj):
        return progressing("not observed yet")
    wanted, status = _replicas(obj), status_of(obj)
    if status.get("readyReplicas", 0) < wanted:
        return progressing(f"{status.get('readyReplicas', 0)} of {wanted} replicas ready")
    strategy = spec_of(obj).get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return HEALTHY
    partition = (strategy.get("rollingUpdate") or {}).get("partition") or 0
    due = max(0, wanted - partition)
    if status.get("updatedReplicas", 0) < due:
        return progressing(f"{status.get('updatedReplicas', 0)} of {due} replicas updated")
    if not partition and status.get("currentRevision") != status.get("updateRevision"):
        return progressing("the rollout is being completed")
    return HEALTHY


def daemon_set(obj: Object) -> Assessment:
    """A ready pod of the newest revision on every node that it wants."""
    if never_observed(obj):
        return progressing("not observed yet")
    status = status_of(obj)
    wanted = status.get("desiredNumberScheduled", 0)
    on_delete = (spec_of(obj).get("updateStrategy") or {}).get("type") == "OnDelete"
    if not on_delete and status.get("updatedNumberScheduled", 0) < wanted:
        return progressing(f"{status.get('updatedNumberScheduled', 0)} of {wanted} pods updated")
    return _available(status.get("numberAvailable", 0), wanted)


def replica_set(obj: Object) -> Assessment:
    """As many available replicas as wanted."""
    if never_observed(obj):
        return progressing("not observed yet")
    if is_true(obj, "ReplicaFailure"):
        return degraded(why(obj, "ReplicaFailure"))
    return _available(status_of(obj).get("availableReplicas", 0), _replicas(obj))


def pod(obj: Object) -> Assessment:
    """Ready, or completed with success."""
    phase = status_of(obj).get("phase")
    if phase == "Succeeded":
        return HEALTHY
    if phase == "Failed":
        return degraded(str(status_of(obj).get("message") or "the pod failed"))
    trouble = next(_troubles(obj), "")
    if trouble:
        return degraded(trouble)
    if is_true(obj, "Ready"):
        return HEALTHY
    return progressing(why(obj, "PodScheduled") or why(obj, "Ready") or "starting")


def job(obj: Object) -> Assessment:
    """Complete; a failed one is degraded, a running one progresses."""
    if is_true(obj, "Failed"):
        return degraded(why(obj, "Failed") or "the job failed")
    if is_true(obj, "Complete"):
        return HEALTHY
    if spec_of(obj).get("suspend"):
        return suspended("suspended")
    return progressing(f"{status_of(obj).get('active', 0)} pods running")


def cron_job(obj: Object) -> Assessment:
    """Healthy as soon as it is there; its jobs are their own."""
    return suspended("suspended") if spec_of(obj).get("suspend") else HEALTHY


def _replicas(obj: Object) -> int:
    value = spec_of(obj).get("replicas")
    return 1 if value is None else int(value)


def _available(there: int, wanted: int) -> Assessment:
    return HEALTHY if there >= wanted else progressing(f"{there} of {wanted} available")


def judge_pods(own: Assessment, pods: Iterable[Object]) -> Assessment:
    """`own`, unless it only progresses and a pod of the newest revision cannot work."""
    if own.health is not Health.PROGRESSING:
        return own
    for item in _newest_revision(list(pods)):
        for trouble in _troubles(item):
            return degraded(f"pod {item['metadata']['name']}: {trouble}")
    return own


def pod_selector(obj: Object) -> str:
    """The label selector of a workload's pods in kubectl's syntax; empty if it has none."""
    selector = spec_of(obj).get("selector")
    if not isinstance(selector, dict):
        return ""
    labels = selector.get("matchLabels") or {}
    parts = [f"{name}={value}" for name, value in sorted(labels.items())]
    parts += [_requirement(item) for item in selector.get("matchExpressions") or []]
    return ",".join(parts)


def _requirement(item: dict[str, Any]) -> str:
    name, operator = item["key"], item["operator"]
    if operator in ("Exists", "DoesNotExist"):
        return name if operator == "Exists" else f"!{name}"
    return f"{name} {operator.lower()} ({','.join(item.get('values') or [])})"


def _newest_revision(pods: list[Object]) -> list[Object]:
    """The pods of the revision that was started last; pods being deleted are no evidence."""
    alive = [item for item in pods if not item["metadata"].get("deletionTimestamp")]
    newest = max((item["metadata"].get("creationTimestamp") or "" for item in alive), default="")
    revisions = {
        _revision(item)
        for item in alive
        if (item["metadata"].get("creationTimestamp") or "") == newest
    }
    return [item for item in alive if _revision(item) in revisions]


def _revision(item: Object) -> str:
    labels = labels_of(item)
    return next((labels[name] for name in _REVISION_LABELS if name in labels), "")


def _troubles(item: Object) -> Iterator[str]:
    """What keeps the containers of a pod from working, beyond mere starting."""
    status = status_of(item)
    for container in [
        *(status.get("initContainerStatuses") or []),
        *(status.get("containerStatuses") or []),
    ]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        name = container.get("name", "")
        if waiting.get("reason") in _HOPELESS:
            text = waiting.get("message") or ""
            yield f"{name}: {waiting['reason']}" + (f": {text}" if text else "")
        elif _restarts_in_vain(container):
            yield f"{name}: restarted {container['restartCount']} times, still failing"


def _restarts_in_vain(container: dict[str, Any]) -> bool:
    """Between two crashes the container runs: it is the same crash loop, seen at another moment."""
    last = (container.get("lastState") or {}).get("terminated") or {}
    failed = bool(last) and last.get("exitCode") != 0
    return not container.get("ready") and container.get("restartCount", 0) >= 2 and failed
