"""How the processes log: one line for each fact on stderr, as text or as JSON, without secrets.

A log call names a fact, its parts are `extra`: `log.info("bundle", extra={"bundle": "web"})`.

    text   2030-01-01T00:00:00.000Z INFO agents.holdings bundle bundle=web sync=Synced
    json   {"at": "2030-…Z", "level": "info", "logger": "agents.holdings", "event": "bundle",
            "bundle": "web", "sync": "Synced"}

A line never holds a line break, whatever a message from a cluster brings; nor a secret that was
named to `begin_logs`, nor the value of an Authorization header; nor what an error that nobody
foresaw says, since it may quote what it stumbled over: of such a one it says what and where.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

FORMS = ("text", "json")
REDACTED = "(redacted)"
SHORTEST_SECRET = 6
"""Shorter ones would take common words out of every line."""
_OWN = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    *("message", "asctime"),
    "color_message",  # uvicorn's: the message once more, for a terminal with colours
}
_QUOTE_NO_VALUE = frozenset({"agents", "clusters", "fleet", "sqlite3"})
"""Packages whose errors say what went wrong and not with which value; so do those of the system."""
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]+")
_BARE = re.compile(r"[^\s\"=]+\Z")


def begin_logs(
    form: str, level: str, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Log to `stream` (stderr) from now on, in place of what was set up before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(LineFormatter(form, secrets))
    root = logging.getLogger()
    for former in root.handlers[:]:
        root.removeHandler(former)
    root.addHandler(handler)
    root.setLevel(level.upper())


class LineFormatter(logging.Formatter):
    """A record as one line."""

    def __init__(self, form: str, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._form = form
        self._secrets = sorted({s for s in secrets if len(s) >= SHORTEST_SECRET}, key=len)[::-1]

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its line break."""
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        parts: dict[str, Any] = {
            key: self._clean(value) for key, value in vars(record).items() if key not in _OWN
        }
        if record.exc_info and record.exc_info[1]:
            parts["error"] = self._clean("\n".join(_traced(record.exc_info[1])))
        event = self._clean(record.getMessage())
        head = (at.replace("+00:00", "Z"), record.levelname, record.name, event)
        return _json(head, parts) if self._form == "json" else _text(head, parts)

    def _clean(self, value: Any) -> Any:
        """Numbers and truths as they are, anything else as text without secrets."""
        if value is None or isinstance(value, bool | int | float):
            return value
        text = str(value)
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return _BEARER.sub(rf"\1 {REDACTED}", text)


def _traced(error: BaseException) -> Iterator[str]:
    """What came of what, and where; the texts only of errors that quote no value."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if before is not None:
        yield from _traced(before)
        yield "and then"
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"  {frame.filename}:{frame.lineno} in {frame.name}"
    kind = type(error)
    harmless = kind.__module__.partition(".")[0] in _QUOTE_NO_VALUE or isinstance(error, OSError)
    said = str(error) if harmless else "its text is left out, since it may quote a value"
    yield f"{kind.__qualname__}: {said}"


Head = tuple[str, str, str, str]


def _json(head: Head, parts: dict[str, Any]) -> str:
    at, level, logger, event = head
    said = {"at": at, "level": level.lower(), "logger": logger, "event": event}
    return orjson.dumps({**parts, **said}).decode()


def _text(head: Head, parts: dict[str, Any]) -> str:
    at, level, logger, event = head
    words = [at, level, logger, _one_line(event)]
    return " ".join([*words, *(f"{key}={_shown(value)}" for key, value in parts.items())])


def _shown(value: Any) -> str:
    text = str(value)
    return text if _BARE.match(text) else '"' + _one_line(text).replace('"', '\\"') + '"'


def _one_line(text: str) -> str:
    """Line breaks and other control characters as escapes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
