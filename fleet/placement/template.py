"""`${ .ClusterLabels.region | upper }` in values and variables, as Rancher Fleet fills it in.

    text          everything outside `${ … }`
    pipeline      value | function arguments | …        the piped value becomes the last argument
    value         "text", `text`, 12, true, .ClusterName, .ClusterLabels.region, ( pipeline )

The context has `.ClusterName`, `.ClusterNamespace`, `.ClusterLabels`, `.ClusterAnnotations` and
`.ClusterValues`. A key that is not there is an error; `index .ClusterLabels "x"` and `get` give
empty text for it, as a key with `-` needs anyway. What of a cluster a template looks at is known
before it is filled in (`refs`), so that clusters which agree in that are computed once.

Not here: `if`, `range`, `with`, `define`, variables. They are an error that says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from fleet.placement.functions import FUNCTIONS, TemplateError, call, text_of

ROOTS = (
    "ClusterName",
    "ClusterNamespace",
    "ClusterLabels",
    "ClusterAnnotations",
    "ClusterValues",
)
CONTROL = ("if", "else", "end", "range", "with", "define", "template", "block", "break", "continue")
MAX_LENGTH = 65_536
_TOKEN = re.compile(
    r"""\s*(?:
      (?P<text>"(?:[^"\\\n]|\\.)*")
    | (?P<raw>`[^`]*`)
    | (?P<number>-?\d+(?:\.\d+)?(?![\w.]))
    | (?P<field>(?:\.[A-Za-z_]\w*)+)
    | (?P<name>[A-Za-z_]\w*)
    | (?P<mark>[|()])
    | (?P<end>-?\})
    )""",
    re.X,
)
Ref = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Literal:
    """A value that is written out."""

    value: Any


@dataclass(frozen=True, slots=True)
class Lookup:
    """A path into the context."""

    path: Ref


@dataclass(frozen=True, slots=True)
class Call:
    """A function with its arguments."""

    name: str
    arguments: tuple[Node, ...]


Node = Literal | Lookup | Call


@dataclass(frozen=True, slots=True)
class Template:
    """A text that was read: pieces of text and what stands between them."""

    pieces: tuple[str | Node, ...]

    def refs(self) -> frozenset[Ref]:
        """The parts of the context that it looks at, each as a path of one or two names."""
        found: set[Ref] = set()
        for piece in self.pieces:
            if not isinstance(piece, str):
                _collect(piece, found)
        return frozenset(found)

    def fill(self, context: Mapping[str, Any]) -> str:
        """The text for one cluster. Errors: `TemplateError`."""
        return "".join(
            piece if isinstance(piece, str) else text_of(_evaluate(piece, context))
            for piece in self.pieces
        )


def _collect(node: Node, found: set[Ref]) -> None:
    if isinstance(node, Lookup):
        found.add(node.path[:2])
    if isinstance(node, Call):
        rest = node.arguments
        if node.name in ("index", "get", "hasKey") and len(rest) == 2:
            where, key = rest
            key_text = key.value if isinstance(key, Literal) else None
            if isinstance(where, Lookup) and len(where.path) == 1 and isinstance(key_text, str):
                found.add((where.path[0], key_text))
                return
        for argument in rest:
            _collect(argument, found)


def _evaluate(node: Node, context: Mapping[str, Any]) -> Any:
    if isinstance(node, Literal):
        return node.value
    if isinstance(node, Call):
        return call(node.name, [_evaluate(argument, context) for argument in node.arguments])
    found: Any = context
    for index, part in enumerate(node.path):
        if not isinstance(found, Mapping) or part not in found:
            raise TemplateError(f"there is no .{'.'.join(node.path[: index + 1])}")
        found = found[part]
    return found


@lru_cache(maxsize=65_536)
def read_template(text: str) -> Template:
    """Read a text with `${ … }` in it. Errors: `TemplateError`."""
    if len(text) > MAX_LENGTH:
        raise TemplateError(f"a text with ${{ }} is longer than {MAX_LENGTH} characters")
    pieces: list[str | Node] = []
    position = 0
    trim = False
    while (start := text.find("${", position)) >= 0:
        before = text[position:start]
        reader = _Reader(text, start + 2)
        if text.startswith("-", start + 2) and text[start + 3 : start + 4].isspace():
            before = before.rstrip()
            reader.position += 1
        pieces.append(before.lstrip() if trim else before)
        pieces.append(reader.read())
        position, trim = reader.position, reader.trims
    rest = text[position:]
    pieces.append(rest.lstrip() if trim else rest)
    return Template(tuple(piece for piece in pieces if piece != ""))


class _Reader:
    """Reads one `${ … }` from the first character after `${`."""

    def __init__(self, text: str, position: int) -> None:
        self.text = text
        self.position = position
        self.start = position
        self.trims = False
        self.depth = 0

    def read(self) -> Node:
        node, end = self._pipeline()
        if end == ")":
            raise self._wrong("`)` without `(`")
        self.trims = end.startswith("-")
        return node

    def _next(self) -> tuple[str, str]:
        match = _TOKEN.match(self.text, self.position)
        if match is None:
            raise self._wrong("it cannot be read")
        self.position = match.end()
        kind = match.lastgroup or ""
        return kind, match[kind]

    def _pipeline(self) -> tuple[Node, str]:
        """A pipeline and what ended it: `)`, `}` or `-}`."""
        self.depth += 1
        if self.depth > 50:
            raise self._wrong("nested too deeply")
        piped: Node | None = None
        while True:
            words, end = self._words()
            piped = self._command(words, piped)
            if end != "|":
                self.depth -= 1
                return piped, end

    def _words(self) -> tuple[list[Node | str], str]:
        """The operands up to `|`, `)` or the end; the name of a function as text."""
        words: list[Node | str] = []
        while True:
            kind, token = self._next()
            if kind == "end" or (kind == "mark" and token != "("):
                return words, token
            if kind == "mark":
                node, end = self._pipeline()
                if end != ")":
                    raise self._wrong("`(` without `)`")
                words.append(node)
            else:
                words.append(self._operand(kind, token))

    def _operand(self, kind: str, token: str) -> Node | str:
        if kind == "text":
            try:
                return Literal(json.loads(token))
            except ValueError as error:
                raise self._wrong(f"{token[:40]} is no text in quotes") from error
        if kind == "raw":
            return Literal(token[1:-1])
        if kind == "number":
            return Literal(float(token) if "." in token else int(token[:40]))
        if kind == "field":
            return self._lookup(token)
        if token in ("true", "false"):
            return Literal(token == "true")
        return Literal(None) if token == "nil" else token

    def _lookup(self, token: str) -> Node:
        path = tuple(token[1:].split("."))
        if path[0] not in ROOTS:
            raise self._wrong(f"there is no .{path[0]}; there are .{', .'.join(ROOTS)}")
        return Lookup(path)

    def _command(self, words: list[Node | str], piped: Node | None) -> Node:
        if not words:
            raise self._wrong("a value is missing")
        first, *rest = words
        for word in words:
            if isinstance(word, str):
                self._check_name(word)
        if not isinstance(first, str):
            if rest or piped is not None:
                raise self._wrong("a value in the place of a function")
            return first
        # A function that stands as an argument is called without any, as in Go.
        arguments = [Call(word, ()) if isinstance(word, str) else word for word in rest]
        return Call(first, (*arguments, *((piped,) if piped is not None else ())))

    def _check_name(self, name: str) -> None:
        if name in CONTROL:
            raise self._wrong(f"`{name}` is not supported; use default, ternary or a customization")
        if name not in FUNCTIONS:
            raise self._wrong(f"there is no function {name!r}")

    def _wrong(self, why: str) -> TemplateError:
        said = self.text[self.start - 2 : self.start + 58].split("\n")[0]
        return TemplateError(f"{why}, in {said!r}")
