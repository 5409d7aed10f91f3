"""Every listed defect is caught by a story; one that survives means that a promise is missing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.fleet.rollout.defects import DEFECTS
from tests.fleet.rollout.stories import STORIES


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.__name__)
def test_the_defect_is_caught(
    defect: Callable[[pytest.MonkeyPatch], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    defect(monkeypatch)
    assert any(_fails(story) for story in STORIES), f"survived: {defect.__doc__}"


def _fails(story: Callable[[], None]) -> bool:
    """Only a promise or an expectation that does not hold counts, not a crash of the engine."""
    try:
        story()
    except AssertionError:
        return True
    return False
