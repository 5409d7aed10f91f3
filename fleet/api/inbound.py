"""What comes in: who asks, bodies with a bound, numbers; and how a refusal goes out.

A refusal is JSON with `code`, `what`, `at` and `fix` (and `message`, what + at, for agents). Text
of a failure that nobody foresaw stays in the hub's log: an answer never carries it.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import orjson
from pydantic import BaseModel, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from fleet.errors import FleetError, RequestError
from fleet.store.access import Access, Caller

log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Response]]
Body = TypeVar("Body", bound=BaseModel)

LARGEST_REPORT = 16 * 1024 * 1024
LARGEST_BODY = 1024 * 1024
LONGEST_WAIT_SECONDS = 60.0


def json_answer(document: Any, status: int = 200) -> Response:
    """A JSON document."""
    return Response(orjson.dumps(document), status, media_type="application/json")


def refusal(error: FleetError, status: int) -> Response:
    """A refusal as people and agents read it."""
    document = {
        "code": error.code,
        "what": error.what,
        "at": error.at,
        "fix": error.fix,
        "message": f"{error.what} ({error.at})" if error.at else error.what,
    }
    answer = json_answer(document, status)
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Bearer realm="fleet"'
    return answer


def guarded(handler: Handler) -> Handler:
    """Refusals become answers; whatever else goes wrong is logged and answered without detail."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestError as error:
            return refusal(error, error.status)
        except FleetError as error:
            return refusal(error, 500)
        except Exception:
            # The top of a request: one bad one must not take the hub with it.
            asked = {"method": request.method, "path": request.url.path}
            log.exception("request failed", extra=asked)
            failed = RequestError(
                "the hub failed at this request",
                at=request.url.path,
                fix="see the hub's log",
                code="hub-failed",
            )
            return refusal(failed, 500)

    return answer


def for_agents(access: Access, handler: Handler) -> Handler:
    """Only the agent whose token is bound to the cluster in the path (or body) comes through."""

    async def check(request: Request) -> Response:
        caller = await caller_of(access, request)
        if not caller.cluster:
            raise RequestError(
                "this route is for agents; a person's token does not open it",
                at=request.url.path,
                fix="give the agent a token of its own: fleet cluster token NAME",
                code="agent-token-needed",
                status=403,
            )
        if "cluster" in request.path_params:
            check_own(caller, request.path_params["cluster"])
        request.state.caller = caller
        return await handler(request)

    return guarded(check)


def for_people(access: Access, handler: Handler) -> Handler:
    """Only the operator token and those of people come through."""

    async def check(request: Request) -> Response:
        caller = await caller_of(access, request)
        if caller.cluster:
            raise RequestError(
                f"an agent's token (of {caller.cluster}) does not open this",
                at=request.url.path,
                fix="use the operator token, in the file operator-token of the hub's folder",
                code="operator-token-needed",
                status=403,
            )
        request.state.caller = caller
        return await handler(request)

    return guarded(check)


def for_operator(access: Access, handler: Handler) -> Handler:
    """Only the operator token comes through."""

    async def check(request: Request) -> Response:
        caller: Caller = request.state.caller
        if caller.person is not None:
            raise RequestError(
                f"the token of {caller.person.name} does not open this",
                at=request.url.path,
                fix="use the operator token, in the file operator-token of the hub's folder",
                code="operator-token-needed",
                status=403,
            )
        return await handler(request)

    return for_people(access, check)


async def caller_of(access: Access, request: Request) -> Caller:
    """Who asks. Errors: `RequestError` 401 for no, an empty or a wrong token."""
    values = request.headers.getlist("authorization")
    scheme, _, token = (values[0] if len(values) == 1 else "").partition(" ")
    token = token.strip()
    caller = None
    if scheme.lower() == "bearer" and token:
        caller = await run_in_threadpool(access.caller_of, token)
    if caller is None:
        raise RequestError(
            "the token is not known to this hub" if token else "a token is needed",
            at=request.url.path,
            fix="people: the operator token of the hub's folder;"
            " agents: a new one by `fleet cluster token NAME`",
            code="unauthenticated",
            status=401,
        )
    return caller


def check_own(caller: Caller, cluster: str) -> None:
    """Errors: `RequestError` 403 if the agent speaks for another cluster than its own."""
    if caller.cluster != cluster:
        raise RequestError(
            f"this token is bound to cluster {caller.cluster}, not to the one named here",
            fix="start the agent with the name and the token of its own cluster",
            code="not-your-cluster",
            status=403,
        )


async def body_of(request: Request, kind: type[Body], most: int = LARGEST_BODY) -> Body:
    """The JSON body as a value. Errors: `RequestError` 413, 415 or 400 without the body's text."""
    try:
        return kind.model_validate_json(await _bytes_of(request, most) or b"{}")
    except ValidationError as error:
        places = sorted({".".join(str(p) for p in e["loc"]) or "body" for e in error.errors()})
        raise RequestError(
            f"the body is no {kind.__name__}: see {', '.join(places[:5])}",
            at=request.url.path,
            fix="send JSON as the documentation of this route says",
            code="bad-body",
        ) from None


async def _bytes_of(request: Request, most: int) -> bytes:
    if request.headers.get("content-encoding", "identity") != "identity":
        raise RequestError(
            "bodies are read as they are, not compressed",
            fix="send it without Content-Encoding",
            code="no-compression",
            status=415,
        )
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > most:
            raise RequestError(
                f"the body is larger than {most} bytes",
                at=request.url.path,
                fix="send less",
                code="body-too-large",
                status=413,
            )
    return bytes(data)


def wait_seconds(request: Request) -> float:
    """How long a long poll may take; bounded. Errors: `RequestError` for what is no number."""
    text = request.query_params.get("wait", "0")
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0:
        raise RequestError(
            "wait is no number of seconds", fix="for example ?wait=30", code="bad-wait"
        )
    return min(seconds, LONGEST_WAIT_SECONDS)
