"""One laboratory on the real control plane for each test that asks for it; it leaves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.real_cluster import RealCluster
from tests.e2e.agent.real_lab import RealLab, opened


@pytest.fixture
async def real(real_cluster: RealCluster, tmp_path: Path) -> AsyncIterator[RealLab]:
    """An agent, a hub in memory and the shared cluster; nothing has run yet."""
    async with opened(real_cluster, tmp_path) as lab:
        yield lab
