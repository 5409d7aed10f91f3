"""Health by a rule that a bundle declares, in Flux's order of asking."""

from __future__ import annotations

from typing import Any

import pytest

from agents.health import assess
from agents.protocol import Health, HealthCheck
from clusters.objects import Object
from tests.agents.samples import config_map, deployment

CHECK = HealthCheck(
    api_version="example.com/v1",
    kind="Widget",
    current="status.phase == 'Up'",
    in_progress="has(status.phase) && status.phase in ['Starting', 'Up'] && has(status.busy)",
    failed="has(status.error)",
)


def _widget(generation: int = 1, **status: Any) -> Object:
    metadata = {"name": "one", "generation": generation}
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": metadata,
        "status": status,
    }


@pytest.mark.parametrize(
    ("status", "health"),
    [
        ({"phase": "Up"}, Health.HEALTHY),
        ({"phase": "Down"}, Health.PROGRESSING),
        ({}, Health.PROGRESSING),
        ({"phase": "Up", "error": "x"}, Health.DEGRADED),
        ({"phase": "Up", "error": "x", "busy": 1}, Health.PROGRESSING),
        ({"phase": "Up", "observedGeneration": 1}, Health.HEALTHY),
    ],
)
def test_the_first_expression_that_holds_decides(status: dict[str, Any], health: Health) -> None:
    assert assess(_widget(**status), check=CHECK).health is health


def test_what_its_controller_has_not_seen_is_not_judged_yet() -> None:
    old = _widget(generation=2, phase="Up", observedGeneration=1)
    assert assess(old, check=CHECK).health is Health.PROGRESSING


def test_a_rule_wins_over_conditions_and_over_the_table() -> None:
    never = HealthCheck(api_version="apps/v1", kind="Deployment", current="true", failed="true")
    assert assess(deployment(), check=never).health is Health.DEGRADED
    stalled = _widget(phase="Up", conditions=[{"type": "Stalled", "status": "True"}])
    assert assess(stalled, check=CHECK).health is Health.HEALTHY


def test_an_expression_without_an_answer_yet_leaves_the_object_on_its_way_and_says_why() -> None:
    found = assess(_widget(), check=CHECK)
    assert found.health is Health.PROGRESSING
    assert "phase" in found.message


def test_a_rule_that_cannot_be_used_is_unknown_and_named() -> None:
    broken = HealthCheck(api_version="v1", kind="ConfigMap", current="true", failed="1 +")
    found = assess(config_map(), check=broken)
    assert found.health is Health.UNKNOWN
    assert found.message.startswith("healthCheckExprs failed is no CEL expression")


def test_a_rule_does_not_bring_back_what_is_not_there_or_being_deleted() -> None:
    always = HealthCheck(api_version="v1", kind="ConfigMap", current="true")
    assert assess(None, check=always).health is Health.MISSING
    going = config_map()
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert assess(going, check=always).health is Health.PROGRESSING
