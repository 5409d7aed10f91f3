"""Who may do what: roles, bindings, and the types of Secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from typing import Any

import orjson

from clusters.objects import Object, annotations_of
from clusters.simulation.server.names import selector_causes
from clusters.simulation.server.rejections import Cause, hidden, required, unsupported, wrong

Part = dict[str, Any]
_GROUP = "rbac.authorization.k8s.io"
_ACCOUNT = "kubernetes.io/service-account.name"
_ANY_OF_TYPE = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}
_JSON_KEYS = (".dockerconfigjson", ".dockercfg")
_BASIC = ("username", "password")


def role_causes(obj: Object) -> Iterable[Cause]:
    """Of a Role."""
    return _rules(obj, namespaced=True)


def cluster_role_causes(obj: Object) -> Iterable[Cause]:
    """Of a ClusterRole."""
    yield from _rules(obj, namespaced=False)
    aggregation = obj.get("aggregationRule")
    if aggregation is None:
        return
    selectors, field = aggregation.get("clusterRoleSelectors"), "aggregationRule"
    if not selectors:
        yield required(f"{field}.clusterRoleSelectors", "at least one clusterRoleSelector required")
    for index, selector in enumerate(selectors or ()):
        yield from selector_causes(selector, f"{field}.clusterRoleSelectors[{index}]")


def _rules(obj: Object, *, namespaced: bool) -> Iterable[Cause]:
    for index, rule in enumerate(obj.get("rules") or ()):
        path = f"rules[{index}]"
        if not rule.get("verbs"):
            yield required(f"{path}.verbs", "verbs must contain at least one value")
        addresses = rule.get("nonResourceURLs")
        if addresses:
            mixed = rule.get("apiGroups") or rule.get("resources") or rule.get("resourceNames")
            if namespaced:
                words = "namespaced rules cannot apply to non-resource URLs"
                yield wrong(f"{path}.nonResourceURLs", addresses, words)
            if mixed:
                words = "rules cannot apply to both regular resources and non-resource URLs"
                yield wrong(f"{path}.nonResourceURLs", addresses, words)
            continue
        if not rule.get("apiGroups"):
            yield required(f"{path}.apiGroups", "resource rules must supply at least one api group")
        if not rule.get("resources"):
            words = "resource rules must supply at least one resource"
            yield required(f"{path}.resources", words)


def role_binding_causes(obj: Object) -> Iterable[Cause]:
    """Of a RoleBinding."""
    return _binding(obj, ("Role", "ClusterRole"), namespaced=True)


def cluster_role_binding_causes(obj: Object) -> Iterable[Cause]:
    """Of a ClusterRoleBinding."""
    return _binding(obj, ("ClusterRole",), namespaced=False)


def _binding(obj: Object, kinds: tuple[str, ...], *, namespaced: bool) -> Iterable[Cause]:
    role = obj.get("roleRef") or {}
    if role.get("apiGroup") != _GROUP:
        yield unsupported("roleRef.apiGroup", role.get("apiGroup") or "", (_GROUP,))
    if role.get("kind") not in kinds:
        yield unsupported("roleRef.kind", role.get("kind") or "", kinds)
    if not role.get("name"):
        yield required("roleRef.name")
    elif _is_no_segment(role["name"]):
        yield wrong("roleRef.name", role["name"], "may not contain '/' or '%'")
    for index, subject in enumerate(obj.get("subjects") or ()):
        yield from _subject(subject, f"subjects[{index}]", namespaced=namespaced)


def _is_no_segment(name: str) -> bool:
    return name in (".", "..") or "/" in name or "%" in name


def _subject(subject: Part, path: str, *, namespaced: bool) -> Iterable[Cause]:
    kind, group = subject.get("kind") or "", subject.get("apiGroup") or ""
    if not subject.get("name"):
        yield required(f"{path}.name")
    kinds = {"ServiceAccount": "", "User": _GROUP, "Group": _GROUP}
    if kind not in kinds:
        yield unsupported(f"{path}.kind", kind, tuple(kinds))
        return
    if group != kinds[kind]:
        yield unsupported(f"{path}.apiGroup", group, (kinds[kind],))
    if kind == "ServiceAccount" and not namespaced and not subject.get("namespace"):
        yield required(f"{path}.namespace")


def secret_causes(obj: Object) -> Iterable[Cause]:
    """What the type of a Secret asks of its data, which is never shown."""
    kind, data = obj.get("type") or "", obj.get("data") or {}
    for key in _ANY_OF_TYPE.get(kind, ()):
        if key not in data:
            yield required(f"data[{key}]")
        elif key in _JSON_KEYS and not _is_json(data[key]):
            yield hidden(f"data[{key}]", "is not JSON (the value is not shown)")
    if kind == "kubernetes.io/basic-auth" and not {*_BASIC} & {*data}:
        for key in _BASIC:
            yield required(f"data[{key}]")
    if kind == "kubernetes.io/service-account-token" and not annotations_of(obj).get(_ACCOUNT):
        yield required(f"metadata.annotations[{_ACCOUNT}]")


def _is_json(text: str) -> bool:
    try:
        orjson.loads(base64.b64decode(text))
    except ValueError:
        return False
    return True
