"""Label selectors as kubectl writes them: `env=production,region!=us,tier in (a,b),!retired`."""

from __future__ import annotations

import re

from fleet.errors import RequestError
from fleet.model import Requirement, Selector

_KEY = r"[A-Za-z0-9][A-Za-z0-9._/-]*"
_VALUE = r"[A-Za-z0-9._-]*"
_EQUAL = re.compile(rf"({_KEY})\s*(==|=|!=)\s*({_VALUE})\Z")
_SET = re.compile(rf"({_KEY})\s+(in|notin)\s+\(([^()]*)\)\Z")
_THERE = re.compile(rf"(!?)\s*({_KEY})\Z")
_TERM = re.compile(r"(?:[^,()]|\([^()]*\))+")


def read_selector(text: str) -> Selector:
    """The selector that the text says; an empty text selects everything.

    Errors: `RequestError` that names the term.
    """
    if not text.strip():
        return Selector()
    terms = [term.strip() for term in _TERM.findall(text)]
    if ",".join(terms).replace(" ", "") != text.replace(" ", ""):
        raise _bad(text)
    return Selector(match_expressions=tuple(_requirement(term) for term in terms))


def _requirement(term: str) -> Requirement:
    if found := _EQUAL.match(term):
        key, operator, value = found.groups()
        return Requirement(key, "NotIn" if operator == "!=" else "In", (value,))
    if found := _SET.match(term):
        key, operator, values = found.groups()
        chosen = tuple(value.strip() for value in values.split(","))
        return Requirement(key, "In" if operator == "in" else "NotIn", chosen)
    if found := _THERE.match(term):
        return Requirement(found[2], "DoesNotExist" if found[1] else "Exists")
    raise _bad(term)


def _bad(term: str) -> RequestError:
    return RequestError(
        f"{term!r} is no label selector",
        fix="write it as for kubectl: env=production,region!=us,tier in (web,db),!retired",
        code="bad-selector",
    )
