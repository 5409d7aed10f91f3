"""One laboratory on the real control plane for each test that asks for it; it leaves nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.controlplane.real_cluster import RealCluster
from tests.e2e.agent.real_lab import RealLab, opened, simulated


@pytest.fixture
async def real(real_cluster: RealCluster, tmp_path: Path) -> AsyncIterator[RealLab]:
    """An agent, a hub in memory and the shared cluster; nothing has run yet."""
    async with opened(real_cluster, tmp_path) as lab:
        yield lab


@pytest.fixture(
    params=["simulated", pytest.param("real", marks=pytest.mark.xdist_group("real-cluster"))]
)
async def either(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RealLab]:
    """The same story on a simulated cluster and on the real one, whose pods do as images say."""
    if request.param == "simulated":
        async with simulated(tmp_path) as lab:
            yield lab
        return
    real: RealCluster = request.getfixturevalue("real_cluster")
    if not real.has_simulated_images:
        pytest.skip("needs a kube-controller-manager, and nodes that take images for words")
    async with opened(real, tmp_path) as lab:
        yield lab
