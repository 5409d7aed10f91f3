"""Which changed bundles share a run: those that `dependsOn` joins and one policy carries, and those
between which an object moves, so that it is handed over.

One team's bad image or pending approval holds nobody else: every other bundle has its own run. A
policy with `source.unit: Commit` wants it otherwise: there all that changes goes together.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


def units(
    policy_of: Mapping[str, str],
    depends_on: Mapping[str, tuple[str, ...]],
    together: Collection[str] = (),
    handovers: Collection[tuple[str, str]] = (),
) -> list[tuple[str, ...]]:
    """Changed bundle → name of its policy, and the edges, as sorted groups of sorted bundles.

    An edge joins only where both ends change; two policies are never in one run. All bundles of a
    policy in `together` are one group.
    """
    root = {bundle: bundle for bundle in policy_of}

    def find(bundle: str) -> str:
        while root[bundle] != bundle:
            root[bundle] = root[root[bundle]]
            bundle = root[bundle]
        return bundle

    edges = [(bundle, other) for bundle in policy_of for other in depends_on.get(bundle, ())]
    for bundle, other in sorted({*edges, *handovers}):
        if bundle in policy_of and policy_of.get(other) == policy_of[bundle]:
            one, two = sorted((find(bundle), find(other)))
            root[two] = one
    first: dict[str, str] = {}
    for bundle in sorted(policy_of):
        if policy_of[bundle] in together:
            root[find(bundle)] = find(first.setdefault(policy_of[bundle], bundle))
    groups: dict[str, list[str]] = {}
    for bundle in sorted(policy_of):
        groups.setdefault(find(bundle), []).append(bundle)
    return [tuple(groups[name]) for name in sorted(groups)]
