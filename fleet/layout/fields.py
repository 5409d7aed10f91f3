"""Reading one mapping of a YAML file field by field, so that nothing in it is silently dropped.

::

    fields = Fields(document, page)
    name = fields.text("name")          wrong type → error with file and line, and a default
    fields.done(unsupported={…})        every field that was never asked for becomes a warning

Never raises for what is wrong in a file; `page.broken` says afterwards that something was.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, TypeVar

from clusters.objects import canonical_bytes
from clusters.objects.lines import FieldPath
from fleet.layout.findings import Page
from fleet.model import Requirement, Selector

OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")

Word = TypeVar("Word", bound=StrEnum)


class Fields:
    """One mapping. Whatever is asked for counts as known."""

    def __init__(self, value: Mapping[str, Any], page: Page, path: FieldPath = ()) -> None:
        self.value = value
        self.page = page
        self.path = path
        self._known: set[str] = set()

    def __contains__(self, key: str) -> bool:
        return key in self.value

    def ask(self, key: str) -> Any:
        """The raw value; it counts as known from now on."""
        self._known.add(key)
        return self.value.get(key)

    def text(self, key: str) -> str:
        """Text, empty if it is not there."""
        found = self.ask(key)
        if found is None or isinstance(found, str):
            return found or ""
        self.wrong(key, "text", found)
        return ""

    def word(self, key: str, words: type[Word]) -> Word | None:
        """One of the words, `None` if it is not there or another one."""
        found = self.text(key)
        if found in {item.value for item in words}:
            return words(found)
        if found:
            known = [item.value for item in words]
            self.page.error(
                "bad-field",
                f"{key} {found!r} is none that Fleet knows",
                (*self.path, key),
                f"say {', '.join(sorted(known)[:-1])} or {sorted(known)[-1]}",
            )
        return None

    def flag(self, key: str, default: bool = False) -> bool:
        """true or false."""
        found = self.ask(key)
        if found is None or isinstance(found, bool):
            return default if found is None else found
        self.wrong(key, "true or false", found)
        return default

    def count(self, key: str) -> int:
        """A whole number that is not negative; 0 if it is not there."""
        found = self.ask(key)
        if found is None:
            return 0
        if isinstance(found, int) and not isinstance(found, bool) and 0 <= found < 2**31:
            return found
        self.wrong(key, "a whole number from 0 to 2147483647", found)
        return 0

    def mapping(self, key: str) -> dict[str, Any]:
        """A mapping as it is, empty if it is not there."""
        found = self.ask(key)
        if found is not None and not isinstance(found, dict):
            self.wrong(key, "a mapping", found)
            return {}
        try:
            canonical_bytes(found)
        except TypeError as error:
            what = f"{shown((*self.path, key))} holds what JSON cannot: {error}"
            self.page.error("bad-field", what, (*self.path, key), "put large numbers in quotes")
            return {}
        return found or {}

    def text_map(self, key: str) -> dict[str, str]:
        """A mapping of text to text, such as labels."""
        found = self.mapping(key)
        for name, item in found.items():
            if not isinstance(item, str):
                self.wrong(key, "text", item, name)
        return {name: item for name, item in found.items() if isinstance(item, str)}

    def items(self, key: str) -> list[Any]:
        """A list as it is, empty if it is not there."""
        found = self.ask(key)
        if found is None or isinstance(found, list):
            return found or []
        self.wrong(key, "a list", found)
        return []

    def texts(self, key: str) -> tuple[str, ...]:
        """A list of texts."""
        found = self.items(key)
        for index, item in enumerate(found):
            if not isinstance(item, str):
                self.wrong(key, "text", item, index)
        return tuple(item for item in found if isinstance(item, str))

    def part(self, key: str) -> Fields | None:
        """A mapping to be read field by field, `None` if it is not there."""
        found = self.ask(key)
        if found is None:
            return None
        if isinstance(found, dict):
            return Fields(found, self.page, (*self.path, key))
        self.wrong(key, "a mapping", found)
        return None

    def parts(self, key: str) -> list[Fields]:
        """A list of mappings to be read field by field."""
        found = self.items(key)
        for index, item in enumerate(found):
            if not isinstance(item, dict):
                self.wrong(key, "a mapping", item, index)
        return [
            Fields(item, self.page, (*self.path, key, index))
            for index, item in enumerate(found)
            if isinstance(item, dict)
        ]

    def selector(self, key: str) -> Selector | None:
        """A label selector in Kubernetes' words, `None` if it is not there."""
        part = self.part(key)
        if part is None:
            return None
        labels = part.text_map("matchLabels")
        terms = tuple(_requirement(term) for term in part.parts("matchExpressions"))
        part.done()
        return Selector(tuple(sorted(labels.items())), tuple(t for t in terms if t is not None))

    def wrong(self, key: str, wanted: str, found: Any, below: str | int | None = None) -> None:
        """Note that a field has the wrong type; never prints a mapping or list."""
        path = (*self.path, key) if below is None else (*self.path, key, below)
        said = f"a {type(found).__name__}" if isinstance(found, dict | list) else repr(found)[:60]
        fix = f"give {wanted}"
        if wanted == "text" and isinstance(found, bool | int | float):
            fix = f'put it in quotes: "{str(found).lower()}"'
        self.page.error("bad-field", f"{shown(path)} is {said}, not {wanted}", path, fix)

    def done(self, unsupported: Mapping[str, str] | None = None) -> None:
        """Warn of every field that was never asked for."""
        for key in self.value:
            if key in self._known:
                continue
            path = (*self.path, key)
            reason = (unsupported or {}).get(key)
            if reason:
                self.page.warning(
                    "unsupported-field", f"{shown(path)} is not honoured", path, reason
                )
                continue
            close = difflib.get_close_matches(key, sorted(self._known), 1)
            hint = f"did you mean {close[0]!r}?" if close else "remove it"
            self.page.warning("unknown-field", f"{shown(path)} is no field here", path, hint)


def _requirement(term: Fields) -> Requirement | None:
    key, operator, values = term.text("key"), term.text("operator"), term.texts("values")
    term.done()
    if not key or operator not in OPERATORS:
        term.page.error(
            "bad-field",
            f"{shown(term.path)} is no selector term: key {key!r}, operator {operator!r}",
            term.path,
            f"give it a key and one of the operators {', '.join(OPERATORS)}",
        )
        return None
    if bool(values) is not (operator in ("In", "NotIn")):
        term.page.error(
            "bad-field",
            f"{shown(term.path)}: operator {operator} with {len(values)} values",
            term.path,
            "In and NotIn need values; Exists and DoesNotExist have none",
        )
        return None
    return Requirement(key, operator, values)


def shown(path: FieldPath) -> str:
    """`targetCustomizations[0].helm.chart`."""
    out = ""
    for part in path:
        out += f"[{part}]" if isinstance(part, int) else f".{part}" if out else part
    return out
