"""The shared budgets that hold now: those of the last good commit, and the freeze of people.

They are kept in the store, so that a hub that starts again holds them before it has read Git.
"""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import TypeAdapter

from fleet.rollout import freezing
from fleet.rollout.shared_budget import RolloutBudget
from fleet.store.codec import dump
from fleet.store.database import Connection
from fleet.store.decisions import decisions_of

KEY = "rollout-budgets"
FLEET = ""
"""The `run` of a Decision that is about the fleet."""
_BUDGETS: TypeAdapter[tuple[RolloutBudget, ...]] = TypeAdapter(tuple[RolloutBudget, ...])


def keep_budgets(c: Connection, budgets: Iterable[RolloutBudget]) -> None:
    """Those of a commit take the place of the ones before."""
    c.execute(
        "INSERT INTO meta (key, value) VALUES (?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (KEY, dump(_BUDGETS, tuple(budgets))),
    )


def read_budgets(c: Connection) -> tuple[RolloutBudget, ...]:
    """Everything that holds now, in the order of names; people's freeze last."""
    row = c.execute("SELECT value FROM meta WHERE key = ?", (KEY,)).fetchone()
    kept = _BUDGETS.validate_json(row["value"]) if row else ()
    people = freezing.by_people(decisions_of(c, FLEET))
    return (*kept, people) if people else kept
