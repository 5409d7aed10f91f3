"""The contract's third subject: the driver against a real API server, left as it was found.

Every test has the same namespace and names, so what one made is taken away before the next begins:
`Tidying` remembers what was applied, `tidy` deletes it and waits until it is gone with all that
controllers made of it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from clusters.cluster import Cluster
from clusters.errors import KindNotFoundError
from clusters.kubernetes import KubernetesCluster
from clusters.objects import Kind, Object, ObjectKey, key_of
from tests.contracts.subject import Subject, config_map
from tests.controlplane.real_cluster import RealCluster
from tests.controlplane.relay import relay_to

TIDY_SECONDS = 60.0
LOOK_SECONDS = 0.05
_MADE_BY_CONTROLLERS = (Kind("", "Pod"), Kind("apps", "ReplicaSet"), Kind("batch", "Job"))


class Tidying:
    """A `Cluster` that remembers what was applied through it."""

    def __init__(self, inner: Cluster) -> None:
        self._inner = inner
        self.applied: dict[ObjectKey, None] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def apply(self, obj: Object, *, dry_run: bool = False, **options: Any) -> Object:
        """As the cluster's own."""
        made = await self._inner.apply(obj, dry_run=dry_run, **options)
        if not dry_run:
            self.applied[key_of(made)] = None
        return made


@asynccontextmanager
async def against(real: RealCluster, folder: Path) -> AsyncIterator[Subject]:
    """The driver, speaking to a real API server through a way that can be cut."""
    async with AsyncExitStack() as opened:
        kubeconfig, cut_off = real.kubeconfig, _not_ours("its network")
        if real.plane is not None:
            relay = await opened.enter_async_context(relay_to(real.plane.port))
            kubeconfig, cut_off = folder / "kubeconfig", relay.cut
            real.plane.write_kubeconfig(kubeconfig, relay.port)
        cluster = await KubernetesCluster.connect(kubeconfig, real.context)
        opened.push_async_callback(cluster.close)
        tidying = Tidying(cluster)

        async def compact() -> None:
            if real.plane is None:
                _not_ours("its API server")(True)
            else:
                # It starts with the newest version, and no watch may go back behind that.
                await tidying.apply(config_map("churn"), manager="churn")
                real.plane.restart_apiserver()

        yield Subject(cast("Cluster", tidying), asyncio.sleep, compact, cut_off)
        cut_off(False)
        await tidy(cluster, list(tidying.applied))


def _not_ours(what: str) -> Callable[[bool], None]:
    def refuse(value: bool) -> None:
        if value:
            pytest.skip(f"this cluster was not started by the tests: {what} is not ours to stop")

    return refuse


async def tidy(cluster: Cluster, keys: list[ObjectKey]) -> None:
    """Delete these and wait until they are gone, with the pods and sets made of them."""
    deadline = time.monotonic() + TIDY_SECONDS
    for key in reversed(keys):
        await _take_away(cluster, key)
    while left := [key for key in keys if await _is_there(cluster, key)] or await _made(cluster):
        assert time.monotonic() < deadline, f"these do not go away: {left}"
        await asyncio.sleep(LOOK_SECONDS)


async def _take_away(cluster: Cluster, key: ObjectKey) -> None:
    try:
        live = await cluster.get(key)
        if live is None:
            return
        if live["metadata"].get("finalizers") and key.kind != "Namespace":
            await cluster.patch(key, {"metadata": {"finalizers": None}}, manager="tidy")
        await cluster.delete(key)
    except KindNotFoundError:
        return  # its definition went before it


async def _is_there(cluster: Cluster, key: ObjectKey) -> bool:
    try:
        return await cluster.get(key) is not None
    except KindNotFoundError:
        return False


async def _made(cluster: Cluster) -> list[str]:
    found = []
    for kind in _MADE_BY_CONTROLLERS:
        listing = await cluster.list(kind, namespace="default", metadata_only=True)
        found += [f"{kind.kind} {item['metadata']['name']}" for item in listing.items]
    return found
