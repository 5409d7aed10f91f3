"""Would a change delete so much that it is rather an accident? Pure.

| change | is held |
|---|---|
| a revision with no objects at all, of a bundle that owns some | always |
| a revision that deletes more than `PART` of what the bundle owns, and `LEAST` objects or more | yes |
| orders to remove `BUNDLES` or more bundles that do the same to all that Fleet owns in the cluster | yes |

Objects that another bundle takes, and those that stay, are not deleted and so not counted. What is
meant is said: `allowWipe: true` in `fleet.yaml`, or the annotation
`fleet.dev/allow-wipe: "true"` on the inventory's ConfigMap.
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from agents.apply.ownership import Claims
from agents.apply.policy import PROTECTED
from agents.inventory import Inventory
from agents.protocol import Deletion
from clusters.objects import ObjectKey

PART = 0.75
LEAST = 10
BUNDLES = 2


def doomed(keys: Iterable[ObjectKey], claims: Claims, bundle: str) -> list[ObjectKey]:
    """Which of these objects of a bundle would be deleted if it no longer wanted them."""
    return [
        key
        for key in keys
        if key.kind_key not in PROTECTED and not claims.wanted_elsewhere(key, bundle)
    ]


def is_wipe(owned: int, deleted: int) -> bool:
    """Is deleting so many of what is owned to be held?"""
    return deleted >= LEAST and deleted > PART * owned


def wiped_bundles(
    inventories: Mapping[str, Inventory], absent: Collection[str], claims: Claims
) -> frozenset[str]:
    """The bundles whose removal, ordered at once, would leave next to nothing in the cluster."""
    going = {
        name: doomed(inventory.objects, claims, name)
        for name, inventory in inventories.items()
        if name in absent and inventory.deletion is not Deletion.ORPHAN
    }
    leaving = frozenset(name for name, keys in going.items() if keys)
    owned = sum(len(inventory.objects) for inventory in inventories.values())
    deleted = sum(map(len, going.values()))
    return leaving if len(leaving) >= BUNDLES and is_wipe(owned, deleted) else frozenset()
