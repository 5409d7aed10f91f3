"""Whose rights a bundle is worked on with: the agent's own, or those of its `serviceAccount`.

The account is one of `fleet-system`, as in Rancher Fleet, and is impersonated in every request for
the bundle, reads included: what its rights do not allow fails with `forbidden`, for this bundle
alone. Inventories, the namespace that holds them and watches stay the agent's own. A bundle that is
removed is removed with the rights that it was last applied with.

Two things are seen with the agent's own eyes, so that a bundle which once wanted too much can go
back: what carries the bundle's owner label, and whether an object that the account may not read is
there at all.

Whose rights end at some namespaces may not list a kind everywhere; then the namespaces of the
bundle are listed one by one. Secrets are never listed in any other way: an agent need not have the
right to see more of them than it brings.
"""

from __future__ import annotations

from collections.abc import Iterable

from agents.apply.passing import PassingCluster
from agents.apply.state import BundleState
from agents.inventory import NAMESPACE, PART_OF
from agents.protocol import BundleDeployment
from clusters.cluster import Cluster, Listing
from clusters.errors import ForbiddenError
from clusters.objects import Kind, Object, ObjectKey

_SECRET = Kind("", "Secret")


def acting_for(cluster: Cluster, deployment: BundleDeployment, state: BundleState) -> Cluster:
    """The cluster as the bundle may see and change it."""
    account = deployment.options.service_account
    if deployment.is_absent:
        account = state.inventory.service_account
    wanted = state.prepared.objects if state.prepared is not None else ()
    spaces = {key.namespace for key in (*state.inventory.objects, *wanted)} - {""}
    own = Limited(cluster, spaces)
    return Acting(cluster.as_user(user_of(account)), spaces, own) if account else own


def user_of(account: str) -> str:
    """What the API server calls a service account of `fleet-system`."""
    return f"system:serviceaccount:{NAMESPACE}:{account}"


class Limited(PassingCluster):
    """A cluster as somebody whose rights may end at some namespaces."""

    def __init__(self, cluster: Cluster, spaces: Iterable[str]) -> None:
        super().__init__(cluster)
        self._spaces = tuple(sorted(spaces))

    async def list(
        self, kind: Kind, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> Listing:
        """All objects of a kind, or, if that is forbidden, those in the bundle's namespaces."""
        if kind == _SECRET and self._spaces and not namespace:
            return await self._by_namespace(kind, labels, metadata_only)
        try:
            return await super().list(
                kind, namespace=namespace, labels=labels, metadata_only=metadata_only
            )
        except ForbiddenError:
            resource = (await self.discover()).find(kind)
            if namespace or not self._spaces or resource is None or not resource.namespaced:
                raise
        return await self._by_namespace(kind, labels, metadata_only)

    async def _by_namespace(self, kind: Kind, labels: str, metadata_only: bool) -> Listing:
        parts = [
            await super(Limited, self).list(
                kind, namespace=space, labels=labels, metadata_only=metadata_only
            )
            for space in self._spaces
        ]
        items = tuple(item for part in parts for item in part.items)
        return Listing(items, parts[0].resource_version)


class Acting(Limited):
    """A cluster as the account of a bundle; `own` is the same cluster as the agent sees it."""

    def __init__(self, cluster: Cluster, spaces: Iterable[str], own: Cluster) -> None:
        super().__init__(cluster, spaces)
        self._own = own

    async def get(self, key: ObjectKey) -> Object | None:
        """The object; one that the account may not read is said to be missing if it is."""
        try:
            return await super().get(key)
        except ForbiddenError:
            if await self._own.get(key) is None:
                return None
            raise

    async def list(
        self, kind: Kind, *, namespace: str = "", labels: str = "", metadata_only: bool = False
    ) -> Listing:
        """What is the bundle's own by its label, as the agent sees it; else as the account may."""
        if labels.startswith(f"{PART_OF}="):
            return await self._own.list(
                kind, namespace=namespace, labels=labels, metadata_only=metadata_only
            )
        return await super().list(
            kind, namespace=namespace, labels=labels, metadata_only=metadata_only
        )
