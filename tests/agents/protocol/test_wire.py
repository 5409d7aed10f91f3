"""Bodies of the wire: order, entity tags, severity, and tolerance for a newer partner."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from agents.protocol import Health, Report, Target


def test_targets_are_ordered_by_epoch_first() -> None:
    old = Target(cluster="a", epoch=1, serial=99)
    new = Target(cluster="a", epoch=2, serial=1)
    assert new.order > old.order


def test_the_entity_tag_names_epoch_and_serial_in_quotes() -> None:
    assert Target(cluster="a", epoch=2, serial=7).etag == '"2-7"'


def test_unknown_fields_are_ignored_and_missing_ones_refused() -> None:
    assert (
        Report.model_validate(
            {"cluster": "a", "incarnation": "i", "sequence": 1, "new": 1}
        ).deployments
        == ()
    )
    with pytest.raises(ValidationError):
        Report.model_validate({"cluster": "a"})


def test_bodies_are_frozen() -> None:
    target = Target(cluster="a", epoch=1, serial=1)
    with pytest.raises(ValidationError):
        target.serial = 2


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        ([], Health.HEALTHY),
        ([Health.HEALTHY, Health.UNKNOWN], Health.UNKNOWN),
        ([Health.PROGRESSING, Health.SUSPENDED], Health.PROGRESSING),
        ([Health.MISSING, Health.DEGRADED, Health.UNKNOWN], Health.DEGRADED),
    ],
)
def test_the_worst_state_speaks_for_all(states: list[Health], worst: Health) -> None:
    assert Health.worst(states) is worst
