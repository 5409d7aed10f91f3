"""Ranges of versions, as `source.track.semver` says them, over the names of Git tags.

::

    >=2 <3      2.0.0 up to but not 3.0.0        >=1.4, !=1.5.2      =2.1.0      2.1.0

Tags are `v2.1.0` or `2.1.0`; what is no version is passed over. A pre-release (`v3.0.0-rc.1`) is in
a range only if the range itself names one. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from packaging.specifiers import SpecifierSet
from packaging.version import InvalidVersion, Version

_SIGN = ">=|<=|!=|==|=|>|<"
_NUMBER = r"v?[0-9]+(?:\.[0-9]+){0,2}(?:-[0-9A-Za-z.-]+)?"
_ONE = rf"(?:(?:{_SIGN})\s*)?{_NUMBER}"
RANGE = re.compile(rf"\s*{_ONE}(?:[\s,]+{_ONE})*[\s,]*")
"""What every range looks like; JSON Schema knows it too."""
_TERM = re.compile(rf"({_SIGN})?\s*({_NUMBER})(?=[\s,]|$)")
_TAG = re.compile(r"v?\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?(?:\+[0-9A-Za-z.-]+)?")


def range_of(text: str) -> SpecifierSet:
    """The versions that a range means. Errors: `ValueError`, which says what a range is like."""
    found = _TERM.findall(text) if RANGE.fullmatch(text) else []
    terms = (f"{_SIGNS.get(sign, sign)}{number.removeprefix('v')}" for sign, number in found)
    try:
        if found:
            return SpecifierSet(",".join(terms))
    except ValueError:
        pass
    raise ValueError(f"{text!r} is no range of versions; write it like '>=2 <3'")


_SIGNS = {"": "==", "=": "=="}


def highest(tags: Iterable[str], said: str) -> str | None:
    """The tag of the highest version in the range; of two tags of one version, the longer name."""
    allowed = range_of(said)
    early = any(Version(term.version).is_prerelease for term in allowed)
    known = [(version, tag) for tag in tags if (version := _version_of(tag)) is not None]
    fits = [pair for pair in known if allowed.contains(pair[0], prereleases=early)]
    return max(fits)[1] if fits else None


def _version_of(tag: str) -> Version | None:
    if not _TAG.fullmatch(tag):
        return None
    try:
        return Version(tag.removeprefix("v"))
    except InvalidVersion:
        return None
