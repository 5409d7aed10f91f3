"""A served hub for the tests of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.fleet.api.served import Served, served, small_rig


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Served]:
    """One staging cluster that is offered `web`, one production cluster that waits."""
    async with served(small_rig(tmp_path)) as running:
        yield running
