"""What a cluster says it serves: `/api`, `/apis`, resource lists, aggregated discovery."""

from __future__ import annotations

from typing import Any, NamedTuple

from clusters.errors import KindNotFoundError
from clusters.objects import Kind, Object
from clusters.simulation.http.actions import OFFERED
from clusters.simulation.http.reviews import REVIEWS
from clusters.simulation.server.builtin import KindTraits
from clusters.simulation.server.catalog import Catalog

AGGREGATED_TYPE = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_SUBRESOURCE_VERBS = ("get", "patch", "update")
_ORDER = ("", "apiregistration.k8s.io", "apps")

Groups = dict[str, dict[str, list[KindTraits]]]


def version_document(kubernetes_version: str) -> Object:
    """`/version`."""
    major, minor, *_ = kubernetes_version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "gitVersion": kubernetes_version,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "none",
        "compiler": "fleet-simulation",
        "platform": "memory",
    }


def _groups(catalog: Catalog) -> Groups:
    """Kinds by group and version, preferred versions first."""
    groups: Groups = {name: {} for name in _ORDER}
    for traits in (*catalog.all(), *REVIEWS):
        versions = groups.setdefault(traits.kind.group, {})
        for version in traits.resource.versions:
            versions.setdefault(version, []).append(traits)
    return {name: versions for name, versions in groups.items() if versions}


def core_versions(server_address: str) -> Object:
    """`/api`."""
    address = {"clientCIDR": "0.0.0.0/0", "serverAddress": server_address}
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [address]}


def group_list(catalog: Catalog) -> Object:
    """`/apis`."""
    names = [name for name in _groups(catalog) if name]
    groups = [_group(catalog, name) for name in names]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group_document(catalog: Catalog, name: str) -> Object:
    """`/apis/<group>`. Errors: `KindNotFoundError`."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(catalog, name)}


def _group(catalog: Catalog, name: str) -> dict[str, Any]:
    versions = _groups(catalog).get(name)
    if not versions:
        raise KindNotFoundError("the server could not find the requested resource")
    named = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": named, "preferredVersion": named[0]}


def resource_list(catalog: Catalog, group: str, version: str) -> Object:
    """`/api/v1` or `/apis/<group>/<version>`. Errors: `KindNotFoundError`."""
    kinds = _groups(catalog).get(group, {}).get(version)
    if not kinds:
        raise KindNotFoundError("the server could not find the requested resource")
    resources: list[dict[str, Any]] = []
    for traits in kinds:
        resources.append(_resource(traits))
        resources.extend(_listed_subresources(traits))
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{group}/{version}" if group else version,
        "resources": resources,
    }


def _resource(traits: KindTraits) -> dict[str, Any]:
    resource = traits.resource
    entry: dict[str, Any] = {
        "name": resource.plural,
        "singularName": traits.singular,
        "namespaced": resource.namespaced,
        "kind": resource.kind.kind,
        "verbs": sorted(resource.verbs),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if traits.categories:
        entry["categories"] = list(traits.categories)
    return entry


class Subresource(NamedTuple):
    """A subresource as it is discovered; `version` is empty for the kind's own."""

    name: str
    kind: Kind
    version: str
    verbs: tuple[str, ...]


def _subresources(traits: KindTraits) -> list[Subresource]:
    found = [
        Subresource(name, kind, v, ("create",))
        for of, name, kind, v in OFFERED
        if of == traits.kind
    ]
    if traits.has_status:
        found.append(Subresource("status", traits.kind, "", _SUBRESOURCE_VERBS))
    if traits.has_scale:
        scale = Kind("autoscaling", "Scale")
        found.append(Subresource("scale", scale, "v1", _SUBRESOURCE_VERBS))
    return found


def _listed_subresources(traits: KindTraits) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for sub in _subresources(traits):
        entry: dict[str, Any] = {
            "name": f"{traits.resource.plural}/{sub.name}",
            "singularName": "",
            "namespaced": traits.resource.namespaced,
            "kind": sub.kind.kind,
            "verbs": list(sub.verbs),
        }
        if sub.version:
            entry |= {"group": sub.kind.group, "version": sub.version}
        entries.append(entry)
    return entries


def aggregated(catalog: Catalog, *, core: bool) -> Object:
    """`/api` or `/apis` with all resources in one answer, as newer clients ask for it."""
    items = [
        {
            "metadata": {"name": name, "creationTimestamp": None} if name else {},
            "versions": [
                {
                    "version": version,
                    "resources": [_aggregated_resource(traits, version) for traits in kinds],
                    "freshness": "Current",
                }
                for version, kinds in versions.items()
            ],
        }
        for name, versions in _groups(catalog).items()
        if (name == "") == core
    ]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }


def _aggregated_resource(traits: KindTraits, version: str) -> dict[str, Any]:
    resource = traits.resource
    kind = {"group": traits.kind.group, "version": version, "kind": traits.kind.kind}
    return {
        "resource": resource.plural,
        "responseKind": kind,
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": traits.singular,
        "verbs": sorted(resource.verbs),
        "shortNames": list(resource.short_names),
        "categories": list(traits.categories),
        "subresources": [
            {
                "subresource": sub.name,
                "responseKind": {
                    "group": sub.kind.group,
                    "version": sub.version or version,
                    "kind": sub.kind.kind,
                },
                "verbs": list(sub.verbs),
            }
            for sub in _subresources(traits)
        ],
    }
