"""Watches over HTTP: one JSON event a line until the time is up, the client goes, or all ends.

Bookmarks go out once a minute and before the end, when asked for. A reader that fell behind gets
an ERROR event with a 410 Status, as on a real server. A partition cuts the connection.
"""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from aiohttp import web

from clusters.cluster import EventType
from clusters.errors import ExpiredError
from clusters.simulation.cluster import SimulatedCluster
from clusters.simulation.http.answers import Form, Rendering
from clusters.simulation.http.parameters import Parameters
from clusters.simulation.http.statuses import status_of
from clusters.simulation.server import Subscription

_BOOKMARK_SECONDS = 60.0


class Watches:
    """The watches under way, so that closing the server can end them."""

    def __init__(self) -> None:
        self._open: set[Subscription] = set()

    def add(self, watch: Subscription) -> None:
        """Note a watch that begins."""
        self._open.add(watch)

    def drop(self, watch: Subscription) -> None:
        """Close a watch and forget it."""
        self._open.discard(watch)
        watch.close()

    def end(self) -> None:
        """Close every watch."""
        for watch in tuple(self._open):
            self.drop(watch)


WATCHES = web.AppKey("watches", Watches)


async def stream(
    cluster: SimulatedCluster,
    request: web.Request,
    rendering: Rendering,
    parameters: Parameters,
    namespace: str,
) -> web.StreamResponse:
    """Answer a watch request. Errors before the first event are raised."""
    target = rendering.target
    fields = parameters.fields
    if target.name:
        fields = (
            f"{fields},metadata.name={target.name}" if fields else (f"metadata.name={target.name}")
        )
    watch = cluster.server.watch(
        target.kind,
        namespace=namespace,
        labels=parameters.labels,
        fields=fields,
        resource_version="" if parameters.send_initial else parameters.resource_version,
        version=target.version,
    )
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    watches = request.app[WATCHES]
    watches.add(watch)
    ready = asyncio.Event()
    watch.wake = ready.set
    unlisten = cluster.faults.listen(ready.set)
    try:
        await response.prepare(request)
        pump = _Pump(watch, response, rendering, parameters)
        await pump.run(ready, cluster, request)
    except ConnectionResetError:
        return response
    finally:
        unlisten()
        watches.drop(watch)
    return response


class _Pump:
    """Moves events of one watch to one response."""

    def __init__(
        self,
        watch: Subscription,
        response: web.StreamResponse,
        rendering: Rendering,
        parameters: Parameters,
    ) -> None:
        self._watch = watch
        self._response = response
        self._rendering = rendering
        self._bookmarks = parameters.bookmarks
        self._initial = parameters.send_initial
        self._seconds = parameters.timeout_seconds
        self._described = False

    async def run(
        self, ready: asyncio.Event, cluster: SimulatedCluster, request: web.Request
    ) -> None:
        """Write events until the end of the watch's time, or of the watch."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._seconds
        while not self._watch.closed:
            ready.clear()
            if cluster.faults.partitioned:
                if request.transport is not None:
                    request.transport.abort()
                return
            if not await self._send_new():
                return
            remaining = end - loop.time()
            if remaining <= 0:
                break
            try:
                await asyncio.wait_for(ready.wait(), min(remaining, _BOOKMARK_SECONDS))
            except TimeoutError:
                await self._bookmark()
        await self._bookmark()

    async def _send_new(self) -> bool:
        """Write what is there; false if the watch fell behind and is over."""
        try:
            events = self._watch.poll()
        except ExpiredError as error:
            await self._write("ERROR", status_of(error, None))
            return False
        for event in events:
            await self._write(event.type.value, self._shown(event.object))
        if self._initial:
            self._initial = False
            await self._bookmark(initial_end=True)
        return True

    def _shown(self, obj: Any) -> Any:
        shown = self._rendering.one(obj)
        if self._rendering.form is Form.TABLE and self._described:
            # Only the first event describes the columns; clients remember them.
            shown["columnDefinitions"] = None
        self._described = True
        return shown

    async def _bookmark(self, *, initial_end: bool = False) -> None:
        if self._bookmarks or initial_end:
            position = self._watch.position()
            body = self._rendering.bookmark(position, initial_end=initial_end)
            await self._write(EventType.BOOKMARK.value, body)

    async def _write(self, kind: str, obj: Any) -> None:
        await self._response.write(orjson.dumps({"type": kind, "object": obj}) + b"\n")
