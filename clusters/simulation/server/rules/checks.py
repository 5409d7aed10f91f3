"""Checks that several kinds ask for: numbers, ports, percentages, addresses, names.

Each gives causes with the real server's fields, reasons and words.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from typing import Any

from clusters.simulation.server.names import (
    LABEL_WORDS,
    SUBDOMAIN_WORDS,
    is_label,
    is_subdomain,
)
from clusters.simulation.server.rejections import Cause, unsupported, wrong

_PERCENT = re.compile(r"^[0-9]+%$")
_PORT_NAME = re.compile(r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$")
_PERCENT_WORDS = (
    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or "
    "'93%', regex used for validation is '[0-9]+%')"
)
PROTOCOLS = ("SCTP", "TCP", "UDP")


def negative_causes(obj: dict[str, Any], path: str, *names: str) -> Iterable[Cause]:
    """Of the fields `names`, those that are numbers below zero."""
    for name in names:
        value = obj.get(name)
        if isinstance(value, int) and value < 0:
            yield wrong(f"{path}.{name}", value, "must be greater than or equal to 0")


def choice_or_empty(value: Any, field: str, allowed: tuple[str, ...]) -> Iterable[Cause]:
    """A word that must be one of a few, and may not be empty either; absent is right."""
    if value is not None and value not in allowed:
        yield unsupported(field, value, allowed)


def port_causes(value: Any, field: str) -> Iterable[Cause]:
    """A port's number."""
    if isinstance(value, int) and not 1 <= value <= 65535:
        yield wrong(field, value, "must be between 1 and 65535, inclusive")


def port_or_name_causes(value: Any, field: str) -> Iterable[Cause]:
    """A port by number or by its name."""
    if isinstance(value, int):
        yield from port_causes(value, field)
    else:
        yield from port_name_causes(str(value or ""), field)


def port_name_causes(name: str, field: str) -> Iterable[Cause]:
    """The name of a port: a label of at most 15 characters with a letter in it."""
    if len(name) > 15:
        yield wrong(field, name, "must be no more than 15 characters")
    elif not _PORT_NAME.match(name) or "--" in name or not any(c.isalpha() for c in name):
        words = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"
        yield wrong(field, name, words)


def amount_causes(value: Any, field: str, *, capped: bool = False) -> Iterable[Cause]:
    """A count, or a percentage; `capped` says that more than 100% is too much."""
    if isinstance(value, int):
        if value < 0:
            yield wrong(field, value, "must be greater than or equal to 0")
    elif isinstance(value, str):
        if not _PERCENT.match(value):
            yield wrong(field, value, _PERCENT_WORDS)
        elif capped and int(value[:-1]) > 100:
            yield wrong(field, value, "must not be greater than 100%")


def is_nothing(value: Any) -> bool:
    """Whether a count or percentage is zero; one that cannot be read counts as that too."""
    if isinstance(value, str):
        return not (_PERCENT.match(value) and int(value[:-1]))
    return not value


def address_causes(value: Any, field: str) -> Iterable[Cause]:
    """An IP address."""
    try:
        ipaddress.ip_address(str(value))
    except ValueError:
        words = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
        yield wrong(field, value, words)


def network_causes(value: Any, field: str) -> Iterable[Cause]:
    """A range of addresses."""
    try:
        if "/" not in str(value):
            raise ValueError
        ipaddress.ip_network(str(value), strict=False)
    except ValueError:
        words = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"
        yield wrong(field, value, words)


def label_name_causes(name: str, field: str) -> Iterable[Cause]:
    """A name that must be an RFC 1123 label."""
    if not is_label(name):
        yield wrong(field, name, LABEL_WORDS)


def subdomain_causes(name: str, field: str) -> Iterable[Cause]:
    """A name that must be an RFC 1123 subdomain."""
    if not is_subdomain(name):
        yield wrong(field, name, SUBDOMAIN_WORDS)
