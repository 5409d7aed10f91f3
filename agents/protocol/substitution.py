"""`${NAME}` and `${NAME:=default}` with the variables of one cluster.

Replaces declared names only; every other byte stays, since published manifests are full of shell
`${X}`. `$${NAME}` stands for a literal `${NAME}` of a declared name. Values are put in as text into
text that was already parsed, so no value can change the structure; a replaced value is not
looked at again. Keys are never touched.

    substitute({"a": "${region}-${HOME}"}, {"region": "eu"})  →  {"a": "eu-${HOME}"}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_REFERENCE = re.compile(r"(\$?)\$\{([A-Za-z_][A-Za-z0-9_]*)(?::=([^{}]*))?\}")


def substitute(value: Any, variables: Mapping[str, str]) -> Any:
    """A copy of `value` (object, list or text) with declared names replaced.

    A name is declared if it is a key of `variables`. With no variables the value itself comes
    back. A field that is one whole reference stays text, as in Flux after quoting.
    """
    if not variables:
        return value
    return _walk(value, variables)


def _walk(value: Any, variables: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda m: _replace(m, variables), value) if "${" in value else value
    if isinstance(value, dict):
        return {key: _walk(item, variables) for key, item in value.items()}
    if isinstance(value, list):
        return [_walk(item, variables) for item in value]
    return value


def _replace(match: re.Match[str], variables: Mapping[str, str]) -> str:
    escaped, name, default = match.groups()
    if name not in variables:
        return match.group(0)
    if escaped:
        return match.group(0)[1:]
    return variables[name] or default or ""
