"""One fleet of processes for a module of stories; each story says what it changes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.fleet_processes import FleetOfProcesses


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfProcesses]:
    """Hub, three clusters and their agents, converged."""
    with FleetOfProcesses(tmp_path_factory.mktemp("fleet")) as running:
        running.wait_until_converged("the first sync", 60)
        yield running
