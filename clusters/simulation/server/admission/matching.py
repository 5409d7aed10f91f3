"""Which writes a webhook is asked about: its rules and its selectors.

::

    rules              operation, group, version, resource[/subresource], scope; `*` is any
    matchPolicy        Equivalent: a rule for another served version of the kind matches as well
    namespaceSelector  labels of the object's namespace, or of the Namespace itself
    objectSelector     labels of the new or the old object

Webhook configurations and admission policies are never asked about: a broken one can be removed.
"""

from __future__ import annotations

from collections.abc import Iterable

from clusters.objects import Object, ObjectKey, labels_of
from clusters.simulation.server.admission.attributes import Attributes, Operation
from clusters.simulation.server.selectors import matches_label_selector
from clusters.simulation.server.state import NAMESPACE, State

_EXEMPT = (
    "ValidatingWebhookConfiguration",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
)


def is_exempt(attributes: Attributes) -> bool:
    """Whether no webhook is asked about this kind."""
    key = attributes.key
    return key.group == "admissionregistration.k8s.io" and key.kind in _EXEMPT


def matches(state: State, webhook: Object, attributes: Attributes) -> bool:
    """Whether a webhook of a configuration is to be asked about a write."""
    return (
        any(_rule_matches(rule, webhook, attributes) for rule in webhook.get("rules") or ())
        and _object_matches(webhook, attributes)
        and _namespace_matches(state, webhook, attributes)
    )


def _rule_matches(rule: Object, webhook: Object, attributes: Attributes) -> bool:
    versions = [attributes.version]
    if webhook.get("matchPolicy") != "Exact":
        versions += attributes.traits.resource.versions
    return (
        _scope_matches(rule.get("scope") or "*", attributes)
        and _has(rule.get("operations"), attributes.operation.value)
        and _has(rule.get("apiGroups"), attributes.key.group)
        and any(_has(rule.get("apiVersions"), version) for version in versions)
        and any(_resource_matches(str(row), attributes) for row in rule.get("resources") or ())
    )


def _has(items: Iterable[str] | None, wanted: str) -> bool:
    return any(item in ("*", wanted) for item in items or ())


def _scope_matches(scope: str, attributes: Attributes) -> bool:
    if scope == "*":
        return True
    return (scope == "Namespaced") == bool(attributes.key.namespace)


def _resource_matches(row: str, attributes: Attributes) -> bool:
    resource, _, subresource = row.partition("/")
    return resource in ("*", attributes.traits.resource.plural) and subresource in (
        "*",
        attributes.subresource,
    )


def _object_matches(webhook: Object, attributes: Attributes) -> bool:
    selector = webhook.get("objectSelector")
    if not selector:
        return True
    objects = (obj for obj in (attributes.object, attributes.old) if obj is not None)
    return any(matches_label_selector(selector, labels_of(obj)) for obj in objects)


def _namespace_matches(state: State, webhook: Object, attributes: Attributes) -> bool:
    selector, key = webhook.get("namespaceSelector"), attributes.key
    if not selector:
        return True
    if key.kind_key == NAMESPACE:
        deleted = attributes.operation is Operation.DELETE or attributes.subresource
        namespace = attributes.old if deleted else attributes.object
    elif not key.namespace:
        return True
    else:
        namespace = state.store.get(ObjectKey(*NAMESPACE, "", key.namespace))
    return namespace is not None and matches_label_selector(selector, labels_of(namespace))
