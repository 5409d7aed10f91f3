"""What an agent owns, kept in the cluster it manages: one ApplySet (KEP-3659) for each bundle.

The parent is a ConfigMap in `fleet-system`; every owned object carries the label
`applyset.kubernetes.io/part-of` with the parent's id. The parent's data also holds what the label
cannot: the identities (intent, written before the first write, so that a kill after any write
leaves nothing unowned), the digest and generation last granted, what is completely applied now
and was before, which hooks of the attempt are done, and which Jobs that remove themselves have
completed. The hooks that run when the bundle goes lie beside it in a Secret, since the order to
remove a bundle brings no artifact.

Never holds values of objects, and never the namespace that the agent made for a bundle.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from agents.errors import BundleError
from agents.protocol import ABSENT, Deletion
from clusters.cluster import Cluster
from clusters.errors import NotFoundError
from clusters.objects import Digest, Kind, Object, ObjectKey, annotations_of, labels_of

NAMESPACE = "fleet-system"
AGENT_MANAGER = "fleet/agent"
"""Field manager of what belongs to the agent itself: parents, namespaces it makes."""
PART_OF = "applyset.kubernetes.io/part-of"
ALLOW_WIPE = "fleet.dev/allow-wipe"
"""Annotation on a parent: a removal of most of what the bundle owns is meant."""
MOST_HISTORY = 10
"""Bundle deployments that going back to is known as such."""
_ID = "applyset.kubernetes.io/id"
_TOOLING = "applyset.kubernetes.io/tooling"
_KINDS = "applyset.kubernetes.io/contains-group-kinds"
_NAMESPACES = "applyset.kubernetes.io/additional-namespaces"
_CONFIG_MAP = Kind("", "ConfigMap")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?\Z")


@dataclass(frozen=True, slots=True)
class Inventory:
    """What one bundle owns in this cluster, and how far its last attempt came."""

    bundle: str
    objects: tuple[ObjectKey, ...] = ()
    digest: Digest = ""
    """Last granted: what is being applied, or was."""
    generation: int = 0
    applied: Digest = ""
    """Last completely applied; equal to `digest` unless an attempt is under way."""
    operation: str = ""
    """`install`, `upgrade` or `rollback`: what the attempt under way counts as for hooks."""
    hooks_done: tuple[str, ...] = ()
    """Hooks of the attempt under way that need not run again."""
    deletion: Deletion = Deletion.WAIT
    """What becomes of the objects when the bundle goes: the order to remove it does not say."""
    service_account: str = ""
    """With whose rights it was applied, and is to be removed; empty: the agent's own."""
    history: tuple[Digest, ...] = ()
    """What was completely applied, oldest first, up to `applied`; going back cuts it off there."""
    finished: tuple[tuple[str, Digest], ...] = ()
    """Jobs that remove themselves and were seen to complete, with the digest of what was wanted."""
    delete_hooks: Digest = ""
    """Of the hooks that run when the bundle goes, empty if there are none."""
    contested: tuple[tuple[str, str, str, int], ...] = ()
    """Fields that another manager keeps setting back (`contests`)."""

    @property
    def is_installed(self) -> bool:
        """Was the bundle ever complete here, and not removed since?"""
        return self.applied not in ("", ABSENT)

    def goes_back(self, digest: Digest) -> bool:
        """Is this an earlier bundle deployment than the one that was begun last?"""
        return self.is_installed and digest != self.digest and digest in self.history

    def completed(self) -> Inventory:
        """The same with what was begun completely applied."""
        known = self.history
        kept = known[: known.index(self.digest)] if self.digest in known else known
        history = (*kept, self.digest)[-MOST_HISTORY:]
        done = replace(self, applied=self.digest, operation="", hooks_done=(), contested=())
        return replace(done, history=history)

    def owning(self, keys: Iterable[ObjectKey]) -> Inventory:
        """The same with exactly these objects."""
        return replace(self, objects=tuple(sorted(set(keys))))


def manager_of(bundle: str) -> str:
    """The field manager of a bundle; Kubernetes allows 128 characters."""
    name = f"fleet/{bundle}"
    return name if len(name) <= 128 else f"fleet/{hashlib.sha256(bundle.encode()).hexdigest()}"


def parent_name(bundle: str) -> str:
    """The name of a bundle's ApplySet parent; a digest where the bundle's name cannot be one."""
    name = f"bundle-{bundle}"
    if _NAME.match(bundle) and len(name) <= 253:
        return name
    return f"bundle-{hashlib.sha256(bundle.encode()).hexdigest()[:32]}-x"


def applyset_id(bundle: str) -> str:
    """KEP-3659's id: `applyset-<base64(sha256(name.namespace.kind.group))>-v1`."""
    text = f"{parent_name(bundle)}.{NAMESPACE}.{_CONFIG_MAP.kind}.{_CONFIG_MAP.group}"
    digest = hashlib.sha256(text.encode()).digest()
    return f"applyset-{base64.urlsafe_b64encode(digest).decode().rstrip('=')}-v1"


def parent_of(inventory: Inventory) -> Object:
    """The ConfigMap that holds an inventory."""
    kinds = sorted({str(key.kind_key) for key in inventory.objects})
    namespaces = sorted({key.namespace for key in inventory.objects} - {"", NAMESPACE})
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": parent_name(inventory.bundle),
            "namespace": NAMESPACE,
            "labels": {_ID: applyset_id(inventory.bundle)},
            "annotations": {
                _TOOLING: "fleet/v1",
                _KINDS: ",".join(kinds),
                _NAMESPACES: ",".join(namespaces),
            },
        },
        "data": {
            "objects": "\n".join(_line(key) for key in inventory.objects),
            "state": orjson.dumps(_state(inventory), option=orjson.OPT_SORT_KEYS).decode(),
        },
    }


def read_parent(parent: Object) -> Inventory:
    """The inventory in a parent. Errors: `BundleError` (`inventory`) if somebody broke it."""
    try:
        data: dict[str, str] = parent["data"]
        state = orjson.loads(data["state"])
        keys = sorted(_key(line) for line in data.get("objects", "").splitlines())
        for name in ("hooks_done", "history"):
            state[name] = tuple(state.get(name) or ())
        state["finished"] = tuple(sorted((state.get("finished") or {}).items()))
        state["contested"] = tuple(_contested(line) for line in state.get("contested") or ())
        state["deletion"] = Deletion(state.get("deletion") or "wait")
        return Inventory(objects=tuple(keys), **state)
    except (KeyError, TypeError, ValueError) as error:
        name = (parent.get("metadata") or {}).get("name", "")
        raise BundleError(
            "the inventory cannot be read",
            at=f"ConfigMap {NAMESPACE}/{name}",
            fix="restore it, or delete it: the objects are then adopted again",
            code="inventory",
        ) from error


def _state(inventory: Inventory) -> dict[str, Any]:
    return {
        "bundle": inventory.bundle,
        "digest": inventory.digest,
        "generation": inventory.generation,
        "applied": inventory.applied,
        "operation": inventory.operation,
        "hooks_done": list(inventory.hooks_done),
        "deletion": inventory.deletion.value,
        "service_account": inventory.service_account,
        "history": list(inventory.history),
        "finished": dict(inventory.finished),
        "delete_hooks": inventory.delete_hooks,
        **({"contested": inventory.contested} if inventory.contested else {}),
    }


def _contested(line: list[Any]) -> tuple[str, str, str, int]:
    """Errors: `ValueError` for what nobody wrote."""
    name, path, until, seconds = line
    if datetime.fromisoformat(until).tzinfo is None:
        raise ValueError("an end without its time zone")
    return str(name), str(path), until, int(seconds)


def _line(key: ObjectKey) -> str:
    return f"{key.group}/{key.kind}/{key.namespace}/{key.name}"


def _key(line: str) -> ObjectKey:
    group, kind, namespace, name = line.split("/")
    return ObjectKey(group, kind, namespace, name)


def _parent_key(bundle: str) -> ObjectKey:
    return ObjectKey("", "ConfigMap", NAMESPACE, parent_name(bundle))


def _hooks_key(bundle: str) -> ObjectKey:
    return ObjectKey("", "Secret", NAMESPACE, parent_name(bundle))


class InventoryStore:
    """Inventories in the cluster; a call is one request, the first save up to two more."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._namespace_made = False

    async def load_all(self) -> tuple[dict[str, Inventory], dict[str, BundleError]]:
        """Inventories by bundle, and what is unreadable by the name of the parent."""
        try:
            listing = await self._cluster.list(_CONFIG_MAP, namespace=NAMESPACE, labels=_ID)
        except NotFoundError:
            return {}, {}
        found: dict[str, Inventory] = {}
        broken: dict[str, BundleError] = {}
        for parent in listing.items:
            try:
                inventory = read_parent(parent)
                found[inventory.bundle] = inventory
            except BundleError as error:
                broken[parent["metadata"]["name"]] = error
        return found, broken

    async def save(self, inventory: Inventory) -> None:
        """Write the parent, making `fleet-system` if it is missing."""
        if not self._namespace_made:
            await ensure_namespace(self._cluster, NAMESPACE)
            self._namespace_made = True
        try:
            await self._cluster.apply(parent_of(inventory), manager=AGENT_MANAGER, force=True)
        except NotFoundError:
            self._namespace_made = False
            raise

    async def allows_wipe(self, bundle: str) -> bool:
        """Does an annotation on the parent say that deleting most of the bundle is meant?"""
        parent = await self._cluster.get(_parent_key(bundle))
        return parent is not None and annotations_of(parent).get(ALLOW_WIPE) == "true"

    async def restore(self, inventory: Inventory) -> None:
        """Write the parent again if somebody deleted it."""
        if await self._cluster.get(_parent_key(inventory.bundle)) is None:
            self._namespace_made = False
            await self.save(inventory)

    async def forget(self, bundle: str) -> None:
        """Delete the parent of a bundle that owns nothing any more, and its hooks."""
        await self.drop_hooks(bundle)
        await self._cluster.delete(_parent_key(bundle))

    async def save_hooks(self, bundle: str, data: bytes) -> None:
        """Keep the hooks that run when the bundle goes; `fleet-system` is there already.

        Errors: `ClusterError`, such as for more than a Secret holds.
        """
        wanted = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": parent_name(bundle), "namespace": NAMESPACE},
            "data": {"hooks": base64.b64encode(data).decode()},
        }
        await self._cluster.apply(wanted, manager=AGENT_MANAGER, force=True)

    async def load_hooks(self, bundle: str) -> bytes:
        """What `save_hooks` kept; empty if somebody took it away."""
        secret = await self._cluster.get(_hooks_key(bundle))
        text = ((secret or {}).get("data") or {}).get("hooks") or ""
        return base64.b64decode(text)

    async def drop_hooks(self, bundle: str) -> None:
        """They are not needed any more."""
        if await self._cluster.get(_hooks_key(bundle)) is not None:
            await self._cluster.delete(_hooks_key(bundle))


async def ensure_namespace(cluster: Cluster, name: str) -> Object:
    """The namespace, made if it is not there; it is never owned and never pruned."""
    live = await cluster.get(ObjectKey("", "Namespace", "", name))
    if live is not None:
        return live
    wanted = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    return await cluster.apply(wanted, manager=AGENT_MANAGER)


def is_part_of(live: Object, bundle: str) -> bool:
    """Does the live object say that this bundle owns it?"""
    return labels_of(live).get(PART_OF) == applyset_id(bundle)
