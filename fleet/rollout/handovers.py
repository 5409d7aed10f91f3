"""Which bundles change together because an object moves from one to another. Pure.

An agent hands an object over when both bundles come to it at once: the new owner takes it, then the
old one lets go. If the old one came alone, its agent would delete what the new one makes again
later, or never, so both go in one run. A bundle that goes as a whole is a removal, with rules of
its own (`removals`), and is not looked at here.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from itertools import permutations

from agents.protocol import ABSENT
from clusters.objects import Digest

Objects = Callable[[Digest], frozenset[Hashable]]
"""Digest of a bundle deployment → what identifies its objects; empty where it is not known."""
_Change = tuple[str, Digest, Digest]
"""Bundle, the digest that it was last granted, the one that Git wants."""


def handovers(
    wanted: Mapping[str, Mapping[str, Digest | None]],
    granted: Mapping[str, Mapping[str, Digest]],
    objects: Objects,
) -> frozenset[tuple[str, str]]:
    """(from, to) for every pair of bundles between which an object moves in some cluster.

    Clusters that change alike are looked at once.
    """
    changes = {_changing(some, granted.get(cluster, {})) for cluster, some in wanted.items()}
    return frozenset(pair for some in changes if len(some) > 1 for pair in _among(some, objects))


def _changing(
    wanted: Mapping[str, Digest | None], granted: Mapping[str, Digest]
) -> tuple[_Change, ...]:
    return tuple(
        (bundle, granted.get(bundle, ABSENT), digest)
        for bundle, digest in sorted(wanted.items())
        if digest is not None and digest != ABSENT and granted.get(bundle, ABSENT) != digest
    )


def _among(changes: tuple[_Change, ...], objects: Objects) -> list[tuple[str, str]]:
    had = {bundle: objects(old) if old != ABSENT else frozenset() for bundle, old, _ in changes}
    has = {bundle: objects(new) for bundle, _, new in changes}
    return [
        (one, other)
        for one, other in permutations(had, 2)
        if (had[one] - has[one]) & (has[other] - had[other])
    ]
