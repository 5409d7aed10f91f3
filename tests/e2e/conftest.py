"""One fleet of processes for a module of stories, or a control plane for a single one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.programs import find
from tests.controlplane.real_cluster import MISSING, REQUIRED_VARIABLE
from tests.e2e.fleet_processes import FleetOfProcesses


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FleetOfProcesses]:
    """Hub, three clusters and their agents, converged."""
    with FleetOfProcesses(tmp_path_factory.mktemp("fleet")) as running:
        running.wait_until_converged("the first sync", 60)
        yield running


@pytest.fixture
def own_plane(tmp_path: Path) -> Iterator[ControlPlane]:
    """A control plane for one test alone, which may fill it: never somebody else's cluster."""
    programs = find()
    if programs is None or programs.controllers is None:
        if os.environ.get(REQUIRED_VARIABLE):
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    folder = tmp_path / "control-plane"
    folder.mkdir()
    with ControlPlane(programs, folder, audited=True) as plane:
        yield plane
