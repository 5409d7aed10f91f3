"""Equal values give equal bytes, so that a digest names content and nothing else."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

Digest = str
"""`sha256:` and 64 hexadecimal digits."""


def canonical_bytes(value: Any) -> bytes:
    """JSON with sorted keys and no spaces; tuples as lists.

    Errors: `TypeError` for what JSON cannot hold (NaN and infinities become null in orjson, so
    the YAML reader refuses them before they come here).
    """
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def digest_of(value: Any) -> Digest:
    """The digest of `value`'s canonical bytes; of the bytes themselves if `value` is bytes."""
    data = value if isinstance(value, bytes) else canonical_bytes(value)
    return "sha256:" + hashlib.sha256(data).hexdigest()
