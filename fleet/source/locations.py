"""Which paths and URLs may be a source. Refuses what Git would run as a program.

======================== =====================================================
`/path`, `./path`, `~/x`  a repository on this machine, bare or with a work tree
`https://host/path`       a mirror is kept; also `http`, `ssh`, `file`
`git@host:path`           SSH in Git's short form
`ext::…`, `-x`, `ssh://-` refused: a transport helper or an option, not a place
======================== =====================================================

Passwords in URLs reach Git and nothing else: `Location.shown` is what may be printed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from fleet.errors import SourceError

SCHEMES = ("https", "http", "ssh", "file")
_HELPER = re.compile(r"^[A-Za-z0-9][A-Za-z0-9+.-]*::")
_SHORT_SSH = re.compile(r"^(?:[\w.+-]+@)?[\w.][\w.-]*:(?!//)[^:]")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@]+@")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Location:
    """A source's place, checked."""

    url: str = ""
    """What Git is given; empty for a path."""
    path: Path | None = None

    @property
    def shown(self) -> str:
        """What may be printed: credentials left out."""
        return without_credentials(self.url) if self.url else str(self.path)


def check_location(text: str) -> Location:
    """Where `text` says the repository is.

    Errors: `SourceError` for what is neither a path nor a URL of an allowed kind.
    """
    if not text or _CONTROL.search(text) or text.startswith("-"):
        raise _refused(text, "is not a path or a URL")
    if _HELPER.match(text):
        raise _refused(text, "names a Git transport helper, which runs a program")
    scheme, found, _ = text.partition("://")
    if found:
        return _check_url(text, scheme)
    if not Path(text).expanduser().exists() and _SHORT_SSH.match(text):
        _check_parts(text, *text.rpartition("@")[2].split(":", 1))
        return Location(url=text)
    return Location(path=Path(text).expanduser().absolute())


def _check_url(text: str, scheme: str) -> Location:
    if scheme.lower() not in SCHEMES:
        raise _refused(text, f"has the scheme {scheme!r}")
    try:
        parts = urlsplit(text)
        _check_parts(text, parts.hostname or "", parts.path)
    except ValueError as error:
        raise _refused(text, f"is not a URL: {error}") from error
    if scheme.lower() != "file" and not parts.hostname:
        raise _refused(text, "names no host")
    return Location(url=text)


def _check_parts(text: str, host: str, path: str) -> None:
    """Git hands both to ssh: a leading dash would be an option there."""
    if host.startswith("-") or path.startswith("-"):
        raise _refused(text, "has a host or path that starts with a dash")


def without_credentials(text: str) -> str:
    """The text with `user:password@` of every URL in it left out."""
    return _CREDENTIALS.sub("", text)


def _refused(text: str, why: str) -> SourceError:
    shown = without_credentials(_CONTROL.sub("?", text))
    return SourceError(
        f"the source {shown!r} {why}",
        fix=f"give a folder, a URL with {', '.join(SCHEMES[:3])} or git@host:path",
        code="source-refused",
    )
