"""ControllerRevisions: the templates that a StatefulSet or DaemonSet has had, as patches.

A template that comes back finds its revision, which then gets the highest number. Revisions that no
pod has any more are kept up to `revisionHistoryLimit`, the oldest go first.

Never touches a pod: whether pods follow is decided by who owns them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from clusters.objects import Object, key_of
from clusters.simulation.controllers.decision import (
    Create,
    Merge,
    Remove,
    View,
    Write,
    owner_reference,
)
from clusters.simulation.controllers.workloads import template_hash

_KIND = "ControllerRevision"
_LIMIT = 10


@dataclass(frozen=True, slots=True)
class History:
    """The revisions of one workload: templates by name, the present name, what to write."""

    templates: dict[str, Any]
    present: str
    writes: tuple[Write, ...]
    revisions: tuple[Object, ...]
    """Those that there are already, the oldest first."""


def history_of(workload: Object, view: View, hash_label: str) -> History:
    """The history with the present template in it.

    `hash_label` is the label under which a revision carries its hash.
    """
    revisions = sorted(view.children(workload, _KIND), key=lambda r: int(r["revision"]))
    digest = template_hash(workload)
    present = f"{workload['metadata']['name']}-{digest}"
    found = next((r for r in revisions if r["metadata"]["name"] == present), None)
    number = int(revisions[-1]["revision"]) + 1 if revisions else 1
    writes: tuple[Write, ...] = ()
    if found is None:
        writes = (Create(_revision(workload, present, number, {hash_label: digest})),)
    elif found is not revisions[-1]:
        writes = (Merge(key_of(found), {"revision": number}),)
    templates = {r["metadata"]["name"]: _template(r) for r in revisions}
    templates[present] = workload["spec"]["template"]
    return History(templates, present, writes, tuple(revisions))


def surplus(workload: Object, history: History, live: Iterable[str]) -> tuple[Write, ...]:
    """The removal of old revisions beyond the limit; `live` names those that pods have."""
    kept = {history.present, *live}
    past = [r for r in history.revisions if r["metadata"]["name"] not in kept]
    limit = int(workload["spec"].get("revisionHistoryLimit", _LIMIT))
    return tuple(Remove(key_of(r)) for r in past[: max(0, len(past) - limit)])


def with_template(workload: Object, template: Any) -> Object:
    """The workload as it would be with another template."""
    return {**workload, "spec": {**workload["spec"], "template": template}}


def _template(revision: Object) -> Any:
    template = revision["data"]["spec"]["template"]
    return {name: value for name, value in template.items() if name != "$patch"}


def _revision(workload: Object, name: str, number: int, labels: dict[str, str]) -> Object:
    template = workload["spec"]["template"]
    metadata: Object = {
        "name": name,
        "namespace": workload["metadata"]["namespace"],
        "labels": {**((template.get("metadata") or {}).get("labels") or {}), **labels},
        "ownerReferences": [owner_reference(workload)],
    }
    if workload["metadata"].get("annotations"):
        metadata["annotations"] = workload["metadata"]["annotations"]
    return {
        "apiVersion": "apps/v1",
        "kind": _KIND,
        "metadata": metadata,
        "data": {"spec": {"template": {**template, "$patch": "replace"}}},
        "revision": number,
    }
