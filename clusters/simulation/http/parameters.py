"""The query parameters and the body of a request, read once and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from clusters.objects import Kind, YamlError, read_yaml
from clusters.simulation.server.rejections import BadRequestError, rejected, unsupported

PATCH_TYPES = {
    "application/json-patch+json": "json",
    "application/merge-patch+json": "merge",
    "application/strategic-merge-patch+json": "strategic",
    "application/apply-patch+yaml": "apply",
    "application/apply-patch+json": "apply",
}
_DEFAULT_WATCH_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a client asks for beyond the URL's path."""

    labels: str
    fields: str
    limit: int
    continue_: str
    watch: bool
    resource_version: str
    bookmarks: bool
    send_initial: bool
    timeout_seconds: float
    dry_run: bool
    manager: str
    force: bool
    validation: str
    include_object: str
    propagation: str


_OPTIONS = {"POST": "CreateOptions", "PUT": "UpdateOptions", "PATCH": "PatchOptions"}
_CHOICES = {
    "dryRun": ("All",),
    "fieldValidation": ("", "Ignore", "Strict", "Warn"),
    "propagationPolicy": ("Foreground", "Background", "Orphan"),
}


def read_parameters(query: Mapping[str, str], user_agent: str, method: str = "GET") -> Parameters:
    """Read the query. Errors: `BadRequestError` for what is no number, `RejectedError`."""
    _check_choices(query, _OPTIONS.get(method, "DeleteOptions"))
    dry_run = query.get("dryRun", "")
    return Parameters(
        labels=query.get("labelSelector", ""),
        fields=query.get("fieldSelector", ""),
        limit=int(_number(query, "limit") or 0),
        continue_=query.get("continue", ""),
        watch=_flag(query, "watch"),
        resource_version=query.get("resourceVersion", ""),
        bookmarks=_flag(query, "allowWatchBookmarks"),
        send_initial=_flag(query, "sendInitialEvents"),
        timeout_seconds=_number(query, "timeoutSeconds") or _DEFAULT_WATCH_SECONDS,
        dry_run=bool(dry_run),
        manager=query.get("fieldManager", "") or user_agent.partition("/")[0],
        force=_flag(query, "force"),
        validation=query.get("fieldValidation", "") or "Warn",
        include_object=query.get("includeObject", "") or "Metadata",
        propagation=query.get("propagationPolicy", ""),
    )


def _check_choices(query: Mapping[str, str], options: str) -> None:
    causes = [
        unsupported(name, query[name], allowed)
        for name, allowed in _CHOICES.items()
        if query.get(name) and query[name] not in allowed
    ]
    if causes:
        raise rejected(Kind("meta.k8s.io", options), "", causes)


def _flag(query: Mapping[str, str], name: str) -> bool:
    return query.get(name, "") in ("true", "1", "True")


def _number(query: Mapping[str, str], name: str) -> float:
    text = query.get(name, "")
    if text and not text.isdigit():
        raise BadRequestError(f"{name} is {text!r}, not a number")
    return float(text or 0)


def read_body(data: bytes) -> Any:
    """JSON, or YAML as `kubectl` and other clients send for an apply; `None` if empty.

    Errors: `BadRequestError`.
    """
    if not data.strip():
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        pass
    try:
        return read_yaml(data)
    except YamlError as error:
        raise BadRequestError(f"the body is neither JSON nor YAML: {error}") from error
