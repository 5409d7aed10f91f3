"""A rendered bundle as bytes that its sha256 names.

::

    {"bundle": "podinfo",
     "hooks": [{"events": ["pre-install"], "weight": 0, "deletePolicies": [...], "object": {...}}],
     "objects": [{...}, ...],
     "release": {"name": "podinfo", "chart": "podinfo", "version": "6.9.0"}}   # charts only

Objects stand in the order in which the renderer wants them applied within a stage. Test hooks
never get in. Many clusters share one artifact; what differs by cluster is variables and options.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from clusters.objects import Digest, Object, canonical_bytes, digest_of

BEFORE_CREATION = "before-hook-creation"
"""The delete policy of a hook that names none."""


class HookEvent(StrEnum):
    """When a hook runs; the agent chooses by its inventory (adopted counts as upgrade)."""

    PRE_INSTALL = "pre-install"
    POST_INSTALL = "post-install"
    PRE_UPGRADE = "pre-upgrade"
    POST_UPGRADE = "post-upgrade"
    PRE_DELETE = "pre-delete"
    POST_DELETE = "post-delete"
    PRE_ROLLBACK = "pre-rollback"
    POST_ROLLBACK = "post-rollback"
    PRE_SYNC = "pre-sync"
    """Before the objects, whatever the operation; Argo CD's PreSync."""
    SYNC = "sync"
    """With the objects of its wave."""
    POST_SYNC = "post-sync"
    """After all objects are healthy."""
    SYNC_FAIL = "sync-fail"
    """After a failure that waiting does not mend."""


class Hook(BaseModel):
    """One object that is applied and waited for at its events, never part of the inventory."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    events: tuple[HookEvent, ...]
    weight: int = 0
    delete_policies: tuple[str, ...] = Field(default=(BEFORE_CREATION,), alias="deletePolicies")
    """`before-hook-creation`, `hook-succeeded`, `hook-failed`."""
    object: dict[str, Any]


class Artifact(BaseModel):
    """One distinct rendering of a bundle."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    bundle: str
    objects: tuple[dict[str, Any], ...] = ()
    hooks: tuple[Hook, ...] = ()
    release: dict[str, str] = Field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """Canonical bytes."""
        return canonical_bytes(self.model_dump(mode="json", by_alias=True))

    def digest(self) -> Digest:
        """The sha256 of the canonical bytes."""
        return digest_of(self.to_bytes())

    def all_objects(self) -> list[Object]:
        """The objects of all phases, hooks included."""
        return [*self.objects, *(hook.object for hook in self.hooks)]


class ArtifactError(ValueError):
    """Bytes that are not what their digest says, or not an artifact."""


def read_artifact(data: bytes, digest: Digest) -> Artifact:
    """The artifact in `data`, after checking that its bytes have that digest.

    Errors: `ArtifactError`.
    """
    found = digest_of(data)
    if found != digest:
        raise ArtifactError(f"artifact {digest} arrived with the bytes of {found}; not used")
    try:
        return Artifact.model_validate(orjson.loads(data))
    except (ValidationError, orjson.JSONDecodeError) as error:
        raise ArtifactError(f"artifact {digest} is not an artifact: {error}") from error
