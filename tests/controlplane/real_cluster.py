"""What the fixture `real_cluster` gives: a real API server, and what can be expected of it.

Of a control plane that these tests started everything can be; `FLEET_TEST_KUBECONFIG` may name any
other cluster instead, whose nodes run real containers and whose API server is not ours to restart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.controlplane.control_plane import ControlPlane
from tests.controlplane.credentials import CONTEXT
from tests.controlplane.programs import ASSETS_VARIABLE, BUILD_COMMAND, find

KUBECONFIG_VARIABLE = "FLEET_TEST_KUBECONFIG"
REQUIRED_VARIABLE = "FLEET_TEST_REQUIRE_REAL_CLUSTER"
"""Set by `.ci/run`: a test that would be skipped for want of a control plane fails."""
MISSING = (
    f"needs a real control plane: `{BUILD_COMMAND}` builds it, once for each machine; or name a "
    f"folder of programs in {ASSETS_VARIABLE}, or any cluster in {KUBECONFIG_VARIABLE}"
)


class NoRealClusterError(RuntimeError):
    """There is nothing to run these tests on; the text says how to get it."""


@dataclass(frozen=True, slots=True)
class RealCluster:
    """A real API server. `plane` is `None` when it is somebody else's."""

    kubeconfig: Path
    context: str | None
    plane: ControlPlane | None

    @property
    def has_controllers(self) -> bool:
        """Whether Deployments get pods, and namespaces that are deleted go away."""
        return self.plane is None or self.plane.has_controllers

    @property
    def has_simulated_images(self) -> bool:
        """Whether pods become what the words in their images say."""
        return self.plane is not None and self.plane.has_controllers


@contextmanager
def open_real_cluster(
    folder: Path, environment: Mapping[str, str] = os.environ
) -> Iterator[RealCluster]:
    """Start a control plane in `folder`, or take the cluster that the environment names.

    Errors: `NoRealClusterError`; `RuntimeError` if a program does not start.
    """
    named = environment.get(KUBECONFIG_VARIABLE)
    if named:
        yield RealCluster(Path(named), None, None)
        return
    programs = find(environment)
    if programs is None:
        raise NoRealClusterError(MISSING)
    with ControlPlane(programs, folder) as plane:
        yield RealCluster(plane.kubeconfig, CONTEXT, plane)
