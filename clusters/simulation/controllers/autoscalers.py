"""HorizontalPodAutoscaler: as many replicas as the load asks for, where a load is declared.

Nothing runs here, so nothing uses a processor. The load is written down instead: the annotation
`simulation.fleet.dev/load` of the workload, or else of its pod template, is the cpu in cores that
all its pods together use (`"1500m"`, `"6"`), shared equally by those that are ready. Compared
with their requests that is the utilisation that the autoscaler's metric speaks of.

The replicas are set through the scale subresource, as the real one does it. Fewer than
`minReplicas` or more than `maxReplicas` are set right at once, with a load or without. Otherwise,
without the annotation, an autoscaler reports the replicas that it finds and changes none, unless it
is told to (`loop.Controllers.autoscale`).

Never asks in vain: between changes it is woken only when a proposal held back may go through.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from decimal import Decimal

from clusters.objects import Object, ObjectKey, labels_of, split_api_version
from clusters.simulation.controllers.autoscaling import (
    SYNC_SECONDS,
    Memory,
    Verdict,
    allowed_replicas,
    decide,
    propose,
)
from clusters.simulation.controllers.decision import (
    Merge,
    Outcome,
    View,
    condition,
    earliest,
    selects,
    set_status,
    stamp,
)
from clusters.simulation.controllers.pods import POD, is_ready, is_terminating, phase_of
from clusters.simulation.controllers.workloads import replicas_of
from clusters.simulation.server.quantities import amount_of, canonical_quantity

LOAD = "simulation.fleet.dev/load"
_GOT_SCALE = "the HPA controller was able to get the target's current scale"


def scale_target(autoscaler: Object) -> ObjectKey:
    """The workload whose replicas an autoscaler sets."""
    reference = autoscaler["spec"]["scaleTargetRef"]
    group = split_api_version(str(reference.get("apiVersion") or "apps/v1"))[0]
    namespace = autoscaler["metadata"]["namespace"]
    return ObjectKey(group, reference["kind"], namespace, reference["name"])


def reconcile_autoscaler(autoscaler: Object, view: View, now: datetime) -> Outcome:
    """The replicas that the target is to have, and the status."""
    target = view.peek(scale_target(autoscaler))
    old = autoscaler.get("status") or {}
    if target is None:
        failed = condition(old, "AbleToScale", "False", now, "FailedGetScale")
        return Outcome(set_status(autoscaler, _status(autoscaler, 0, 0, [failed])))
    current = replicas_of(target)
    allowed = allowed_replicas(autoscaler["spec"], current)
    if current not in (0, allowed):
        return _bring_within(autoscaler, target, allowed, view, now)
    load = _declared_load(target)
    if load is None:
        return _report(autoscaler, target, now)
    if replicas_of(target) == 0:
        return _give_up(autoscaler, target, now, "ScalingDisabled", _DISABLED)
    try:
        proposal, metrics = _proposal(autoscaler, target, load, view)
    except ValueError as error:
        return _give_up(autoscaler, target, now, "FailedGetResourceMetric", str(error))
    memory = view.recall(autoscaler) or Memory(((now, replicas_of(target)),))
    return _act(autoscaler, target, memory.noted(now, proposal), metrics, now)


def _bring_within(
    autoscaler: Object, target: Object, allowed: int, view: View, now: datetime
) -> Outcome:
    """Too few or too many: that is set right at once, without asking for a load."""
    current = replicas_of(target)
    conditions = (autoscaler.get("status") or {}).get("conditions") or ()
    others = [found for found in conditions if found["type"] != "AbleToScale"]
    status = _status(autoscaler, _present(target), allowed, others)
    memory = view.recall(autoscaler) or Memory(((now, current),))
    return _rescale(autoscaler, target, status, now, memory, None)


_DISABLED = "scaling is disabled since the replica count of the target is zero"


def _declared_load(target: Object) -> str | None:
    template = (target["spec"].get("template") or {}).get("metadata") or {}
    for metadata in (target["metadata"], template):
        found = (metadata.get("annotations") or {}).get(LOAD)
        if found is not None:
            return str(found)
    return None


def _report(autoscaler: Object, target: Object, now: datetime) -> Outcome:
    """What it finds; nothing is measured."""
    old = autoscaler.get("status") or {}
    conditions = [
        condition(old, "AbleToScale", "True", now, "ReadyForNewScale"),
        condition(old, "ScalingActive", "True", now, "ValidMetricFound"),
        condition(old, "ScalingLimited", "False", now, "DesiredWithinRange"),
    ]
    wanted = replicas_of(target)
    status = _status(autoscaler, _present(target), wanted, conditions)
    if old.get("desiredReplicas", wanted) != wanted:
        status["lastScaleTime"] = stamp(now)
    return Outcome(set_status(autoscaler, status))


def _give_up(
    autoscaler: Object, target: Object, now: datetime, reason: str, message: str
) -> Outcome:
    """Nothing can be said about the load now; the replicas stay."""
    old = autoscaler.get("status") or {}
    conditions = [
        condition(old, "AbleToScale", "True", now, "SucceededGetScale", _GOT_SCALE),
        condition(old, "ScalingActive", "False", now, reason, message),
    ]
    wanted = replicas_of(target)
    return Outcome(
        set_status(autoscaler, _status(autoscaler, _present(target), wanted, conditions))
    )


def _proposal(
    autoscaler: Object, target: Object, load: str, view: View
) -> tuple[int, list[Object]]:
    """The highest proposal of its cpu metrics, and those as measured. Errors: `ValueError`."""
    try:
        used = amount_of(load)
    except ValueError as error:
        raise ValueError(
            f"the annotation {LOAD} of {target['metadata']['name']}: {error}"
        ) from error
    found = view.peek_all(POD, target["metadata"]["namespace"])
    pods = [p for p in found if _counts(p, target)]
    ready = [pod for pod in pods if is_ready(pod)]
    if not ready:
        raise ValueError("did not receive metrics for targeted pods (pods might be unready)")
    current, proposals, measured = replicas_of(target), [], []
    metrics = [m for m in autoscaler["spec"].get("metrics") or () if _is_cpu(m)]
    for metric in metrics:
        ratio, current_value = _usage(metric["resource"]["target"], used, ready, len(pods))
        proposals.append(propose(current, len(ready), len(pods) - len(ready), ratio))
        measured.append(_measured(current_value))
    if not proposals:
        raise ValueError("only the Resource metric cpu is simulated")
    others = len(metrics) < len(autoscaler["spec"]["metrics"])
    # One metric that cannot be had forbids to go down: it might be the one that needs the pods.
    return max([*proposals, current] if others else proposals), measured


def _counts(pod: Object, target: Object) -> bool:
    alive = phase_of(pod) != "Failed" and not is_terminating(pod)
    return alive and selects(target["spec"].get("selector"), labels_of(pod))


def _is_cpu(metric: Object) -> bool:
    return bool(metric["type"] == "Resource" and metric["resource"]["name"] == "cpu")


def _usage(
    target: Object, used: Decimal, ready: list[Object], total: int
) -> tuple[Callable[[int], float], Object]:
    """Usage ÷ target by number of pods, and the value that the status shows."""
    average = used / len(ready)
    shown: Object = {"averageValue": canonical_quantity(f"{int(average * 1000)}m")}
    if "averageValue" in target:
        wanted = amount_of(target["averageValue"])
        return (lambda count: float(used / count / wanted)), shown
    request = sum(map(_requested, ready), Decimal(0)) / len(ready)
    percent = target["averageUtilization"]

    def utilisation(count: int) -> int:
        return int(100 * used / (request * count))

    shown["averageUtilization"] = utilisation(len(ready))
    return (lambda count: utilisation(count) / percent), shown


def _requested(pod: Object) -> Decimal:
    """The cpu that a pod's containers request. Errors: `ValueError` if one requests none."""
    total = Decimal(0)
    for container in pod["spec"]["containers"]:
        request = ((container.get("resources") or {}).get("requests") or {}).get("cpu")
        if request is None or not amount_of(str(request)):
            raise ValueError(
                "failed to get cpu utilization: missing request for cpu in container "
                f"{container['name']} of Pod {pod['metadata']['name']}"
            )
        total += amount_of(str(request))
    return total


def _measured(value: Object) -> Object:
    return {"type": "Resource", "resource": {"name": "cpu", "current": value}}


def _act(
    autoscaler: Object, target: Object, memory: Memory, metrics: list[Object], now: datetime
) -> Outcome:
    current = replicas_of(target)
    verdict = decide(autoscaler["spec"], current, memory, now)
    rests_until = memory.changes[-1][0] + _SYNC if memory.changes else now
    if verdict.replicas != current and now < rests_until:
        status = _scaled_status(autoscaler, target, verdict, metrics, now)
        return Outcome(set_status(autoscaler, status), rests_until, memory)
    status = _scaled_status(autoscaler, target, verdict, metrics, now)
    if verdict.replicas == current:
        return Outcome(set_status(autoscaler, status), verdict.again_at, memory)
    status["desiredReplicas"] = verdict.replicas
    del status["conditions"][0]
    return _rescale(autoscaler, target, status, now, memory, verdict.again_at)


def _rescale(
    autoscaler: Object,
    target: Object,
    status: Object,
    now: datetime,
    memory: Memory,
    again_at: datetime | None,
) -> Outcome:
    """Set the replicas that `status` desires; it says so in its first condition."""
    wanted, old = status["desiredReplicas"], autoscaler.get("status") or {}
    words = f"the HPA controller was able to update the target scale to {wanted}"
    able = condition(old, "AbleToScale", "True", now, "SucceededRescale", words)
    status |= {"lastScaleTime": stamp(now), "conditions": [able, *status["conditions"]]}
    scale = Merge(scale_target(autoscaler), {"spec": {"replicas": wanted}}, "scale")
    return Outcome(
        (scale, *set_status(autoscaler, status)),
        earliest(now + _SYNC, again_at),
        memory.changed(now, wanted - replicas_of(target)),
    )


_SYNC = timedelta(seconds=SYNC_SECONDS)


def _scaled_status(
    autoscaler: Object, target: Object, verdict: Verdict, metrics: list[Object], now: datetime
) -> Object:
    old = autoscaler.get("status") or {}
    limited = verdict.limited or (
        "DesiredWithinRange",
        "the desired count is within the acceptable range",
    )
    found = "the HPA was able to successfully calculate a replica count from cpu resource"
    conditions = [
        condition(old, "AbleToScale", "True", now, *verdict.able),
        condition(old, "ScalingActive", "True", now, "ValidMetricFound", found),
        condition(old, "ScalingLimited", str(verdict.limited is not None), now, *limited),
    ]
    status = _status(autoscaler, _present(target), replicas_of(target), conditions)
    return status | {"currentMetrics": metrics}


def _present(target: Object) -> int:
    return int((target.get("status") or {}).get("replicas", 0))


def _status(autoscaler: Object, current: int, desired: int, conditions: list[Object]) -> Object:
    old = autoscaler.get("status") or {}
    status = {
        "observedGeneration": autoscaler["metadata"].get("generation", 1),
        "currentReplicas": current,
        "desiredReplicas": desired,
        "conditions": conditions,
    }
    return status | ({"lastScaleTime": old["lastScaleTime"]} if "lastScaleTime" in old else {})
