"""What an object's own annotations say about applying and removing it. Pure.

| Fleet | as others say it | meaning |
|---|---|---|
| `fleet.dev/apply: override` | Flux `ssa: Override`, Argo CD `Replace=true` | the manifest wins over every manager but another bundle; what people added with kubectl is taken away |
| `fleet.dev/apply: merge` | Flux `ssa: Merge` | the manifest wins, what others added stays |
| `fleet.dev/apply: if-not-present` | Flux `ssa: IfNotPresent` | made if it is missing, never changed |
| `fleet.dev/apply: ignore` | Flux `ssa: Ignore` | not applied, not compared; if it was owned, it is let go |
| `fleet.dev/force: "true"` | Flux `force: enabled`, Argo CD `Force=true` | made again if a change is refused as immutable |
| `fleet.dev/prune: disabled` | Flux `prune: disabled`, Argo CD `Prune=false`, Helm `resource-policy: keep` | never deleted by a prune, nor when the bundle goes |
| `fleet.dev/prune: enabled` | | may be deleted although its kind is protected |

`"true"` and `"false"` stand for enabled and disabled. Argo CD's `Delete=false` keeps an object when
the bundle goes, not from a prune; its `confirm` counts as false, since nobody here asks. Without
a policy a conflict of fields is judged by `ownership`. Policies of applying are read from the wanted
object, those of removing from the live one: Git no longer has it.
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from enum import StrEnum

from agents.protocol.needs import PRUNE
from clusters.objects import Kind, Object, ObjectKey, annotations_of

APPLY = "fleet.dev/apply"
FORCE = "fleet.dev/force"
_FLUX = "kustomize.toolkit.fluxcd.io/"
_ARGO = "argocd.argoproj.io/sync-options"
_HELM = "helm.sh/resource-policy"
_YES, _NO = ("true", "enabled"), ("false", "disabled")

PROTECTED = frozenset(
    {
        Kind("apiextensions.k8s.io", "CustomResourceDefinition"),
        Kind("", "Namespace"),
        Kind("", "PersistentVolumeClaim"),
    }
)
"""Kinds whose removal destroys what Git cannot bring back."""


class ApplyPolicy(StrEnum):
    """How an object is brought to what the manifest says."""

    JUDGED = "judged"
    """Nothing is said: a conflict is judged by who the other manager is."""
    OVERRIDE = "override"
    MERGE = "merge"
    IF_NOT_PRESENT = "if-not-present"
    IGNORE = "ignore"


_FLUX_POLICIES = {item.value.replace("-", ""): item for item in ApplyPolicy}


def apply_policy(obj: Object) -> ApplyPolicy:
    """The policy of a wanted object. Errors: `ValueError` for a word that is none."""
    said = annotations_of(obj)
    own = said.get(APPLY)
    if own is not None:
        try:
            return ApplyPolicy(own)
        except ValueError:
            known = ", ".join(item.value for item in ApplyPolicy)
            raise ValueError(f"annotation {APPLY} is {own!r}, which is none of {known}") from None
    flux = _FLUX_POLICIES.get((said.get(f"{_FLUX}ssa") or "").lower())
    if flux is not None:
        return flux
    return ApplyPolicy.OVERRIDE if "Replace=true" in _argo(said) else ApplyPolicy.JUDGED


def may_recreate(obj: Object) -> bool:
    """Does the wanted object itself allow to be made again?"""
    said = annotations_of(obj)
    return (
        said.get(FORCE) in _YES
        or (said.get(f"{_FLUX}force") or "").lower() == "enabled"
        or "Force=true" in _argo(said)
    )


def is_protected(live: Object, key: ObjectKey) -> bool:
    """May this object not be deleted, whoever asks?"""
    return key.kind_key in PROTECTED and annotations_of(live).get(PRUNE) not in _YES


def why_kept(live: Object, key: ObjectKey, *, leaving: bool) -> str:
    """Why a live object must not be deleted, empty if it may; `leaving`: its bundle goes."""
    said, argo = annotations_of(live), _argo(annotations_of(live))
    if said.get(PRUNE) in _NO:
        return f"annotation {PRUNE}"
    if (said.get(f"{_FLUX}prune") or "").lower() == "disabled":
        return f"annotation {_FLUX}prune"
    if argo & {"Prune=false", "Prune=confirm"}:
        return f"annotation {_ARGO}"
    if leaving and argo & {"Delete=false", "Delete=confirm"}:
        return f"annotation {_ARGO}"
    if (said.get(_HELM) or "").strip().lower() == "keep":
        return f"annotation {_HELM}"
    return f"a {key.kind} is kept unless annotated" if is_protected(live, key) else ""


def _argo(annotations: dict[str, str]) -> set[str]:
    return {word.strip() for word in (annotations.get(_ARGO) or "").split(",")}
