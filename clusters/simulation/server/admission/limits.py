"""LimitRange: what containers get that ask for nothing, and what nobody may ask for.

::

    default_limits   mutates a new pod: `default` and `defaultRequest` of the Container limits
    check_limits     min, max and maxLimitRequestRatio, of each container, of the pod as a whole,
                     and of what a claim requests

Only pods on their way in and claims are looked at: what runs already is left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from clusters.objects import Kind, Object
from clusters.simulation.server.admission.attributes import Attributes, denied
from clusters.simulation.server.admission.usage import CLAIM, POD, Usage, containers, pod_total
from clusters.simulation.server.copies import clone
from clusters.simulation.server.quantities import Quantity, read_quantity
from clusters.simulation.server.state import State

LIMIT_RANGE = Kind("", "LimitRange")
_ANNOTATION = "kubernetes.io/limit-ranger"


def default_limits(state: State, attributes: Attributes) -> Object:
    """The pod with the defaults of its namespace, and an annotation that tells of them."""
    pod = attributes.object
    assert pod is not None
    if not attributes.creates:
        return pod
    for limit_range in _ranges(state, attributes):
        pod = _with_defaults(pod, limit_range)
    return pod


def check_limits(state: State, attributes: Attributes) -> None:
    """Let the write pass if it is within bounds. Errors: `AdmissionError`."""
    obj = attributes.object
    if obj is None or attributes.subresource:
        return
    if attributes.key.kind_key == POD and not attributes.creates:
        return
    if attributes.old is not None and attributes.old["metadata"].get("deletionTimestamp"):
        return
    for limit_range in _ranges(state, attributes):
        wrong = list(dict.fromkeys(_complaints(limit_range, attributes.key.kind_key, obj)))
        if wrong:
            raise denied(attributes, wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]")


def _ranges(state: State, attributes: Attributes) -> list[Object]:
    found = state.store.all(LIMIT_RANGE, attributes.key.namespace)
    return sorted(found, key=lambda item: str(item["metadata"]["name"]))


def _items(limit_range: Object, kind: str) -> Iterator[Object]:
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") == kind:
            yield item


def _with_defaults(pod: Object, limit_range: Object) -> Object:
    requests: Object = {}
    limits: Object = {}
    for item in _items(limit_range, "Container"):
        requests |= item.get("defaultRequest") or {}
        limits |= item.get("default") or {}
    changed = {**pod, "spec": clone(pod["spec"])}
    done = []
    for field, words in (("containers", "container"), ("initContainers", "init container")):
        for container in changed["spec"].get(field) or ():
            for side, values in (("requests", requests), ("limits", limits)):
                added = _fill(container, side, values)
                if added:
                    done.append(f"{', '.join(added)} {side[:-1]} for {words} {container['name']}")
    if not done:
        return pod
    note = {_ANNOTATION: f"LimitRanger plugin set: {'; '.join(done)}"}
    metadata = changed["metadata"]
    changed["metadata"] = {
        **metadata,
        "annotations": {**(metadata.get("annotations") or {}), **note},
    }
    return changed


def _fill(container: Object, side: str, values: Object) -> list[str]:
    """Complete one side of a container's resources; returns the names that were missing."""
    resources = container.setdefault("resources", {})
    known = resources.get(side) or {}
    added = sorted(values.keys() - known.keys())
    if added:
        resources[side] = {**known, **{name: values[name] for name in added}}
    return added


def _complaints(limit_range: Object, kind: Kind, obj: Object) -> Iterator[str]:
    spec = obj.get("spec") or {}
    if kind == CLAIM:
        requests = _amounts(spec.get("resources") or {}, "requests")
        for item in _items(limit_range, "PersistentVolumeClaim"):
            yield from _bounds(item, requests, {}, _above_for_claims)
        return
    for item in (limit_range.get("spec") or {}).get("limits") or ():
        if item.get("type") == "Container":
            for container in containers(spec):
                resources = container.get("resources") or {}
                sides = (_amounts(resources, "requests"), _amounts(resources, "limits"))
                yield from _bounds(item, *sides, _above)
        elif item.get("type") == "Pod":
            yield from _bounds(item, pod_total(spec, "requests"), pod_total(spec, "limits"), _above)


def _amounts(holder: Mapping[str, Any], field: str) -> Usage:
    return {name: read_quantity(str(text)) for name, text in (holder.get(field) or {}).items()}


Check = Callable[[Quantity, Quantity | None, Quantity | None], str]
"""(bound, request, limit) → what is wrong, or nothing."""


def _bounds(item: Object, requests: Usage, limits: Usage, above: Check) -> Iterator[str]:
    kind = item["type"]
    rows: tuple[tuple[str, str, Check], ...] = (
        ("min", "minimum {name} usage per {kind} is {bound}", _below),
        ("max", "maximum {name} usage per {kind} is {bound}", above),
        ("maxLimitRequestRatio", "{name} max limit to request ratio per {kind} is {bound}", _ratio),
    )
    for field, words, check in rows:
        for name, bound in sorted(_amounts(item, field).items()):
            wrong = check(bound, requests.get(name), limits.get(name))
            if wrong:
                yield words.format(name=name, kind=kind, bound=bound) + wrong


def _below(bound: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    if request is None:
        return ".  No request is specified"
    if request.value < bound.value:
        return f", but request is {request}"
    return f", but limit is {limit}" if limit is not None and limit.value < bound.value else ""


def _above(bound: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    if limit is None:
        return ".  No limit is specified"
    if limit.value > bound.value:
        return f", but limit is {limit}"
    return _above_for_claims(bound, request or Quantity(), None)


def _above_for_claims(bound: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    """A claim has no limit, so its request is held to the maximum."""
    if request is None:
        return ".  No request is specified"
    return f", but request is {request}" if request.value > bound.value else ""


def _ratio(bound: Quantity, request: Quantity | None, limit: Quantity | None) -> str:
    if request is None or not request.value:
        return ", but no request is specified or request is 0"
    if limit is None or not limit.value:
        return ", but no limit is specified or limit is 0"
    ratio = limit.value / request.value
    return f", but provided ratio is {float(ratio):f}" if ratio > bound.value else ""
