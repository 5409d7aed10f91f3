"""DaemonSet: one pod on every node that its nodeSelector allows.

A new template replaces at most `maxUnavailable` (1) pods at a time, pods that do not serve first;
with `OnDelete` it waits until somebody deletes them.
"""

from __future__ import annotations

from datetime import datetime

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Create,
    Outcome,
    Remove,
    View,
    Write,
    set_status,
)
from clusters.simulation.controllers.pods import is_ready, node_fits, phase_of
from clusters.simulation.controllers.statefulsets import REVISION_LABEL
from clusters.simulation.controllers.timing import short_hash
from clusters.simulation.controllers.workloads import (
    NODE,
    count_available,
    pod_of,
    share_of,
    template_hash,
)


def reconcile_daemon_set(daemon_set: Object, view: View, now: datetime) -> Outcome:
    """Pods to make, replace or remove, and the status."""
    if daemon_set["metadata"].get("deletionTimestamp"):
        return NOTHING
    nodes = _nodes(daemon_set, view)
    pods = view.children(daemon_set, "Pod")
    gone = [p for p in pods if phase_of(p) == "Failed" or p["spec"].get("nodeName") not in nodes]
    pods = [pod for pod in pods if pod not in gone]
    missing = nodes.keys() - {pod["spec"]["nodeName"] for pod in pods}
    writes: list[Write] = [Remove(key_of(pod)) for pod in gone]
    writes += (Create(_pod(daemon_set, node, view)) for node in sorted(missing))
    writes += _update(daemon_set, pods, len(nodes), now)
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    available, again_at = count_available(pods, seconds, now)
    status = _status(daemon_set, pods, len(nodes), available)
    return Outcome((*writes, *set_status(daemon_set, status)), again_at)


def _nodes(daemon_set: Object, view: View) -> dict[str, Object]:
    spec = daemon_set["spec"]["template"].get("spec") or {}
    nodes = view.peek_all(NODE)
    return {node["metadata"]["name"]: node for node in nodes if node_fits(spec, node)}


def _pod(daemon_set: Object, node: str, view: View) -> Object:
    name = f"{daemon_set['metadata']['name']}-{short_hash(node, 5)}"
    return pod_of(daemon_set, name, view, {REVISION_LABEL: template_hash(daemon_set)}, node)


def _is_updated(daemon_set: Object, pod: Object) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return bool(labels.get(REVISION_LABEL) == template_hash(daemon_set))


def _update(
    daemon_set: Object, pods: list[Object], desired: int, now: datetime
) -> tuple[Write, ...]:
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    if strategy.get("type") == "OnDelete":
        return ()
    allowed = (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1)
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    available, _ = count_available(pods, seconds, now)
    room = max(1, share_of(allowed, desired, round_up=True)) - (desired - available)
    outdated = [pod for pod in pods if not _is_updated(daemon_set, pod)]
    broken = [pod for pod in outdated if not is_ready(pod)]
    well = [pod for pod in outdated if is_ready(pod)]
    return tuple(Remove(key_of(pod)) for pod in (*broken, *well[: max(0, room)]))


def _status(daemon_set: Object, pods: list[Object], desired: int, available: int) -> Object:
    counts = {
        "updatedNumberScheduled": sum(_is_updated(daemon_set, pod) for pod in pods),
        "numberAvailable": available,
        "numberUnavailable": desired - available,
    }
    return {
        "observedGeneration": daemon_set["metadata"].get("generation", 1),
        "desiredNumberScheduled": desired,
        "currentNumberScheduled": len(pods),
        "numberMisscheduled": 0,
        "numberReady": sum(map(is_ready, pods)),
        **{name: count for name, count in counts.items() if count},
    }
