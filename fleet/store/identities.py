"""What identifies the objects of a bundle deployment: group, kind, namespace and name of each.

Read from the artifact and kept, since a digest never changes what it stands for. An artifact that
is not here, or cannot be read, holds nothing as far as this knows.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator

from agents.protocol import ArtifactError, BundleDeployment, Options, read_artifact
from clusters.objects import Digest, Object, kind_of
from clusters.objects.apis import namespaced_kinds
from fleet.errors import StoreError
from fleet.store.artifacts import Artifacts
from fleet.store.database import Connection

DIGESTS_KEPT = 4_000


class Identities:
    """The objects of digests, each read once."""

    def __init__(self, artifacts: Artifacts) -> None:
        self._artifacts = artifacts
        self._known: dict[Digest, frozenset[Hashable]] = {}

    def of(self, c: Connection, digest: Digest) -> frozenset[Hashable]:
        """What identifies each object; empty for a digest that nothing is known of."""
        if digest not in self._known:
            if len(self._known) >= DIGESTS_KEPT:
                self._known.clear()
            self._known[digest] = self._read(c, digest)
        return self._known[digest]

    def _read(self, c: Connection, digest: Digest) -> frozenset[Hashable]:
        row = c.execute(
            "SELECT artifact, body FROM deployment_body WHERE digest = ?", (digest,)
        ).fetchone()
        if row is None:
            return frozenset()
        try:
            found = read_artifact(self._artifacts.get(row["artifact"]), row["artifact"])
        except (KeyError, StoreError, ArtifactError):
            return frozenset()
        options = BundleDeployment.model_validate_json(row["body"]).options
        return frozenset(_identities(found.objects, options))


def _identities(objects: Collection[Object], options: Options) -> Iterator[Hashable]:
    scopes = namespaced_kinds(objects)
    for obj in objects:
        kind, metadata = kind_of(obj), obj.get("metadata") or {}
        where = options.place(metadata.get("namespace")) if scopes.get(kind, True) else ""
        yield (kind, where, metadata.get("name"))
