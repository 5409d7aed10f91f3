"""From the newest commit to rows that say what is wanted. A bad commit leaves the last good plan.

The plan is made outside of any transaction (it may take minutes), its artifacts are on disk before
a row names them, and what it wants is written in one transaction.
"""

from __future__ import annotations

import logging
from datetime import datetime

from fleet.errors import FleetError
from fleet.hub.planning import Planned, make_plan, warnings_of_change
from fleet.model import Problem, Severity
from fleet.render import Renderer
from fleet.source import Source
from fleet.store import Store
from fleet.store.events import replace_problems, set_meta
from fleet.store.wanted import fail_commit, note_commit, record_wanted

log = logging.getLogger(__name__)


class Following:
    """The followed branch, and the plan of its newest commit that could be planned."""

    def __init__(self, store: Store, source: Source, renderer: Renderer) -> None:
        self._store, self._source, self._renderer = store, source, renderer
        self.planned: Planned | None = None
        self.title, self.author = "", ""

    def poll(self, now: datetime) -> bool:
        """Fetch and plan what is new; is there a new plan? Failures become problems."""
        try:
            commit = self._source.fetch()
            if self.planned is not None and self.planned.repo.commit == commit:
                self._say((), now)
                return False
            self._plan(commit, now)
        except FleetError as error:
            log.warning("the repository could not be planned: %s", error.what)
            self._say((_problem_of(error),), now)
            return False
        self._say((), now)
        return True

    def _plan(self, commit: str, now: datetime) -> None:
        about = self._source.log(commit)
        with self._store.write() as c:
            note_commit(c, commit, about.title, about.author, now)
        try:
            planned = make_plan(self._source.tree(commit), self._renderer)
        except FleetError:
            with self._store.write() as c:
                fail_commit(c, commit)
            raise
        for data in planned.artifacts().values():
            self._store.artifacts.put(data)
        problems = [*planned.plan.problems, *warnings_of_change(self.planned, planned)]
        with self._store.write() as c:
            recorded = record_wanted(c, planned.repo, planned.plan, now)
            replace_problems(c, "plan", problems, now, commit)
            set_meta(c, "commit", commit)
            set_meta(c, "commit_title", about.title)
        log.info("commit %s planned: %d bundle deployments differ", commit[:12], recorded.changed)
        self.planned, self.title, self.author = planned, about.title, about.author

    def _say(self, problems: tuple[Problem, ...], now: datetime) -> None:
        with self._store.write() as c:
            replace_problems(c, "source", problems, now)


def _problem_of(error: FleetError) -> Problem:
    return Problem(
        code=error.code,
        severity=Severity.ERROR,
        what=error.what,
        at=error.at,
        fix=error.fix or "mend it and the hub goes on by itself",
    )
