"""What a cluster's bundles need of their agent: which objects, and through whose hands they go.

::

    objects   applied, watched, healed and pruned with the agent's own rights
    hooks     applied, looked at and removed; never watched, and in no inventory
    seen      a bundle's that has a ServiceAccount of its own: the agent only looks at them
    accounts  those ServiceAccounts, of `fleet-system`

Of an object there is only an outline, which decides about rights: what it is called, what a role
holds, what a CRD defines. No data, no values: who may ask for this need not be given the artifact.
Objects stand in the namespace that they go to, as far as it is known that their kind has one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from agents.protocol.artifact import Artifact
from agents.protocol.body import WireBody
from agents.protocol.deployment import BundleDeployment
from agents.protocol.phases import names_hook
from agents.protocol.substitution import substitute
from clusters.objects import Digest, Kind, Object, annotations_of, kind_of, spec_of
from clusters.objects.apis import namespaced_kinds

PRUNE = "fleet.dev/prune"
_HELM_HOOK = "helm.sh/hook"
_OF_A_ROLE = ("rules", "aggregationRule", "roleRef")
_OF_A_DEFINITION = ("group", "names", "scope")
_REPLICAS = "replicas"


class Needs(WireBody):
    """All of it, of one cluster."""

    objects: tuple[dict[str, Any], ...] = ()
    hooks: tuple[dict[str, Any], ...] = ()
    seen: tuple[dict[str, Any], ...] = ()
    accounts: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    """Bundles that Git names for the cluster, and of which nothing is known: they do not render."""

    @property
    def own(self) -> tuple[Object, ...]:
        """What the agent itself applies."""
        return (*self.objects, *self.hooks)


def needs_of_manifests(objects: Iterable[Object], accounts: Iterable[str] = ()) -> Needs:
    """Needs of objects as `fleet render` prints them, by whichever bundle they are brought."""
    found = list(objects)
    return Needs(
        objects=tuple(outline(item) for item in found if not _is_hook(item)),
        hooks=tuple(outline(item) for item in found if _is_hook(item)),
        accounts=tuple(sorted(set(accounts))),
    )


def needs_of_deployments(
    deployments: Iterable[BundleDeployment],
    artifacts: Mapping[Digest, Artifact],
    unknown: Iterable[str] = (),
) -> Needs:
    """Needs of bundle deployments; one whose artifact is not there is unknown."""
    objects: list[Object] = []
    hooks: list[Object] = []
    seen: list[Object] = []
    present = [item for item in deployments if not item.is_absent]
    held = [(item, artifacts[item.artifact]) for item in present if item.artifact in artifacts]
    scopes = namespaced_kinds(obj for _, artifact in held for obj in artifact.objects)
    for item, artifact in held:
        plain = [_placed(obj, item, scopes) for obj in artifact.objects]
        if item.options.service_account:
            seen += plain
        else:
            objects += plain
            hooks += (_placed(hook.object, item, scopes) for hook in artifact.hooks)
    lost = {item.bundle for item in present if item.artifact not in artifacts}
    return Needs(
        objects=tuple(objects),
        hooks=tuple(hooks),
        seen=tuple(seen),
        accounts=tuple(sorted({item.options.service_account for item in present} - {""})),
        unknown=tuple(sorted({*unknown, *lost})),
    )


def outline(item: Object) -> Object:
    """What of an object decides about rights."""
    said: dict[str, Any] = {k: v for k, v in item["metadata"].items() if k in ("name", "namespace")}
    if PRUNE in annotations_of(item):
        said["annotations"] = {PRUNE: annotations_of(item)[PRUNE]}
    found = {"apiVersion": item["apiVersion"], "kind": item["kind"], "metadata": said}
    found |= {name: item[name] for name in _OF_A_ROLE if name in item}
    defines = kind_of(item) == Kind("apiextensions.k8s.io", "CustomResourceDefinition")
    kept = _OF_A_DEFINITION if defines else (_REPLICAS,)
    return {**found, "spec": {k: v for k, v in spec_of(item).items() if k in kept}}


def _is_hook(item: Object) -> bool:
    return names_hook(item) or _HELM_HOOK in annotations_of(item)


def _placed(raw: Object, deployment: BundleDeployment, scopes: Mapping[Kind, bool]) -> Object:
    obj: Object = substitute(outline(raw), deployment.variables)
    if not scopes.get(kind_of(obj), False):
        return obj
    namespace = deployment.options.place(obj["metadata"].get("namespace"))
    return {**obj, "metadata": {**obj["metadata"], "namespace": namespace}}
