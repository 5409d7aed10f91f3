"""The functions that a template in Helm values may call: the harmless part of Go's and sprig's.

All are pure; none reads the environment, the clock or the network, and none makes random values.
Arguments come in sprig's order, the piped value last.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any


class TemplateError(ValueError):
    """A template that cannot be read, or cannot be filled in for a cluster."""


def text_of(value: Any) -> str:
    """A value as Go prints it into text."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict | list):
        raise TemplateError("a mapping or list in the place of text; use toJson")
    return str(value)


def quoted(value: Any) -> str:
    """In double quotes, so that YAML reads it as text whatever it looks like."""
    return json.dumps(text_of(value), ensure_ascii=False)


def look_up(container: Any, key: Any) -> Any:
    """`index` and `get`: empty text for a key that is not there."""
    if isinstance(container, Mapping):
        return container.get(text_of(key), "")
    if isinstance(container, list) and isinstance(key, int) and 0 <= key < len(container):
        return container[key]
    raise TemplateError(f"nothing at {text_of(key)!r}")


def _number(value: Any) -> int:
    try:
        return int(text_of(value) or "0")
    except ValueError as error:
        raise TemplateError("what stands there is no whole number") from error


def _required(message: Any, value: Any) -> Any:
    if value is None or value == "":
        raise TemplateError(text_of(message))
    return value


def _printf(template: Any, *values: Any) -> str:
    parts = text_of(template).replace("%v", "%s").replace("%d", "%s")
    if parts.replace("%%", "").replace("%s", "").count("%") or parts.count("%s") != len(values):
        raise TemplateError("printf knows %s, %d, %v and %%, one for each value")
    return parts % tuple(text_of(value) for value in values)


def _bound(count: Any) -> int:
    number = _number(count)
    if abs(number) > 10_000:
        raise TemplateError(f"{number} is too large a number here")
    return number


def _trunc(count: Any, value: Any) -> str:
    number = _bound(count)
    return text_of(value)[:number] if number >= 0 else text_of(value)[number:]


def _and(*values: Any) -> Any:
    return next((value for value in values if not value), values[-1])


def _or(*values: Any) -> Any:
    return next((value for value in values if value), values[-1])


FUNCTIONS: dict[str, tuple[int, int, Callable[..., Any]]] = {
    "default": (2, 2, lambda fallback, value: value or fallback),
    "coalesce": (1, 9, lambda *values: next((v for v in values if v), "")),
    "required": (2, 2, _required),
    "empty": (1, 1, lambda value: not value),
    "ternary": (3, 3, lambda yes, no, test: yes if test else no),
    "quote": (1, 1, quoted),
    "squote": (1, 1, lambda value: "'" + text_of(value).replace("'", "''") + "'"),
    "toString": (1, 1, text_of),
    "toJson": (1, 1, lambda value: json.dumps(value, ensure_ascii=False)),
    "int": (1, 1, _number),
    "add": (2, 9, lambda *values: sum(_number(value) for value in values)),
    "sub": (2, 2, lambda a, b: _number(a) - _number(b)),
    "mul": (2, 2, lambda a, b: _number(a) * _number(b)),
    "lower": (1, 1, lambda value: text_of(value).lower()),
    "upper": (1, 1, lambda value: text_of(value).upper()),
    "title": (1, 1, lambda value: text_of(value).title()),
    "trim": (1, 1, lambda value: text_of(value).strip()),
    "trimAll": (2, 2, lambda cut, value: text_of(value).strip(text_of(cut))),
    "trimPrefix": (2, 2, lambda cut, value: text_of(value).removeprefix(text_of(cut))),
    "trimSuffix": (2, 2, lambda cut, value: text_of(value).removesuffix(text_of(cut))),
    "trunc": (2, 2, _trunc),
    "replace": (3, 3, lambda old, new, text: text_of(text).replace(text_of(old), text_of(new))),
    "contains": (2, 2, lambda part, text: text_of(part) in text_of(text)),
    "hasPrefix": (2, 2, lambda part, text: text_of(text).startswith(text_of(part))),
    "hasSuffix": (2, 2, lambda part, text: text_of(text).endswith(text_of(part))),
    "splitList": (2, 2, lambda by, text: text_of(text).split(text_of(by))),
    "join": (2, 2, lambda by, items: text_of(by).join(text_of(item) for item in items)),
    "printf": (1, 9, _printf),
    "index": (2, 2, look_up),
    "get": (2, 2, look_up),
    "hasKey": (2, 2, lambda container, key: text_of(key) in container),
    "eq": (2, 2, lambda a, b: a == b),
    "ne": (2, 2, lambda a, b: a != b),
    "not": (1, 1, lambda value: not value),
    "and": (1, 9, _and),
    "or": (1, 9, _or),
    "b64enc": (1, 1, lambda value: base64.b64encode(text_of(value).encode()).decode()),
    "sha256sum": (1, 1, lambda value: hashlib.sha256(text_of(value).encode()).hexdigest()),
}
"""Name → fewest and most arguments, function."""


def call(name: str, arguments: list[Any]) -> Any:
    """Call a function. Errors: `TemplateError`."""
    fewest, most, function = FUNCTIONS[name]
    if not fewest <= len(arguments) <= most:
        raise TemplateError(f"{name} with {len(arguments)} arguments")
    try:
        return function(*arguments)
    except (TypeError, ValueError) as error:
        if isinstance(error, TemplateError):
            raise
        raise TemplateError(f"{name} can do nothing with what it is given") from error
