"""Copies of JSON values, so that nothing outside ever holds the server's own state."""

from __future__ import annotations

from typing import Any

import orjson


def clone(value: Any) -> Any:
    """An equal value that shares nothing with the first; through orjson, which beats Python."""
    return orjson.loads(orjson.dumps(value))
