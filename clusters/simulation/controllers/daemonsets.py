"""DaemonSet: one pod on every node that fits it, taints included.

A new template replaces at most `maxUnavailable` (1) pods at a time, pods that do not serve first;
with `maxSurge` the new pod comes beside the old one, which goes when the new one serves. With
`OnDelete` it waits until somebody deletes the old ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    Create,
    Outcome,
    Remove,
    View,
    Write,
    set_status,
)
from clusters.simulation.controllers.history import history_of, surplus, with_template
from clusters.simulation.controllers.pods import is_ready, is_terminating, phase_of
from clusters.simulation.controllers.scheduling import (
    DAEMON_TOLERATIONS,
    NODE,
    node_fits,
    node_keeps,
)
from clusters.simulation.controllers.statefulsets import REVISION_LABEL
from clusters.simulation.controllers.timing import short_hash
from clusters.simulation.controllers.workloads import (
    available_at,
    count_available,
    pod_of,
    share_of,
    template_hash,
)


@dataclass(frozen=True, slots=True)
class _Daemons:
    """A DaemonSet, the pods that may stay, by node, and the nodes that want one."""

    obj: Object
    pods: dict[str, list[Object]]
    nodes: list[str]
    view: View
    now: datetime

    @property
    def rolling(self) -> Object:
        return (self.obj["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}

    def is_updated(self, pod: Object) -> bool:
        labels = pod["metadata"].get("labels") or {}
        return bool(labels.get(REVISION_LABEL) == template_hash(self.obj))

    def is_well(self, pod: Object) -> bool:
        moment = available_at(pod, int(self.obj["spec"].get("minReadySeconds") or 0))
        return moment is not None and moment <= self.now


def reconcile_daemon_set(daemon_set: Object, view: View, now: datetime) -> Outcome:
    """Pods to make, replace or remove, and the status."""
    pods = view.children(daemon_set, "Pod")
    name = daemon_set["metadata"]["name"]
    live = {f"{name}-{pod['metadata'].get('labels', {}).get(REVISION_LABEL)}" for pod in pods}
    history = history_of(daemon_set, view, REVISION_LABEL)
    staying, gone = _sort(daemon_set, pods, view)
    spec = _tolerant(daemon_set["spec"]["template"].get("spec") or {})
    nodes = [n["metadata"]["name"] for n in view.peek_all(NODE) if node_fits(spec, n)]
    found = _Daemons(daemon_set, staying, nodes, view, now)
    everybody = [pod for group in staying.values() for pod in group]
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    _, again_at = count_available(everybody, seconds, now)
    status = set_status(daemon_set, _status(found))
    if daemon_set["metadata"].get("deletionTimestamp"):
        return Outcome(status)
    past = surplus(daemon_set, history, live)
    writes = (*history.writes, *past, *(Remove(key_of(pod)) for pod in gone), *_balance(found))
    return Outcome((*writes, *status), again_at)


def _tolerant(spec: Object) -> Object:
    """The spec of a DaemonSet's pods, which tolerate what would keep others away."""
    own = list(spec.get("tolerations") or ())
    return {**spec, "tolerations": [*own, *(t for t in DAEMON_TOLERATIONS if t not in own)]}


def _sort(
    daemon_set: Object, pods: list[Object], view: View
) -> tuple[dict[str, list[Object]], list[Object]]:
    """The pods that may stay, by node, and those to remove."""
    spec = _tolerant(daemon_set["spec"]["template"].get("spec") or {})
    nodes = {n["metadata"]["name"] for n in view.peek_all(NODE) if node_keeps(spec, n)}
    staying: dict[str, list[Object]] = {}
    gone = []
    for pod in pods:
        node = str(pod["spec"].get("nodeName", ""))
        if is_terminating(pod):
            continue
        if node not in nodes or phase_of(pod) == "Failed":
            gone.append(pod)
        else:
            staying.setdefault(node, []).append(pod)
    return staying, gone


def _balance(found: _Daemons) -> list[Write]:
    missing = [node for node in found.nodes if node not in found.pods]
    writes: list[Write] = [Create(_pod(found, node, 0)) for node in sorted(missing)]
    if (found.obj["spec"].get("updateStrategy") or {}).get("type") == "OnDelete":
        return writes
    surge = share_of(found.rolling.get("maxSurge", 0), len(found.nodes), round_up=True)
    return writes + (_surge(found, surge) if surge else _replace(found))


def _pod(found: _Daemons, node: str, number: int) -> Object:
    """A pod for a node, under the first name from `number` on that is free."""
    template = dict(found.obj["spec"]["template"])
    template["spec"] = _tolerant(template.get("spec") or {})
    digest = template_hash(found.obj)
    suffix = short_hash(f"{node}/{number}" if number else node, 5)
    name = f"{found.obj['metadata']['name']}-{suffix}"
    taken = {pod["metadata"]["name"] for pod in found.view.children(found.obj, "Pod")}
    if name in taken and number < len(taken):
        return _pod(found, node, number + 1)
    made = with_template(found.obj, template)
    return pod_of(made, name, found.view, {REVISION_LABEL: digest}, node)


def _replace(found: _Daemons) -> list[Write]:
    """Old pods that may go before their successors come."""
    allowed = share_of(found.rolling.get("maxUnavailable", 1), len(found.nodes), round_up=True)
    served = sum(any(map(found.is_well, found.pods.get(node, ()))) for node in found.nodes)
    room = max(1, allowed) - (len(found.nodes) - served)
    outdated = [p for group in found.pods.values() for p in group if not found.is_updated(p)]
    broken = [pod for pod in outdated if not found.is_well(pod)]
    well = [pod for pod in outdated if found.is_well(pod)]
    return [Remove(key_of(pod)) for pod in (*broken, *well[: max(0, room)])]


def _surge(found: _Daemons, most: int) -> list[Write]:
    """New pods beside old ones, and old ones whose successors serve or that serve nobody."""
    writes: list[Write] = []
    room = most - sum(len(group) > 1 for group in found.pods.values())
    for node, group in sorted(found.pods.items()):
        old = [pod for pod in group if not found.is_updated(pod)]
        new = [pod for pod in group if found.is_updated(pod)]
        if old and (any(map(found.is_well, new)) or (new and not any(map(found.is_well, old)))):
            writes += (Remove(key_of(pod)) for pod in old)
        elif old and not new and (room > 0 or not any(map(found.is_well, old))):
            writes.append(Create(_pod(found, node, 1)))
            room -= 1
    return writes


def _status(found: _Daemons) -> Object:
    groups = [found.pods.get(node, []) for node in found.nodes]
    available = sum(any(map(found.is_well, group)) for group in groups)
    counts = {
        "updatedNumberScheduled": sum(any(map(found.is_updated, group)) for group in groups),
        "numberAvailable": available,
        "numberUnavailable": len(groups) - available,
    }
    return {
        "observedGeneration": found.obj["metadata"].get("generation", 1),
        "desiredNumberScheduled": len(groups),
        "currentNumberScheduled": sum(map(bool, groups)),
        "numberMisscheduled": len(found.pods.keys() - set(found.nodes)),
        "numberReady": sum(any(map(is_ready, group)) for group in groups),
        **{name: count for name, count in counts.items() if count},
    }
