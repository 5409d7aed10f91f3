"""Which nodes a pod may run on: nodeSelector, required node affinity, taints. Decisions only.

A pod goes to one of the nodes that fit, chosen by the hash of its name. Resources, preferences and
spreading are not looked at: a simulated node has room for everybody.
"""

from __future__ import annotations

from clusters.objects import Kind, Object, labels_of
from clusters.simulation.controllers.decision import value_matches
from clusters.simulation.controllers.timing import seconds_for

NODE = Kind("", "Node")
_CORDONED = "node.kubernetes.io/unschedulable"
DAEMON_TOLERATIONS: tuple[Object, ...] = (
    *(
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoExecute"}
        for name in ("not-ready", "unreachable")
    ),
    *(
        {"key": f"node.kubernetes.io/{name}", "operator": "Exists", "effect": "NoSchedule"}
        for name in ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
    ),
)
"""What every pod of a DaemonSet tolerates."""


def node_for(spec: Object, nodes: list[Object], name: str) -> str:
    """The node that a pod goes to, by hash among those that fit; ``""`` if none."""
    fitting = [node for node in nodes if node_fits(spec, node)]
    if not fitting:
        return ""
    number = int(seconds_for(0, name, (0.0, float(len(fitting)))))
    return str(fitting[min(number, len(fitting) - 1)]["metadata"]["name"])


def node_fits(spec: Object, node: Object) -> bool:
    """Whether a pod with this spec may be put on a node."""
    return is_selected(spec, node) and _tolerates(spec, node, ("NoSchedule", "NoExecute"))


def node_keeps(spec: Object, node: Object) -> bool:
    """Whether a pod of a DaemonSet that runs on a node may stay there."""
    return is_selected(spec, node) and _tolerates(spec, node, ("NoExecute",))


def is_selected(spec: Object, node: Object) -> bool:
    """Whether a node has what a pod's nodeSelector and required node affinity ask for."""
    labels = labels_of(node)
    if any(labels.get(k) != v for k, v in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is None:
        return True
    return any(_term_holds(term, node) for term in required.get("nodeSelectorTerms") or ())


def _term_holds(term: Object, node: Object) -> bool:
    """All expressions of a term; a term without any selects nothing."""
    fields = {"metadata.name": node["metadata"]["name"]}
    wanted = [
        *((expression, labels_of(node)) for expression in term.get("matchExpressions") or ()),
        *((expression, fields) for expression in term.get("matchFields") or ()),
    ]
    return bool(wanted) and all(_holds(*pair) for pair in wanted)


def _holds(expression: Object, values: dict[str, str]) -> bool:
    value, wanted = values.get(expression["key"]), list(expression.get("values") or ())
    operator = expression["operator"]
    if operator in ("Gt", "Lt"):
        if value is None or not (_is_number(value) and _is_number(wanted[0])):
            return False
        more = int(value) - int(wanted[0])
        return more > 0 if operator == "Gt" else more < 0
    return value_matches(operator, value, wanted)


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdecimal()


def _tolerates(spec: Object, node: Object, effects: tuple[str, ...]) -> bool:
    tolerations = spec.get("tolerations") or ()
    return all(
        any(_matches(toleration, taint) for toleration in tolerations)
        for taint in _taints(node)
        if taint["effect"] in effects
    )


def _taints(node: Object) -> list[Object]:
    spec = node.get("spec") or {}
    taints = list(spec.get("taints") or ())
    cordoned = any(taint["key"] == _CORDONED for taint in taints)
    if spec.get("unschedulable") and not cordoned:
        taints.append({"key": _CORDONED, "effect": "NoSchedule"})
    return taints


def _matches(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") not in (None, "", taint["effect"]):
        return False
    if toleration.get("operator") == "Exists":
        return toleration.get("key") in (None, "", taint["key"])
    same = toleration.get("key") == taint["key"]
    return bool(same and toleration.get("value", "") == taint.get("value", ""))
