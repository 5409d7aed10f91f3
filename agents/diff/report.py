"""Differences as a report says them: path, both values as short text, and who changed the field.

A Secret's values never leave the agent: all that is not a label is `(redacted)`, and messages of
the API server about a Secret lose every value that the Secret holds.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from typing import Any

from agents.diff.fields import Difference
from agents.diff.path import managers_of, path_text
from agents.protocol import FieldDrift
from clusters.objects import Object, canonical_bytes

REDACTED = "(redacted)"
LIMIT = 200
"""Characters of a value that are shown."""
_CONTEXT = 20
"""Characters before the first difference, where that lies behind the limit."""

_SHORT = 3
"""Characters of a value that a word of the message may hold by chance."""


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
    wanted, live = (_hide if hidden else _show)(item.wanted, item.live)
    blamed = others[0] if others else ""
    return FieldDrift(path=path_text(item.path), wanted=wanted, live=live, manager=blamed)


def _hide(wanted: Any, live: Any) -> tuple[str | None, str | None]:
    return _hidden(wanted), _hidden(live)


def _hidden(value: Any) -> str | None:
    return None if value is None else REDACTED


def _show(wanted: Any, live: Any) -> tuple[str | None, str | None]:
    """Both as short text that differs: `1` and `"1"` too, and long ones that begin alike."""
    left, right = _text(wanted), _text(live)
    if left is None or right is None:
        return _cut(left, 0), _cut(right, 0)
    if left == right:
        left, right = canonical_bytes(wanted).decode(), canonical_bytes(live).decode()
    start = _first_difference(left, right)
    start = 0 if start < LIMIT - _CONTEXT else start - _CONTEXT
    return _cut(left, start), _cut(right, start)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return canonical_bytes(value).decode()


def _first_difference(left: str, right: str) -> int:
    pairs = enumerate(zip(left, right, strict=False))
    shorter = min(len(left), len(right))
    return next((index for index, (one, other) in pairs if one != other), shorter)


def _cut(text: str | None, start: int) -> str | None:
    if text is None or (not start and len(text) <= LIMIT):
        return text
    part = ("…" if start else "") + text[start:]
    return part if len(part) <= LIMIT else part[: LIMIT - 1] + "…"


def redacted(message: str, obj: Object) -> str:
    """The message without any value of `obj`, if that is a Secret."""
    if obj.get("kind") != "Secret":
        return message
    for value in sorted(_secret_values(obj), key=len, reverse=True):
        message = _without(message, value)
    return message


def _without(message: str, value: str) -> str:
    """A short value only where it stands alone: `rege(redacted)` would tell what it is."""
    if len(value) > _SHORT:
        return message.replace(value, REDACTED)
    return re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", REDACTED, message)


def _secret_values(obj: Object) -> Iterator[str]:
    for field in ("data", "stringData"):
        for text in _texts(obj.get(field)):
            yield from {text, _decoded(text), _encoded(text)} - {""}


def _texts(value: Any) -> Iterator[str]:
    """All text below, whatever the form: a Secret that is refused may have any."""
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, list):
        yield from () if value in (None, "") else (str(value),)
        return
    for item in value:
        yield from _texts(item)


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return ""


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
