"""The hooks that run when a bundle goes: written down with its inventory, since the order to remove
a bundle brings no artifact, and an agent may start anew in between.

They are kept as they would run here, variables filled in, compressed, in a Secret: hooks may hold
Secrets. Taking that Secret away by hand lets a bundle go without its hooks.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable

import orjson
from pydantic import BaseModel

from agents.apply.hooks import Phase, due
from agents.apply.wanted import WantedHook
from agents.errors import BundleError
from agents.inventory import Inventory, InventoryStore
from agents.protocol import Hook
from clusters.objects import digest_of, key_of

MOST_BYTES = 64 * 2**20
"""Of what a Secret unpacks to; more was not written here."""


class _Kept(BaseModel):
    """What lies in the Secret."""

    hooks: tuple[Hook, ...] = ()


async def keep(store: InventoryStore, bundle: str, hooks: Iterable[WantedHook], known: str) -> str:
    """Write down the hooks of removal; their digest, empty if there are none.

    `known` is the digest of what is kept already. Errors: `ClusterError`.
    """
    chosen = [item for item in hooks if _is_of_removal(item)]
    if not chosen:
        if known:
            await store.drop_hooks(bundle)
        return ""
    kept = _Kept(hooks=tuple(_settled(item) for item in chosen))
    data = orjson.dumps(kept.model_dump(mode="json", by_alias=True), option=orjson.OPT_SORT_KEYS)
    digest, packed = digest_of(data), gzip.compress(data, mtime=0)
    # An agent that died before it noted the digest has written them already.
    if digest != known and await store.load_hooks(bundle) != packed:
        await store.save_hooks(bundle, packed)
    return digest


async def kept_hooks(store: InventoryStore, inventory: Inventory) -> tuple[WantedHook, ...]:
    """The hooks to run around the removal. Errors: `ClusterError`, `BundleError`."""
    if not inventory.delete_hooks:
        return ()
    data = await store.load_hooks(inventory.bundle)
    if not data:
        return ()
    try:
        kept = _Kept.model_validate_json(_unpacked(data))
    except (zlib.error, ValueError) as error:
        message = "the hooks that run when it goes cannot be read"
        raise BundleError(message, code="delete-hooks") from error
    return tuple(WantedHook(key_of(hook.object), hook, hook.object) for hook in kept.hooks)


def _is_of_removal(item: WantedHook) -> bool:
    return bool(due([item], Phase.PRE_DELETE) or due([item], Phase.POST_DELETE))


def _settled(item: WantedHook) -> Hook:
    return item.hook.model_copy(update={"object": item.object})


def _unpacked(data: bytes) -> bytes:
    unpacking = zlib.decompressobj(wbits=31)
    found = unpacking.decompress(data, MOST_BYTES)
    if not unpacking.eof:
        raise ValueError("is cut off, or too large")
    return found
