"""Which object is which: API group, kind, namespace and name. The version is no part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

Object = dict[str, Any]


class EnvelopeError(ValueError):
    """A document that is no Kubernetes object; the message says what is missing or wrong."""


class Kind(NamedTuple):
    """An API group and a kind, `("apps", "Deployment")`; the core group is ``""``."""

    group: str
    kind: str

    def __str__(self) -> str:
        return f"{self.kind}.{self.group}" if self.group else self.kind


@dataclass(frozen=True, slots=True, order=True)
class ObjectKey:
    """Identity of one object; `namespace` is ``""`` for a cluster-scoped one (or not yet known)."""

    group: str
    kind: str
    namespace: str
    name: str

    @property
    def kind_key(self) -> Kind:
        """Group and kind alone."""
        return Kind(self.group, self.kind)

    def __str__(self) -> str:
        where = f"{self.namespace}/{self.name}" if self.namespace else self.name
        return f"{Kind(self.group, self.kind)} {where}"


def split_api_version(api_version: str) -> tuple[str, str]:
    """`"apps/v1"` → `("apps", "v1")`; `"v1"` → `("", "v1")`."""
    group, slash, version = api_version.rpartition("/")
    return (group, version) if slash else ("", api_version)


def kind_of(obj: Object) -> Kind:
    """Group and kind of an object whose envelope was checked."""
    return Kind(split_api_version(obj["apiVersion"])[0], obj["kind"])


def key_of(obj: Object, default_namespace: str = "") -> ObjectKey:
    """Identity of an object whose envelope was checked.

    `default_namespace` stands in where the object names none; pass it for namespaced kinds only.
    """
    group, kind = kind_of(obj)
    metadata = obj["metadata"]
    return ObjectKey(group, kind, metadata.get("namespace") or default_namespace, metadata["name"])


def labels_of(obj: Object) -> dict[str, str]:
    """The object's labels, empty if it has none. Not a copy to write to."""
    return (obj.get("metadata") or {}).get("labels") or {}


def annotations_of(obj: Object) -> dict[str, str]:
    """The object's annotations, empty if it has none. Not a copy to write to."""
    return (obj.get("metadata") or {}).get("annotations") or {}


def spec_of(obj: Object) -> dict[str, Any]:
    """The object's spec, empty if it has none or it is no mapping: what comes from Git may hold
    anything, and so may custom resources. Not a copy to write to."""
    spec = obj.get("spec")
    return spec if isinstance(spec, dict) else {}


def check_envelope(document: Any) -> Object:
    """The document itself, if it can be a Kubernetes object.

    Errors: `EnvelopeError` for a non-mapping, a missing or non-text apiVersion, kind or
    metadata.name, a name with `/`, or labels or annotations whose values are not text.
    """
    if not isinstance(document, dict):
        raise EnvelopeError(f"is a {type(document).__name__}, not an object with apiVersion/kind")
    for field in ("apiVersion", "kind"):
        if not isinstance(document.get(field), str) or not document[field]:
            raise EnvelopeError(f"has no {field}")
    metadata = document.get("metadata")
    if not isinstance(metadata, dict):
        raise EnvelopeError(f"{document['kind']} has no metadata")
    name = metadata.get("name")
    if not isinstance(name, str) or not name:
        raise EnvelopeError(f"{document['kind']} has no metadata.name")
    if "/" in name or "%" in name or name in (".", ".."):
        raise EnvelopeError(f"{document['kind']} has the impossible name {name!r}")
    if not isinstance(metadata.get("namespace") or "", str):
        raise EnvelopeError(f"{document['kind']} {name}: metadata.namespace is not text")
    for field in ("labels", "annotations"):
        _check_text_map(document["kind"], name, field, metadata.get(field))
    return document


def _check_text_map(kind: str, name: str, field: str, value: Any) -> None:
    if value is None:
        return
    if not isinstance(value, dict):
        raise EnvelopeError(f"{kind} {name}: metadata.{field} is not a mapping")
    for key, item in value.items():
        if not isinstance(key, str) or not isinstance(item, str | None):
            shown = "no text" if kind == "Secret" or isinstance(item, dict | list) else repr(item)
            raise EnvelopeError(
                f"{kind} {name}: metadata.{field}[{key!r}] is {shown}; put it in quotes"
            )
