"""The fleet repository's Git: where it is, which commit is the newest, what a commit holds.

    locations  which paths and URLs may be a source at all
    git        the one place that runs the `git` program, hardened
    objects    one `git cat-file --batch` process: blobs and commits by id, without a checkout
    tree       `GitTree`: the files of one commit
    repository `Source`: open, fetch, resolve, log
    polling    when to fetch next

Never writes to a person's own repository, never checks out a file, never runs a hook.
"""

from __future__ import annotations

from fleet.source.locations import Location, check_location
from fleet.source.polling import Polling
from fleet.source.repository import Commit, Source
from fleet.source.tree import GitTree

__all__ = ["Commit", "GitTree", "Location", "Polling", "Source", "check_location"]
