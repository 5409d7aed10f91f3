"""Questions about who one is and what one may do: asked by POST, answered, and never stored.

::

    kubectl auth can-i …         SelfSubjectAccessReview     whoever asks may do everything
    kubectl auth can-i --list    SelfSubjectRulesReview
    kubectl auth whoami          SelfSubjectReview           an administrator

Never decides anything: a simulated cluster has no users to tell apart.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clusters.cluster import Resource
from clusters.objects import Kind, Object
from clusters.simulation.server.builtin import KindTraits
from clusters.simulation.server.rejections import BadRequestError

USER: Object = {
    "username": "kubernetes-admin",
    "groups": ["system:masters", "system:authenticated"],
}
_AUTHENTICATION = "authentication.k8s.io"
_AUTHORIZATION = "authorization.k8s.io"
_EVERYTHING: Object = {
    "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
    "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
    "incomplete": False,
}


def _allowed(spec: Any) -> Object:
    return {"allowed": True, "reason": "whoever reaches a simulated cluster may do everything"}


def _rules(spec: Any) -> Object:
    return _EVERYTHING


def _user(spec: Any) -> Object:
    return {"userInfo": USER}


_REVIEWS: tuple[tuple[str, str, bool, Callable[[Any], Object]], ...] = (
    (_AUTHENTICATION, "SelfSubjectReview", False, _user),
    (_AUTHORIZATION, "SelfSubjectAccessReview", False, _allowed),
    (_AUTHORIZATION, "SelfSubjectRulesReview", False, _rules),
    (_AUTHORIZATION, "SubjectAccessReview", False, _allowed),
    (_AUTHORIZATION, "LocalSubjectAccessReview", True, _allowed),
)
"""Group, kind, namespaced, and the status that answers."""


def _traits(group: str, kind: str, namespaced: bool) -> KindTraits:
    resource = Resource(
        kind=Kind(group, kind),
        version="v1",
        plural=f"{kind.lower()}s",
        namespaced=namespaced,
        verbs=frozenset(("create",)),
        versions=("v1",),
    )
    return KindTraits(
        resource, has_status=False, has_scale=False, counts_generation=False, singular=kind.lower()
    )


REVIEWS = tuple(_traits(group, kind, namespaced) for group, kind, namespaced, _ in _REVIEWS)
"""The kinds as they are discovered."""

_ANSWERS = {(group, f"{kind.lower()}s"): (kind, answer) for group, kind, _, answer in _REVIEWS}


def is_review(parts: list[str]) -> bool:
    """Is a path such as `["apis", "authorization.k8s.io", "v1", "…reviews"]` a question?"""
    return len(parts) > 3 and (parts[1], parts[-1]) in _ANSWERS and parts[2] == "v1"


def answered(parts: list[str], sent: Any) -> Object:
    """What was sent, with its status. Errors: `BadRequestError`."""
    kind, answer = _ANSWERS[parts[1], parts[-1]]
    if not isinstance(sent, dict) or sent.get("kind", kind) != kind:
        raise BadRequestError(f"the body is no {kind}")
    named = {"kind": kind, "apiVersion": f"{parts[1]}/v1", "metadata": sent.get("metadata") or {}}
    return {**sent, **named, "status": answer(sent.get("spec"))}
