"""The history itself: pushes in time through one policy, and what people decide besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import yaml

from fleet.render import Renderer
from tests.e2e.rollout_history.fleet_in_time import FleetInTime
from tests.e2e.rollout_history.people import Approver, approve_removals
from tests.e2e.rollout_history.shop_commits import CLUSTERS, PUBLISHED, Push, WorkTree

JOIN_MINUTES = 20
REMOVALS_MINUTES = 30
"""After a push that removes an app everywhere, somebody approves that."""
REMOVES = {"no-webapp": "webapp"}


@dataclass
class History:
    """What happened: the fleet as it ended, and which push was which commit, when."""

    policy: str
    fleet: FleetInTime
    tree: WorkTree
    pushed: dict[str, Push] = field(default_factory=dict)
    """Commit id → push."""
    said: list[str] = field(default_factory=list)
    """What people decided beside approvals."""

    def push(self, push: Push) -> None:
        """Time passes until then; the commit is made, and the hub hears of it."""
        if push.at > self.fleet.now:
            self.fleet.until(push.at)
        self.pushed[push.make(self.tree)] = push
        self.fleet.look()

    def go(self, pushes: Iterable[Push], end: datetime) -> None:
        """All pushes in order, with what follows each, until the end."""
        for at, deed in sorted(self._deeds(pushes), key=lambda one: one[0]):
            self.fleet.until(at)
            deed()
        self.fleet.until(end)

    def _deeds(self, pushes: Iterable[Push]) -> Iterator[tuple[datetime, Callable[[], None]]]:
        for push in pushes:
            yield push.at, partial(self.push, push)
            if push.joins:
                joined = push.at + timedelta(minutes=JOIN_MINUTES)
                yield joined, partial(self.fleet.join, push.joins)
            if push.key in REMOVES:
                yield push.at + timedelta(minutes=REMOVALS_MINUTES), partial(self._approve, push)

    def _approve(self, push: Push) -> None:
        self.said.append(approve_removals(self.fleet, REMOVES[push.key]))


@contextmanager
def history(policy: str, folder: Path, renderer: Renderer) -> Iterator[History]:
    """The published fleet, released by the policy at `PUBLISHED.at`, with every agent there."""
    tree = WorkTree(folder / "repository", policy)
    first = PUBLISHED.make(tree)
    fleet = FleetInTime(tree.root, folder / "hub", renderer, PUBLISHED.at)
    try:
        fleet.people.append(Approver())
        text = (tree.root / CLUSTERS).read_text(encoding="utf-8")
        fleet.join(one["metadata"]["name"] for one in yaml.safe_load_all(text))
        fleet.look()
        yield History(policy, fleet, tree, {first: PUBLISHED})
    finally:
        fleet.close()
