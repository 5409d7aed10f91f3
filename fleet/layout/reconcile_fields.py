"""What a fleet.yaml says of waiting, trying again and being healthy: `timeout`, `retry`,
`healthCheckExprs`, and the `acceptedStates` of an entry of `dependsOn`.

The words are Flux's, Argo CD's, Flux's and Rancher Fleet's. A value that cannot be used is an error
with file and line, so that the bundle is held instead of waiting in a way that nobody meant.
"""

from __future__ import annotations

from typing import Any

from agents.protocol import ExpressionError, HealthCheck, Readiness, Retry, check_expression
from fleet.durations import read_duration
from fleet.layout.fields import Fields, shown

_HEALTH_CHECK = (("current", "current"), ("inProgress", "in_progress"), ("failed", "failed"))
MOST_RETRIES = 1000
MOST_FACTOR = 100.0


def read_reconciling(fields: Fields, options: dict[str, Any]) -> None:
    """Write timeout_seconds, retry and health_checks to `options`, as far as they are said."""
    seconds = _seconds(fields, "timeout")
    if seconds is not None:
        options["timeout_seconds"] = max(1, round(seconds))
    if "retry" in fields:
        options["retry"] = _retry(fields)
    if "healthCheckExprs" in fields:
        options["health_checks"] = _health_checks(fields)


def read_accepted_states(fields: Fields) -> tuple[Readiness, ...]:
    """The states that an entry of `dependsOn` accepts; empty if it does not say."""
    known = {item.value: item for item in Readiness}
    found = fields.texts("acceptedStates")
    for index, word in enumerate(found):
        if word not in known:
            _refuse(fields, f"{word[:40]!r} is no state of a bundle", f"say {', '.join(known)}",
                    "acceptedStates", index)  # fmt: skip
    return tuple(item for item in Readiness if item.value in found)


def _retry(fields: Fields) -> Retry:
    part = fields.part("retry")
    if part is None:
        return Retry()
    limit = part.ask("limit")
    whole = isinstance(limit, int) and not isinstance(limit, bool) and -1 <= limit <= MOST_RETRIES
    if limit is not None and not whole:
        _refuse(part, f"limit {limit!r:.60} is no number of attempts",
                f"give a number from 0 to {MOST_RETRIES}, or -1 for no end", "limit")  # fmt: skip
    backoff = part.part("backoff") or Fields({}, part.page, (*part.path, "backoff"))
    found = Retry(
        limit=limit if whole and limit >= 0 else None,
        duration_seconds=_seconds(backoff, "duration"),
        factor=_factor(backoff),
        max_duration_seconds=_seconds(backoff, "maxDuration"),
    )
    backoff.done()
    part.done({"refresh": "Fleet applies what the hub releases, never a newer commit by itself"})
    return found


def _factor(fields: Fields) -> float | None:
    found = fields.ask("factor")
    if found is None:
        return None
    number = isinstance(found, int | float) and not isinstance(found, bool)
    if number and 1 <= found <= MOST_FACTOR:
        return float(found)
    _refuse(fields, f"factor {found!r:.60} is none that a wait can grow by",
            f"give a number from 1 to {MOST_FACTOR:g}", "factor")  # fmt: skip
    return None


def _seconds(fields: Fields, key: str) -> float | None:
    found = fields.ask(key)
    if found is None:
        return None
    try:
        return read_duration(found)
    except ValueError as error:
        _refuse(fields, f"{key}: {error!s:.200}", "write it like 90s, 5m or 1h30m", key)
        return None


def _health_checks(fields: Fields) -> tuple[HealthCheck, ...]:
    found: dict[object, HealthCheck] = {}
    for part in fields.parts("healthCheckExprs"):
        said = {name: part.text(key) for key, name in _HEALTH_CHECK}
        check = HealthCheck(api_version=part.text("apiVersion"), kind=part.text("kind"), **said)
        part.done()
        _check(part, check)
        if check.judges in found:
            _refuse(part, f"there are two rules for {check.judges}", "keep one of them")
        found[check.judges] = check
    return tuple(found.values())


def _check(part: Fields, check: HealthCheck) -> None:
    if not check.api_version or not check.kind:
        _refuse(part, f"{shown(part.path)} names no kind", "give apiVersion and kind")
    for key, name in _HEALTH_CHECK:
        text = getattr(check, name)
        if not text and key != "current":
            continue
        try:
            check_expression(text)
        except ExpressionError as error:
            _refuse(part, f"{shown((*part.path, key))} {error}",
                    "give a CEL expression that is true or false", key)  # fmt: skip


def _refuse(fields: Fields, what: str, fix: str, *below: str | int) -> None:
    fields.page.error("bad-field", what, (*fields.path, *below), fix)
