"""All routes over one hub as an ASGI application."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fleet.api.face import HubFace
from fleet.api.inbound import json_answer, refusal
from fleet.api.people import people_routes
from fleet.api.wire import wire_routes
from fleet.errors import RequestError
from fleet.store.access import Access


def make_app(hub: HubFace, access: Access) -> Starlette:
    """The application. `GET /healthz` is the one route without a token."""
    routes = [
        Route("/healthz", _healthz, methods=["GET"]),
        *wire_routes(hub.desk, access),
        *people_routes(hub, access),
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: _no_route})


async def _healthz(request: Request) -> Response:
    return json_answer({"status": "ok"})


async def _no_route(request: Request, error: Exception) -> Response:
    """A path or method that there is not, in the words of every other refusal."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    what = "no such method here" if status == 405 else "there is no such route"
    code = "no-such-method" if status == 405 else "no-such-route"
    refused = RequestError(what, at=request.url.path, fix="see docs/api.md", code=code)
    return refusal(refused, status)
