"""What of an object a request can touch: by its URL everything but the status, or the status.

Kubernetes calls the rest reset fields: what a client sends there is neither stored nor owned.
"""

from __future__ import annotations

from clusters.objects import Kind, Object
from clusters.simulation.server.builtin import KindTraits

STATUS = "status"
_IDENTITY = ("apiVersion", "kind")
_LABELS_BELONG_TO_THE_SPEC = (Kind("apps", "Deployment"),)


def touchable(traits: KindTraits, obj: Object, subresource: str) -> Object:
    """The part of an object that a write to `subresource` is about; `obj` stays as it is."""
    if subresource != STATUS:
        return {k: v for k, v in obj.items() if k != STATUS} if traits.has_status else dict(obj)
    metadata = obj.get("metadata") or {}
    if traits.custom:
        metadata = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    elif traits.kind in _LABELS_BELONG_TO_THE_SPEC:
        metadata = {key: value for key, value in metadata.items() if key != "labels"}
    kept = {key: obj[key] for key in (*_IDENTITY, STATUS) if key in obj}
    return {**kept, "metadata": metadata}


def written_over(traits: KindTraits, live: Object | None, new: Object, subresource: str) -> Object:
    """What is stored when `new` is written over `live`: what it can touch, over the rest."""
    touched = touchable(traits, new, subresource)
    if live is None:
        return touched
    if subresource != STATUS:
        has_status = traits.has_status and STATUS in live
        return {**touched, STATUS: live[STATUS]} if has_status else touched
    kept = {key: value for key, value in live.items() if key not in ("metadata", STATUS)}
    metadata = live["metadata"] if traits.custom else touched["metadata"]
    if traits.kind in _LABELS_BELONG_TO_THE_SPEC and "labels" in live["metadata"]:
        metadata = {**metadata, "labels": live["metadata"]["labels"]}
    return {**kept, **{k: v for k, v in touched.items() if k == STATUS}, "metadata": metadata}
