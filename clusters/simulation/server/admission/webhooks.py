"""Admission webhooks: who is asked, how it is reached, and what its answer does to the write.

::

    configurations by name ─▶ webhooks in order ─▶ matches? ─▶ dry run, and side effects? 400
        ─▶ Service with ready endpoints? ─ no ─▶ failurePolicy Fail: 500, Ignore: go on
        ─▶ registered function, else admit ─▶ denied: its own code
                                           └▶ mutating: its patch, completed with defaults

A webhook that may have side effects refuses every dry run, whatever its failurePolicy. A Service
is reached by its endpoints, as on servers that route so themselves.

Never asks a webhook a second time (`reinvocationPolicy` has no effect).
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from urllib.parse import urlsplit

from clusters.objects import Kind, Object, ObjectKey, labels_of
from clusters.simulation.server.admission.attributes import Attributes
from clusters.simulation.server.admission.matching import is_exempt, matches
from clusters.simulation.server.admission.reviews import Review, Verdict
from clusters.simulation.server.copies import clone
from clusters.simulation.server.decoding import normalise
from clusters.simulation.server.defaults import set_defaults, set_schema_defaults
from clusters.simulation.server.patches import json_patch
from clusters.simulation.server.rejections import WebhookError
from clusters.simulation.server.state import State

VALIDATING = Kind("admissionregistration.k8s.io", "ValidatingWebhookConfiguration")
MUTATING = Kind("admissionregistration.k8s.io", "MutatingWebhookConfiguration")
_SLICE = Kind("discovery.k8s.io", "EndpointSlice")
_HARMLESS = ("None", "NoneOnDryRun")


def ask_validating(state: State, attributes: Attributes) -> None:
    """Ask every validating webhook that matches. Errors: `WebhookError`."""
    for webhook in _webhooks(state, VALIDATING, attributes):
        _ask(state, webhook, attributes)


def ask_mutating(state: State, attributes: Attributes) -> Object | None:
    """The object after every mutating webhook that matches. Errors: `WebhookError`."""
    obj = attributes.object
    for webhook in _webhooks(state, MUTATING, attributes):
        verdict = _ask(state, webhook, attributes)
        if verdict.patch:
            if obj is None:
                raise _internal(
                    f'admission webhook "{webhook["name"]}" attempted to modify the object, '
                    "which is not supported for this operation"
                )
            obj = _patched(state, attributes, obj, verdict)
            # A later webhook is shown, and matched against, what the earlier ones made of it.
            attributes = attributes.with_object(obj)
    return obj


def _webhooks(state: State, kind: Kind, attributes: Attributes) -> Iterator[Object]:
    if is_exempt(attributes):
        return
    for _, configuration in state.store.in_order(kind):
        for webhook in configuration.get("webhooks") or ():
            if matches(state, webhook, attributes):
                yield webhook


def _ask(state: State, webhook: Object, attributes: Attributes) -> Verdict:
    """The webhook's answer, if that lets the write go on. Errors: `WebhookError`."""
    name = webhook["name"]
    if attributes.dry_run and webhook.get("sideEffects") not in _HARMLESS:
        raise WebhookError(
            f'admission webhook "{name}" does not support dry run', 400, "BadRequest"
        )
    verdict = _call(state, webhook, attributes)
    if isinstance(verdict, str):
        if webhook.get("failurePolicy") == "Ignore":
            return Verdict()
        raise _internal(f'failed calling webhook "{name}": failed to call webhook: {verdict}')
    if not verdict.allowed:
        why = verdict.message or verdict.reason
        said = f": {why}" if why else " without explanation"
        raise WebhookError(
            f'admission webhook "{name}" denied the request{said}',
            max(verdict.code, 400),
            verdict.reason,
        )
    return verdict


def _internal(words: str) -> WebhookError:
    return WebhookError(f"Internal error occurred: {words}", 500, "InternalError")


def _call(state: State, webhook: Object, attributes: Attributes) -> Verdict | str:
    """The answer, or why there is none."""
    config = webhook.get("clientConfig") or {}
    program = state.webhooks.get(webhook["name"])
    service = config.get("service")
    if service:
        trouble = _unreachable(state, service)
    else:
        host = urlsplit(str(config.get("url") or "")).hostname or ""
        trouble = "" if program else f"dial tcp: lookup {host}: no such host"
    if not trouble and program is not None:
        try:
            return program(_review(webhook, attributes))
        except OSError as error:
            trouble = str(error) or type(error).__name__
    if not trouble:
        return Verdict()
    return f'Post "{_address(config)}?timeout={webhook.get("timeoutSeconds", 10)}s": {trouble}'


def _address(config: Object) -> str:
    service = config.get("service")
    if not service:
        return str(config.get("url") or "")
    path = posixpath.join("/", str(service.get("path") or "").lstrip("/"))
    port = service.get("port", 443)
    return f"https://{service['name']}.{service['namespace']}.svc:{port}{path}"


def _unreachable(state: State, reference: Object) -> str:
    """Why a Service cannot be reached; empty if it has a ready endpoint."""
    name, namespace = reference["name"], reference["namespace"]
    service = state.store.get(ObjectKey("", "Service", namespace, name))
    if service is None:
        return f'service "{name}" not found'
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return 'unsupported service type "ExternalName"'
    port = reference.get("port", 443)
    if all(item.get("port") != port for item in spec.get("ports") or ()):
        return f'no service port {port} found for service "{name}"'
    if _has_endpoint(state, namespace, name):
        return ""
    return f'no endpoints available for service "{name}"'


def _has_endpoint(state: State, namespace: str, name: str) -> bool:
    for item in state.store.all(_SLICE, namespace):
        if labels_of(item).get("kubernetes.io/service-name") != name or not item.get("ports"):
            continue
        conditions = [e.get("conditions") or {} for e in item.get("endpoints") or ()]
        # A condition that is not known counts as true.
        if any(condition.get("ready", True) for condition in conditions):
            return True
    return False


def _review(webhook: Object, attributes: Attributes) -> Review:
    key, traits = attributes.key, attributes.traits
    return Review(
        webhook=webhook["name"],
        operation=attributes.operation.value,
        kind=key.kind_key,
        version=attributes.version,
        resource=traits.resource.plural,
        subresource=attributes.subresource,
        namespace=key.namespace,
        name=key.name,
        object=clone(attributes.object),
        old_object=clone(attributes.old),
        dry_run=attributes.dry_run,
    )


def _patched(state: State, attributes: Attributes, obj: Object, verdict: Verdict) -> Object:
    traits = attributes.traits
    schema = state.catalog.schema(traits, traits.storage_version)
    patched: Object = normalise(json_patch(clone(obj), list(verdict.patch)), schema)
    if traits.custom:
        set_schema_defaults(patched, schema)
    else:
        set_defaults(traits.kind, patched)
    return patched
