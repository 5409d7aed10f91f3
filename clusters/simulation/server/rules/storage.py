"""Storage: claims and classes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.objects import Object
from clusters.simulation.server.names import qualified_causes, selector_causes
from clusters.simulation.server.quantities import read_quantity
from clusters.simulation.server.rejections import Cause, forbidden, required, unsupported, wrong
from clusters.simulation.server.rules.checks import choice_or_empty, subdomain_causes

_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")


def claim_causes(obj: Object) -> Iterable[Cause]:
    """Of a PersistentVolumeClaim."""
    return claim_spec_causes(obj.get("spec") or {}, "spec")


def claim_spec_causes(spec: dict[str, Any], path: str) -> Iterable[Cause]:
    """Of a claim's spec, its own or in a StatefulSet's template."""
    modes = spec.get("accessModes") or ()
    if not modes:
        yield required(f"{path}.accessModes", "at least 1 access mode is required")
    for mode in modes:
        if mode not in _MODES:
            yield unsupported(f"{path}.accessModes", mode, _MODES)
    if "ReadWriteOncePod" in modes and {*modes} & {*_MODES} - {"ReadWriteOncePod"}:
        words = "may not use ReadWriteOncePod with other access modes"
        yield forbidden(f"{path}.accessModes", words)
    yield from selector_causes(spec.get("selector"), f"{path}.selector")
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    field = f"{path}.resources[storage]"
    if size is None:
        yield required(field)
    elif read_quantity(str(size)).value <= 0:
        yield wrong(field, size, "must be greater than zero")
    for name in ("storageClassName", "volumeAttributesClassName"):
        if spec.get(name):
            yield from subdomain_causes(spec[name], f"{path}.{name}")
    modes = ("Block", "Filesystem")
    yield from choice_or_empty(spec.get("volumeMode"), f"{path}.volumeMode", modes)


def storage_class_causes(obj: Object) -> Iterable[Cause]:
    """Of a StorageClass."""
    provisioner = obj.get("provisioner") or ""
    if not provisioner:
        yield required("provisioner")
    else:
        yield from qualified_causes(provisioner.lower(), "provisioner")
    policies = ("Delete", "Retain")
    yield from choice_or_empty(obj.get("reclaimPolicy"), "reclaimPolicy", policies)
    modes = ("Immediate", "WaitForFirstConsumer")
    yield from choice_or_empty(obj.get("volumeBindingMode"), "volumeBindingMode", modes)
    for key in obj.get("parameters") or {}:
        if not key:
            yield wrong("parameters", key, "field can not be empty.")
