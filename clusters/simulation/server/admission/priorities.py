"""Priority: a pod's PriorityClass must be there, and gives the pod its number.

Without a class a pod gets the one marked `globalDefault`, or priority 0. At most one class is
marked. A cluster has `system-cluster-critical` and `system-node-critical` from the start.
"""

from __future__ import annotations

from clusters.objects import Kind, Object, ObjectKey
from clusters.simulation.server.admission.attributes import Attributes, Operation, denied
from clusters.simulation.server.state import State

PRIORITY_CLASS = Kind("scheduling.k8s.io", "PriorityClass")
_NONE: Object = {"value": 0, "preemptionPolicy": "PreemptLowerPriority"}


def system_classes() -> list[Object]:
    """The PriorityClasses that every cluster has."""
    rows = (
        (
            "system-cluster-critical",
            2000000000,
            "Used for system critical pods that must run in the cluster, but can be moved to "
            "another node if necessary.",
        ),
        (
            "system-node-critical",
            2000001000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
    )
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": name},
            "value": value,
            "description": description,
        }
        for name, value, description in rows
    ]


def assign_priority(state: State, attributes: Attributes) -> Object:
    """The pod with its priority. Errors: `AdmissionError`."""
    pod = attributes.object
    assert pod is not None
    spec = pod["spec"]
    if attributes.operation is Operation.UPDATE:
        before = (attributes.old or {}).get("spec") or {}
        kept = {n: before[n] for n in ("priority", "preemptionPolicy") if n in before}
        return {**pod, "spec": {**kept, **spec}}
    class_ = _class_of(state, attributes, spec.get("priorityClassName"))
    added: Object = {"priority": class_["value"]}
    if spec.get("priority", class_["value"]) != class_["value"]:
        raise denied(
            attributes,
            f"the integer value of priority ({spec['priority']}) must not be provided in pod "
            f"spec; priority admission controller computed {class_['value']} from the given "
            "PriorityClass name",
        )
    policy = class_.get("preemptionPolicy") or _NONE["preemptionPolicy"]
    if spec.get("preemptionPolicy", policy) != policy:
        raise denied(
            attributes,
            f"the string value of PreemptionPolicy ({spec['preemptionPolicy']}) must not be "
            f"provided in pod spec; priority admission controller computed {policy} from the "
            "given PriorityClass name",
        )
    added["preemptionPolicy"] = policy
    if class_ is not _NONE:
        added["priorityClassName"] = class_["metadata"]["name"]
    return {**pod, "spec": {**spec, **added}}


def check_priority_class(state: State, attributes: Attributes) -> None:
    """Let a PriorityClass pass unless it is a second default. Errors: `AdmissionError`."""
    class_ = attributes.object
    if class_ is None or not class_.get("globalDefault"):
        return
    default = _global_default(state)
    if default is not None and default["metadata"]["name"] != attributes.key.name:
        name = default["metadata"]["name"]
        raise denied(
            attributes,
            f"PriorityClass {name} is already marked as default. Only one default can exist",
        )


def _class_of(state: State, attributes: Attributes, name: str | None) -> Object:
    if not name:
        return _global_default(state) or _NONE
    found = state.store.get(ObjectKey(*PRIORITY_CLASS, "", name))
    if found is None:
        raise denied(attributes, f"no PriorityClass with name {name} was found")
    return found


def _global_default(state: State) -> Object | None:
    marked = (item for item in state.store.all(PRIORITY_CLASS) if item.get("globalDefault"))
    return next(marked, None)
