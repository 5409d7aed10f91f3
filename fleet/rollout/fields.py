"""The kinds of values that rollout documents are written with: durations, amounts, names, zones.

Each is an annotated type that reads strictly (`fleet.rollout.numbers`) and tells its JSON Schema,
so that model and schema refuse the same texts. Where a schema cannot say all (a year at most, a
zone that exists) the model is the stricter one.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, PlainValidator
from pydantic.alias_generators import to_camel

from fleet.durations import read_duration, say_duration
from fleet.rollout.gate_kinds import P90
from fleet.rollout.numbers import Amount, read_amount
from fleet.rollout.opening_hours import is_cron
from fleet.versions import RANGE, range_of

BRANCH = re.compile(r"[A-Za-z0-9_](\.?[A-Za-z0-9_/+-])*")
COMMIT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?", re.ASCII)
CRON = re.compile(r"[0-9A-Za-z*/,#?LW-]+( [0-9A-Za-z*/,#?LW-]+){4}", re.ASCII)
URL = re.compile(r"https?://[^\s/?#]+[^\s]*", re.ASCII)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
KEPT_AT_MOST = 3660 * 86400.0
"""Seconds that decisions may be kept."""

_PERCENT_ABOVE_0 = r"^(?!0+(\.0+)?%$)(\d{1,2}(\.\d{1,6})?|100(\.0{1,6})?)%$"
_PERCENT = r"^(\d{1,2}(\.\d{1,6})?|100(\.0{1,6})?)%$"
_DURATION = r"^(?=.*[1-9])(\d+(\.\d+)?(ms|s|m|h|d))+$"

DurationText = Annotated[str, Field(pattern=_DURATION, max_length=64)]
CountOrPercent = Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=_PERCENT_ABOVE_0)]
CountOrPercentOr0 = Annotated[int, Field(ge=0)] | Annotated[str, Field(pattern=_PERCENT)]


class Part(BaseModel):
    """Strict, frozen, closed; camelCase in YAML."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, validate_by_name=False
    )


def _share_or_none(value: object) -> Amount:
    return read_amount(value, zero=True)


def _long_time(value: object) -> float:
    return read_duration(value, KEPT_AT_MOST)


def _matching(pattern: re.Pattern[str], what: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise ValueError(f"{value!r} is no {what}")
        return value

    return read


def _versions(value: object) -> str:
    text = _matching(RANGE, "range of versions; write it like '>=2 <3'")(value)
    range_of(text)
    return text


LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _url(value: object) -> str:
    text = _matching(URL, "URL that begins with https:// or http://")(value)
    parts = urlsplit(text)
    try:
        port = parts.port
    except ValueError:
        raise ValueError("the URL has no port that could be") from None
    if not parts.hostname or port == 0 or parts.fragment:
        raise ValueError("the URL names no machine, port 0, or a fragment")
    if parts.username is not None or parts.password is not None:
        raise ValueError("the URL holds credentials: they do not belong in Git")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("plain http:// goes to this machine only: write https://")
    return text


def _cron(value: object) -> str:
    text = _matching(CRON, "cron expression of five fields, like 0 9 * * MON-THU")(value)
    if not is_cron(text):
        raise ValueError(f"{text!r} never comes: write a cron expression like 0 9 * * MON-THU")
    return text


def _zone(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{value!r} is no time zone: write one like Europe/Berlin")
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{value!r} is no time zone that is known: write Europe/Berlin") from None
    return value


def _day(value: object) -> date:
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise ValueError(f"{value!r} is no day: write it like 2026-12-20")
    return date.fromisoformat(value)


def _remaining(value: object) -> float | Literal["P90"]:
    return "P90" if value == P90 else read_duration(value)


def _say_amount(value: Amount) -> int | str:
    return value.count if value.percent is None else str(value)


def _say_remaining(value: float | str) -> str:
    return value if isinstance(value, str) else say_duration(value)


def _pattern(pattern: re.Pattern[str]) -> Any:
    return Annotated[str, Field(pattern=f"^{pattern.pattern}$")]


_AS_TEXT = PlainSerializer(say_duration, return_type=str)
_AS_WRITTEN = PlainSerializer(_say_amount, return_type=int | str)

Seconds = Annotated[
    float, PlainValidator(read_duration, json_schema_input_type=DurationText), _AS_TEXT
]
LongSeconds = Annotated[
    float, PlainValidator(_long_time, json_schema_input_type=DurationText), _AS_TEXT
]
Share = Annotated[
    Amount, PlainValidator(read_amount, json_schema_input_type=CountOrPercent), _AS_WRITTEN
]
"""A number or percentage of clusters above 0."""
ShareOrNone = Annotated[
    Amount, PlainValidator(_share_or_none, json_schema_input_type=CountOrPercentOr0), _AS_WRITTEN
]
Name = Annotated[
    str,
    PlainValidator(
        _matching(NAME, "name: lower-case letters, digits, '-' and '.'"),
        json_schema_input_type=_pattern(NAME),
    ),
]
Cron = Annotated[
    str,
    PlainValidator(
        _cron,
        json_schema_input_type=_pattern(CRON),
    ),
]
Url = Annotated[
    str,
    PlainValidator(
        _url,
        json_schema_input_type=_pattern(URL),
    ),
]
Branch = Annotated[
    str,
    PlainValidator(
        _matching(BRANCH, "name of a branch"),
        json_schema_input_type=_pattern(BRANCH),
    ),
]
CommitId = Annotated[
    str,
    PlainValidator(
        _matching(COMMIT_ID, "full commit id: 40 hexadecimal digits"),
        json_schema_input_type=_pattern(COMMIT_ID),
    ),
]
VersionRange = Annotated[
    str,
    PlainValidator(
        _versions,
        json_schema_input_type=_pattern(RANGE),
    ),
]
Zone = Annotated[
    str, PlainValidator(_zone, json_schema_input_type=Annotated[str, Field(min_length=1)])
]
Day = Annotated[date, PlainValidator(_day, json_schema_input_type=_pattern(_DAY))]
Remaining = Annotated[
    float | Literal["P90"],
    PlainValidator(_remaining, json_schema_input_type=Literal["P90"] | DurationText),
    PlainSerializer(_say_remaining, return_type=str),
]
Text = Annotated[str, Field(min_length=1)]
Count = Annotated[int, Field(ge=1)]


def short_for(key: str, short: Any) -> BeforeValidator:
    """A mapping that may also be written as the bare value of its field `key`.

    `short` is the type of that bare value, for the JSON Schema.
    """

    def expand(value: object) -> object:
        return value if isinstance(value, dict | BaseModel) else {key: value}

    return BeforeValidator(expand, json_schema_input_type=short)
