"""Machines on loopback that gates ask: an HTTP server that answers as told, and a Prometheus.

The Prometheus speaks the real API's instant query (form in, JSON out, its error documents); a
query is looked up among those that it was given, with what they answer at a time.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

Answer = Callable[["Heard", asyncio.StreamWriter], Any]


@dataclass(frozen=True)
class Heard:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    def form(self) -> dict[str, str]:
        return {key: values[0] for key, values in parse_qs(self.body.decode()).items()}


@dataclass
class Machine:
    """A server that answers every request as `answer` says."""

    answer: Answer
    heard: list[Heard] = field(default_factory=list)
    port: int = 0
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.tasks.add(task)
        try:
            await self._exchange(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            method, path, _ = head[0].split(" ", 2)
            request = Heard(method, path, headers, body)
            self.heard.append(request)
            found = self.answer(request, writer)
            if asyncio.iscoroutine(found):
                await found
            await writer.drain()


@asynccontextmanager
async def machine(answer: Answer) -> AsyncIterator[Machine]:
    """A machine on a free port of loopback."""
    made = Machine(answer)
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*made.tasks, return_exceptions=True)


def says(status: int, body: bytes = b"", **headers: str) -> Answer:
    """Always the same answer."""

    def answer(request: Heard, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}", "Connection: close"]
        lines += [f"{key}: {value}" for key, value in headers.items()]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    return answer


Series = Callable[[float], Mapping[str, float]]


@dataclass
class Prometheus:
    """Queries (with `$window` filled in) and what they give: cluster → value, at a time."""

    queries: dict[str, Series] = field(default_factory=dict)
    label: str = "cluster"
    asked: list[tuple[str, float]] = field(default_factory=list)

    def __call__(self, request: Heard, writer: asyncio.StreamWriter) -> None:
        form = request.form()
        text, at = form["query"], float(form["time"])
        self.asked.append((text, at))
        if request.path != "/api/v1/query" or text not in self.queries:
            error = {"status": "error", "errorType": "bad_data", "error": f"parse error in {text}"}
            says(400, json.dumps(error).encode())(request, writer)
            return
        result = [
            {"metric": {self.label: name} if name else {}, "value": [at, f"{value}"]}
            for name, value in self.queries[text](at).items()
        ]
        data = {"resultType": "vector", "result": result}
        says(200, json.dumps({"status": "success", "data": data}).encode())(request, writer)


def always(**values: float) -> Series:
    """The same values at every time; `_` in a name stands for `-`."""
    return lambda at: {name.replace("_", "-"): value for name, value in values.items()}
