"""Which fields of which objects are not Fleet's business: the one model of every dialect's words.

| said as | becomes |
|---|---|
| Rancher Fleet `diff.comparePatches` | `pointers`; `op: ignore` is `everything` |
| Argo CD `ignoreDifferences` | `pointers`, `jq`, `managers` |
| Flux `driftDetection.ignore` | `pointers`; the path `""` is `everything` |

An ignored field is neither reported nor overwritten; an object that is made starts with the value
in Git. Rules are part of a bundle deployment's options, so a new rule is staged like any change.

Patterns are regular expressions for the whole name, and few enough things are allowed in them that
no name can keep one busy. What an expression may say is checked by `expressions`.
"""

from __future__ import annotations

import re
from functools import lru_cache

from pydantic import BaseModel, ConfigDict

from clusters.objects import ObjectKey


class IgnoreRule(BaseModel):
    """Fields to leave alone, and the objects that this is about; an empty pattern is any."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    group: str | None = None
    """Pattern of the API group. `""` is the core group, `None` any."""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    pointers: tuple[str, ...] = ()
    """JSON pointers (RFC 6901)."""
    jq: tuple[str, ...] = ()
    """jq path expressions."""
    managers: tuple[str, ...] = ()
    """Field managers: what one of them owns is theirs."""
    everything: bool = False
    """The whole object: made if it is missing at a release, and left alone ever after."""

    def is_about(self, key: ObjectKey) -> bool:
        """Does the rule hold for that object?"""
        return (
            (self.group is None or _matches(self.group, key.group))
            and (not self.kind or _matches(self.kind, key.kind))
            and (not self.namespace or _matches(self.namespace, key.namespace))
            and (not self.name or _matches(self.name, key.name))
        )


MAX_PATTERN = 253
MAX_REPEATS = 3
"""Repetitions in a pattern: each multiplies the time by the length of a name, at most 253."""
_GROUP_REPEATED = re.compile(r"\)[*+?{]")
_SET_OPERATION = re.compile(r"\[\[|--|&&|~~|\|\|")
_REPEAT = re.compile(r"(?<!\\)[*+{]")


def check_pattern(pattern: str) -> None:
    """Errors: `ValueError` saying why the text cannot be used as a pattern."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"is longer than {MAX_PATTERN} characters")
    if _GROUP_REPEATED.search(pattern) or "(?" in pattern or re.search(r"\\[0-9]", pattern):
        raise ValueError("repeats or refers to a group, which can take for ever")
    if len(_REPEAT.findall(pattern)) > MAX_REPEATS:
        raise ValueError(f"repeats more than {MAX_REPEATS} times, which can take for ever")
    if _SET_OPERATION.search(pattern):
        raise ValueError(
            "says [[, --, &&, ~~ or ||, which will mean something else in Python one day"
        )
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"is no regular expression: {error}") from error


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str] | None:
    try:
        check_pattern(pattern)
        return re.compile(pattern)
    except ValueError:
        return None


def _matches(pattern: str, text: str) -> bool:
    """A pattern that the hub would have refused matches nothing."""
    compiled = _compiled(pattern)
    return compiled is not None and compiled.fullmatch(text) is not None
