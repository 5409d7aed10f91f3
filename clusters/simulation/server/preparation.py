"""What the server itself sets in an object that is about to be stored, whoever writes it.

It comes after the writer's fields are noted, so nobody owns it: a Service's addresses, the labels
by which a Job knows its pods, the count of a DaemonSet's templates, a definition's acceptance.

Never refuses anything, and changes only the copy that it is given.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.objects import Kind, Object, annotations_of, canonical_bytes
from clusters.simulation.server.catalog import CRD, shared_spec
from clusters.simulation.server.copies import clone
from clusters.simulation.server.state import NAMESPACE, State

_TEMPLATES = "deprecated.daemonset.template.generation"


def prepare(
    state: State, kind: Kind, obj: Object, live: Object | None, *, dry_run: bool = False
) -> None:
    """Complete `obj`, the caller's own copy, in place; `live` is what it takes the place of."""
    rule = _RULES.get(kind)
    if rule is not None:
        rule(state, obj, live, dry_run)


def _namespace(state: State, obj: Object, live: Object | None, dry_run: bool) -> None:
    """Only the subresource `finalize` changes a namespace's own finalizers."""
    if live is not None:
        obj["spec"] = live["spec"]
        return
    finalizers = obj["spec"].get("finalizers") or []
    if "kubernetes" not in finalizers:
        obj["spec"]["finalizers"] = [*finalizers, "kubernetes"]


def _service(state: State, obj: Object, live: Object | None, dry_run: bool) -> None:
    addresses = state.addresses
    if dry_run:
        # A copy that nobody will miss.
        addresses = type(state.addresses)()
        addresses.__dict__.update(state.addresses.__dict__)
    if live is not None:
        _drop_outgrown(obj, live)
    if obj["spec"]["type"] != "ExternalName":
        _choose_families(obj["spec"], live["spec"] if live is not None else {})
    addresses.complete(obj, live)


def _choose_families(spec: Object, old: Object) -> None:
    """The address families of a Service, on a cluster that has IPv4 alone.

    What a writer no longer asks for stays as it is, as the addresses do. One without an address
    and without a selector is for both families: its endpoints are somebody else's business.
    """
    anywhere = spec.get("clusterIP") == "None" and not spec.get("selector")
    policy = "RequireDualStack" if anywhere else "SingleStack"
    kept: dict[str, Any] = {"ipFamilies": ["IPv4"], "ipFamilyPolicy": policy}
    if old and old["type"] != "ExternalName":
        kept.update({name: old[name] for name in kept if name in old})
    for name, value in kept.items():
        spec.setdefault(name, value)
    families = spec["ipFamilies"]
    if anywhere and len(families) == 1 and spec["ipFamilyPolicy"] != "SingleStack":
        spec["ipFamilies"] = [*families, "IPv6" if families == ["IPv4"] else "IPv4"]


def _volume(state: State, obj: Object, live: Object | None, dry_run: bool) -> None:
    if live is None:
        obj["status"]["lastPhaseTransitionTime"] = state.now()


def _drop_outgrown(obj: Object, live: Object) -> None:
    """Drop what only the type that a Service had needs, unless a writer changed it."""
    new, old = obj["spec"], live["spec"]

    def outgrown(types: tuple[str, ...], *names: str) -> None:
        if old["type"] in types and new["type"] not in types:
            for name in names:
                if new.get(name) == old.get(name):
                    new.pop(name, None)

    outgrown(("ClusterIP", "NodePort", "LoadBalancer"), *_OF_ADDRESSES)
    outgrown(("LoadBalancer",), "allocateLoadBalancerNodePorts", "loadBalancerClass")
    if not new.get("externalIPs"):
        outgrown(("NodePort", "LoadBalancer"), "externalTrafficPolicy")
    doors = [[port.get("nodePort", 0) for port in spec.get("ports") or ()] for spec in (new, old)]
    numbered = ("NodePort", "LoadBalancer")
    if old["type"] in numbered and new["type"] not in numbered and {*doors[0]} <= {*doors[1], 0}:
        for port in new.get("ports") or ():
            port.pop("nodePort", None)
    if new["type"] != "LoadBalancer" and obj.get("status"):
        obj["status"] = {"loadBalancer": {}}


_OF_ADDRESSES = ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy")


def _job(state: State, obj: Object, live: Object | None, dry_run: bool) -> None:
    spec = obj["spec"]
    if live is not None or spec.get("manualSelector"):
        return
    uid, name = obj["metadata"]["uid"], obj["metadata"]["name"]
    labels = spec["template"]["metadata"].setdefault("labels", {})
    for prefix in ("batch.kubernetes.io/", ""):
        labels.setdefault(f"{prefix}controller-uid", uid)
        labels.setdefault(f"{prefix}job-name", name)
    selected = spec.setdefault("selector", {}).setdefault("matchLabels", {})
    selected.setdefault("batch.kubernetes.io/controller-uid", uid)


def _daemon_set(state: State, obj: Object, live: Object | None, dry_run: bool) -> None:
    """A DaemonSet's templates are counted; a client can only say where to begin."""
    number = annotations_of(live or obj).get(_TEMPLATES, "")
    count = int(number) if number.isdecimal() and int(number) else 1
    if live is not None:
        count += live["spec"]["template"] != obj["spec"]["template"]
    obj["metadata"]["annotations"] = {**annotations_of(obj), _TEMPLATES: str(count)}


def _definition(state: State, definition: Object, live: Object | None, dry_run: bool) -> None:
    """A CustomResourceDefinition is established at once; its spec is shared by all clusters."""
    definition["spec"] = shared_spec(canonical_bytes(definition["spec"]))
    names = definition["spec"]["names"]
    status = definition.setdefault("status", {})
    status["acceptedNames"] = clone(names)
    versions = definition["spec"].get("versions") or ()
    stored = [version["name"] for version in versions if version.get("storage")]
    known = status.get("storedVersions") or []
    status["storedVersions"] = [*known, *(name for name in stored if name not in known)]
    if not status.get("conditions"):
        status["conditions"] = [
            _condition(state, "NamesAccepted", "NoConflicts", "no conflicts found"),
            _condition(
                state, "Established", "InitialNamesAccepted", "the initial names have been accepted"
            ),
        ]


def _condition(state: State, kind: str, reason: str, message: str) -> dict[str, str]:
    return {
        "type": kind,
        "status": "True",
        "lastTransitionTime": state.now(),
        "reason": reason,
        "message": message,
    }


_RULES: dict[Kind, Callable[[State, Object, Object | None, bool], Any]] = {
    NAMESPACE: _namespace,
    Kind("", "Service"): _service,
    Kind("", "PersistentVolume"): _volume,
    Kind("batch", "Job"): _job,
    Kind("apps", "DaemonSet"): _daemon_set,
    CRD: _definition,
}
