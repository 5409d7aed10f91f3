"""How objects go: finalizers, owner references, namespaces and custom kinds.

Real clusters do most of this in controllers, some moments later; here it is done before the
delete returns, as far as finalizers let it.

::

    remove ─ finalizers left? ─▶ mark with deletionTimestamp, wait for `release`
           └ none ─▶ drop ─▶ dependents (Background) ─▶ namespace or definition that waited

    Foreground: dependents first, then the owner      Orphan: dependents lose the reference
    Namespace: Terminating, its content removed, dropped when it is empty
    CustomResourceDefinition: its objects removed, then the kind is served no longer

Never judges whether a delete is wanted: preconditions are checked in `api`.
"""

from __future__ import annotations

from typing import Any

from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.server.catalog import CRD, custom_kind
from clusters.simulation.server.state import NAMESPACE, State

FOREGROUND = "foregroundDeletion"
_CRD_FINALIZER = "customresourcecleanup.apiextensions.k8s.io"


def remove(state: State, key: ObjectKey, propagation: str = "Background") -> None:
    """Delete an object that is there, or mark it until its finalizers let it go."""
    obj = state.store.get(key)
    if obj is None:
        return
    if propagation == "Orphan":
        _orphan_dependents(state, obj)
    extra = FOREGROUND if propagation == "Foreground" and _dependents(state, obj) else ""
    if key.kind_key == CRD and state.store.count(custom_kind(obj)):
        extra = _CRD_FINALIZER
    if key.kind_key == NAMESPACE or extra or obj["metadata"].get("finalizers"):
        _mark(state, key, obj, extra)
        _remove_content(state, key, propagation)
    release(state, key)


def release(state: State, key: ObjectKey) -> None:
    """Drop an object for good if it may go, and everything that follows from it."""
    obj = state.store.get(key)
    if obj is None:
        return
    marked = bool(obj["metadata"].get("deletionTimestamp"))
    if obj["metadata"].get("finalizers"):
        return
    if key.kind_key == NAMESPACE and state.store.population.get(key.name):
        return
    state.store.drop(key)
    if key.kind_key == CRD:
        state.catalog.uninstall(custom_kind(obj))
        state.store.history.end(custom_kind(obj))
    if key.kind_key == NAMESPACE:
        state.store.population.pop(key.name, None)
    _cascade(state, obj)
    _release_waiting(state, key, obj, marked)


def _mark(state: State, key: ObjectKey, obj: Object, finalizer: str) -> None:
    """Set the deletion timestamp once, and add a finalizer if one is called for."""
    marked = marked_for_deletion(obj, finalizer, state.now())
    if marked is not obj:
        state.store.put(key, marked)


def marked_for_deletion(obj: Object, finalizer: str, now: str) -> Object:
    """The object as it waits for its finalizers; itself if it waits already."""
    metadata = dict(obj["metadata"])
    finalizers = list(metadata.get("finalizers") or ())
    if finalizer and finalizer not in finalizers:
        finalizers.append(finalizer)
    elif metadata.get("deletionTimestamp"):
        return obj
    if finalizers:
        metadata["finalizers"] = finalizers
    if not metadata.get("deletionTimestamp"):
        metadata["deletionTimestamp"] = now
        metadata["deletionGracePeriodSeconds"] = 0
        if "generation" in metadata:
            metadata["generation"] += 1
    marked = {**obj, "metadata": metadata}
    if Kind("", obj["kind"]) == NAMESPACE and obj["apiVersion"] == "v1":
        marked["spec"] = {key: value for key, value in obj["spec"].items() if key != "finalizers"}
        marked["status"] = {**obj.get("status", {}), "phase": "Terminating"}
    return marked


def _remove_content(state: State, key: ObjectKey, propagation: str) -> None:
    """Remove what has to go before the object at `key` can."""
    obj = state.store.get(key)
    if obj is None:
        return
    if key.kind_key == NAMESPACE:
        for kind in state.store.kinds():
            for item in state.store.all(kind, key.name):
                remove(state, key_of(item))
    elif key.kind_key == CRD:
        for item in state.store.all(custom_kind(obj)):
            remove(state, key_of(item))
        if not state.store.count(custom_kind(obj)):
            _drop_finalizer(state, key, _CRD_FINALIZER)
    elif propagation == "Foreground":
        for dependent in _dependents(state, obj):
            child = state.store.get(dependent)
            # One that is going already is not asked again: owners may own each other in a ring.
            if child is not None and not child["metadata"].get("deletionTimestamp"):
                remove(state, dependent, "Foreground")
        _finish_foreground(state, key)


def _dependents(state: State, owner: Object) -> tuple[ObjectKey, ...]:
    return state.store.dependents(owner["metadata"]["uid"])


def _finish_foreground(state: State, key: ObjectKey) -> None:
    """An owner that waited for its dependents goes when no blocking one is left."""
    obj = state.store.get(key)
    if obj is None or FOREGROUND not in (obj["metadata"].get("finalizers") or ()):
        return
    uid = obj["metadata"]["uid"]
    for dependent in _dependents(state, obj):
        item = state.store.get(dependent)
        references = item["metadata"].get("ownerReferences", ()) if item else ()
        if any(ref.get("uid") == uid and ref.get("blockOwnerDeletion") for ref in references):
            return
    _drop_finalizer(state, key, FOREGROUND)


def _drop_finalizer(state: State, key: ObjectKey, finalizer: str) -> None:
    obj = state.store.get(key)
    if obj is None or finalizer not in (obj["metadata"].get("finalizers") or ()):
        return
    metadata = dict(obj["metadata"])
    remaining = [item for item in metadata.pop("finalizers") if item != finalizer]
    if remaining:
        metadata["finalizers"] = remaining
    state.store.put(key, {**obj, "metadata": metadata})
    release(state, key)


def _cascade(state: State, owner: Object) -> None:
    """Background collection: a dependent goes unless another owner of it is still there."""
    uid = owner["metadata"]["uid"]
    for key in state.store.dependents(uid):
        dependent = state.store.get(key)
        if dependent is None:
            continue
        references = dependent["metadata"].get("ownerReferences", ())
        others = [ref for ref in references if ref.get("uid") != uid]
        if any(_owner_is_there(state, dependent, reference) for reference in others):
            _set_owners(state, key, dependent, others)
        else:
            remove(state, key)


def _owner_is_there(state: State, dependent: Object, reference: dict[str, Any]) -> bool:
    group, slash, _ = str(reference.get("apiVersion", "")).rpartition("/")
    kind = Kind(group if slash else "", str(reference.get("kind", "")))
    name = str(reference.get("name", ""))
    for namespace in (dependent["metadata"].get("namespace", ""), ""):
        found = state.store.get(ObjectKey(kind.group, kind.kind, namespace, name))
        if found is not None and found["metadata"]["uid"] == reference.get("uid"):
            return True
    return False


def _orphan_dependents(state: State, owner: Object) -> None:
    uid = owner["metadata"]["uid"]
    for key in state.store.dependents(uid):
        dependent = state.store.get(key)
        if dependent is not None:
            references = dependent["metadata"].get("ownerReferences", ())
            kept = [ref for ref in references if ref.get("uid") != uid]
            _set_owners(state, key, dependent, kept)


def _set_owners(state: State, key: ObjectKey, obj: Object, owners: list[dict[str, Any]]) -> None:
    metadata = {k: v for k, v in obj["metadata"].items() if k != "ownerReferences"}
    if owners:
        metadata["ownerReferences"] = owners
    state.store.put(key, {**obj, "metadata": metadata})


def _release_waiting(state: State, key: ObjectKey, obj: Object, marked: bool) -> None:
    """Let go what waited for this one: its namespace, its definition, its owners."""
    if key.namespace:
        namespace = ObjectKey("", "Namespace", "", key.namespace)
        waiting = state.store.get(namespace)
        if waiting is not None and waiting["metadata"].get("deletionTimestamp"):
            release(state, namespace)
    if state.catalog.find(key.kind_key).custom and not state.store.count(key.kind_key):
        plural = state.catalog.find(key.kind_key).resource.plural
        definition = ObjectKey(*CRD, "", f"{plural}.{key.group}")
        _drop_finalizer(state, definition, _CRD_FINALIZER)
    for reference in obj["metadata"].get("ownerReferences", ()):
        group, slash, _ = str(reference.get("apiVersion", "")).rpartition("/")
        for namespace_name in {key.namespace, ""}:
            owner = ObjectKey(
                group if slash else "", reference["kind"], namespace_name, reference["name"]
            )
            _finish_foreground(state, owner)
