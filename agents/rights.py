"""The rights that an agent needs for what it deploys, and no others. Pure.

::

    ClusterRole fleet-agent     every kind that is deployed, in all namespaces, but for Secrets;
                                namespaces (get, make, label), nodes and pods (list), Events
    Role in fleet-system        inventories, the copy, the Lease; to act as named ServiceAccounts
    Role where Secrets go       Secrets of that namespace

Kubernetes lets nobody hand out a right that they do not have. An agent that deploys Roles is
therefore given the very rules that these hold, and not `escalate`: whoever takes over its Git or
its hub cannot get more out of them than is deployed already. A change of such a rule is refused as
`forbidden` until somebody gives the agent its new rights. Bindings to roles that are not among what
is deployed (`view`, `system:auth-delegator`) are allowed by name (`bind`). A ClusterRole that
aggregates others has rules that nobody can foresee: for it alone, by name, there is `escalate`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from agents.inventory import NAMESPACE
from clusters.objects import Kind, Object, key_of, kind_of, spec_of

NAME = "fleet-agent"
Rule = dict[str, list[str]]

_RBAC = "rbac.authorization.k8s.io"
_VERBS = ["create", "delete", "get", "list", "patch", "watch"]
_SECRET = Kind("", "Secret")
_CRD = Kind("apiextensions.k8s.io", "CustomResourceDefinition")
_ROLES = (Kind(_RBAC, "ClusterRole"), Kind(_RBAC, "Role"))
_BINDINGS = (Kind(_RBAC, "ClusterRoleBinding"), Kind(_RBAC, "RoleBinding"))
_ALWAYS: tuple[Rule, ...] = (
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["create", "get", "patch"]},
    {"apiGroups": [""], "resources": ["nodes", "pods"], "verbs": ["list"]},
    {"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["list"]},
    {"apiGroups": [""], "resources": ["events"], "verbs": ["create", "get", "patch"]},
)
_OWN: tuple[Rule, ...] = (
    {"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": _VERBS},
    {
        "apiGroups": ["coordination.k8s.io"],
        "resources": ["leases"],
        "verbs": ["create", "get", "patch"],
    },
)


def rights_for(objects: Iterable[Object], accounts: Iterable[str] = ()) -> list[Object]:
    """Roles and bindings for an agent that deploys these objects, in the order of applying them.

    `accounts` are the ServiceAccounts of `fleet-system` that bundles name. Namespaces that Roles
    stand in are among them.
    """
    found = list(objects)
    spaces: dict[str, list[Rule]] = {NAMESPACE: [*_OWN, *_acting(accounts)]}
    cluster = [*_ALWAYS, *_kinds(found)]
    for item in found:
        kind, namespace = kind_of(item), key_of(item).namespace
        if kind == _SECRET and namespace != NAMESPACE:
            spaces.setdefault(namespace, []).append(_rule("", ["secrets"], _VERBS))
        if kind in (*_ROLES, *_BINDINGS):
            handed_out = _handed_out(item, found)
            (spaces.setdefault(namespace, []) if namespace else cluster).extend(handed_out)
    made = [_namespace(name) for name in sorted(spaces) if name]
    made += _granted("ClusterRole", "", cluster)
    for name in sorted(spaces):
        made += _granted("Role", name, spaces[name])
    return made


def _rule(
    group: str, resources: list[str], verbs: list[str], names: list[str] | None = None
) -> Rule:
    rule = {"apiGroups": [group], "resources": resources, "verbs": verbs}
    return {**rule, "resourceNames": names} if names else rule


def _acting(accounts: Iterable[str]) -> list[Rule]:
    names = sorted(set(accounts))
    return [_rule("", ["serviceaccounts"], ["impersonate"], names)] if names else []


def _kinds(objects: list[Object]) -> list[Rule]:
    """One rule for each API group that something deployed is of."""
    plurals = _declared_plurals(objects)
    by_group: dict[str, set[str]] = {}
    for kind in {kind_of(item) for item in objects} - {_SECRET}:
        by_group.setdefault(kind.group, set()).add(plurals.get(kind) or plural_of(kind.kind))
    return [_rule(group, sorted(names), _VERBS) for group, names in sorted(by_group.items())]


def plural_of(kind: str) -> str:
    """The resource of a kind by the rule that Kubernetes' own kinds are named by."""
    name = kind.lower()
    if name.endswith("endpoints"):
        return name
    if name.endswith("s"):
        return f"{name}es"
    return f"{name[:-1]}ies" if name.endswith("y") else f"{name}s"


def _declared_plurals(objects: list[Object]) -> dict[Kind, str]:
    specs = [spec_of(item) for item in objects if kind_of(item) == _CRD]
    named = [(spec, spec["names"]) for spec in specs if isinstance(spec.get("names"), dict)]
    return {
        Kind(str(spec.get("group")), str(names.get("kind"))): str(names.get("plural"))
        for spec, names in named
    }


def _handed_out(item: Object, objects: list[Object]) -> list[Rule]:
    """What the agent must have itself to write this role or binding."""
    kind = kind_of(item)
    if kind in _ROLES:
        if item.get("aggregationRule"):
            return [_rule(_RBAC, ["clusterroles"], ["escalate"], [item["metadata"]["name"]])]
        return [dict(rule) for rule in item.get("rules") or ()]
    ref: dict[str, Any] = item["roleRef"]
    namespace = key_of(item).namespace if ref["kind"] == "Role" else ""
    known = {key_of(other) for other in objects if kind_of(other) in _ROLES}
    if any((k.kind, k.namespace, k.name) == (ref["kind"], namespace, ref["name"]) for k in known):
        return []
    return [_rule(_RBAC, [plural_of(ref["kind"])], ["bind"], [ref["name"]])]


def _granted(kind: str, namespace: str, rules: list[Rule]) -> list[Object]:
    """A role with these rules, each once, and its binding to the agent."""
    unique = [rule for index, rule in enumerate(rules) if rule not in rules[:index]]
    meta: dict[str, Any] = {"name": NAME, "labels": {"app.kubernetes.io/part-of": "fleet"}}
    if namespace:
        meta["namespace"] = namespace
    version = f"{_RBAC}/v1"
    return [
        {"apiVersion": version, "kind": kind, "metadata": meta, "rules": unique},
        {
            "apiVersion": version,
            "kind": f"{kind}Binding",
            "metadata": meta,
            "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": NAME},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        },
    ]


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
