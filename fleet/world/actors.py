"""Hosts as Ray actors: the one door to Ray.

An actor is a thin shell around `fleet.world.host.Host`; everything that matters is plain asyncio
and runs without Ray in tests. What bites, and is set here: Ray must listen on loopback only, send
no statistics, use a token of this session's own and a short folder that is removed at the end.
"""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import tempfile
from pathlib import Path
from typing import Any

from fleet.errors import FleetError
from fleet.world.host import Host, HostSpec

AGENTS_PER_ACTOR = 250


class Actors:
    """A Ray session with hosts in it. Use as a context manager."""

    def __init__(self, specs: list[HostSpec]) -> None:
        self._specs = specs
        self._folder = Path(tempfile.mkdtemp(prefix="fr-"))
        self._handles: list[Any] = []

    def __enter__(self) -> Actors:
        ray = _import_ray()
        ray.init(
            num_cpus=max(2, len(self._specs)),
            include_dashboard=False,
            _node_ip_address="127.0.0.1",
            _temp_dir=str(self._folder),
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=False,
        )
        actor = ray.remote(num_cpus=0, max_concurrency=64)(HostActor)
        self._handles = [actor.remote(spec) for spec in self._specs]
        return self

    def __exit__(self, *exc: object) -> None:
        import ray

        try:
            if self._handles:
                ray.get([handle.stop.remote() for handle in self._handles], timeout=10)
        finally:
            ray.shutdown()
            shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> dict[str, str]:
        """Start clusters and agents; cluster name → address of its API server."""
        import ray

        found: dict[str, str] = {}
        for urls in ray.get([handle.start.remote() for handle in self._handles], timeout=120):
            found.update(urls)
        return found


class HostActor:
    """One host in one process."""

    def __init__(self, spec: HostSpec) -> None:
        self._host = Host(spec)

    async def start(self) -> dict[str, str]:
        """See `Host.start`."""
        return await self._host.start()

    async def stop(self) -> None:
        """See `Host.stop`."""
        await asyncio.wait_for(self._host.stop(), timeout=8)


def _import_ray() -> Any:
    """Ray, told how to behave first: it reads these variables when it is imported.

    Errors: `FleetError` if it is not installed.
    """
    os.environ.update(
        RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER="0",
        RAY_USAGE_STATS_ENABLED="0",
        RAY_AUTH_MODE="token",
        RAY_AUTH_TOKEN=secrets.token_hex(32),
        RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO="0",
    )
    try:
        import ray
    except ImportError as error:
        raise FleetError(
            "simulated fleets need Ray, which is not installed",
            fix="pip install 'fleet-gitops[sim]'",
            code="ray-missing",
        ) from error
    return ray


def share(names: list[str], hosts: int) -> list[list[str]]:
    """Deal cluster names out to hosts as evenly as possible."""
    count = max(1, min(hosts, len(names)))
    return [names[index::count] for index in range(count)]
