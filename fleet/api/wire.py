"""The routes of agents, as `agents.protocol.wire` lays them down.

An agent may name its own cluster only: in the path, in the body, everywhere.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from agents.protocol import RegisterRequest, Report, StartRequest
from fleet.api.face import DeskFace
from fleet.api.inbound import LARGEST_REPORT, body_of, check_own, for_agents, wait_seconds
from fleet.store.access import Access


def wire_routes(desk: DeskFace, access: Access) -> list[Route]:
    """Register, needs, target, start, artifact, report."""
    wire = _Wire(desk)
    table = (
        ("POST", "/v1/agents/register", wire.register),
        ("GET", "/v1/clusters/{cluster}/needs", wire.needs),
        ("GET", "/v1/clusters/{cluster}/target", wire.target),
        ("POST", "/v1/clusters/{cluster}/start", wire.start),
        ("GET", "/v1/clusters/{cluster}/artifacts/{digest}", wire.artifact),
        ("POST", "/v1/clusters/{cluster}/report", wire.report),
    )
    return [
        Route(path, for_agents(access, handler), methods=[method], name=f"{method} {path}")
        for method, path, handler in table
    ]


class _Wire:
    def __init__(self, desk: DeskFace) -> None:
        self._desk = desk

    async def register(self, request: Request) -> Response:
        asked = await body_of(request, RegisterRequest)
        check_own(request.state.caller, asked.cluster)
        answer = await run_in_threadpool(self._desk.register, asked)
        return _model(answer.model_dump_json())

    async def needs(self, request: Request) -> Response:
        found = await run_in_threadpool(self._desk.needs, request.path_params["cluster"])
        return _model(found.model_dump_json())

    async def target(self, request: Request) -> Response:
        cluster: str = request.path_params["cluster"]
        etag = request.headers.get("if-none-match", "")
        target = await self._desk.target_after(cluster, etag, wait_seconds(request))
        if target is None:
            return Response(status_code=304, headers={"ETag": etag})
        answer = _model(target.model_dump_json())
        answer.headers["ETag"] = target.etag
        return answer

    async def start(self, request: Request) -> Response:
        asked = await body_of(request, StartRequest)
        cluster: str = request.path_params["cluster"]
        target = await run_in_threadpool(self._desk.start, cluster, asked)
        return _model(target.model_dump_json())

    async def artifact(self, request: Request) -> Response:
        params = request.path_params
        data = await run_in_threadpool(self._desk.artifact, params["cluster"], params["digest"])
        return Response(data, media_type="application/json")

    async def report(self, request: Request) -> Response:
        report = await body_of(request, Report, LARGEST_REPORT)
        check_own(request.state.caller, request.path_params["cluster"])
        check_own(request.state.caller, report.cluster)
        answer = await run_in_threadpool(self._desk.report, report)
        return _model(answer.model_dump_json())


def _model(text: str) -> Response:
    return Response(text, media_type="application/json")
