"""The life of a pod: a function of its age, its images and the dice. The kubelet, in short.

::

    created ──► Pending, ContainerCreating ──► Running and ready            no word, `slow`
                                          ├──► Running, not ready           `neverready`
                                          ├──► CrashLoopBackOff, restarts   `crashloop`, `exit1`
                                          ├──► ImagePullBackOff             `pullerror`
                                          └──► Succeeded or Failed          pods of Jobs; with
                                               restartPolicy OnFailure they crash and restart
    a claim of it is not bound ──► ContainerCreating, until it is
    no node fits ──► Pending, Unschedulable, until one comes

A restart comes at twice the age of the one before, but not later than after five minutes.

Never runs anything, never looks at probes: the image's word is the probe.
"""

from __future__ import annotations

import math
from datetime import datetime

from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.controllers.decision import (
    NOTHING,
    Merge,
    Outcome,
    View,
    after,
    condition,
    set_status,
    stamp,
)
from clusters.simulation.controllers.images import Behaviour, behaviour_of
from clusters.simulation.controllers.scheduling import NODE, node_for
from clusters.simulation.controllers.timing import seconds_for, short_hash

POD = Kind("", "Pod")
_LONGEST_BACKOFF = 300.0
_SEVERITY = (
    Behaviour.PULL_ERROR,
    Behaviour.CRASHLOOP,
    Behaviour.EXIT_1,
    Behaviour.NEVER_READY,
    Behaviour.SLOW,
)


def reconcile_pod(pod: Object, view: View, now: datetime) -> Outcome:
    """The status that a pod has reached by now, and when it changes next."""
    if is_terminating(pod) or phase_of(pod) in ("Succeeded", "Failed"):
        return NOTHING
    if not pod["spec"].get("nodeName"):
        return _schedule(pod, view, now)
    born = view.since(pod)
    ready_at = after(born, _seconds_to_ready(pod, view))
    if now < ready_at:
        return Outcome(set_status(pod, _pending(pod, now)), ready_at)
    if not all(_is_bound(pod, claim, view) for claim in claims_of(pod)):
        return Outcome(set_status(pod, _pending(pod, now)))
    return _settled(pod, now, born, ready_at)


def _schedule(pod: Object, view: View, now: datetime) -> Outcome:
    """A node for a pod that has none; the pods of controllers are made with theirs."""
    nodes = view.peek_all(NODE)
    node = node_for(pod["spec"], nodes, pod["metadata"]["name"])
    if node:
        return Outcome((Merge(key_of(pod), {"spec": {"nodeName": node}}),))
    return Outcome(set_status(pod, _unschedulable(pod, len(nodes), now)))


def phase_of(pod: Object) -> str:
    """The pod's phase; `Pending` before anybody looked at it."""
    return str((pod.get("status") or {}).get("phase") or "Pending")


def claims_of(pod: Object) -> list[str]:
    """The names of the claims that a pod's volumes stand for."""
    volumes = pod["spec"].get("volumes") or ()
    claims = (volume.get("persistentVolumeClaim") for volume in volumes)
    return [claim["claimName"] for claim in claims if claim]


def is_terminating(pod: Object) -> bool:
    """Whether the pod has been deleted and still has to end."""
    return bool(pod["metadata"].get("deletionTimestamp"))


def is_ready(pod: Object) -> bool:
    """Whether the pod serves: condition Ready is True and it is not going away."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    ready = any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)
    return ready and not is_terminating(pod)


def _is_bound(pod: Object, claim: str, view: View) -> bool:
    key = ObjectKey("", "PersistentVolumeClaim", pod["metadata"]["namespace"], claim)
    found = view.peek(key) or {}
    return bool((found.get("status") or {}).get("phase") == "Bound")


def _behaviour(pod: Object) -> Behaviour:
    spec = pod["spec"]
    containers = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    found = {behaviour_of(str(c.get("image", ""))) for c in containers}
    return next((behaviour for behaviour in _SEVERITY if behaviour in found), Behaviour.NORMAL)


def _ends(pod: Object) -> bool:
    return bool(pod["spec"].get("restartPolicy", "Always") != "Always")


def _seconds_to_ready(pod: Object, view: View) -> float:
    within = view.timing.job_run if _ends(pod) else view.timing.pod_ready
    if _behaviour(pod) is Behaviour.SLOW:
        within = view.timing.slow
    return seconds_for(view.seed, pod["metadata"]["name"], within)


def _settled(pod: Object, now: datetime, born: datetime, ready_at: datetime) -> Outcome:
    """The pod once its start-up time is over."""
    behaviour = _behaviour(pod)
    if behaviour is Behaviour.PULL_ERROR:
        return Outcome(set_status(pod, _waiting(pod, now, "ImagePullBackOff")))
    crashes = behaviour in (Behaviour.CRASHLOOP, Behaviour.EXIT_1)
    restarts_in_place = crashes and pod["spec"].get("restartPolicy") == "OnFailure"
    if _ends(pod) and behaviour is not Behaviour.NEVER_READY and not restarts_in_place:
        return Outcome(set_status(pod, _ended(pod, now, failed=crashes)))
    if not crashes:
        return Outcome(set_status(pod, _running(pod, now, ready=behaviour in _BECOMES_READY)))
    restarts, next_at = restarts_by(born, ready_at, now)
    return Outcome(set_status(pod, _crashing(pod, now, restarts)), next_at)


_BECOMES_READY = (Behaviour.NORMAL, Behaviour.SLOW)


def restarts_by(born: datetime, first: datetime, now: datetime) -> tuple[int, datetime]:
    """How often a crashing container was started again by now, and when (later than now) next.

    `first` is when it fell over for the first time.
    """
    unit = max((first - born).total_seconds(), 0.01)
    age = (now - born).total_seconds()
    doublings = int(math.log2(max(_LONGEST_BACKOFF / unit, 1.0)))
    count = min(int(math.log2(max(age / unit, 1.0))), doublings)
    due = unit * 2 ** (count + 1)
    if count == doublings:
        steady = int((age - unit * 2**doublings) / _LONGEST_BACKOFF)
        count, due = count + steady, unit * 2**doublings + (steady + 1) * _LONGEST_BACKOFF
    # A moment has whole microseconds: rounded down it could be now, for ever.
    return count, after(born, max(due, age + 0.001))


def _conditions(pod: Object, now: datetime, ready: bool, reason: str) -> list[Object]:
    old = pod.get("status") or {}
    why = "" if ready else reason
    return [
        condition(old, "PodScheduled", "True", now),
        condition(old, "Initialized", "True", now),
        condition(old, "ContainersReady", str(ready), now, why),
        condition(old, "Ready", str(ready), now, why),
    ]


def _status(
    pod: Object, now: datetime, phase: str, states: list[Object], ready: bool, reason: str
) -> Object:
    old = pod.get("status") or {}
    address = _address(pod["metadata"]["uid"])
    return {
        "phase": phase,
        "conditions": _conditions(pod, now, ready, reason),
        "containerStatuses": states,
        "hostIP": "10.0.0.1",
        "podIP": address,
        "podIPs": [{"ip": address}],
        "qosClass": old.get("qosClass", "Burstable"),
        "startTime": old.get("startTime") or stamp(now),
    }


def _address(uid: str) -> str:
    number = int(seconds_for(0, uid, (0.0, 256.0 * 250.0)))
    return f"10.244.{number // 250}.{number % 250 + 2}"


def _container_states(pod: Object, state: Object, **more: object) -> list[Object]:
    ready = bool(more.get("ready", False))
    return [
        {
            "name": container["name"],
            "image": container.get("image", ""),
            "imageID": f"sim://{short_hash(str(container.get('image', '')), 20)}",
            "ready": ready,
            "started": "running" in state,
            "restartCount": 0,
            "state": state,
            "lastState": {},
            **more,
        }
        for container in pod["spec"].get("containers") or ()
    ]


def _pending(pod: Object, now: datetime) -> Object:
    return _waiting(pod, now, "ContainerCreating")


def _waiting(pod: Object, now: datetime, reason: str) -> Object:
    states = _container_states(pod, {"waiting": {"reason": reason}})
    return _status(pod, now, "Pending", states, False, "ContainersNotReady")


def _running(pod: Object, now: datetime, *, ready: bool) -> Object:
    before = (pod.get("status") or {}).get("containerStatuses") or [{}]
    started = (before[0].get("state") or {}).get("running") or {"startedAt": stamp(now)}
    states = _container_states(pod, {"running": started}, ready=ready)
    return _status(pod, now, "Running", states, ready, "ContainersNotReady")


def _crashing(pod: Object, now: datetime, restarts: int) -> Object:
    last = {"terminated": {"exitCode": 1, "reason": "Error", "finishedAt": stamp(now)}}
    before = (pod.get("status") or {}).get("containerStatuses") or [{}]
    if before[0].get("restartCount") == restarts and before[0].get("lastState"):
        last = before[0]["lastState"]
    waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off restarting failed"}}
    states = _container_states(pod, waiting, restartCount=restarts, lastState=last)
    return _status(pod, now, "Running", states, False, "ContainersNotReady")


def _ended(pod: Object, now: datetime, *, failed: bool) -> Object:
    end = {
        "exitCode": 1 if failed else 0,
        "reason": "Error" if failed else "Completed",
        "finishedAt": stamp(now),
    }
    states = _container_states(pod, {"terminated": end})
    reason = "PodFailed" if failed else "PodCompleted"
    return _status(pod, now, "Failed" if failed else "Succeeded", states, False, reason)


def _unschedulable(pod: Object, nodes: int, now: datetime) -> Object:
    old = pod.get("status") or {}
    message = (
        f"0/{nodes} nodes are available: its selector, affinity or tolerations fit none of them"
    )
    return {
        "phase": "Pending",
        "conditions": [condition(old, "PodScheduled", "False", now, "Unschedulable", message)],
        "qosClass": "Burstable",
    }
