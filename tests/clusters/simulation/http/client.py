"""A client of one served cluster, and bodies as typed clients send them."""

from __future__ import annotations

import json
from typing import Any

import aiohttp

from clusters.objects import Object
from clusters.simulation import SimulatedCluster
from clusters.simulation.http import RunningServer
from clusters.simulation.http.protobuf import MEDIA_TYPE, message_class

APPLY = {"Content-Type": "application/apply-patch+yaml"}
CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"


class Client:
    """A client of one served cluster."""

    def __init__(self, session: aiohttp.ClientSession, server: RunningServer) -> None:
        self.session = session
        self.server = server
        self.clusters: dict[str, SimulatedCluster] = {}

    def url(self, path: str) -> str:
        return self.server.url_of("lab") + path

    async def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[int, Any]:
        """(status, JSON body) of a request."""
        data = None if body is None else json.dumps(body)
        async with self.session.request(
            method, self.url(path), data=data, headers=headers or None
        ) as answer:
            return answer.status, await answer.json(content_type=None)

    async def get(self, path: str, accept: str = "application/json") -> Any:
        status, body = await self.ask("GET", path, Accept=accept)
        assert status == 200, body
        return body

    async def send(self, path: str, api_version: str, kind: str, message: Any) -> tuple[int, Any]:
        """The same for a POST of a protobuf message."""
        data = protobuf_body(api_version, kind, message)
        headers = {"Content-Type": MEDIA_TYPE}
        async with self.session.post(self.url(path), data=data, headers=headers) as answer:
            return answer.status, await answer.json()

    async def apply(self, path: str, body: Object, query: str = "") -> tuple[int, Any]:
        where = f"{path}/{body['metadata']['name']}?fieldManager=m{query}"
        return await self.ask("PATCH", where, body, **APPLY)


def protobuf_body(api_version: str, kind: str, message: Any) -> bytes:
    """A message (or its bytes) in Kubernetes' envelope."""
    raw = message if isinstance(message, bytes) else message.SerializeToString()
    envelope = message_class("k8s.io.apimachinery.pkg.runtime.Unknown")(raw=raw)
    envelope.typeMeta.apiVersion, envelope.typeMeta.kind = api_version, kind
    return b"k8s\x00" + bytes(envelope.SerializeToString())
