"""What the parts of one server share: its clock, its objects, its kinds, and identity.

Times and uids come from here alone: times from the clock that was handed in, uids from the seed
and a counter, so that the same writes always give the same cluster.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass, field

from clusters.clock import Clock
from clusters.errors import NotFoundError
from clusters.objects import Kind, ObjectKey
from clusters.simulation.server.addresses import Addresses
from clusters.simulation.server.admission.ledgers import Ledgers
from clusters.simulation.server.admission.reviews import Webhook
from clusters.simulation.server.catalog import Catalog
from clusters.simulation.server.rejections import NamespaceTerminatingError
from clusters.simulation.server.storage import Store

NAMESPACE = Kind("", "Namespace")


@dataclass(slots=True)
class State:
    """One cluster's control plane."""

    clock: Clock
    identity: str
    """Seed and name: what makes this cluster's uids differ from another's."""
    store: Store
    catalog: Catalog = field(default_factory=Catalog)
    addresses: Addresses = field(default_factory=Addresses)
    webhooks: dict[str, Webhook] = field(default_factory=dict)
    """Functions in place of webhook programs, by the webhook's name."""
    quotas: Ledgers | None = None
    """What the quotas count, from the first one on."""
    _uids: list[int] = field(default_factory=lambda: [0, 0])

    def now(self) -> str:
        """The present second, as Kubernetes writes it."""
        return self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def next_uid(self, *, dry_run: bool = False) -> str:
        """A uid that this cluster never gave before; those of dry runs are counted apart."""
        self._uids[dry_run] += 1
        mark = "/dry-run" if dry_run else ""
        digest = hashlib.sha256(f"{self.identity}/{self._uids[dry_run]}{mark}".encode()).digest()
        return str(uuid.UUID(bytes=digest[:16], version=4))

    def require_namespace(self, key: ObjectKey) -> None:
        """Check that something new may be made at `key`.

        Errors: `NotFoundError` if its namespace is not there, `NamespaceTerminatingError`.
        """
        if not key.namespace:
            return
        namespace = self.store.get(ObjectKey("", "Namespace", "", key.namespace))
        if namespace is None:
            raise NotFoundError(f'namespaces "{key.namespace}" not found')
        if namespace["metadata"].get("deletionTimestamp"):
            raise NamespaceTerminatingError(
                f"{self.describe(key)} is forbidden: unable to create new content in namespace "
                f"{key.namespace} because it is being terminated"
            )

    def describe(self, key: ObjectKey) -> str:
        """`deployments.apps "web"`, as Kubernetes names an object in its messages."""
        plural = self.catalog.find(key.kind_key).resource.plural
        return f'{plural}.{key.group} "{key.name}"' if key.group else f'{plural} "{key.name}"'
