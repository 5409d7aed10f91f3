"""What the hub remembers: one SQLite file and a folder of artifacts. The only place with SQL.

    database     connections, `write()` and `read()` transactions
    migrations   the numbered steps from an empty file to today's tables
    views        the same rows under the words that people use, for `fleet query`
    artifacts    rendered bytes by digest
    codec        times, JSON and frozen values as columns
    wanted       what Git declares: clusters, groups, bundles, wanted bundle deployments
    agents       tokens, registrations, who is online
    reports      what agents say, batched and idempotent
    targets      what a cluster is to run: offers, starts, withdrawals
    runs         rollout runs, their steps, decisions and events
    evidence     what `advance` is given
    questions    rows for status documents
    query        SQL of people, read-only

Promises: every change that belongs together is one transaction; reopening the file after a kill
gives the same target; a generation is never used twice. It never decides: that is the hub's part.
"""

from __future__ import annotations

from fleet.store.artifacts import Artifacts
from fleet.store.database import Connection, Store, open_store

__all__ = ["Artifacts", "Connection", "Store", "open_store"]
