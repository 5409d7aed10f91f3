"""StatefulSet: pods with ordinals and claims, one after the other.

With `OrderedReady` a pod waits for the one before it, and a new template goes from the highest
ordinal down to `partition`, never with more than `maxUnavailable` (1) pods missing. So a broken pod
stops everything, also the template that would cure it, until somebody deletes that pod: real
clusters do the same, and it is what a fleet has to live with. `Parallel` waits for nothing when
scaling, and replaces pods that do not serve at once.

A pod that is made anew below the partition gets the current revision's template. Claims come from
`volumeClaimTemplates` and stay when pods go, unless the retention policy says otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from clusters.objects import Object, key_of
from clusters.simulation.controllers.claims import claim_writes, pod_volumes, release_writes
from clusters.simulation.controllers.decision import (
    Create,
    Outcome,
    Remove,
    View,
    Write,
    set_status,
)
from clusters.simulation.controllers.history import (
    History,
    history_of,
    surplus,
    with_template,
)
from clusters.simulation.controllers.pods import is_ready, is_terminating, phase_of
from clusters.simulation.controllers.workloads import (
    available_at,
    count_available,
    pod_of,
    replicas_of,
    share_of,
)

REVISION_LABEL = "controller-revision-hash"
_HASH_LABEL = "controller.kubernetes.io/hash"


@dataclass(frozen=True, slots=True)
class _Set:
    """A StatefulSet with all that a decision about it looks at."""

    obj: Object
    pods: dict[int, Object]
    history: History
    current: str
    view: View
    now: datetime

    @property
    def wanted(self) -> range:
        first = int((self.obj["spec"].get("ordinals") or {}).get("start", 0))
        return range(first, first + replicas_of(self.obj))

    @property
    def parallel(self) -> bool:
        return bool(self.obj["spec"].get("podManagementPolicy") == "Parallel")

    @property
    def strategy(self) -> Object:
        return self.obj["spec"].get("updateStrategy") or {}

    @property
    def rolling(self) -> Object:
        return self.strategy.get("rollingUpdate") or {}

    @property
    def first_updated(self) -> int:
        """The lowest ordinal that follows a new template."""
        return self.wanted.start + int(self.rolling.get("partition") or 0)

    def is_well(self, pod: Object | None) -> bool:
        """Whether a pod is there and available."""
        if pod is None or is_terminating(pod):
            return False
        moment = available_at(pod, int(self.obj["spec"].get("minReadySeconds") or 0))
        return moment is not None and moment <= self.now

    def is_outdated(self, pod: Object) -> bool:
        return _revision_of(pod) != self.history.present and not is_terminating(pod)


def reconcile_stateful_set(stateful_set: Object, view: View, now: datetime) -> Outcome:
    """The next pods to make, replace or remove, and the status."""
    pods = {_ordinal(pod): pod for pod in view.children(stateful_set, "Pod")}
    current = (stateful_set.get("status") or {}).get("currentRevision") or ""
    history = history_of(stateful_set, view, _HASH_LABEL)
    found = _Set(stateful_set, pods, history, current or history.present, view, now)
    seconds = int(stateful_set["spec"].get("minReadySeconds") or 0)
    available, again_at = count_available(list(pods.values()), seconds, now)
    status = _status(found, available)
    told = set_status(stateful_set, status)
    if stateful_set["metadata"].get("deletionTimestamp"):
        return Outcome(told)
    live = {status["currentRevision"], *map(_revision_of, pods.values())}
    past = surplus(stateful_set, history, live)
    return Outcome((*history.writes, *_steps(found), *past, *told), again_at)


def _ordinal(pod: Object) -> int:
    return int(pod["metadata"]["name"].rpartition("-")[2])


def _steps(found: _Set) -> Iterator[Write]:
    """What may be done now: scale up, then down, then update, in the order that is asked for."""
    for ordinal in found.wanted:
        pod = found.pods.get(ordinal)
        if pod is None:
            yield from _make(found, ordinal)
        elif phase_of(pod) in ("Failed", "Succeeded") and not is_terminating(pod):
            yield Remove(key_of(pod))
        else:
            yield from claim_writes(found.obj, pod, found.view)
        if not found.parallel and not found.is_well(pod):
            return
    condemned = sorted((n for n in found.pods if n not in found.wanted), reverse=True)
    for ordinal in condemned:
        pod = found.pods[ordinal]
        if not is_terminating(pod):
            yield from release_writes(found.obj, pod, found.view)
            yield Remove(key_of(pod))
        if not found.parallel:
            return
    if found.strategy.get("type") != "OnDelete":
        yield from map(Remove, map(key_of, _to_replace(found)))


def _make(found: _Set, ordinal: int) -> Iterator[Write]:
    name = f"{found.obj['metadata']['name']}-{ordinal}"
    revision = found.current if ordinal < found.first_updated else found.history.present
    template = found.history.templates.get(revision) or found.obj["spec"]["template"]
    labels = {
        "apps.kubernetes.io/pod-index": str(ordinal),
        "statefulset.kubernetes.io/pod-name": name,
        REVISION_LABEL: revision,
    }
    pod = pod_of(with_template(found.obj, template), name, found.view, labels)
    pod["spec"] |= {"hostname": name, "subdomain": found.obj["spec"].get("serviceName", "")}
    volumes = pod_volumes(found.obj, pod)
    if volumes:
        pod["spec"]["volumes"] = volumes
    yield from claim_writes(found.obj, pod, found.view)
    yield Create(pod)


def _to_replace(found: _Set) -> list[Object]:
    """Pods of another revision that may go now; what makes missing pods brings the new one."""
    most = max(
        1, share_of(found.rolling.get("maxUnavailable", 1), len(found.wanted), round_up=True)
    )
    there = [found.pods[n] for n in reversed(found.wanted) if n in found.pods]
    missing = len(found.wanted) - sum(map(found.is_well, there))
    outdated = [p for p in there if _ordinal(p) >= found.first_updated and found.is_outdated(p)]
    if not found.parallel:
        return outdated[: max(0, most - missing)]
    broken = [pod for pod in outdated if not found.is_well(pod)]
    well = [pod for pod in outdated if found.is_well(pod)]
    return [*broken, *well[: max(0, most - missing)]]


def _revision_of(pod: Object) -> str:
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL, ""))


def _status(found: _Set, available: int) -> Object:
    pods, update, current = found.pods.values(), found.history.present, found.current
    staying = [pod for pod in pods if not is_terminating(pod)]
    updated = sum(_revision_of(pod) == update for pod in staying)
    on_current = sum(_revision_of(pod) == current for pod in staying)
    ready = sum(map(is_ready, pods))
    if updated == len(pods) == replicas_of(found.obj) == ready:
        current, on_current = update, updated
    counts = {
        "readyReplicas": ready,
        "currentReplicas": on_current,
        "updatedReplicas": updated,
    }
    return {
        "observedGeneration": found.obj["metadata"].get("generation", 1),
        "replicas": len(pods),
        "availableReplicas": available,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        **{name: count for name, count in counts.items() if count},
    }
