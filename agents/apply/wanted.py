"""From an artifact to the objects that one cluster is to hold. Pure.

Variables are filled in, namespaces settled by what the cluster serves (a CRD of the bundle itself
counts), the owner label is added, and what only a server may write is dropped. What cannot be
settled is a `Failure` of that object; the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from agents.apply.outcome import Failure
from agents.apply.policy import ApplyPolicy, apply_policy
from agents.diff import Path, settle
from agents.inventory import PART_OF, applyset_id
from agents.protocol import (
    Artifact,
    BundleDeployment,
    HealthCheck,
    Hook,
    IgnoreRule,
    substitute,
)
from clusters.cluster import Discovery
from clusters.objects import (
    Digest,
    EnvelopeError,
    Kind,
    Object,
    ObjectKey,
    annotations_of,
    check_envelope,
    digest_of,
    key_of,
    kind_of,
    spec_of,
    split_api_version,
)

_SERVER_FIELDS = (
    "creationTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)

SEEN_WITHIN_SECONDS = 600
"""How long a finished Job stays at least, so that an agent that was away for a moment sees it."""


_FLUX_DRIFT = "helm.toolkit.fluxcd.io/driftDetection"
"""`disabled`: Flux's way to say that nobody looks at the drift of one object."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One object as this cluster is to hold it."""

    key: ObjectKey
    object: Object
    digest: Digest
    policy: ApplyPolicy = ApplyPolicy.JUDGED
    ignore: tuple[IgnoreRule, ...] = ()
    """Rules about this object."""

    @property
    def is_ignored(self) -> bool:
        """Is all of it left alone, once it was made?"""
        return any(rule.everything for rule in self.ignore)

    def settled(
        self, live: Object | None, manager: str, *, scaled: bool, contested: Iterable[Path] = ()
    ) -> Object:
        """As it is to be compared and sent, given what is live: others' fields left to them."""
        return settle(
            self.object,
            live,
            scaled=scaled,
            rules=self.ignore,
            manager=manager,
            contested=contested,
        )


@dataclass(frozen=True, slots=True)
class WantedHook:
    """One hook as this cluster is to run it."""

    key: ObjectKey
    hook: Hook
    object: Object


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that a bundle deployment wants of one cluster."""

    objects: dict[ObjectKey, Wanted]
    hooks: tuple[WantedHook, ...]
    failures: tuple[Failure, ...]
    """Objects that cannot even be tried; their keys may lack the namespace."""
    checks: Mapping[Kind, HealthCheck] = field(default_factory=dict)
    """The bundle's own rules of health."""
    ignored: frozenset[ObjectKey] = frozenset()
    """Objects that their own annotation takes out: not applied, not compared, never deleted."""


@dataclass(frozen=True, slots=True)
class _Scope:
    """Which kinds are namespaced here; `None` for a kind that is not served."""

    discovery: Discovery
    own: dict[Kind, bool]

    def namespaced(self, obj: Object) -> bool | None:
        kind = kind_of(obj)
        resource = self.discovery.find(kind)
        version = split_api_version(obj["apiVersion"])[1]
        if kind in self.own:
            return self.own[kind]
        if resource is None or (resource.versions and version not in resource.versions):
            return None
        return resource.namespaced


def prepare(artifact: Artifact, deployment: BundleDeployment, discovery: Discovery) -> Prepared:
    """Every object and hook of the artifact, settled for this cluster. Nothing is written."""
    scope = _Scope(discovery, own_kinds(artifact.objects))
    objects: dict[ObjectKey, Wanted] = {}
    failures: list[Failure] = []
    for raw in artifact.objects:
        wanted = _wanted(raw, deployment, scope)
        if isinstance(wanted, Failure):
            failures.append(wanted)
        elif wanted.key in objects:
            failures.append(Failure(wanted.key, "duplicate", "is in the bundle twice"))
        else:
            objects[wanted.key] = wanted
    ignored = {key for key, item in objects.items() if item.policy is ApplyPolicy.IGNORE}
    kept = {key: item for key, item in objects.items() if key not in ignored}
    hooks: list[WantedHook] = []
    for hook in artifact.hooks:
        settled = _settle(hook.object, deployment, scope)
        if isinstance(settled, Failure):
            failures.append(settled)
        else:
            hooks.append(WantedHook(key_of(settled), hook, settled))
    checks = {check.judges: check for check in deployment.options.health_checks}
    return Prepared(kept, tuple(hooks), tuple(failures), checks, frozenset(ignored))


def _wanted(raw: Object, deployment: BundleDeployment, scope: _Scope) -> Wanted | Failure:
    settled = _settle(raw, deployment, scope)
    if isinstance(settled, Failure):
        return settled
    try:
        policy = apply_policy(settled)
    except ValueError as error:
        return Failure(key_of(settled), "malformed", str(error))
    owned = _labelled(settled, deployment.bundle)
    key = key_of(owned)
    rules = tuple(rule for rule in deployment.options.ignore if rule.is_about(key))
    if annotations_of(owned).get(_FLUX_DRIFT) == "disabled":
        rules = (IgnoreRule(everything=True),)
    return Wanted(key, owned, digest_of(owned), policy, rules)


def own_kinds(objects: Iterable[Object]) -> dict[Kind, bool]:
    """The kinds that CRDs among these define, each with whether it is namespaced.

    What is no proper definition defines nothing here; the API server says what is wrong with it.
    """
    found: dict[Kind, bool] = {}
    for obj in objects:
        names = spec_of(obj).get("names")
        if obj.get("kind") == "CustomResourceDefinition" and isinstance(names, dict):
            group, kind = spec_of(obj).get("group"), names.get("kind")
            if isinstance(group, str) and isinstance(kind, str):
                found[Kind(group, kind)] = spec_of(obj).get("scope") != "Cluster"
    return found


def _settle(raw: Object, deployment: BundleDeployment, scope: _Scope) -> Object | Failure:
    try:
        obj: Object = check_envelope(substitute(raw, deployment.variables))
    except EnvelopeError as error:
        kind = raw.get("kind")
        key = ObjectKey("", kind if isinstance(kind, str) else "?", "", "?")
        return Failure(key, "malformed", str(error))
    metadata = {k: v for k, v in obj["metadata"].items() if k not in _SERVER_FIELDS}
    obj = {**{k: v for k, v in obj.items() if k != "status"}, "metadata": metadata}
    namespaced = scope.namespaced(obj)
    if namespaced is None:
        message = f"this cluster does not serve {obj['apiVersion']} {obj['kind']}"
        return Failure(key_of(obj), "kind-not-found", message)
    if namespaced:
        metadata["namespace"] = deployment.options.place(metadata.get("namespace"))
    elif deployment.options.force_namespace:
        message = "is cluster-scoped, but `namespace:` puts the whole bundle into a namespace"
        return Failure(replace(key_of(obj), namespace=""), "cluster-scoped", message)
    else:
        metadata.pop("namespace", None)
    return _lasting(obj)


def _lasting(obj: Object) -> Object:
    """A Job that removes itself is kept for long enough that its end is seen."""
    spec = obj.get("spec")
    if kind_of(obj) != Kind("batch", "Job") or not isinstance(spec, dict):
        return obj
    asked = spec.get("ttlSecondsAfterFinished")
    if not isinstance(asked, int) or asked >= SEEN_WITHIN_SECONDS:
        return obj
    return {**obj, "spec": {**spec, "ttlSecondsAfterFinished": SEEN_WITHIN_SECONDS}}


def _labelled(obj: Object, bundle: str) -> Object:
    metadata = obj["metadata"]
    labels = {**(metadata.get("labels") or {}), PART_OF: applyset_id(bundle)}
    return {**obj, "metadata": {**metadata, "labels": labels}}
