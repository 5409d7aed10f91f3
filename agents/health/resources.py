"""Health of what runs no pods: storage, network, autoscaling, API extensions, custom resources."""

from __future__ import annotations

from agents.health.assessment import (
    HEALTHY,
    Assessment,
    condition,
    degraded,
    is_false,
    is_true,
    never_observed,
    progressing,
    status_of,
    suspended,
    unobserved,
    why,
)
from agents.protocol import Health
from clusters.objects import Object, spec_of

_READY_CONDITIONS = ("Ready", "Available", "Healthy")
_DEAD_CONDITIONS = ("Stalled", "Failed", "Degraded")


def volume_claim(obj: Object) -> Assessment:
    """Bound. One that waits for its first consumer progresses."""
    phase = status_of(obj).get("phase")
    if phase == "Lost":
        return degraded("its volume is lost")
    return HEALTHY if phase == "Bound" else progressing(f"phase {phase or 'not set'}")


def volume(obj: Object) -> Assessment:
    """Not failed."""
    failed = status_of(obj).get("phase") == "Failed"
    return degraded(str(status_of(obj).get("message") or "failed")) if failed else HEALTHY


def service(obj: Object) -> Assessment:
    """One of type LoadBalancer has an address; any other is healthy as it is."""
    if spec_of(obj).get("type") != "LoadBalancer" or spec_of(obj).get("externalIPs"):
        return HEALTHY
    if (status_of(obj).get("loadBalancer") or {}).get("ingress"):
        return HEALTHY
    return progressing("waiting for a load balancer address")


def disruption_budget(obj: Object) -> Assessment:
    """Observed by its controller; few healthy pods are the workload's own trouble."""
    return progressing("not observed yet") if never_observed(obj) else HEALTHY


def autoscaler(obj: Object) -> Assessment:
    """Able to scale; without metrics it degrades only if it says that it cannot scale at all."""
    if is_false(obj, "AbleToScale"):
        return degraded(why(obj, "AbleToScale"))
    if is_false(obj, "ScalingActive"):
        if condition(obj, "ScalingActive").get("reason") == "ScalingDisabled":
            return suspended("scaled to 0")
        return progressing(why(obj, "ScalingActive"))
    return HEALTHY


def crd(obj: Object) -> Assessment:
    """Established."""
    if is_false(obj, "NamesAccepted"):
        return degraded(why(obj, "NamesAccepted"))
    if is_true(obj, "Established"):
        return HEALTHY
    return progressing(why(obj, "Established") or "not established yet")


def api_service(obj: Object) -> Assessment:
    """Available."""
    if is_true(obj, "Available"):
        return HEALTHY
    return progressing(why(obj, "Available") or "not available yet")


def signing_request(obj: Object) -> Assessment:
    """Approved and signed; denied or failed is for good."""
    for name in ("Denied", "Failed"):
        if is_true(obj, name):
            return degraded(why(obj, name) or name)
    if status_of(obj).get("certificate"):
        return HEALTHY
    return progressing("not signed yet" if is_true(obj, "Approved") else "not approved yet")


def flow_schema(obj: Object) -> Assessment:
    """Its priority level exists."""
    return degraded(why(obj, "Dangling")) if is_true(obj, "Dangling") else HEALTHY


def volume_attachment(obj: Object) -> Assessment:
    """Attached."""
    if status_of(obj).get("attached"):
        return HEALTHY
    error = (status_of(obj).get("attachError") or {}).get("message")
    return degraded(str(error)) if error else progressing("not attached yet")


def namespace(obj: Object) -> Assessment:
    """Active."""
    if status_of(obj).get("phase") == "Terminating":
        return progressing("is being deleted")
    return HEALTHY


def present(_: Object) -> Assessment:
    """Kinds that work by being there."""
    return HEALTHY


def custom(obj: Object) -> Assessment:
    """kstatus for kinds that are not known: generation and conditions; none of them is healthy."""
    if unobserved(obj):
        return progressing("not observed yet")
    for name in _DEAD_CONDITIONS:
        if is_true(obj, name):
            return degraded(why(obj, name) or name)
    if is_true(obj, "Reconciling"):
        return progressing(why(obj, "Reconciling"))
    for name in _READY_CONDITIONS:
        if is_true(obj, name):
            return HEALTHY
        if condition(obj, name):
            return _not_ready(obj, name)
    return HEALTHY


def _not_ready(obj: Object, name: str) -> Assessment:
    if condition(obj, name).get("status") == "Unknown":
        return Assessment(Health.PROGRESSING, why(obj, name) or f"{name} is Unknown")
    return progressing(why(obj, name) or f"not {name}")
