"""One laboratory for each test that asks for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.agents.lab import Lab


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A hub, a simulated cluster and an agent; nothing has run yet."""
    return Lab(tmp_path / "state")
