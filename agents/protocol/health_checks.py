"""User-declared rules of health: CEL expressions for one kind, in Flux's words.

| field | says |
|---|---|
| `inProgress` | it is on its way |
| `failed` | it does not work, and will not by waiting |
| `current` | it works |

They are asked in this order, and the first that holds decides. An expression sees the object's own
fields (`metadata`, `spec`, `status`, `data` …) and the whole object as `self`.

Promise: whatever the text, an answer comes soon and with little memory. The library bounds the
length of loops (10,000 rounds), the depth of nesting, and regular expressions (RE2). What could
still grow without end is values made of values, so only fields of the object and constants may go
into a list, and nothing that maps. This is the one door to the library, which is loaded when the
first expression is; `compile_check` is what the hub refuses by and what the agent runs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from pydantic import BaseModel, ConfigDict

from clusters.objects import Kind, Object, split_api_version

MAX_EXPRESSION = 1000
"""Characters of one expression."""
VARIABLES = (
    "apiVersion", "data", "immutable", "kind", "metadata", "self", "spec", "status",
)  # fmt: skip
_EMPTY_IF_MISSING = ("metadata", "spec", "status")
_GROWING = frozenset({"map", "optMap", "optFlatMap"})


class HealthCheck(BaseModel):
    """The rule for one kind."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    api_version: str
    kind: str
    current: str
    in_progress: str = ""
    failed: str = ""

    @property
    def judges(self) -> Kind:
        """The kind that it is about, in any version."""
        return Kind(split_api_version(self.api_version)[0], self.kind)


class ExpressionError(ValueError):
    """An expression that cannot be used, or that has no answer for an object."""


def check_expression(text: str) -> None:
    """Errors: `ExpressionError` saying why the text is no rule of health."""
    _program(text)


def holds(text: str, obj: Object) -> bool:
    """Is the expression true of the object? Errors: `ExpressionError`, such as a missing field."""
    program = _program(text)
    fields: dict[str, Any] = {name: obj[name] for name in VARIABLES if name in obj}
    fields |= {name: {} for name in _EMPTY_IF_MISSING if fields.get(name) is None}
    try:
        found = program.eval(data={**fields, "self": obj}).value()
    except Exception as error:  # the library knows only RuntimeError; a number may be too large
        raise ExpressionError(_first_line(error)) from error
    if isinstance(found, bool):
        return found
    raise ExpressionError(_first_line(found))


@lru_cache(maxsize=256)
def _compiled(text: str) -> Any:
    """The program, or why there is none: failures are remembered like programs."""
    try:
        _check_bounds(text)
        program = _environment().compile(text)
    except ExpressionError as error:
        return str(error)
    except Exception as error:
        return f"is no CEL expression: {_first_line(error)}"
    returns = program.return_type().name()
    return program if returns in ("BOOL", "DYN") else f"answers {returns}, not true or false"


def _program(text: str) -> Any:
    found = _compiled(text)
    if isinstance(found, str):
        raise ExpressionError(found)
    return found


@cache
def _environment() -> Any:
    from cel_expr_python import cel
    from cel_expr_python.ext import ext_optional

    variables = dict.fromkeys(VARIABLES, cel.Type.DYN)
    return cel.NewEnv(variables=variables, extensions=[ext_optional.ExtOptional()])


def _first_line(error: object) -> str:
    text = str(error).removeprefix("INVALID_ARGUMENT: ").removeprefix("ERROR: <input>:")
    return text.strip().splitlines()[0][:200] if text.strip() else "no answer"


_TOKEN = re.compile(
    r"""(?P<skip>\s+|//[^\n]*)
    | (?P<constant>
        [bB]?[rR][bB]?(?:'''.*?'''|\"\"\".*?\"\"\"|'[^'\n]*'|"[^"\n]*")
      | [bB]?(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\")
      | [bB]?(?:'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*")
      | [0-9][0-9a-zA-Z.]*
      | (?:true|false|null)\b)
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>.)""",
    re.X | re.S,
)


def _check_bounds(text: str) -> None:
    """Errors: `ExpressionError` for what the library would not keep within bounds."""
    if not text.strip():
        raise ExpressionError("is empty")
    if len(text) > MAX_EXPRESSION:
        raise ExpressionError(f"is longer than {MAX_EXPRESSION} characters")
    opened: list[str] = []
    before = ""
    for kind, token in _tokens(text):
        if kind == "word" and token in _GROWING:
            raise ExpressionError(f"says {token}, which could grow without end: use filter, exists")
        if opened and opened[-1] == "list" and kind == "word":
            raise ExpressionError("makes a list of something else than constants")
        if before == "{" and token != "}":
            raise ExpressionError("makes a map or a message")
        if token == "[":
            opened.append("index" if before == "operand" else "list")
        elif token == "]" and opened:
            opened.pop()
        operand = kind in ("constant", "word") and token != "in"
        before = "operand" if operand or token in ")]}" else token


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "skip":
            yield str(match.lastgroup), match.group()
