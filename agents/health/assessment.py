"""What a rule answers, and the little that all rules read: conditions and generations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from agents.protocol import Health
from clusters.objects import Object


@dataclass(frozen=True, slots=True)
class Assessment:
    """The health of one object and, where it is not healthy, why."""

    health: Health
    message: str = ""


HEALTHY = Assessment(Health.HEALTHY)


def progressing(message: str) -> Assessment:
    """It is on its way."""
    return Assessment(Health.PROGRESSING, message)


def degraded(message: str) -> Assessment:
    """It does not work, and will not by waiting."""
    return Assessment(Health.DEGRADED, message)


def suspended(message: str) -> Assessment:
    """It stands still because somebody said so."""
    return Assessment(Health.SUSPENDED, message)


def status_of(obj: Object) -> dict[str, Any]:
    """The status, empty if there is none or it is no mapping."""
    status = obj.get("status")
    return status if isinstance(status, dict) else {}


def condition(obj: Object, name: str) -> dict[str, Any]:
    """The condition of that type, empty if there is none."""
    found = status_of(obj).get("conditions")
    for item in found if isinstance(found, list) else []:
        if isinstance(item, dict) and item.get("type") == name:
            return item
    return {}


def is_true(obj: Object, name: str) -> bool:
    """Does the condition hold?"""
    return condition(obj, name).get("status") == "True"


def is_false(obj: Object, name: str) -> bool:
    """Is the condition known not to hold?"""
    return condition(obj, name).get("status") == "False"


def why(obj: Object, name: str) -> str:
    """Reason and message of a condition in one line."""
    found = condition(obj, name)
    parts = [str(found[part]) for part in ("reason", "message") if found.get(part)]
    return ": ".join(parts)


def unobserved(obj: Object) -> bool:
    """Has the controller not looked at this generation yet?"""
    observed = status_of(obj).get("observedGeneration")
    generation = obj["metadata"].get("generation")
    return isinstance(observed, int) and isinstance(generation, int) and observed < generation


def never_observed(obj: Object) -> bool:
    """As `unobserved`, for kinds whose controller always writes observedGeneration."""
    return status_of(obj).get("observedGeneration") is None or unobserved(obj)
