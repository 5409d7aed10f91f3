"""A hub that dies at its transactions, again and again, and comes back from its folder.

It dies just before one commits, when nothing of it is left, or just after, when it is done and
nobody was told: both at every kind of transaction, and then as dice with a seed say. Seldom at the
first of its life, since a hub that comes up writes before it does anything else.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from random import Random

from fleet.store import Connection, Store, open_store

YOUNG = 7
"""Transactions of a hub that comes up: it looks at Git, at who is there, proposes, steps runs."""
SHARE, SHARE_OF_YOUNG = 0.6, 0.03


class Killed(BaseException):
    """kill -9 of the hub, as far as one process can do it."""


class Fate:
    """When the hubs of a story die; these never do."""

    struck = False
    """Did one die of which nobody heard yet? Whoever finds out sets it back."""

    def open_store(self, folder: Path) -> Store:
        """The store of a folder."""
        return open_store(folder)


class AtTransactions(Fate):
    """Most write transactions are the last of the hub that makes them."""

    def __init__(self, seed: int, reports: float) -> None:
        """`reports` is the share of reports that kill. They are by far the most, and a hub that is
        not up for three heartbeats cannot know who is silent."""
        self._dice, self._reports = Random(seed), reports
        self.died: Counter[tuple[str, str]] = Counter()
        """(`before` or `after` its commit, who wrote: `Desk.start` …) → how often."""

    def open_store(self, folder: Path) -> Store:
        """The store of a folder, whose transactions may kill."""
        store = open_store(folder)
        write, ages = store.write, count()

        @contextmanager
        def mortal(*, durable: bool = True) -> Iterator[Connection]:
            who = sys._getframe(2).f_code.co_qualname  # past contextlib's own
            share = SHARE if durable else self._reports
            dies = self._how(who, share if next(ages) >= YOUNG else SHARE_OF_YOUNG)
            with write(durable=durable) as c:
                yield c
                if dies == "before":
                    self._strike(dies, who)
            if dies == "after":
                self._strike(dies, who)

        store.write = mortal  # type: ignore[method-assign]
        return store

    def _how(self, who: str, share: float) -> str:
        """The first two transactions of everybody who writes kill, one before and one after."""
        for when in ("before", "after"):
            if not self.died[when, who]:
                return when
        return self._dice.choice(("before", "after")) if self._dice.random() < share else ""

    def _strike(self, when: str, who: str) -> None:
        self.died[when, who] += 1
        self.struck = True
        raise Killed
