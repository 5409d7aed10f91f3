"""What a request does: from method, path and parameters to a verb of the API server.

::

    GET     one → get    collection → list    with watch=true → stream
    POST    create       PUT → update         PATCH → patch or apply
    DELETE  one → delete collection → each of them

Documents about the server itself (`/version`, `/apis`, `/openapi/…`) are answered here too;
`reviews` are questions that store nothing, `actions` subresources that do something.
Errors of the server become Status bodies; a partition cuts the connection without an answer.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from aiohttp import web

from clusters.errors import (
    ClusterError,
    KindNotFoundError,
    UnauthorizedError,
    UnreachableError,
)
from clusters.objects import Kind, Object, ObjectKey, key_of
from clusters.simulation.cluster import SimulatedCluster
from clusters.simulation.http import discovery_documents as documents
from clusters.simulation.http import openapi
from clusters.simulation.http.actions import action_for
from clusters.simulation.http.answers import Form, Rendering, json_answer, wanted_form
from clusters.simulation.http.parameters import (
    PATCH_TYPES,
    Parameters,
    read_body,
    read_parameters,
)
from clusters.simulation.http.protobuf import MEDIA_TYPE, read_protobuf
from clusters.simulation.http.reviews import answered, is_review
from clusters.simulation.http.routes import Target, find_target
from clusters.simulation.http.scale import replicas_patch, scale_of
from clusters.simulation.http.statuses import status_of, success
from clusters.simulation.http.streams import stream
from clusters.simulation.server.rejections import (
    BadRequestError,
    MethodNotAllowedError,
    NotAcceptableError,
    UnsupportedMediaTypeError,
    rejected,
    wrong,
)
from clusters.simulation.server.state import NAMESPACE

_NOT_ALLOWED = "the server does not allow this method on the requested resource"
_PARTS = {"finalize": "", "approval": "status"}
"""A namespace is finalized as a whole; a certificate's approval is a condition."""
_STRATEGIC = "application/strategic-merge-patch"


async def respond(
    cluster: SimulatedCluster, request: web.Request, *, allowed: bool
) -> web.StreamResponse:
    """Answer one request to one cluster; `allowed` is false if the token was wrong."""
    target: Target | None = None
    try:
        if not allowed:
            raise UnauthorizedError("Unauthorized")
        await cluster.reach()
        parts = [part for part in request.match_info["path"].split("/") if part]
        document = _document(cluster, request, parts)
        if document is not None:
            return document
        if is_review(parts):
            if request.method != "POST":
                raise MethodNotAllowedError(_NOT_ALLOWED)
            return json_answer(answered(parts, await _body(request)), 201)
        target = find_target(cluster.server.catalog, parts)
        return await _serve(cluster, request, target)
    except UnreachableError:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=503)
    except ClusterError as error:
        status = status_of(error, target)
        return json_answer(status, status["code"])


def _document(
    cluster: SimulatedCluster, request: web.Request, parts: list[str]
) -> web.Response | None:
    """The answer about the server itself; `None` if the path is about objects."""
    catalog = cluster.server.catalog
    if parts in (["healthz"], ["livez"], ["readyz"]):
        return web.Response(text="ok")
    body: Object | None = None
    match parts:
        case ["version"]:
            body = documents.version_document(cluster.kubernetes_version)
        case ["api"] | ["apis"]:
            return _root(cluster, request, core=parts == ["api"])
        case ["apis", group]:
            body = documents.group_document(catalog, group)
        case ["api", version]:
            body = documents.resource_list(catalog, "", version)
        case ["apis", group, version]:
            body = documents.resource_list(catalog, group, version)
        case ["openapi", "v2"]:
            if _wants_protobuf(request):
                raise NotAcceptableError("only application/json is served here")
            body = openapi.version_two(catalog)
        case ["openapi", "v3"]:
            body = openapi.index(catalog, request.path)
        case ["openapi", "v3", "api", version]:
            body = openapi.version_three(catalog, "", version)
        case ["openapi", "v3", "apis", group, version]:
            body = openapi.version_three(catalog, group, version)
    return None if body is None else json_answer(body)


def _wants_protobuf(request: web.Request) -> bool:
    """Does the client take nothing but protobuf? An object it would read as JSON all the same."""
    accept = request.headers.get("Accept", "")
    return "protobuf" in accept and "json" not in accept and "*/*" not in accept


def _root(cluster: SimulatedCluster, request: web.Request, *, core: bool) -> web.Response:
    """`/api` or `/apis`, with all resources if the client knows that form."""
    catalog = cluster.server.catalog
    if wanted_form(request.headers.get("Accept", "")) is Form.AGGREGATED:
        body = documents.aggregated(catalog, core=core)
        return json_answer(body, content_type=documents.AGGREGATED_TYPE)
    return json_answer(
        documents.core_versions(request.host) if core else documents.group_list(catalog)
    )


async def _serve(
    cluster: SimulatedCluster, request: web.Request, target: Target
) -> web.StreamResponse:
    if action := action_for(target, request.method):
        body = await _body(request)
        status, answer = action(cluster.server, target, body, cluster.now())
        return json_answer(answer, status)
    if not _serves(target):
        raise KindNotFoundError("the server could not find the requested resource")
    if request.content_type.startswith(_STRATEGIC) and target.traits.custom:
        raise UnsupportedMediaTypeError(
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json-patch+json, application/merge-patch+json, "
            "application/apply-patch+yaml"
        )
    parameters = read_parameters(
        request.query, request.headers.get("User-Agent", ""), request.method
    )
    rendering = Rendering(
        wanted_form(request.headers.get("Accept", "")),
        target,
        parameters.include_object,
        cluster.server.catalog.columns(target.kind, target.version),
        cluster.now,
    )
    if request.method == "GET" and parameters.watch:
        return await stream(cluster, request, rendering, parameters, target.namespace)
    verb = _VERBS.get((request.method, bool(target.name)))
    if verb is None:
        raise MethodNotAllowedError(_NOT_ALLOWED)
    body = await _body(request)
    call = _Call(cluster, target, parameters, body, request.content_type)
    status, answer = verb(call, rendering)
    return json_answer(answer, status)


def _serves(target: Target) -> bool:
    """Whether the kind has the subresource."""
    return {
        "": True,
        "status": target.traits.has_status,
        "scale": target.traits.has_scale,
        "finalize": target.kind == NAMESPACE,
        "approval": target.kind.kind == "CertificateSigningRequest",
    }.get(target.subresource, False)


async def _body(request: web.Request) -> Any:
    media = request.content_type
    if request.method == "GET":
        return None
    if "cbor" in media:
        raise UnsupportedMediaTypeError("CBOR is not read here: send JSON")
    data = await request.read()
    return read_protobuf(data) if media == MEDIA_TYPE else read_body(data)


class _Call:
    """One request, with what the verbs need of it."""

    def __init__(
        self,
        cluster: SimulatedCluster,
        target: Target,
        parameters: Parameters,
        body: Any,
        media: str,
    ) -> None:
        self.server = cluster.server
        self.target = target
        self.parameters = parameters
        self.body = body
        self.media = media

    @property
    def subresource(self) -> str:
        """The subresource as the server knows it; some are another name for a part."""
        return _PARTS.get(self.target.subresource, self.target.subresource)

    def sent(self) -> Object:
        """The body as an object that agrees with the URL. Errors: `BadRequestError`."""
        if not isinstance(self.body, dict):
            raise BadRequestError("the body is not an object")
        body = {"apiVersion": self.target.api_version, "kind": self.target.kind.kind, **self.body}
        if self.target.traits.custom:
            self._check_typed(self.body)
        metadata = dict(body.get("metadata") or {})
        if (
            self.target.namespace
            and metadata.setdefault("namespace", self.target.namespace) != self.target.namespace
        ):
            raise BadRequestError(
                "the namespace of the provided object does not match the namespace sent on the "
                "request"
            )
        if self.target.name and metadata.setdefault("name", self.target.name) != self.target.name:
            raise BadRequestError("the name of the object does not match the name on the request")
        if (body["apiVersion"], body["kind"]) != (self.target.api_version, self.target.kind.kind):
            raise BadRequestError("the API version or kind of the object does not match the URL")
        return {**body, "metadata": metadata}

    def _check_typed(self, body: Object) -> None:
        """Nothing but its own words says what a custom object is. Errors: `InvalidError`."""
        kind, version = self.target.kind.kind, self.target.api_version
        if not body.get("kind"):
            words = f"the object provided is unrecognized (must be of type {kind})"
            raise BadRequestError(f"{words}: Object 'Kind' is missing")
        if body.get("apiVersion") != version:
            raise BadRequestError(
                f"the API version in the data ({body.get('apiVersion') or ''}) does not match the "
                f"expected API version ({version})"
            )
        if body["kind"] != kind:
            cause = wrong("kind", body["kind"], f"must be {kind}")
            name = self.target.name or (body.get("metadata") or {}).get("name") or ""
            raise rejected(Kind(self.target.kind.group, body["kind"]), name, (cause,))


Answer = tuple[int, Object]


def _get(call: _Call, rendering: Rendering) -> Answer:
    obj = call.server.get(call.target.key, version=call.target.version)
    if call.subresource == "scale":
        return 200, scale_of(obj)
    return 200, rendering.one(obj)


def _list(call: _Call, rendering: Rendering) -> Answer:
    asked = call.parameters
    items, revision, token = call.server.list(
        call.target.kind,
        namespace=call.target.namespace,
        labels=asked.labels,
        fields=asked.fields,
        limit=asked.limit,
        continue_=asked.continue_,
        version=call.target.version,
    )
    metadata = {"resourceVersion": revision}
    return 200, rendering.many(items, {**metadata, "continue": token} if token else metadata)


def _create(call: _Call, rendering: Rendering) -> Answer:
    asked = call.parameters
    created = call.server.create(
        call.sent(), manager=asked.manager, dry_run=asked.dry_run, validation=asked.validation
    )
    return 201, rendering.one(created)


def _update(call: _Call, rendering: Rendering) -> Answer:
    asked = call.parameters
    if call.subresource == "scale":
        return 200, _scaled(call, replicas_patch(call.body))
    existed = call.server.peek(call.target.key) is not None
    updated = call.server.update(
        call.sent(),
        subresource=call.subresource,
        manager=asked.manager,
        dry_run=asked.dry_run,
        validation=asked.validation,
    )
    return 200 if existed else 201, rendering.one(updated)


def _patch(call: _Call, rendering: Rendering) -> Answer:
    asked, target = call.parameters, call.target
    patch_type = PATCH_TYPES.get(call.media)
    if patch_type is None:
        raise BadRequestError(f"the patch type {call.media!r} is not known")
    if call.subresource == "scale":
        if patch_type not in ("merge", "strategic"):
            raise BadRequestError("a Scale takes merge patches only")
        return 200, _scaled(call, replicas_patch(call.body))
    existed = call.server.peek(target.key) is not None
    patched = call.server.patch(
        target.key,
        call.body,
        patch_type=patch_type,
        manager=asked.manager,
        subresource=call.subresource,
        dry_run=asked.dry_run,
        force=asked.force,
        version=target.version,
        validation=asked.validation,
    )
    return 200 if existed else 201, rendering.one(patched)


def _scaled(call: _Call, patch: Object) -> Object:
    return scale_of(
        call.server.patch(
            call.target.key,
            patch,
            manager=call.parameters.manager,
            subresource="scale",
            dry_run=call.parameters.dry_run,
        )
    )


def _delete(call: _Call, rendering: Rendering) -> Answer:
    left = _delete_one(call, call.target.key)
    is_marked = bool(left["metadata"].get("deletionTimestamp"))
    if is_marked or call.target.traits.answers_deleted:
        return 200, rendering.one(left)
    return 200, success(call.target, left)


def _delete_one(call: _Call, key: ObjectKey) -> Object:
    options = call.body if isinstance(call.body, dict) else {}
    preconditions = options.get("preconditions") or {}
    propagation = call.parameters.propagation or options.get("propagationPolicy")
    if options.get("orphanDependents"):
        propagation = "Orphan"
    return call.server.delete(
        key,
        propagation=propagation or _ORPHANING.get(key.kind_key, "Background"),
        uid=preconditions.get("uid") or "",
        resource_version=preconditions.get("resourceVersion") or "",
        dry_run=call.parameters.dry_run or options.get("dryRun") == ["All"],
    )


_ORPHANING = dict.fromkeys((Kind("batch", "Job"), Kind("", "ReplicationController")), "Orphan")
"""What leaves its dependents alone unless told otherwise, as it did before there were policies."""


def _delete_all(call: _Call, rendering: Rendering) -> Answer:
    _, listed = _list(call, Rendering(Form.WHOLE, call.target, "", [], rendering.now))
    for item in listed["items"]:
        key = key_of({**item, "apiVersion": listed["apiVersion"], "kind": call.target.kind.kind})
        if call.server.peek(key) is not None:
            _delete_one(call, key)
    return 200, listed


_VERBS: dict[tuple[str, bool], Callable[[_Call, Rendering], Answer]] = {
    ("GET", True): _get,
    ("GET", False): _list,
    ("POST", False): _create,
    ("PUT", True): _update,
    ("PATCH", True): _patch,
    ("DELETE", True): _delete,
    ("DELETE", False): _delete_all,
}
