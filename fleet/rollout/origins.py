"""Which commit a run is of: the newest of those that made clusters want what it brings.

The hub plans the newest commit of the branch, but what a run brings may be wanted since an older
one: it waited for another run or for a veto to be lifted, or somebody pushed something else within
`source.coalesce`. People look for a run under the commit that changed something, and nobody may
approve their own change because another person pushed after them: so title and author are those of
the newest commit that brought any of it, and `authors` and trailers are those of all of them.

A run that changes nothing, and a plan without a store, are of the commit that was planned. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from fleet.rollout.run_plan import Change
from fleet.rollout.situation import CommitRecord, Situation


def origin(situation: Situation, changes: Mapping[str, Iterable[Change]]) -> CommitRecord:
    """The commit that a run with these changes is of, with the authors of all that it brings."""
    ids = {
        situation.origins.get(cluster, {}).get(change.bundle, "")
        for cluster, some in changes.items()
        for change in some
    }
    known = [situation.commits[one] for one in ids if one in situation.commits]
    if not known or len(known) < len(ids):
        known.append(_planned(situation))
    known = sorted(set(known), key=lambda one: (one.number, one.id))
    newest = known[-1]
    more = f" (and {len(known) - 1} more)" if len(known) > 1 else ""
    authors = {name for one in known for name in one.authors}
    if not all(one.authors for one in known):
        authors = set()  # Somebody is not known: `notAuthor` then lets nobody approve.
    return replace(
        newest,
        title=f"{newest.title}{more}",
        authors=tuple(sorted(authors)),
        trailers=tuple(pair for one in known for pair in one.trailers),
    )


def _planned(situation: Situation) -> CommitRecord:
    last = max((one.number for one in situation.commits.values()), default=0)
    known = situation.commits.get(situation.commit)
    return known or CommitRecord(
        *(situation.commit, last + 1, situation.title, situation.author, situation.authors),
        tuple(situation.trailers.items()),
    )
