"""Differences as a report says them: path, both values as short text, and who changed the field.

A Secret's values never leave the agent: all that is not a label is `(redacted)`, and messages of
the API server about a Secret lose every value that the Secret holds.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable, Iterator
from typing import Any

from agents.diff.fields import Difference
from agents.diff.path import managers_of, path_text
from agents.protocol import FieldDrift
from clusters.objects import Object, canonical_bytes

REDACTED = "(redacted)"
LIMIT = 200
"""Characters of a value that are shown."""


def describe(
    found: Iterable[Difference], live: Object | None, manager: str
) -> tuple[FieldDrift, ...]:
    """What a report says; `manager` is our own, which is never to blame."""
    secret = live is not None and live.get("kind") == "Secret"
    managed = ((live or {}).get("metadata") or {}).get("managedFields") or []
    return tuple(_describe(item, managed, manager, secret) for item in found)


def _describe(
    item: Difference, managed: list[dict[str, Any]], manager: str, secret: bool
) -> FieldDrift:
    hidden = secret and item.path[:2] != ("metadata", "labels")
    others = [name for name in managers_of(managed, item.path) if name != manager]
    return FieldDrift(
        path=path_text(item.path),
        wanted=_shown(item.wanted, hidden),
        live=_shown(item.live, hidden),
        manager=others[0] if others else "",
    )


def _shown(value: Any, hidden: bool) -> str | None:
    if value is None:
        return None
    if hidden:
        return REDACTED
    text = value if isinstance(value, str) else canonical_bytes(value).decode()
    return text if len(text) <= LIMIT else text[: LIMIT - 1] + "…"


def redacted(message: str, obj: Object) -> str:
    """The message without any value of `obj`, if that is a Secret."""
    if obj.get("kind") != "Secret":
        return message
    for value in sorted(_secret_values(obj), key=len, reverse=True):
        message = message.replace(value, REDACTED)
    return message


def _secret_values(obj: Object) -> Iterator[str]:
    for field in ("data", "stringData"):
        for value in (obj.get(field) or {}).values():
            text = str(value)
            if text:
                yield from {text, _decoded(text), _encoded(text)} - {""}


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
