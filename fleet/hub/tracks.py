"""Where `source.track` leads: the head of a branch, the highest tag in a range, one commit.

A track that names nothing, and a tag that was moved since it was delivered, are a problem of that
rollout. Tags and branches are those of the last fetch; nothing here touches the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from fleet.errors import FleetError, SourceError
from fleet.model import Problem, Severity, Tree
from fleet.rollout import PolicyBook
from fleet.rollout.rules import Track
from fleet.rollout.stages import Policy
from fleet.source import Commit
from fleet.versions import highest


class Refs(Protocol):
    """What is needed of `fleet.source.Source`."""

    def resolve(self, rev: str) -> str:
        """The commit that it names. Errors: `SourceError`."""
        ...

    def tags(self) -> Mapping[str, str]:
        """Every tag → its commit."""
        ...

    def tree(self, commit: str) -> Tree:
        """The files of a commit."""
        ...

    def log(self, commit: str) -> Commit:
        """Title, author and time of a commit. Errors: `SourceError`."""
        ...


@dataclass(frozen=True, slots=True)
class Content:
    """What one rollout delivers."""

    ref: str
    """`branch release`, `tag v2.3.1`, `commit 1a2b…`."""
    about: Commit


@dataclass(frozen=True, slots=True)
class Tracked:
    """What all rollouts with a track deliver, by their names."""

    contents: Mapping[str, Content] = field(default_factory=dict)
    problems: Mapping[str, Problem] = field(default_factory=dict)
    """Why the bundles of a rollout are held."""


NOTHING = Tracked()


def track(book: PolicyBook, source: Refs, known: Mapping[str, str]) -> Tracked:
    """Where the tracks of all policies lead now; `known`: tags that were delivered → commit."""
    contents: dict[str, Content] = {}
    problems: dict[str, Problem] = {}
    for policy in book.policies:
        said = policy.rules.delivery.track
        if said is None:
            continue
        try:
            ref, commit = _resolve(said, source, known)
            contents[policy.name] = Content(ref, source.log(commit))
        except SourceError as error:
            problems[policy.name] = held_problem(policy, error)
    return Tracked(contents, problems) if contents or problems else NOTHING


def _resolve(said: Track, source: Refs, known: Mapping[str, str]) -> tuple[str, str]:
    if said.semver:
        return _newest_version(said.semver, source, known)
    ref = f"commit {said.revision}" if said.revision else f"branch {said.ref}"
    try:
        return ref, source.resolve(said.revision or f"refs/heads/{said.ref}")
    except SourceError as error:
        raise SourceError(
            f"the repository has no {ref}",
            fix="push it, or correct source.track",
            code="track-not-found",
        ) from error


def _newest_version(said: str, source: Refs, known: Mapping[str, str]) -> tuple[str, str]:
    tags = source.tags()
    tag = highest(tags, said)
    if tag is None:
        raise SourceError(
            f"no tag is a version in the range {said!r}",
            fix="push a tag like v2.0.0 that is in the range, or widen the range",
            code="track-no-version",
        )
    before = known.get(f"tag {tag}")
    if before not in (None, tags[tag]):
        raise SourceError(
            f"tag {tag} was moved from {before[:12]} to {tags[tag][:12]}",
            fix="move it back, or push a tag of a higher version: a version is released once",
            code="track-moved",
        )
    return f"tag {tag}", tags[tag]


def held_problem(policy: Policy, error: FleetError) -> Problem:
    """What people see of a rollout whose content cannot be had."""
    return Problem(
        error.code,
        Severity.WARNING,
        f"rollout {policy.name!r} is held: {error.what}",
        policy.at,
        error.fix,
    )
