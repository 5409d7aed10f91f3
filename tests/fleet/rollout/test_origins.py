"""A run is of the commit that changed something, and its authors are all who did."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fleet.rollout import Situation, propose
from fleet.rollout.situation import CommitRecord
from tests.fleet.rollout.test_runs import NAMES, situation

ANA = CommitRecord("a" * 40, 1, "Change the app", "Ana", ("Ana", "ana@shop.example"))
BOB = CommitRecord("b" * 40, 2, "More of the app", "Bob", ("Bob",))
README = CommitRecord("c" * 40, 3, "A README", "Cleo", ("Cleo",))
COMMITS = {one.id: one for one in (ANA, BOB, README)}


def wanted_since(**more: Any) -> Situation:
    """`app` is to change everywhere; `more`: cluster → the commit that brought that, else Ana's."""
    origins = {name: {"app": more.get(name, ANA).id} for name in NAMES}
    base: dict[str, Any] = {"commit": README.id, "title": README.title, "author": README.author}
    return situation(
        {"app": "v2"}, {"app": "v1"}, origins=origins, commits=COMMITS, authors=("Cleo",), **base
    )


def test_a_run_is_of_the_commit_that_changed_something_not_of_the_newest() -> None:
    (run,) = propose(wanted_since()).runs
    assert (run.commit, run.title, run.author) == (ANA.id, ANA.title, ANA.author)
    assert run.authors == ANA.authors
    assert run.uid == "app-aaaaaaa-1"


def test_of_several_commits_it_is_of_the_newest_and_everybody_is_an_author() -> None:
    """Nobody approves their own change because somebody else pushed after them.

    Mutation that breaks it: the authors are those of the newest commit alone.
    """
    (run,) = propose(wanted_since(p1=BOB)).runs
    assert (run.commit, run.title) == (BOB.id, "More of the app (and 1 more)")
    assert run.authors == ("Ana", "Bob", "ana@shop.example")


def test_authors_of_whom_one_is_not_known_are_not_known() -> None:
    """Then `notAuthor` lets nobody approve: a commit that an older hub took note of."""
    old = CommitRecord("d" * 40, 0, "Before", "Dan")
    base = wanted_since(p1=old)
    (run,) = propose(replace(base, commits={**COMMITS, old.id: old})).runs
    assert (run.commit, run.authors) == (ANA.id, ())


def test_what_nobody_took_note_of_is_of_the_commit_that_was_planned() -> None:
    nobody = CommitRecord("e" * 40, 9)
    (run,) = propose(wanted_since(p1=nobody)).runs
    assert (run.commit, run.title) == (README.id, "A README (and 1 more)")
    (offline,) = propose(situation({"app": "v2"}, {"app": "v1"}, title="t", authors=("x",))).runs
    assert (offline.commit, offline.title, offline.authors) == ("abcdef0123", "t", ("x",))
