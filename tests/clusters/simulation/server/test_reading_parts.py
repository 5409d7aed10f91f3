"""Selectors and quantities read as Kubernetes reads them."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.simulation.server.quantities import canonical_quantity
from clusters.simulation.server.rejections import BadRequestError
from clusters.simulation.server.selectors import (
    field_selector,
    label_selector,
    matches_label_selector,
)

LABELS = {"env": "prod", "tier": "web", "empty": ""}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("env=prod", True),
        ("env==prod,tier=web", True),
        ("env=prod,tier=db", False),
        ("env!=prod", False),
        ("missing!=x", True),
        ("env in (dev, prod)", True),
        ("env notin (dev,prod)", False),
        ("missing notin (a)", True),
        ("missing in (a)", False),
        ("env", True),
        ("!env", False),
        ("!missing", True),
        ("empty=", True),
        ("env in (dev),tier", False),
    ],
)
def test_a_label_selector_matches_as_kubectl_says(text: str, expected: bool) -> None:
    assert label_selector(text)(LABELS) is expected


@pytest.mark.parametrize("text", ["a in (b", "=x", "a=b c", "a>1", "a in b"])
def test_what_is_no_label_selector_is_a_bad_request(text: str) -> None:
    with pytest.raises(BadRequestError):
        label_selector(text)


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"env": "prod"}}, True),
        ({"matchLabels": {"env": "dev"}}, False),
        ({"matchExpressions": [{"key": "env", "operator": "In", "values": ["prod"]}]}, True),
        ({"matchExpressions": [{"key": "env", "operator": "NotIn", "values": ["prod"]}]}, False),
        ({"matchExpressions": [{"key": "env", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "env", "operator": "DoesNotExist"}]}, False),
        ({"matchExpressions": [{"key": "env", "operator": "Unheard"}]}, False),
    ],
)
def test_a_label_selector_object_matches(selector: dict[str, Any] | None, expected: bool) -> None:
    assert matches_label_selector(selector, LABELS) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("metadata.name=web", True),
        ("metadata.name!=web", False),
        ("metadata.name==web,spec.unschedulable=true", True),
        ("status.phase=Running", False),
        ("status.phase!=Running", True),
    ],
)
def test_a_field_selector_matches(text: str, expected: bool) -> None:
    obj = {"metadata": {"name": "web"}, "spec": {"unschedulable": True}}
    selectable = ("spec.unschedulable", "status.phase")
    assert field_selector(text, selectable)(obj) is expected


def test_a_field_that_the_kind_does_not_offer_cannot_be_selected_by() -> None:
    with pytest.raises(BadRequestError, match=r"field label not supported: spec\.replicas"):
        field_selector("spec.replicas=1", ("status.phase",))


def test_what_is_no_field_selector_is_a_bad_request() -> None:
    with pytest.raises(BadRequestError):
        field_selector("metadata.name")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("1000m", "1"),
        ("1", "1"),
        ("0.5", "500m"),
        ("1.5", "1500m"),
        ("100m", "100m"),
        ("1024Mi", "1Gi"),
        ("1536Mi", "1536Mi"),
        ("0.5Gi", "512Mi"),
        ("1000", "1k"),
        ("1500", "1500"),
        ("1e3", "1e3"),
        ("128974848", "128974848"),
        ("0", "0"),
        ("0Mi", "0"),
        ("-1000m", "-1"),
        ("nonsense", "nonsense"),
    ],
)
def test_a_quantity_is_stored_in_its_canonical_form(text: str, stored: str) -> None:
    assert canonical_quantity(text) == stored
    assert canonical_quantity(stored) == stored
