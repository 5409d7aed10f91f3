"""What an agent does for a cluster that has left the fleet: as its target says, and no more. Pure.

| `leaving` | what happens |
|---|---|
| nothing | the cluster is declared; all is as always |
| `orphan` | everything stays as it is; nothing is applied, healed, watched or removed any more |
| `wait`, `delete` | the target orders every bundle to be removed; that this empties the cluster is meant |

Inventories and labels stay under `orphan`: a cluster that is declared again is taken up where it
was. The agent itself goes on asking its hub, since that is how it would hear of it.
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from agents.protocol import BundleDeployment, Deletion, Target


def acts_on(target: Target | None) -> tuple[BundleDeployment, ...]:
    """What an agent with this target works on."""
    if target is None or target.leaving is Deletion.ORPHAN:
        return ()
    return target.current


def leaving_of(target: Target | None) -> Deletion | None:
    """What becomes of all that the cluster runs, if it leaves."""
    return target.leaving if target is not None else None


def has_left(target: Target | None) -> bool:
    """Is nothing more to be done in this cluster?"""
    return leaving_of(target) is not None and not acts_on(target)


def in_words(leaving: Deletion | None) -> str:
    """What a person is told when that becomes so."""
    if leaving is None:
        return "Git declares this cluster again: it is held to its target as before"
    if leaving is Deletion.ORPHAN:
        return (
            "Git no longer declares this cluster: what runs here stays as it is, and nothing more"
            " is applied, healed or removed"
        )
    return f"Git no longer declares this cluster: what runs here is removed ({leaving.value})"
