"""What a real API server says of the requests that it got: its audit log. Reads, nothing else.

A right is (namespace, API group, resource, verb), the namespace empty where a request is of all
of them or of what is in none. An apply that made an object counts as `create` too: that is what
the server asks the caller's rights for, beside `patch`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from clusters.objects import Object


class Right(NamedTuple):
    """One deed that a caller may do, or did."""

    namespace: str
    group: str
    resource: str
    verb: str


@dataclass(frozen=True)
class Trail:
    """What one user did."""

    used: frozenset[Right]
    refused: tuple[str, ...]
    """Requests that its rights do not allow, in words."""


def trail_of(log: Path, user: str) -> Trail:
    """The requests for objects that `user` made, or somebody in its name."""
    requests = [found for found in _lines(log) if _caller(found) == user]
    used = {right for found in requests for right in _rights(found)}
    refused = (
        f"{found['verb']} {found['requestURI']}"
        for found in requests
        if (found.get("responseStatus") or {}).get("code") == 403
    )
    return Trail(frozenset(used), tuple(refused))


def granted(objects: Iterable[Object], role: str) -> frozenset[Right]:
    """What roles of that name among the objects allow."""
    return frozenset(
        Right(item["metadata"].get("namespace", ""), group, resource, verb)
        for item in objects
        if item["kind"] in ("Role", "ClusterRole") and item["metadata"]["name"] == role
        for rule in item["rules"]
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
        for verb in rule["verbs"]
    )


def _lines(log: Path) -> Iterator[dict[str, Any]]:
    with log.open("rb") as lines:
        for line in lines:
            yield orjson.loads(line)


def _caller(found: dict[str, Any]) -> str:
    who = found.get("impersonatedUser") or found["user"]
    return str(who["username"])


def _rights(found: dict[str, Any]) -> Iterator[Right]:
    about = found.get("objectRef")
    if about is None:
        return
    verbs = [found["verb"]]
    if (found.get("responseStatus") or {}).get("code") == 201:
        verbs.append("create")
    resource = about["resource"]
    namespace = "" if resource == "namespaces" else about.get("namespace", "")
    for verb in verbs:
        yield Right(namespace, about.get("apiGroup", ""), resource, verb)
