"""What the hub forgets: runs and decisions beyond `history` of their rollout, and their content.

It runs in the thread that looks at Git and after it, so that no artifact goes that a plan is just
about to name. Each run is one transaction: agents and people are never held up for longer than one
run takes. At most `RUNS_AT_A_TIME` go at once; the next look goes on. Killed half way, it leaves
whole runs, and content that the next one takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta

from clusters.objects import Digest
from fleet.rollout import PolicyBook
from fleet.rollout.retention import Past, superfluous
from fleet.rollout.rules import HistoryRules
from fleet.store import Store
from fleet.store.events import add_event
from fleet.store.retention import (
    forget_content,
    forget_files,
    forget_run,
    keep_decisions,
    needed_runs,
    past_runs,
    unneeded_content,
)

RUNS_AT_A_TIME = 20


def forget(store: Store, book: PolicyBook, now: datetime, planned: Collection[Digest] = ()) -> None:
    """Forget what the policies keep no longer, and nothing of what is `planned` and in no row yet.

    Writes.
    """
    rules = {policy.name: policy.rules.history for policy in (book.fallback, *book.policies)}
    if book.closed or not any(one.runs or one.decisions_seconds for one in rules.values()):
        return
    with store.read() as c:
        old = superfluous(past_runs(c), rules, needed_runs(c))[:RUNS_AT_A_TIME]
    for run in old:
        with store.write(durable=False) as c:
            forget_run(c, run.uid)
    _forget_decisions(store, rules, now)
    if old:
        _tell(store, old, rules, now)
        _forget_content(store, planned)


def _forget_decisions(store: Store, rules: Mapping[str, HistoryRules], now: datetime) -> None:
    for name, history in sorted(rules.items()):
        if history.decisions_seconds is not None:
            with store.write(durable=False) as c:
                keep_decisions(c, name, now - timedelta(seconds=history.decisions_seconds))


def _tell(store: Store, gone: list[Past], rules: Mapping[str, HistoryRules], now: datetime) -> None:
    with store.write(durable=False) as c:
        for name, count in sorted(Counter(run.rollout for run in gone).items()):
            said = f"{count} old runs of rollout {name} are forgotten; {rules[name].runs} are kept"
            add_event(c, now, "history-pruned", said)


def _forget_content(store: Store, planned: Collection[Digest]) -> None:
    with store.read() as c:
        found = unneeded_content(c, planned)
    with store.write() as c:
        forget_content(c, found)
    forget_files(store.artifacts, found)
