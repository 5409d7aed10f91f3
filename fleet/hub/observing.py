"""From Git to the rows: look for a new commit, plan it, record what is wanted.

::

    fetch ──► new commit ──► plan ──► artifacts on disk ──► wanted rows, in one transaction
      │                        │
      └ failed: the last good  └ failed, or empty where there was a fleet: shown as a problem,
        plan stays               the last good plan stays

Nothing here releases anything. A failure of any kind becomes a problem that people see, and is
tried again at the next poll. After a start, when Git is away, the commit that was planned last is
planned again from the mirror, so that running rollouts do not depend on the Git host.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from clusters.objects import Digest
from fleet.errors import FleetError, SourceError
from fleet.hub.contents import Choose, PlanContent, deliver
from fleet.hub.planning import Planned, warnings_of_change
from fleet.hub.situations import record_of, wanted_of
from fleet.hub.tracks import NOTHING, Content, Tracked, track
from fleet.model import Problem, Severity, Tree
from fleet.rollout.situation import Asked, AsOf
from fleet.source import Commit
from fleet.store import Store
from fleet.store.contents import (
    bundles_of,
    delivered_commits,
    delivered_refs,
    record_contents,
)
from fleet.store.events import add_event, replace_problems
from fleet.store.questions import newest_commit
from fleet.store.wanted import (
    fail_commit,
    keep_content,
    note_commit,
    record_wanted,
    removals_are_safe,
)

log = logging.getLogger(__name__)


class Repository(Protocol):
    """What the hub needs of `fleet.source.Source`."""

    def fetch(self) -> str:
        """The branch's newest commit. Errors: `SourceError`."""
        ...

    def tree(self, commit: str) -> Tree:
        """The files of a commit."""
        ...

    def log(self, commit: str) -> Commit:
        """Title, author and time of a commit. Errors: `SourceError`."""
        ...

    def authors_since(self, before: str, after: str) -> tuple[str, ...]:
        """Who made what `after` has and `before` has not. Errors: `SourceError`."""
        ...

    def resolve(self, rev: str) -> str:
        """The commit that a branch or id names. Errors: `SourceError`."""
        ...

    def tags(self) -> Mapping[str, str]:
        """Every tag → its commit. Errors: `SourceError`."""
        ...


class Observer:
    """Looks at one repository; used by one thread at a time."""

    def __init__(
        self,
        store: Store,
        source: Repository,
        plan_tree: Callable[[Tree], Planned],
        location: str = "",
        plan_part: PlanContent | None = None,
    ) -> None:
        """`plan_part` plans what rollouts track; without it such rollouts are held."""
        self.location = location
        self._store, self._source, self._plan_tree = store, source, plan_tree
        self._plan_part = plan_part or _nothing_else
        self._tracked = NOTHING
        self._asked: frozenset[Asked] = frozenset()
        self.as_of: AsOf = {}
        """(commit, bundle) → cluster → digest for the clusters of the commit that is planned."""
        self.planned: Planned | None = None
        """The last good plan of this process."""
        self.commit: Commit | None = None
        self._moved: set[str] = set()

    def look(self, now: datetime) -> bool:
        """Fetch, and plan what is new; is there a new plan? Never raises: failures are recorded."""
        try:
            commit = self._newest(now)
            if commit is None or (self._is_planned(commit) and not self._has_moved()):
                return self._plan_asked()
            return self._plan(commit, now)
        except Exception as error:
            # The one place that must outlive every bug of layout, plan and render.
            log.exception("planning failed")
            self._tell("hub", [_problem_of(error, "")], now)
            return False

    def ask(self, contents: frozenset[Asked]) -> bool:
        """Plan these with the next look; are there any that it did not know of? From any thread."""
        self._asked = contents
        return not contents <= self.as_of.keys()

    def _plan_asked(self) -> bool:
        """What today's clusters would run of older commits, as far as it was asked for and is not
        known; was there anything? What cannot be had is not asked for again."""
        missing = sorted(self._asked - self.as_of.keys())
        if self.planned is None or not missing:
            return False
        found: dict[Asked, Mapping[str, Digest | None]] = dict(self.as_of)
        for commit in sorted({commit for commit, _ in missing}):
            names = frozenset(bundle for other, bundle in missing if other == commit)
            found |= {(commit, bundle): {} for bundle in names}
            try:
                found |= self._content_of(self.planned.plan.commit, commit, names)
            except FleetError as error:
                log.warning(
                    "older content not planned", extra={"commit": commit, "why": error.what}
                )
        self.as_of = found
        return True

    def _content_of(self, own: str, commit: str, names: frozenset[str]) -> AsOf:
        tree, other = self._source.tree(own), self._source.tree(commit)
        part, _ = self._plan_part(tree, other, lambda repo: names)
        for data in part.artifacts().values():
            self._store.artifacts.put(data)
        with self._store.write() as c:
            keep_content(c, part.plan)
        wanted = wanted_of(part.plan)
        return {(commit, b): {c: some.get(b) for c, some in wanted.items()} for b in names}

    def _is_planned(self, commit: str) -> bool:
        return self.planned is not None and self.planned.plan.commit == commit

    def _has_moved(self) -> bool:
        """Do rollouts that track other commits deliver others by now?"""
        assert self.planned is not None, "asked only of what is planned"
        return self._track(self.planned) != self._tracked

    def _track(self, planned: Planned) -> Tracked:
        if all(policy.rules.delivery.track is None for policy in planned.book.policies):
            return NOTHING
        with self._store.read() as c:
            known, before = delivered_refs(c), delivered_commits(c)
        found = track(planned.book, self._source, known)
        contents = {n: self._with_authors(x, before.get(n, ())) for n, x in found.contents.items()}
        return replace(found, contents=contents)

    def _with_authors(self, content: Content, delivered: Iterable[str]) -> Content:
        """With the authors of all that came since what was delivered before it."""
        commit = content.about.id
        last = next((one for one in delivered if one != commit), None)
        if last is None:
            return content
        authors = self._source.authors_since(last, commit)
        return replace(content, about=replace(content.about, authors=authors))

    def _newest(self, now: datetime) -> str | None:
        try:
            commit = self._source.fetch()
        except SourceError as error:
            self._tell("source", [_problem_of(error, "")], now)
            if self.planned is not None:
                return None
            with self._store.read() as c:
                last = newest_commit(c, planned=True)
            return str(last["id"]) if last else None
        self._tell("source", [], now)
        return commit

    def _plan(self, commit: str, now: datetime) -> bool:
        try:
            about = self._about(commit)
            with self._store.write() as c:
                note_commit(c, record_of(about), now)
            tree = self._source.tree(commit)
            planned = self._plan_tree(tree)
            tracked = self._track(planned)
            planned = deliver(planned, tree, tracked, self._source, self._plan_part)
        except FleetError as error:
            self._refuse(commit, _problem_of(error, commit), now)
            return False
        if not planned.plan.class_of and self._has_clusters():
            self._refuse(commit, _nothing_declared(commit), now, planned)
            return False
        for data in planned.artifacts().values():
            self._store.artifacts.put(data)
        self._record(self._with_all_held(planned), about, now)
        self._tracked = tracked
        return True

    def _about(self, commit: str) -> Commit:
        """The commit, with the authors of all that came since the last one that was planned."""
        about = self._source.log(commit)
        with self._store.read() as c:
            last = newest_commit(c, planned=True)
        if last is None or last["id"] == commit:
            return about
        return replace(about, authors=self._source.authors_since(str(last["id"]), commit))

    def _with_all_held(self, planned: Planned) -> Planned:
        """What rollouts ever carried whose content cannot be had is not removed either."""
        if not planned.unresolved:
            return planned
        with self._store.read() as c:
            names = bundles_of(c, planned.unresolved)
        return replace(planned, plan=replace(planned.plan, held=planned.plan.held | names))

    def _record(self, planned: Planned, about: Commit, now: datetime) -> None:
        problems = [*planned.plan.problems, *warnings_of_change(self.planned, planned)]
        if not removals_are_safe(planned.plan):
            problems.append(_removals_held(planned.plan.commit))
        with self._store.write() as c:
            recorded = record_wanted(c, planned.repo, planned.plan, now)
            if recorded.departures.spared:
                problems.append(_spared(planned.plan.commit, recorded.departures.spared))
            replace_problems(c, "repository", problems, now, planned.plan.commit)
            replace_problems(c, "hub", [], now)
            contents = {n: (found.ref, found.about.id) for n, found in planned.contents.items()}
            record_contents(c, contents, now)
            add_event(
                c,
                now,
                "commit-planned",
                f"commit {about.id[:12]}: {recorded.changed} bundle deployments are to change",
            )
        self.as_of = {}  # First: it is of the clusters that were declared until now.
        self.planned, self.commit = planned, about
        self._moved |= recorded.departures.moved

    def take_moved(self) -> set[str]:
        """Clusters that left or came back since this was asked last: their target changed."""
        moved, self._moved = self._moved, set()
        return moved

    def _refuse(
        self, commit: str, problem: Problem, now: datetime, planned: Planned | None = None
    ) -> None:
        problems = [problem, *(planned.plan.problems if planned else ())]
        with self._store.write() as c:
            fail_commit(c, commit)
            replace_problems(c, "repository", problems, now, commit)

    def _has_clusters(self) -> bool:
        with self._store.read() as c:
            row = c.execute("SELECT 1 FROM cluster WHERE declared = 1 LIMIT 1").fetchone()
        return row is not None

    def _tell(self, origin: str, problems: list[Problem], now: datetime) -> None:
        with self._store.write() as c:
            replace_problems(c, origin, problems, now)


def _nothing_else(tree: Tree, content: Tree, choose: Choose) -> tuple[Planned, frozenset[str]]:
    raise SourceError("this hub reads no other commits than its own", code="track-not-found")


def _problem_of(error: Exception, commit: str) -> Problem:
    if isinstance(error, FleetError):
        return Problem(error.code, Severity.ERROR, error.what, error.at or commit, error.fix)
    return Problem(
        "hub-failed",
        Severity.ERROR,
        f"the hub failed at planning: {type(error).__name__}",
        commit,
        "see the hub's log and report it; the last good plan stays in force",
    )


def _nothing_declared(commit: str) -> Problem:
    return Problem(
        "turndown-suspected",
        Severity.ERROR,
        "the commit declares no cluster at all, and there were some; it is not followed",
        commit,
        "declare the clusters again; to turn a fleet down, remove clusters one group at a time",
    )


def _spared(commit: str, clusters: Iterable[str]) -> Problem:
    names = sorted(clusters)
    shown = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    return replace(
        _nothing_declared(commit),
        severity=Severity.WARNING,
        what=f"too many clusters left at once to be emptied; all stays as it is in {shown}",
        fix="if that was meant, declare them again and remove a few with each commit",
    )


def _removals_held(commit: str) -> Problem:
    return replace(
        _nothing_declared(commit),
        code="removals-held",
        severity=Severity.WARNING,
        what="something could not be read, so nothing is removed at this commit",
        fix="mend the errors; removals follow with the first commit that reads well",
    )
