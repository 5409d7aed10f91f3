"""Operations as HTTP requests to one API server, and the answers in a form that can be compared.

Two servers give other uids, versions, times and addresses for the same writes. Each is replaced
by the number of its first appearance, so that "this write gave no new version" still shows.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import orjson

from clusters.objects import Object
from tests.contracts.sequences import LEAVE_OUT, Change, Operation, Specimen, specimens

JSON = "application/json"
_MEDIA = {
    "apply": "application/apply-patch+yaml",
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
}
_FORMS = {
    "": "application/json",
    "Table": "application/json;as=Table;g=meta.k8s.io;v=v1",
    "Partial": "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
    "PartialList": "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1",
}


@dataclass
class Server:
    """One API server, as an administrator reaches it."""

    session: aiohttp.ClientSession
    url: str

    async def send(
        self, method: str, path: str, query: dict[str, str], body: Any, media: str, accept: str
    ) -> tuple[int, Any]:
        """The code and the decoded body."""
        headers = {"Accept": accept, "Content-Type": media, "User-Agent": "differential"}
        data = None if body is None else orjson.dumps(body)
        async with self.session.request(
            method, self.url + path, params=query, data=data, headers=headers
        ) as answer:
            text = await answer.read()
        try:
            return answer.status, orjson.loads(text)
        except orjson.JSONDecodeError:
            return answer.status, text.decode("utf-8", "replace")


@dataclass
class Player:
    """Plays one sequence on one server; `tag` keeps its names apart from other sequences'."""

    server: Server
    tag: str
    _tokens: dict[tuple[str, str], str] = field(default_factory=dict)

    async def play(self, operation: Operation) -> Any:
        """Carry out an operation; returns the answer, without what is each server's own."""
        code, body = await getattr(self, "_" + operation.verb.split()[0])(operation)
        if operation.kind in _WRITTEN_LATER and isinstance(body.get("metadata"), dict):
            body["metadata"].pop("resourceVersion", None)
        return {"code": code, "body": self.comparable(body)}

    async def begin(self) -> None:
        """Make the namespace of the sequence."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.tag}}
        await self.server.send("POST", "/api/v1/namespaces", {}, namespace, JSON, JSON)

    def _name(self, operation: Operation) -> str:
        specimen = specimens()[operation.kind]
        return operation.name if specimen.namespaced else f"{self.tag}-{operation.name}"

    def _path(self, operation: Operation, *rest: str) -> str:
        specimen = specimens()[operation.kind]
        version = specimen.base["apiVersion"]
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        place = f"/namespaces/{self.tag}" if specimen.namespaced else ""
        return "/".join((root + place, specimen.plural, *rest))

    def _one(self, operation: Operation) -> str:
        _, _, subresource = operation.verb.partition(" ")
        return self._path(operation, self._name(operation), *([subresource] if subresource else []))

    def _body(self, operation: Operation) -> Object:
        specimen = specimens()[operation.kind]
        obj = specimen.with_changes(operation.changes)
        if isinstance(obj.get("metadata"), dict):
            obj["metadata"].setdefault("name", self._name(operation))
            if specimen.namespaced:
                obj["metadata"].setdefault("namespace", self.tag)
        return obj

    async def _live(self, operation: Operation) -> Object | None:
        path = self._path(operation, self._name(operation))
        code, body = await self.server.send("GET", path, {}, None, "", _FORMS[""])
        return body if code == 200 else None

    async def _apply(self, operation: Operation) -> tuple[int, Any]:
        return await self._send("PATCH", operation, self._body(operation), _MEDIA["apply"])

    async def _create(self, operation: Operation) -> tuple[int, Any]:
        path = self._path(operation)
        return await self._send("POST", operation, self._body(operation), path=path)

    async def _update(self, operation: Operation) -> tuple[int, Any]:
        live = await self._live(operation)
        if live is None:
            # Which is said first, that it is wrong or that it is not there, is left open.
            return await self._send("PUT", operation, self._body(replace(operation, changes=())))
        for change in operation.changes:
            change.made_in(live)
        return await self._send("PUT", operation, live)

    async def _merge(self, operation: Operation) -> tuple[int, Any]:
        specimen = specimens()[operation.kind]
        if operation.verb == "merge scale":
            body: Object = {"spec": {"replicas": len(operation.changes)}}
        else:
            body = patch_of(specimen, operation.changes)
        return await self._send("PATCH", operation, body, _MEDIA["merge"])

    async def _strategic(self, operation: Operation) -> tuple[int, Any]:
        body = patch_of(specimens()[operation.kind], operation.changes)
        return await self._send("PATCH", operation, body, _MEDIA["strategic"])

    async def _json(self, operation: Operation) -> tuple[int, Any]:
        body = [json_operation(change) for change in operation.changes]
        return await self._send("PATCH", operation, body, _MEDIA["json"])

    async def _delete(self, operation: Operation) -> tuple[int, Any]:
        options = operation.options
        conditions: dict[str, str] = {}
        live = await self._live(operation) or {"metadata": {}}
        for name in ("uid", "resourceVersion"):
            if name in options:
                right = options[name] == "right"
                conditions[name] = live["metadata"].get(name, "0") if right else "0"
        body: Object = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if conditions:
            body["preconditions"] = conditions
        body["propagationPolicy"] = options.get("propagation", "Background")
        if options.get("dry_run"):
            body["dryRun"] = ["All"]
        path = self._one(operation)
        code, answer = await self.server.send("DELETE", path, {}, body, JSON, JSON)
        if isinstance(answer.get("metadata"), dict):
            answer["metadata"].pop("resourceVersion", None)
        return code, answer

    async def _get(self, operation: Operation) -> tuple[int, Any]:
        accept = _FORMS[operation.options.get("form", "")]
        return await self.server.send("GET", self._one(operation), {}, None, "", accept)

    async def _list(self, operation: Operation) -> tuple[int, Any]:
        options = operation.options
        query = {"labelSelector": options["labels"], "limit": str(options["limit"])}
        if options["fields"]:
            query["fieldSelector"] = options["fields"].format(a="a")
        accept = _FORMS[{"Partial": "PartialList"}.get(options["form"], options["form"])]
        code, body = await self.server.send("GET", self._path(operation), query, None, "", accept)
        return code, body

    async def _send(
        self,
        method: str,
        operation: Operation,
        body: Any,
        media: str = "application/json",
        path: str = "",
    ) -> tuple[int, Any]:
        options = operation.options
        query = {"fieldManager": options["manager"]} if "manager" in options else {}
        if options.get("force"):
            query["force"] = "true"
        if options.get("dry_run"):
            query["dryRun"] = "All"
        if options.get("validation"):
            query["fieldValidation"] = options["validation"]
        return await self.server.send(
            method, path or self._one(operation), query, body, media, _FORMS[""]
        )

    def comparable(self, body: Any) -> Any:
        """The body without uids, versions, times and addresses of one server."""
        if isinstance(body, dict) and "metadata" in body and ("items" in body or "rows" in body):
            body = self._listing(body)
        self._learn(body)
        replaced = self._replaced(body)
        return _refusal(replaced) if _is_failure(replaced) else replaced

    def _listing(self, body: Object) -> Object:
        """A listing's own version counts other sequences' writes too."""
        metadata = dict(body["metadata"])
        for name in ("resourceVersion", "continue"):
            if metadata.get(name):
                metadata[name] = f"<{name}>"
            else:
                metadata.pop(name, None)  # Go leaves it out for some kinds, and not for custom ones
        return body | {"metadata": metadata}

    def _learn(self, value: Any) -> None:
        if isinstance(value, dict):
            metadata = value.get("metadata")
            if isinstance(metadata, dict):
                for name in ("uid", "resourceVersion"):
                    self._note(name, metadata.get(name))
            for item in value.values():
                self._learn(item)
            self._note("uid", value.get("uid"))
        elif isinstance(value, list):
            for item in value:
                self._learn(item)

    def _note(self, name: str, value: Any) -> None:
        if isinstance(value, str) and value and (name, value) not in self._tokens:
            self._tokens[(name, value)] = f"<{name} {len(self._tokens)}>"

    def _replaced(self, value: Any, name: str = "") -> Any:
        if isinstance(value, dict):
            kept = {key: item for key, item in value.items() if key not in _NOT_COMPARED}
            if "fieldsType" in value:
                kept.pop("time", None)
            if "annotations" in kept and not set(kept["annotations"] or ()) - {*_NOT_COMPARED}:
                del kept["annotations"]
            return {key: self._replaced(item, key) for key, item in kept.items()}
        if isinstance(value, list):
            items = [self._replaced(item) for item in value]
            if name == "managedFields":
                items.sort(key=_entry)
            if name == "clusterIPs":
                items = [self._replaced(item, "clusterIP") for item in value]
            return items
        if name == "nodePort" and isinstance(value, int) and value >= 30000:
            return "<node port>"
        if name == "clusterIP" and isinstance(value, str) and _ADDRESS.match(value):
            return "<address>"
        if isinstance(value, str):
            return self._tokens.get((name, value)) or self._text(value)
        return value

    def _text(self, value: str) -> str:
        value = _TIME.sub("<time>", value).replace(self.tag, "<tag>")
        for (name, known), token in self._tokens.items():
            if name == "uid" and len(known) > 30:
                value = value.replace(known, token)
        return value


def _is_failure(body: Any) -> bool:
    return isinstance(body, dict) and body.get("kind") == "Status" and body["status"] == "Failure"


def _refusal(status: Object) -> Object:
    """What a client decides by: not the words, and not the order, which Go's maps leave open."""
    details = dict(status.get("details") or {})
    if status.get("reason") == "Conflict" and "UID" in status["message"]:
        details.pop("kind", None)  # the kind, or its plural where the server's cache was behind
    if "causes" in details:
        pairs = {(cause.get("field", ""), cause.get("reason", "")) for cause in details["causes"]}
        details["causes"] = [f"{field}: {reason}" for field, reason in sorted(pairs)]
    return {"reason": status.get("reason", ""), "details": details, "said": status["message"]}


_NOT_COMPARED = ("deprecated.daemonset.template.generation", "remainingItemCount")
_WRITTEN_LATER = ("Job", "PersistentVolumeClaim", "Widget")
"""Kinds of which a real server shows what it only stores with the next write."""
_ADDRESS = re.compile(r"^\d+\.\d+\.\d+\.\d+$")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")


def _entry(entry: Any) -> tuple[str, ...]:
    names = ("operation", "manager", "subresource", "apiVersion")
    return tuple(str(entry.get(name, "")) for name in names)


def patch_of(specimen: Specimen, changes: Sequence[Change]) -> Object:
    """A merge patch that makes these changes to the specimen; lists are sent whole."""
    whole = specimen.with_changes(changes)
    patch: Object = {}
    for change in changes:
        steps: list[str] = []
        value: Any = copy.deepcopy(change.value)
        source: Any = whole
        for step in change.steps:
            if isinstance(source, list):
                value = copy.deepcopy(source)
                break
            steps.append(step)
            source = source.get(step) if isinstance(source, dict) else None
        at = patch
        for step in steps[:-1]:
            below = at.setdefault(step, {})
            if not isinstance(below, dict):
                below = at[step] = {}
            at = below
        at[steps[-1]] = None if value is LEAVE_OUT else value
    return patch


def json_operation(change: Change) -> Object:
    """The JSON patch operation of a change."""
    path = "/" + "/".join(step.replace("~", "~0").replace("/", "~1") for step in change.steps)
    if change.value is LEAVE_OUT:
        return {"op": "remove", "path": path}
    return {"op": "add", "path": path, "value": change.value}
