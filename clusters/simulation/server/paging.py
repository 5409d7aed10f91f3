"""Lists page by page: where the next page starts is in the token itself, nothing is kept.

A page shows the objects as they are when it is asked for; a real server shows them as of the
first page for some minutes.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable

import orjson

from clusters.objects import Object
from clusters.simulation.server.rejections import BadRequestError

Place = tuple[str, str]


def page(
    rows: Iterable[tuple[Place, Object]],
    matches: Callable[[Object], bool],
    limit: int,
    token: str,
) -> tuple[list[Object], str]:
    """Up to `limit` (0: all) matching objects after `token`, and the token of the next page.

    `rows` are in order of place. Errors: `BadRequestError` for a token that is none of ours.
    """
    start = _read_token(token)
    items: list[Object] = []
    last = start
    for place, obj in rows:
        if place <= start or not matches(obj):
            continue
        if limit and len(items) == limit:
            return items, base64.urlsafe_b64encode(orjson.dumps(last)).decode()
        items.append(obj)
        last = place
    return items, ""


def _read_token(token: str) -> Place:
    if not token:
        return ("", "")
    try:
        namespace, name = orjson.loads(base64.urlsafe_b64decode(token.encode()))
    except (binascii.Error, ValueError, TypeError) as error:
        raise BadRequestError("continue key is not valid") from error
    return (str(namespace), str(name))
