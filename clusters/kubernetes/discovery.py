"""Which kinds an API server serves: read in two requests, kept, asked again when one is unknown.

Aggregated discovery (`/api` and `/apis` in one document each) is asked for; a server that does
not know it answers with the old lists, which are then read group by group. The parsers are pure.

An unknown kind asks again at most every `UNKNOWN_SECONDS`, however often it is named, so that a
bundle whose CRD is missing costs nothing. What is known is asked for anew after one of our own
writes changed what is served (`forget`), and when the server knows a kind no longer. A group whose
own server is down keeps the kinds that it had before: a broken metrics server must not make other
kinds look unknown.

Never writes a cache to disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from clusters.clock import Clock
from clusters.cluster import Discovery, Resource
from clusters.errors import ClusterError, KindNotFoundError
from clusters.kubernetes.connection import JSON, Connection, Request
from clusters.objects import Kind

UNKNOWN_SECONDS = 10.0
_AGGREGATED = ",".join(
    f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList"
    for version in ("v2", "v2beta1")
)
_ACCEPT = f"{_AGGREGATED},{JSON}"


class DiscoveryCache:
    """The kinds of one server, as last asked."""

    def __init__(self, connection: Connection, clock: Clock) -> None:
        self._connection = connection
        self._clock = clock
        self._lock = asyncio.Lock()
        self._known: Discovery | None = None
        self._last = Discovery()
        self._asked_at = clock.now()

    async def current(self, *, refresh: bool = False) -> Discovery:
        """What is known, asked for if nothing is; several who ask at once share one question."""
        before = self._known
        async with self._lock:
            if self._known is None or (refresh and self._known is before):
                self._known = self._last = await self._ask(self._last)
                self._asked_at = self._clock.now()
            return self._known

    async def resource(self, kind: Kind, version: str = "") -> Resource:
        """The resource of a kind that is served, in `version` if one is named.

        Errors: `KindNotFoundError`, without a request if the question is still fresh.
        """
        found = _served(await self.current(), kind, version)
        if found is None and self._stale():
            found = _served(await self.current(refresh=True), kind, version)
        if found is None:
            group = f"{kind.group}/{version}" if kind.group and version else kind.group or version
            raise KindNotFoundError(
                f"the cluster serves no kind {kind.kind} in {group or 'the core group'}\n"
                f"  at:  {self._connection.url}\n"
                "  fix: install the CustomResourceDefinition or use a version that is served"
            )
        return found

    def forget(self) -> None:
        """Ask again next time: a kind came, or one that was known turned out to be gone."""
        self._known = None

    def _stale(self) -> bool:
        return self._clock.now() - self._asked_at >= timedelta(seconds=UNKNOWN_SECONDS)

    async def _ask(self, before: Discovery) -> Discovery:
        core, groups = await asyncio.gather(self._document("/api"), self._document("/apis"))
        resources: dict[Kind, Resource] = {}
        for document in (core, groups):
            if document.get("kind") == "APIGroupDiscoveryList":
                resources |= _kept(document, before) | aggregated_resources(document)
            else:
                resources |= await self._group_by_group(document, before)
        return Discovery(resources)

    async def _document(self, path: str) -> dict[str, Any]:
        request = Request("GET", path, "read the served kinds", accept=_ACCEPT)
        return dict(await self._connection.send(request))

    async def _group_by_group(
        self, document: dict[str, Any], before: Discovery
    ) -> dict[Kind, Resource]:
        lists = [("", [str(v) for v in document.get("versions") or []])]
        if document.get("kind") != "APIVersions":
            lists = [(str(g["name"]), _group_versions(g)) for g in document.get("groups") or []]
        found = await asyncio.gather(*(self._group(name, vs, before) for name, vs in lists))
        return {kind: resource for part in found for kind, resource in part.items()}

    async def _group(
        self, group: str, versions: list[str], before: Discovery
    ) -> dict[Kind, Resource]:
        prefix = f"/apis/{group}" if group else "/api"
        try:
            documents = [await self._document(f"{prefix}/{version}") for version in versions]
        except ClusterError:
            # Its own server is down; the other groups are as good as ever.
            return _of_groups({group}, before)
        return listed_resources(group, dict(zip(versions, documents, strict=True)))


def _kept(document: dict[str, Any], before: Discovery) -> dict[Kind, Resource]:
    """The kinds known before of groups whose own server did not answer with any."""
    stale = {
        str(item["metadata"]["name"])
        for item in document.get("items") or []
        for version in item.get("versions") or []
        if version.get("freshness") == "Stale" and not version.get("resources")
    }
    return _of_groups(stale, before)


def _of_groups(groups: set[str], before: Discovery) -> dict[Kind, Resource]:
    return {kind: found for kind, found in before.resources.items() if kind.group in groups}


def _served(discovery: Discovery, kind: Kind, version: str) -> Resource | None:
    found = discovery.find(kind)
    if found is None or not version or version == found.version:
        return found
    if version not in found.versions:
        return None
    return Resource(
        kind,
        version,
        found.plural,
        found.namespaced,
        found.verbs,
        found.short_names,
        found.versions,
    )


def _group_versions(group: dict[str, Any]) -> list[str]:
    """The versions of a group, the preferred one first."""
    preferred = (group.get("preferredVersion") or {}).get("version")
    versions = [str(v["version"]) for v in group.get("versions") or []]
    return sorted(versions, key=lambda version: version != preferred)


def aggregated_resources(document: dict[str, Any]) -> dict[Kind, Resource]:
    """The kinds of an `APIGroupDiscoveryList`, whose versions come preferred first."""
    found: dict[Kind, Resource] = {}
    for item in document.get("items") or []:
        group = str((item.get("metadata") or {}).get("name") or "")
        offers = (
            (str(version["version"]), _from_aggregated(entry))
            for version in item.get("versions") or []
            for entry in version.get("resources") or []
        )
        found |= _merge(group, offers)
    return found


def listed_resources(group: str, documents: dict[str, dict[str, Any]]) -> dict[Kind, Resource]:
    """The kinds of a group's `APIResourceList`s by version, the preferred one first."""
    offers = (
        (version, _from_list(entry))
        for version, document in documents.items()
        for entry in document.get("resources") or []
        if "/" not in entry["name"]  # a subresource
    )
    return _merge(group, offers)


Entry = tuple[str, str, bool, frozenset[str], tuple[str, ...]]
"""Kind, plural, namespaced, verbs, short names."""


def _from_aggregated(entry: dict[str, Any]) -> Entry:
    return (
        str((entry.get("responseKind") or {}).get("kind") or ""),
        str(entry["resource"]),
        entry.get("scope") == "Namespaced",
        frozenset(entry.get("verbs") or ()),
        tuple(entry.get("shortNames") or ()),
    )


def _from_list(entry: dict[str, Any]) -> Entry:
    return (
        str(entry.get("kind") or ""),
        str(entry["name"]),
        bool(entry.get("namespaced")),
        frozenset(entry.get("verbs") or ()),
        tuple(entry.get("shortNames") or ()),
    )


def _merge(group: str, offers: Iterable[tuple[str, Entry]]) -> dict[Kind, Resource]:
    """One resource for each kind, in the first version that has it; later versions are noted."""
    found: dict[Kind, Resource] = {}
    for version, (name, plural, namespaced, verbs, short) in offers:
        if not name:
            continue
        kind = Kind(group, name)
        first = found.get(kind)
        if first is None:
            found[kind] = Resource(kind, version, plural, namespaced, verbs, short, (version,))
        elif first.plural == plural:
            versions = (*first.versions, version)
            found[kind] = Resource(
                kind,
                first.version,
                plural,
                first.namespaced,
                first.verbs,
                first.short_names,
                versions,
            )
    return found
