"""`KubernetesCluster`: the `Cluster` protocol spoken to a real API server.

Plain requests, no generated client: apply is one PATCH of `application/apply-patch+yaml` (JSON is
YAML), a listing follows `continue` to its end, a watch asks for bookmarks and ends when the server
does. `metadata_only` is asked of the server, so that big objects do not travel.

Never decides order, ownership or policy; never returns part of a listing; never waits without a
limit. What is sent twice, and what never is, `connection` says.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from clusters.clock import Clock, SystemClock
from clusters.cluster import (
    Discovery,
    EventType,
    Listing,
    Resource,
    WatchEvent,
    check_place,
    check_user,
)
from clusters.errors import ExpiredError, KindNotFoundError, NotFoundError
from clusters.kubernetes.connection import JSON, Connection, Identity, Limits, Request
from clusters.kubernetes.credentials import Wanted
from clusters.kubernetes.discovery import DiscoveryCache
from clusters.kubernetes.refusals import status_refusal
from clusters.objects import Kind, Object, ObjectKey, key_of, split_api_version

PAGE = 500
"""Objects in one page of a listing."""
WATCH_SECONDS = 300
"""After this the server is asked to end a watch; the caller goes on from where it was."""
_METADATA = f"{JSON};as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = f"{JSON};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"


class KubernetesCluster:
    """One cluster behind an API server; make it with `await KubernetesCluster.connect(…)`."""

    def __init__(
        self, connection: Connection, kinds: DiscoveryCache, identity: Identity = ()
    ) -> None:
        self._connection = connection
        self._kinds = kinds
        self._identity = identity

    @classmethod
    async def connect(
        cls,
        kubeconfig: Path | None = None,
        context: str | None = None,
        *,
        in_cluster: bool = False,
        allow_exec: bool = False,
        user_agent: str = "fleet-agent",
        clock: Clock | None = None,
        limits: Limits | None = None,
    ) -> KubernetesCluster:
        """Read the credentials; `version()` then tells whether the server answers.

        Without `kubeconfig` that of `KUBECONFIG` or `~/.kube/config`; with `in_cluster` the pod's
        service account. Errors: `UnauthorizedError`.
        """
        wanted = Wanted(kubeconfig, context, in_cluster, allow_exec)
        clock = clock or SystemClock()
        connection = await Connection.open(wanted, user_agent, clock, limits)
        return cls(connection, DiscoveryCache(connection, clock))

    @property
    def url(self) -> str:
        """The API server's address."""
        return self._connection.url

    def as_user(self, user: str, groups: Sequence[str] = ()) -> KubernetesCluster:
        """The same cluster, asked as somebody else; see `clusters.cluster.Cluster.as_user`."""
        check_user(user, groups)
        headers = (("Impersonate-User", user), *(("Impersonate-Group", name) for name in groups))
        return _Impersonated(self._connection, self._kinds, headers)

    async def version(self) -> str:
        """The server's version, such as `v1.37.2`. Doubles as the reachability check."""
        answer = await self._send(Request("GET", "/version", "read the version"))
        return str(answer.get("gitVersion", ""))

    async def discover(self, *, refresh: bool = False) -> Discovery:
        """The kinds served, cached; `refresh` asks again."""
        return await self._kinds.current(refresh=refresh)

    async def get(self, key: ObjectKey) -> Object | None:
        """The live object in the kind's preferred version, `None` if there is none."""
        resource = await self._kinds.resource(key.kind_key)
        request = Request("GET", _object_path(resource, key), f"get {key}")
        try:
            return dict(await self._send(request))
        except NotFoundError:
            return None

    async def list(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        metadata_only: bool = False,
    ) -> Listing:
        """All objects of a kind; see `clusters.cluster.Cluster.list`."""
        resource = await self._kinds.resource(kind)
        path = _collection_path(resource, namespace)
        accept = _METADATA_LIST if metadata_only else JSON
        params = {"labelSelector": labels} if labels else {}
        request = Request("GET", path, f"list {kind}", params, accept=accept)
        envelope = _PARTIAL if metadata_only else _envelope(resource)
        try:
            return await self._pages(request, envelope, PAGE)
        except ExpiredError:
            # The snapshot that the pages came from is compacted: all of it in one answer, then.
            return await self._pages(request, envelope, 0)

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Server-side apply; see `clusters.cluster.Cluster.apply`."""
        key = key_of(obj)
        version = split_api_version(obj["apiVersion"])[1]
        resource = await self._kinds.resource(key.kind_key, version)
        params = {"fieldManager": manager, "force": "true" if force else "false"}
        if dry_run:
            params["dryRun"] = "All"
        request = Request(
            "PATCH",
            _object_path(resource, key),
            f"apply {key}",
            params,
            orjson.dumps(obj),
            "application/apply-patch+yaml",
            secret=_is_secret(key),
        )
        stored = dict(await self._send(request))
        if not dry_run:
            self._wrote(key.kind_key)
        return stored

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """JSON merge patch of a live object, as `manager`. Errors: `NotFoundError` and the rest."""
        resource = await self._kinds.resource(key.kind_key)
        request = Request(
            "PATCH",
            _object_path(resource, key),
            f"patch {key}",
            {"fieldManager": manager},
            orjson.dumps(patch),
            "application/merge-patch+json",
            secret=_is_secret(key),
        )
        return dict(await self._send(request))

    async def delete(
        self,
        key: ObjectKey,
        *,
        propagation: str = "Background",
        uid: str = "",
        resource_version: str = "",
        dry_run: bool = False,
    ) -> None:
        """Delete; gone already is a success. See `clusters.cluster.Cluster.delete`."""
        resource = await self._kinds.resource(key.kind_key)
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        options: Object = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": propagation,
            "preconditions": {name: value for name, value in preconditions.items() if value},
        }
        if dry_run:
            options["dryRun"] = ["All"]
        path = _object_path(resource, key)
        body = orjson.dumps(options)
        request = Request("DELETE", path, f"delete {key}", body=body, secret=_is_secret(key))
        try:
            await self._send(request)
        except NotFoundError:
            return
        self._wrote(key.kind_key)

    async def watch(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: str = "",
        resource_version: str = "",
        metadata_only: bool = False,
    ) -> AsyncIterator[WatchEvent]:
        """Changes after `resource_version`; see `clusters.cluster.Cluster.watch`."""
        resource = await self._kinds.resource(kind)
        params = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(WATCH_SECONDS),
            "resourceVersion": resource_version,
            "labelSelector": labels,
        }
        request = Request(
            "GET",
            _collection_path(resource, namespace),
            f"watch {kind}",
            {name: value for name, value in params.items() if value},
            accept=_METADATA if metadata_only else JSON,
        )
        async for line in self._connection.lines(replace(request, identity=self._identity)):
            yield _event(line, request.subject)

    async def close(self) -> None:
        """Give back connections; the cluster cannot be used after it."""
        await self._connection.close()

    async def _send(self, request: Request) -> Any:
        if self._identity:
            request = replace(request, identity=self._identity)
        try:
            return await self._connection.send(request)
        except KindNotFoundError:
            self._kinds.forget()
            raise

    def _wrote(self, kind: Kind) -> None:
        if kind in _MAKE_KINDS:
            self._kinds.forget()

    async def _pages(self, request: Request, envelope: dict[str, str], size: int) -> Listing:
        items: list[Object] = []
        # The first page's version: a watch from it repeats a change rather than miss one.
        version, token = "", ""
        while True:
            params = {**request.params, "limit": str(size)} if size else dict(request.params)
            if token:
                params["continue"] = token
            page = await self._send(
                Request("GET", request.path, request.subject, params, accept=request.accept)
            )
            metadata = page.get("metadata") or {}
            items += (envelope | item for item in page.get("items") or ())
            version = version or str(metadata.get("resourceVersion") or "")
            token = str(metadata.get("continue") or "")
            if not token:
                return Listing(tuple(items), version)


class _Impersonated(KubernetesCluster):
    """One that borrows its connection."""

    async def close(self) -> None:
        """Nothing: whoever opened the connection closes it."""


_MAKE_KINDS = frozenset(
    {
        Kind("apiextensions.k8s.io", "CustomResourceDefinition"),
        Kind("apiregistration.k8s.io", "APIService"),
    }
)
"""What is served follows from these."""
_PARTIAL = {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata"}


def _envelope(resource: Resource) -> dict[str, str]:
    """What a server leaves out of the items of a listing."""
    return {"apiVersion": resource.api_version, "kind": resource.kind.kind}


def _is_secret(key: ObjectKey) -> bool:
    return key.kind_key == Kind("", "Secret")


def _collection_path(resource: Resource, namespace: str) -> str:
    root = f"/apis/{resource.api_version}" if resource.kind.group else f"/api/{resource.version}"
    if resource.namespaced and namespace:
        return f"{root}/namespaces/{quote(namespace, safe='')}/{resource.plural}"
    return f"{root}/{resource.plural}"


def _object_path(resource: Resource, key: ObjectKey) -> str:
    check_place(resource, key)
    return f"{_collection_path(resource, key.namespace)}/{quote(key.name, safe='')}"


def _event(line: bytes, subject: str) -> WatchEvent:
    event = orjson.loads(line)
    if event["type"] == "ERROR":
        raise status_refusal(event["object"], subject)
    return WatchEvent(EventType(event["type"]), event["object"])
