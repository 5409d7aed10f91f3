"""The rights that an agent needs for what it deploys, and no others. Pure.

| role | what it allows |
|---|---|
| ClusterRole `fleet-agent` | to find and watch the kinds that are deployed, everywhere, but for Secrets; all that is done with cluster-wide kinds; namespaces by name; nodes |
| Role `fleet-agent` in `fleet-system` | inventories, the copy, the Lease; to act as named ServiceAccounts |
| Role `fleet-agent` where objects go | to read and write those kinds there; Events; the pods of workloads |
| (Cluster)Role `fleet-agent-hands-out` | what deployed roles give to others |

| what is deployed | there | everywhere |
|---|---|---|
| objects | create, get, patch, delete | list, watch |
| those of a kind that is kept (CRD, Namespace, PVC) | without delete, unless one is annotated | list, watch |
| only hooks | create, get, patch, delete | |
| Secrets | create, get, patch, delete, list, watch | |
| what a bundle brings with a ServiceAccount of its own | get | list, watch |

Kubernetes lets nobody hand out a right that they do not have. An agent that deploys Roles is
therefore given the very rules that these hold, and not `escalate`: whoever takes over its Git or
its hub cannot get more out of them than is deployed already. A change of such a rule is refused as
`forbidden` until somebody gives the agent its new rights. Bindings to roles that are not among what
is deployed (`view`, `system:auth-delegator`) are allowed by name (`bind`). A ClusterRole that
aggregates others has rules that nobody can foresee: for it alone, by name, there is `escalate`.
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from agents.apply.policy import is_protected
from agents.health import has_pods
from agents.inventory import NAMESPACE
from agents.protocol.needs import Needs
from clusters.objects import Kind, Object, key_of, kind_of, spec_of

NAME = "fleet-agent"
HANDS_OUT = "fleet-agent-hands-out"
LABELS = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": "fleet"}
Rule = dict[str, list[str]]

RBAC = "rbac.authorization.k8s.io"
ROLES = (Kind(RBAC, "ClusterRole"), Kind(RBAC, "Role"))
BINDINGS = (Kind(RBAC, "ClusterRoleBinding"), Kind(RBAC, "RoleBinding"))
SECRET = Kind("", "Secret")
ALWAYS_THERE = frozenset({"default", "kube-node-lease", "kube-public", "kube-system"})
_CRD = Kind("apiextensions.k8s.io", "CustomResourceDefinition")
_NAMESPACE = Kind("", "Namespace")
_FIND = frozenset({"list", "watch"})
_WRITE = frozenset({"create", "get", "patch"})
_REMOVE = frozenset({"delete"})
_KEEP_BOOKS = _WRITE | _REMOVE | {"list"}


@dataclass(frozen=True, slots=True)
class Right:
    """Verbs on a resource, in one namespace or (empty) everywhere."""

    namespace: str
    group: str
    resource: str
    verbs: frozenset[str]
    names: tuple[str, ...] = ()
    """Only objects of these names; empty: all."""


def all_rights() -> list[Object]:
    """Everything, for an agent of which nobody knows what it will deploy."""
    return _granted(
        NAME,
        "",
        [
            {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
            {"nonResourceURLs": ["*"], "verbs": ["*"]},
        ],
    )


def rights_of(needs: Needs) -> list[Object]:
    """Roles and bindings for an agent with these needs, in the order of applying them.

    Namespaces that Roles stand in are among them, unless every cluster has them.
    """
    own, lent = _ruled([*_of_the_agent(needs), *_of_the_bundles(needs)]), _handed_out(needs)
    names = sorted({*own, *lent} - {""})
    made = [_namespace(name) for name in names if name not in ALWAYS_THERE]
    for name in ("", *names):
        made += _granted(NAME, name, own.get(name, []))
        made += _granted(HANDS_OUT, name, lent.get(name, []))
    return made


def _of_the_agent(needs: Needs) -> Iterator[Right]:
    """What an agent looks at, keeps and says, whatever it deploys."""
    spaces = {key_of(item).namespace for item in needs.own}
    brought = {key_of(item).name for item in needs.own if kind_of(item) == _NAMESPACE}
    known = tuple(sorted({NAMESPACE, *spaces, *brought} - {""}))
    yield Right("", "", "namespaces", frozenset({"get", "patch"}), known)
    # Where a Role stands, the namespace came with it.
    empty = tuple(sorted(brought - spaces))
    if empty:
        yield Right("", "", "namespaces", frozenset({"create"}), empty)
    yield Right("", "", "nodes", frozenset({"list"}))
    for resource in ("configmaps", "secrets"):
        yield Right(NAMESPACE, "", resource, _KEEP_BOOKS)
    yield Right(NAMESPACE, "coordination.k8s.io", "leases", _WRITE)
    if needs.accounts:
        acts = frozenset({"impersonate"})
        yield Right(NAMESPACE, "", "serviceaccounts", acts, needs.accounts)
    # Events about what is in no namespace are in `default`.
    shown = spaces | {key_of(item).namespace for item in needs.seen}
    for space in {NAMESPACE, *(name or "default" for name in shown)}:
        yield Right(space, "", "events", _WRITE)
    for space in {key_of(item).namespace for item in needs.objects if has_pods(kind_of(item))}:
        yield Right(space, "", "pods", frozenset({"list"}))
    if any("replicas" in spec_of(item) for item in needs.objects):
        yield Right("", "autoscaling", "horizontalpodautoscalers", frozenset({"list"}))


def _of_the_bundles(needs: Needs) -> Iterator[Right]:
    """What is done with every object, in its turn."""
    plurals = _declared_plurals(needs.objects)

    def of(item: Object, verbs: frozenset[str], *, everywhere: bool = False) -> Right:
        key = key_of(item)
        resource = plurals.get(key.kind_key) or plural_of(key.kind)
        return Right("" if everywhere else key.namespace, key.group, resource, verbs)

    for item in (*needs.objects, *needs.seen):
        yield of(item, _FIND, everywhere=kind_of(item) != SECRET)
    for item in needs.objects:
        if kind_of(item) != _NAMESPACE:  # those are named
            yield of(item, _WRITE)
        if not is_protected(item, key_of(item)):
            yield of(item, _REMOVE)
    for item in needs.hooks:
        yield of(item, _WRITE | _REMOVE)
    for item in needs.seen:
        yield of(item, frozenset({"get"}))


def _ruled(rights: Iterable[Right]) -> dict[str, list[Rule]]:
    """Namespace → rules: one for all resources of an API group with which the same is done."""
    verbs: dict[tuple[str, str, str, tuple[str, ...]], frozenset[str]] = {}
    for right in rights:
        about = (right.namespace, right.group, right.resource, right.names)
        verbs[about] = verbs.get(about, frozenset()) | right.verbs
    alike: dict[tuple[str, str, tuple[str, ...], tuple[str, ...]], list[str]] = {}
    for (namespace, group, resource, names), some in sorted(verbs.items()):
        alike.setdefault((namespace, group, names, tuple(sorted(some))), []).append(resource)
    found: dict[str, list[Rule]] = {}
    for (namespace, group, names, words), resources in sorted(alike.items()):
        found.setdefault(namespace, []).append(_rule(group, resources, words, names))
    return found


def _rule(
    group: str, resources: list[str], verbs: Iterable[str], names: Iterable[str] = ()
) -> Rule:
    rule = {"apiGroups": [group], "resources": resources, "verbs": sorted(verbs)}
    return {**rule, "resourceNames": list(names)} if names else rule


def plural_of(kind: str) -> str:
    """The resource of a kind by the rule that Kubernetes' own kinds are named by."""
    name = kind.lower()
    if name.endswith("endpoints"):
        return name
    if name.endswith(("s", "x", "ch", "sh")):
        return f"{name}es"
    if name.endswith("y") and name[-2:-1] not in ("a", "e", "o", "u"):
        return f"{name[:-1]}ies"
    return f"{name}s"


def _declared_plurals(objects: Iterable[Object]) -> dict[Kind, str]:
    specs = [spec_of(item) for item in objects if kind_of(item) == _CRD]
    named = [(spec, spec["names"]) for spec in specs if isinstance(spec.get("names"), dict)]
    return {
        Kind(str(spec.get("group")), str(names.get("kind"))): str(names.get("plural"))
        for spec, names in named
    }


def _handed_out(needs: Needs) -> dict[str, list[Rule]]:
    """By namespace (empty: everywhere) what the agent must have itself to write roles there."""
    given: dict[str, list[Rule]] = {}
    for item in needs.own:
        if kind_of(item) in ROLES or kind_of(item) in BINDINGS:
            given.setdefault(key_of(item).namespace, []).extend(_given_by(item, needs.own))
    return given


def _given_by(item: Object, objects: Iterable[Object]) -> list[Rule]:
    """What the agent must have itself to write this role or binding."""
    kind = kind_of(item)
    if kind in ROLES:
        if item.get("aggregationRule"):
            return [_rule(RBAC, ["clusterroles"], ["escalate"], [item["metadata"]["name"]])]
        rules = item.get("rules")
        said = rules if isinstance(rules, list) else []
        return [dict(rule) for rule in said if isinstance(rule, dict)]
    ref = item.get("roleRef")
    if not isinstance(ref, dict):
        return []  # no server takes such a binding
    what, name = str(ref.get("kind")), str(ref.get("name"))
    namespace = key_of(item).namespace if what == "Role" else ""
    known = {key_of(other) for other in objects if kind_of(other) in ROLES}
    if any((k.kind, k.namespace, k.name) == (what, namespace, name) for k in known):
        return []
    return [_rule(RBAC, [plural_of(what)], ["bind"], [name])]


def _granted(name: str, namespace: str, rules: Sequence[dict[str, list[str]]]) -> list[Object]:
    """A role with these rules, each once, and its binding to the agent; nothing for no rules."""
    if not rules:
        return []
    unique = [rule for index, rule in enumerate(rules) if rule not in rules[:index]]
    kind = "Role" if namespace else "ClusterRole"
    meta: dict[str, Any] = {"name": name, "labels": LABELS}
    if namespace:
        meta["namespace"] = namespace
    return [
        {"apiVersion": f"{RBAC}/v1", "kind": kind, "metadata": meta, "rules": unique},
        {
            "apiVersion": f"{RBAC}/v1",
            "kind": f"{kind}Binding",
            "metadata": meta,
            "roleRef": {"apiGroup": RBAC, "kind": kind, "name": name},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        },
    ]


def _namespace(name: str) -> Object:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
