"""Health by a rule that the bundle declares: the first of its expressions that holds decides.

An expression that has no answer yet, such as one about a field that is still missing, leaves the
object on its way; the bundle's time-out ends that. A rule that cannot be used at all says so.
"""

from __future__ import annotations

from agents.health.assessment import (
    HEALTHY,
    Assessment,
    degraded,
    progressing,
    unobserved,
)
from agents.protocol import ExpressionError, Health, HealthCheck, check_expression, holds
from clusters.objects import Object


def declared(check: HealthCheck, live: Object) -> Assessment:
    """The health of a live object under its rule."""
    rules = (
        ("inProgress", check.in_progress, progressing(f"its rule says so: {check.in_progress}")),
        ("failed", check.failed, degraded(f"its rule says so: {check.failed}")),
        ("current", check.current, HEALTHY),
    )
    said = [(name, text, verdict) for name, text, verdict in rules if text or name == "current"]
    for name, text, _ in said:
        try:
            check_expression(text)
        except ExpressionError as error:
            return Assessment(Health.UNKNOWN, f"healthCheckExprs {name} {error}")
    if unobserved(live):
        return progressing("not observed yet")
    for name, text, verdict in said:
        try:
            if holds(text, live):
                return verdict
        except ExpressionError as error:
            return progressing(f"healthCheckExprs {name} has no answer yet: {error}")
    return progressing(f"not yet: {check.current}")
