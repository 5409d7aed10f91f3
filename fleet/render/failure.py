"""Why one render gave nothing: a `Problem` on its way up, and texts of tools made fit to print.

Messages of Kustomize and Helm are shortened in their middle (the cause stands last), lose the path
of the temporary folder, and never show a document or a value whose key looks like a secret's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from fleet.model import Problem, Severity

MAX_TEXT = 700
_OPENING, _CLOSING = re.compile(r"[\[`{]"), re.compile(r"^.*[\]`}]")
_ESCAPED = re.compile(r"(['\"])(?:(?!\1).)*\\n(?:(?!\1).)*\1")
_NO_MATCH = re.compile(r"'(?:[^'\\]|\\.)*' does not match")
_QUOTES = re.compile(
    r"(unknown anchor )'.*?'(?= referenced)|`[^`]*`(?= as a !!)|(invalid map key: ).*"
    r"|(literal sources? ).*(?=, expected key=value)|(node contents:\s*).*",
    re.DOTALL,
)
"""Where Kustomize quotes a value: text that begins with `*` or `!`, a literal, a looked-up node."""
_SECRET_KEY = re.compile(r"pass|secret|token|credential|private|key", re.IGNORECASE)


class RenderFailed(Exception):
    """One request, or one group, cannot be rendered; the others go on."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.what)
        self.problem = problem


def failed(code: str, what: str, *, at: str, fix: str, bundle: str = "") -> RenderFailed:
    """The failure with an error of these words."""
    return RenderFailed(Problem(code, Severity.ERROR, what, at, fix, bundle))


def warning(code: str, what: str, *, at: str, fix: str, bundle: str = "") -> Problem:
    """A problem that is only shown."""
    return Problem(code, Severity.WARNING, what, at, fix, bundle)


def tidy(text: str, folder: str = "", values: Mapping[str, Any] | None = None) -> str:
    """What a tool said, on one line, without `folder` and secret values."""
    text = text.replace(f"{folder.rstrip('/')}/", "") if folder else text
    text = _NO_MATCH.sub("the value does not match", text)
    for secret in sorted(_secrets(values or {}), key=len, reverse=True):
        text = text.replace(secret, "[…]")
    text = " ".join(text.removeprefix("error: ").removeprefix("Error: ").split())
    return text if len(text) <= MAX_TEXT else f"{text[:150]} … {text[150 - MAX_TEXT :]}"


def without_documents(text: str) -> str:
    """What Kustomize said, without the patch or manifest that it quotes: it may be a Secret."""
    text = _QUOTES.sub(_unquoted, _ESCAPED.sub("[…]", text.strip()))
    first, *rest = text.split("\n")
    if not rest:
        return text
    return f"{_OPENING.split(first)[0]}[…]{_CLOSING.sub('', rest[-1])}"


def _unquoted(found: re.Match[str]) -> str:
    """The words before a quoted value stay."""
    return "".join(words for words in found.groups() if words) + "[…]"


def _secrets(values: Any, secret: bool = False) -> Iterator[str]:
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _secrets(value, secret or bool(_SECRET_KEY.search(str(key))))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _secrets(value, secret)
    elif secret and isinstance(values, str) and len(values) > 3:
        yield values
