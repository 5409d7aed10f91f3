"""The history as a table: who got what when after the push, and why.

::

    Mon 10:00 chart    podinfo chart and image 6.14.2
      8 podinfo: staging[2] all +10s…38s, soaks 30m; production[9] waits for approval 5m,
        all +36m…41m, soaks 30m → Succeeded +1h11
      held webapp on 12 clusters +0s for 30m, TurndownSuspected: no cluster would have it any more

A line is a run: its stages in order with how many clusters change there; those that changed in
truth, from the first start to the last; and what each waited for. Times are since the push. Runs
of a push of which the same is to be told share a line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import Lane, RunState, StageState
from fleet.store.codec import moment_or_none
from fleet.store.runs import read_plan
from tests.e2e.rollout_history.history import History
from tests.e2e.rollout_history.shop_commits import Push
from tests.e2e.rollout_history.timed_agent import Ran
from tests.e2e.rollout_history.watching import Span, held, kept, of_run

BEFORE_IT = "waits for stage "
WORTH_SECONDS = 20
"""A wait that was shorter is left out."""
NAMED = 2
"""So many clusters are named, more are counted."""


@dataclass(frozen=True)
class RunTale:
    """One run as a line tells it."""

    number: int
    bundles: tuple[str, ...]
    body: str


def table(history: History) -> list[str]:
    """The lines of the whole history."""
    spans = history.fleet.watcher.spans()
    plans = plans_of(history)
    moments = [push.at for push in history.pushed.values()]
    lines = []
    for (commit, push), until in zip(history.pushed.items(), [*moments[1:], None], strict=True):
        tales = [_tale(history, plan, push, spans) for plan in plans if plan.commit == commit]
        none = "" if tales else " — no run"
        lines.append(f"{push.at:%a %H:%M} {push.key:<12} {push.title}{none}")
        lines.extend(_lines(tales))
        lines.extend(_held(spans, push, until))
    return lines


def plans_of(history: History) -> list[RunPlan]:
    """Every run's plan, oldest first."""
    with history.fleet.store.read() as c:
        rows = c.execute("SELECT uid FROM run ORDER BY number").fetchall()
        return [read_plan(c, row["uid"]) for row in rows]


def _lines(tales: Iterable[RunTale]) -> Iterator[str]:
    alike: dict[str, list[RunTale]] = {}
    for tale in tales:
        alike.setdefault(tale.body, []).append(tale)
    for body, some in alike.items():
        numbers = ",".join(str(tale.number) for tale in some)
        yield f"  {numbers} {' | '.join('+'.join(tale.bundles) for tale in some)}: {body}"


def _tale(history: History, plan: RunPlan, push: Push, spans: list[Span]) -> RunTale:
    ran = [one for one in history.fleet.truth if one.run == plan.uid]
    own = [_said(span) for span in of_run(spans, plan.uid) if _is_worth(span)]
    why = {span.why for span in of_run(spans, plan.uid)}
    stages = (_stage(plan, stage, ran, spans, push.at, why) for stage in plan.stages)
    parts = [*own, *filter(None, stages)] or ["nothing to change"]
    lane = ("catch-up",) if plan.lane is Lane.CATCH_UP else ()
    body = f"{'; '.join(parts)} → {_end(history, plan, push.at)}"
    return RunTale(plan.number, lane or plan.bundles, body)


def _end(history: History, plan: RunPlan, push: datetime) -> str:
    [row] = history.fleet.rows("SELECT state, reason, ended_at FROM run WHERE uid = ?", plan.uid)
    at = moment_or_none(row["ended_at"])
    reason = "" if row["state"] == RunState.SUCCEEDED else f": {_short(row['reason'])}"
    return f"{row['state']} {since(push, at) if at else '(live)'}{reason}"


def _stage(
    plan: RunPlan,
    stage: StagePlan,
    ran: Iterable[Ran],
    spans: list[Span],
    push: datetime,
    known: Collection[str],
) -> str:
    """`staging[2] all +10s…38s, soaks 30m`; empty for a stage that changes nothing."""
    if not stage.clusters:
        return ""
    moves = sorted((o.at, o.cluster) for o in ran if o.cluster in stage.clusters)
    first: dict[str, datetime] = {}
    for at, cluster in moves:
        first.setdefault(cluster, at)
    told = [(min(first.values()), _who(first, stage, push))] if first else []
    told += [
        (span.begin, _said(span))
        for span in of_run(spans, plan.uid, stage.name)
        if _is_worth(span) and span.why not in known
    ]
    told += [
        (span.begin, f"{_names(span.names, stage.clusters)} {_said(span)}")
        for span in kept(spans, plan.uid, stage.name)
        if _is_worth(span)
    ]
    back = {cluster: at for at, cluster in moves if at != first[cluster]}
    if back:
        told.append((min(back.values()), f"back: {_who(back, stage, push)}"))
    words = [word for _, word in sorted(told, key=lambda one: one[0])]
    return f"{stage.name}[{len(stage.clusters)}] {', '.join(words) or 'not reached'}"


def _who(when: dict[str, datetime], stage: StagePlan, push: datetime) -> str:
    begin, end = since(push, min(when.values())), since(push, max(when.values()))
    return f"{_names(when, stage.clusters)} {begin}" + (f"…{end}" if end != begin else "")


def _names(some: Iterable[str], of: Collection[str] = ()) -> str:
    names = sorted(some)
    if len(names) <= NAMED:
        return ",".join(names)
    return "all" if len(names) == len(of) else f"{len(names)}{' clusters' if not of else ''}"


def _is_worth(span: Span) -> bool:
    if not span.why or span.why.startswith(BEFORE_IT):
        return False
    is_long = span.end is None or span.end - span.begin >= timedelta(seconds=WORTH_SECONDS)
    return is_long or span.state == StageState.FAILED


def _said(span: Span) -> str:
    if span.end is None:
        return f"{_short(span.why)} (still)"
    return f"{_short(span.why)} {_long(span.end - span.begin)}".removesuffix(" 0s")


def _short(why: str) -> str:
    """Without what is long and says nothing more here: registries, what people may do."""
    words = (
        word.rpartition("/")[2] if "/" in word and ":" in word else word for word in why.split()
    )
    said = re.sub(r" \(stage .*|vetoed, until [^;]*; ", "", " ".join(words))
    return said.replace("the window is closed until", "closed until")


def _held(spans: Iterable[Span], push: Push, until: datetime | None) -> Iterator[str]:
    """What was held from this push on, until the next."""
    alike: dict[tuple[str, str, str], tuple[list[str], set[str]]] = {}
    for span in held(spans):
        if span.begin < push.at or (until and span.begin >= until):
            continue
        long = f"for {_long(span.end - span.begin)}" if span.end else "(still)"
        key = (f"{since(push.at, span.begin)} {long}", span.state, _short(span.why))
        bundles, clusters = alike.setdefault(key, ([], set()))
        bundles.append(span.key[1])
        clusters.update(span.names)
    for (when, code, why), (bundles, clusters) in alike.items():
        what = _names(bundles) if len(bundles) <= NAMED else f"{len(bundles)} bundles"
        where = f" on {_names(clusters)}" if clusters else ""
        yield f"  held {what}{where} {when}, {code}: {why}"


def since(push: datetime, at: datetime) -> str:
    """`+36m`: how long after the push."""
    return f"+{_long(at - push)}"


def _long(time: timedelta) -> str:
    seconds = round(time.total_seconds())
    if seconds < 120:
        return f"{seconds}s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours}h{minutes:02}" if hours else f"{minutes}m"
