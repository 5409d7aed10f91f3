"""Expressions that name fields: JSON pointers, and jq path expressions by jq itself.

    pointer_tokens("/spec/rules/0/host")      → ("spec", "rules", "0", "host")
    jq_paths(".spec.rules[].host", document)  → [("spec", "rules", 0, "host"), …]

Promise: whatever the text, an answer comes at once. jq can loop for ever, and nothing can stop it
from outside, so only what cannot loop is let in: paths, `select`, comparisons and a few functions
that look at one value; no definitions, recursion, arithmetic, variables or regular expressions.
This is the one door to the library.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

Tokens = tuple[str | int, ...]

MAX_EXPRESSION = 500
MAX_COMMAS = 10
"""Each can double the work."""
_BAD_ESCAPE = re.compile(r"~(?![01])")


def pointer_tokens(pointer: str) -> tuple[str, ...]:
    """The steps of a JSON pointer; `""` has none and names the whole document.

    Errors: `ValueError` for what RFC 6901 does not allow.
    """
    if not pointer:
        return ()
    if not pointer.startswith("/"):
        raise ValueError("does not begin with /")
    if _BAD_ESCAPE.search(pointer):
        raise ValueError("has a ~ that is neither ~0 nor ~1")
    return tuple(
        step.replace("~1", "/").replace("~0", "~") for step in pointer.removeprefix("/").split("/")
    )


_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*")
    | (?P<number>-?[0-9]{1,9}(?![0-9.eE]))
    | (?P<all>\.\.)
    | (?P<field>\.[A-Za-z_][A-Za-z0-9_]*)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<comma>,)
    | (?P<open>[(\[])
    | (?P<close>[)\]])
    | (?P<sign>==|!=|<=|>=|//|[.|?:;<>])
    )""",
    re.X,
)
_WORDS = frozenset(
    """all and any arrays ascii_downcase ascii_upcase booleans contains endswith false first has
    inside iterables keys last length not null nulls numbers objects or scalars select startswith
    strings tostring true type values""".split()
)
_PAIRS = {")": "(", "]": "["}


def check_jq(expression: str) -> None:
    """Errors: `ValueError` saying why the text cannot be used as a jq path expression."""
    if not expression.strip():
        raise ValueError("is empty")
    if len(expression) > MAX_EXPRESSION:
        raise ValueError(f"is longer than {MAX_EXPRESSION} characters")
    opened: list[str] = []
    commas = everywheres = 0
    for kind, token in _tokens(expression):
        if kind == "word" and token not in _WORDS:
            raise ValueError(f"says {token!r}; only these words are let in: {_listed()}")
        if kind == "open":
            opened.append(token)
        elif kind == "close" and (not opened or opened.pop() != _PAIRS[token]):
            raise ValueError(f"has a {token} that closes nothing")
        commas += kind == "comma"
        everywheres += kind == "all"
    if opened:
        raise ValueError(f"never closes its {opened[-1]}")
    if commas > MAX_COMMAS or everywheres > 1:
        raise ValueError(f"has more than {MAX_COMMAS} commas or more than one `..`: too much work")
    _check_path(expression)


def _listed() -> str:
    return ", ".join(sorted(_WORDS))


def _tokens(expression: str) -> Iterator[tuple[str, str]]:
    at, text = 0, expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"has {text[at:].strip()[:20]!r}, which is not let in")
        yield str(match.lastgroup), match[str(match.lastgroup)]
        at = match.end()


def _check_path(expression: str) -> None:
    import jq  # the rare bundle that needs it pays for it

    try:
        jq.compile(f"[path({expression})]").input_value({}).first()
    except ValueError as error:
        text = str(error)
        # What an empty document does not have is no mistake of the expression.
        if "compile error" in text or "syntax error" in text or "Invalid path" in text:
            first = text.splitlines()[0][:200]
            raise ValueError(f"is no jq path expression: {first}") from error


@lru_cache(maxsize=256)
def _program(expression: str) -> Any:
    import jq

    try:
        check_jq(expression)
    except ValueError:
        return None
    return jq.compile(f"[path({expression})?]")


def jq_paths(expression: str, document: Any) -> list[Tokens]:
    """The places in `document` that the expression names; none for one that cannot be used."""
    program = _program(expression)
    if program is None:
        return []
    try:
        found = program.input_value(document).first()
    except ValueError:
        return []
    return [
        tuple(path) for path in found if all(isinstance(step, str | int) for step in path) and path
    ]
