"""Label and field selectors in kubectl's syntax, compiled to predicates over objects.

Labels: `a=b`, `a==b`, `a!=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, joined by commas.
Fields: `metadata.name=x`, `metadata.namespace!=y`, `status.phase=…`, any path of plain fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from clusters.objects import Object, labels_of
from clusters.simulation.server.rejections import BadRequestError

Labels = Mapping[str, str]
_KEY = r"[A-Za-z0-9]([A-Za-z0-9._/-]*[A-Za-z0-9])?"
_VALUE = r"[A-Za-z0-9._-]*"
_SET = re.compile(rf"^({_KEY})\s+(in|notin)\s*\(([^()]*)\)$")
_EQUALS = re.compile(rf"^({_KEY})\s*(==|=|!=)\s*({_VALUE})$")
_EXISTS = re.compile(rf"^(!?)\s*({_KEY})$")


@lru_cache(maxsize=1024)
def label_selector(text: str) -> Callable[[Labels], bool]:
    """The predicate over labels. Errors: `BadRequestError` for text that is no selector."""
    tests = [_requirement(part.strip(), text) for part in _split(text) if part.strip()]
    return lambda labels: all(test(labels) for test in tests)


def _split(text: str) -> list[str]:
    return re.split(r",(?![^()]*\))", text)


def _requirement(part: str, text: str) -> Callable[[Labels], bool]:
    if match := _SET.match(part):
        key, negated = match[1], match[3] == "notin"
        values = {value.strip() for value in match[4].split(",")}
        return lambda labels: ((labels.get(key) in values) if key in labels else False) != negated
    if match := _EQUALS.match(part):
        key, negated, value = match[1], match[3] == "!=", match[4]
        return lambda labels: (labels.get(key) == value) != negated
    if match := _EXISTS.match(part):
        negated, key = bool(match[1]), match[2]
        return lambda labels: (key in labels) != negated
    raise BadRequestError(f"unable to parse requirement {part!r} of the label selector {text!r}")


def matches_label_selector(selector: Mapping[str, Any] | None, labels: Labels) -> bool:
    """Whether labels match a LabelSelector object (`matchLabels`, `matchExpressions`)."""
    if selector is None:
        return False
    wanted = selector.get("matchLabels") or {}
    if any(labels.get(key) != value for key, value in wanted.items()):
        return False
    return all(_expression(item, labels) for item in selector.get("matchExpressions") or ())


def _expression(item: Mapping[str, Any], labels: Labels) -> bool:
    key, values = item.get("key", ""), item.get("values") or ()
    match item.get("operator"):
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case "DoesNotExist":
            return key not in labels
    return False


_ALWAYS_SELECTABLE = ("metadata.name", "metadata.namespace")


@lru_cache(maxsize=1024)
def field_selector(text: str, selectable: tuple[str, ...] = ()) -> Callable[[Object], bool]:
    """The predicate over objects, by their name and namespace and `selectable` fields.

    Errors: `BadRequestError` for text that is no selector, or names another field.
    """
    allowed = (*_ALWAYS_SELECTABLE, *selectable)
    tests = [_field_test(part.strip(), text, allowed) for part in text.split(",") if part.strip()]
    return lambda obj: all(test(obj) for test in tests)


def _field_test(part: str, text: str, allowed: tuple[str, ...]) -> Callable[[Object], bool]:
    match = re.match(r"^([A-Za-z0-9_.]+)(==|!=|=)(.*)$", part)
    if not match:
        raise BadRequestError(f"unable to parse {part!r} of the field selector {text!r}")
    if match[1] not in allowed:
        raise BadRequestError(f"field label not supported: {match[1]}")
    path, negated, wanted = match[1].split("."), match[2] == "!=", match[3]
    return lambda obj: (_text_at(obj, path) == wanted) != negated


def _text_at(obj: Any, path: list[str]) -> str:
    for name in path:
        obj = obj.get(name) if isinstance(obj, dict) else None
    if isinstance(obj, bool):
        return "true" if obj else "false"
    return "" if obj is None else str(obj)


def object_filter(
    namespace: str, labels: str, fields: str, selectable: tuple[str, ...] = ()
) -> Callable[[Object], bool]:
    """One predicate for a list's or watch's namespace and selectors."""
    by_labels, by_fields = label_selector(labels), field_selector(fields, selectable)

    def matches(obj: Object) -> bool:
        if namespace and obj["metadata"].get("namespace") != namespace:
            return False
        return (not labels or by_labels(labels_of(obj))) and (not fields or by_fields(obj))

    return matches
