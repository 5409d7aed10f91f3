"""Which bundles change together because an object moves from one to another. Pure.

An agent hands an object over when both bundles come to it at once: the new owner takes it, then the
old one lets go. If the old one came alone, its agent would delete what the new one makes again
later, or never; if the new one came alone, two bundles would want the object. So both go in one
run. A bundle that goes, while others take all that it had, was renamed: that removes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping
from dataclasses import dataclass
from itertools import permutations

from agents.protocol import ABSENT
from clusters.objects import Digest

Objects = Callable[[Digest], frozenset[Hashable]]
"""Digest of a bundle deployment → what identifies its objects; empty where it is not known."""
_Change = tuple[str, Digest, Digest]
"""Bundle, the digest that it was last granted, the one that Git wants."""


@dataclass(frozen=True, slots=True)
class Handovers:
    """Objects that move, as bundles and clusters."""

    pairs: frozenset[tuple[str, str]] = frozenset()
    """(from, to): an object moves between them in some cluster."""
    renamed: frozenset[tuple[str, str]] = frozenset()
    """(cluster, bundle): it goes there, and all that it has goes to others."""


def handovers(
    wanted: Mapping[str, Mapping[str, Digest | None]],
    granted: Mapping[str, Mapping[str, Digest]],
    objects: Objects,
) -> Handovers:
    """What moves from what was granted to what Git wants; clusters that change alike are looked at
    once."""
    alike: dict[tuple[_Change, ...], list[str]] = {}
    for cluster, some in wanted.items():
        changes = tuple(_changing(some, granted.get(cluster, {})))
        if len(changes) > 1:
            alike.setdefault(changes, []).append(cluster)
    pairs: set[tuple[str, str]] = set()
    renamed: set[tuple[str, str]] = set()
    for changes, clusters in alike.items():
        moves, gone = _among(changes, objects)
        pairs |= moves
        renamed.update((cluster, bundle) for cluster in clusters for bundle in gone)
    return Handovers(frozenset(pairs), frozenset(renamed))


def _changing(
    wanted: Mapping[str, Digest | None], granted: Mapping[str, Digest]
) -> Iterator[_Change]:
    if wanted == granted:
        return
    for bundle in sorted({*wanted, *granted}):
        old, new = granted.get(bundle, ABSENT), wanted.get(bundle, ABSENT)
        if new is not None and new != old:
            yield bundle, old, new


def _among(
    changes: tuple[_Change, ...], objects: Objects
) -> tuple[set[tuple[str, str]], list[str]]:
    had = {bundle: objects(old) if old != ABSENT else frozenset() for bundle, old, _ in changes}
    has = {bundle: objects(new) if new != ABSENT else frozenset() for bundle, _, new in changes}
    taken = {bundle: has[bundle] - had[bundle] for bundle in had}
    pairs = {(a, b) for a, b in permutations(had, 2) if (had[a] - has[a]) & taken[b]}
    gone = [bundle for bundle, _, new in changes if new == ABSENT and had[bundle]]
    return pairs, [bundle for bundle in gone if had[bundle] <= frozenset().union(*taken.values())]
