"""Helm values and variables with their templates filled in for one cluster.

A text without `${` stays as it is. Rancher Fleet fills in the whole values file as text and reads
it again; here each text is filled in by itself, so that no label can break out of its place, and
the result is read again as YAML reads it there: `${ .ClusterLabels.replicas }` may become a number,
`… | quote` stays text, `… | toJson` may become a list, empty becomes null. A text of several lines
stays text.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from clusters.objects import YamlError, read_yaml
from fleet.placement.functions import TemplateError
from fleet.placement.template import Ref, read_template

LABEL_PREFIX = "global.fleet.clusterLabels."
"""Rancher Fleet's older way: a value that is all `global.fleet.clusterLabels.NAME`."""


def value_refs(values: Any) -> frozenset[Ref]:
    """What of the context the templates in `values` look at; those with errors at nothing."""
    found: set[Ref] = set()
    for text in _texts(values):
        if text.startswith(LABEL_PREFIX):
            found.add(("ClusterLabels", text.removeprefix(LABEL_PREFIX)))
        elif "${" in text:
            try:
                found |= read_template(text).refs()
            except TemplateError:
                continue  # filling it in says what is wrong
    return frozenset(found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield key
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def fill_values(values: Any, context: Mapping[str, Any]) -> Any:
    """A copy with every template filled in, keys included. Errors: `TemplateError`."""
    if isinstance(values, str):
        return _fill_value(values, context)
    if isinstance(values, Mapping):
        filled = {
            fill_text(key, context): fill_values(item, context) for key, item in values.items()
        }
        if len(filled) != len(values):
            raise TemplateError("two keys become the same")
        return filled
    if isinstance(values, list):
        return [fill_values(item, context) for item in values]
    return values


def fill_text(text: str, context: Mapping[str, Any]) -> str:
    """A text with its templates filled in; it stays text. Errors: `TemplateError`."""
    return read_template(text).fill(context) if "${" in text else text


def _fill_value(text: str, context: Mapping[str, Any]) -> Any:
    if text.startswith(LABEL_PREFIX):
        return context["ClusterLabels"].get(text.removeprefix(LABEL_PREFIX), "")
    if "${" not in text:
        return text
    filled = fill_text(text, context)
    return filled if "\n" in text or "\n" in filled else _as_yaml(filled)


@lru_cache(maxsize=65_536)
def _as_yaml(text: str) -> Any:
    """What YAML reads where this stands behind `key: `; text that is no single value stays."""
    try:
        value = read_yaml(text)
    except YamlError:
        return text
    if isinstance(value, str) and not text.startswith(("'", '"')):
        return text  # as it is, with what YAML would take for a comment
    if isinstance(value, dict | list) and not text.startswith(("{", "[")):
        return text
    return value
