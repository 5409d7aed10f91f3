"""Names, label keys and label values: what they may look like, and what is said if they do not.

The words are the real server's, since people search for them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from clusters.simulation.server.rejections import Cause, required, unsupported, wrong

_LABEL = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_SUBDOMAIN = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_QUALIFIED = re.compile(r"^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$")
_LABEL_VALUE = re.compile(r"^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$")
SUBDOMAIN_WORDS = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL_WORDS = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and "
    "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used "
    "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
_QUALIFIED_WORDS = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end "
    "with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for "
    "validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)
_VALUE_WORDS = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or "
    "'.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  "
    "or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


def is_label(name: str) -> bool:
    """Whether a name is an RFC 1123 label, such as a container's."""
    return len(name) <= 63 and bool(_LABEL.match(name))


def is_subdomain(name: str) -> bool:
    """Whether a name is an RFC 1123 subdomain, such as most objects'."""
    return len(name) <= 253 and bool(_SUBDOMAIN.match(name))


def is_qualified(key: str) -> bool:
    """Whether text can be a label's key: a name, or a prefix, a slash and a name."""
    prefix, slash, name = key.rpartition("/")
    if slash and not is_subdomain(prefix):
        return False
    return len(name) <= 63 and bool(_QUALIFIED.match(name))


def qualified_causes(key: str, field: str) -> Iterable[Cause]:
    """What is wrong with a label's key."""
    if not is_qualified(key):
        yield wrong(field, key, _QUALIFIED_WORDS)


def label_causes(labels: dict[str, Any], field: str) -> Iterable[Cause]:
    """What is wrong with a map of labels."""
    for key, value in labels.items():
        yield from qualified_causes(key, field)
        yield from value_causes(value, field)


def value_causes(value: Any, field: str) -> Iterable[Cause]:
    """What is wrong with a label's value."""
    if not isinstance(value, str) or len(value) > 63 or not _LABEL_VALUE.match(value):
        yield wrong(field, value, _VALUE_WORDS)


def selector_causes(selector: dict[str, Any] | None, field: str) -> Iterable[Cause]:
    """What is wrong with a LabelSelector."""
    if not selector:
        return
    yield from label_causes(selector.get("matchLabels") or {}, f"{field}.matchLabels")
    for index, item in enumerate(selector.get("matchExpressions") or ()):
        path, operator = f"{field}.matchExpressions[{index}]", item.get("operator")
        values = item.get("values") or ()
        if operator in ("In", "NotIn"):
            if not values:
                words = "must be specified when `operator` is 'In' or 'NotIn'"
                yield required(f"{path}.values", words)
        elif operator in ("Exists", "DoesNotExist"):
            if values:
                words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                yield Cause(f"{path}.values", "FieldValueForbidden", f"Forbidden: {words}")
        else:
            yield wrong(f"{path}.operator", operator, "not a valid selector operator")
        yield from qualified_causes(item.get("key") or "", f"{path}.key")
        for place, value in enumerate(values):
            yield from value_causes(value, f"{path}.values[{place}]")


def choice_causes(value: Any, field: str, allowed: tuple[str, ...]) -> Iterable[Cause]:
    """What is wrong with a word that must be one of a few; a word that is not set is right."""
    if value is not None and value not in allowed:
        yield unsupported(field, value, allowed)
