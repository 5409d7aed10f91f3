"""Progress lines: what a run looks like to somebody who watches, one line for each change.

    storefront  staging ■■ 2/2 ✓ │ production-eu ▣□□□□ 0/5 │ production-us □□□□□ 0/5

A box is a cluster; `LEGEND` says which. What the boxes say is not said again in words: a note
stands only where a run waits for something that is not the stage before, where something keeps
everybody of an open stage, or where a stage failed. What a whole run waits for is said once.

Pure: rows of the API in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil
from typing import Any

from fleet.rollout.progress import AND_KEPT

FULL, EMPTY, FAILED, MOVING = "■", "□", "✗", "▣"
MOST_BOXES = 40
"""Of one stage; in a larger one a box stands for several clusters, and the line says so."""
LEGEND = (
    f"a box is a cluster: {EMPTY} its turn has not come  {MOVING} changing now"
    f"  {FULL} Healthy  {FAILED} failed;  ✓ the stage is done"
)
_SPEAKING = ("GatedBefore", "GatedAfter", "Failed")
_BEFORE_IT = "waits for stage "


def run_line(run: Mapping[str, Any]) -> str:
    """One run on one line; `Running` goes without saying."""
    waits = run["reason"] if run["state"] == "Queued" else ""
    stages = " │ ".join(stage_text(stage, waits) for stage in run["stages"])
    state = "" if run["state"] == "Running" else f"{run['state']}  "
    state = f"{run['state']} ({waits})  " if waits else state
    return f"{','.join(run['bundles'])}  {state}{stages}"


def stage_text(stage: Mapping[str, Any], known: str = "") -> str:
    """One stage: a box for each cluster, counts, and what it waits for that is not `known`."""
    total, healthy = int(stage["total"]), int(stage["healthy"])
    if not total:
        return f"{stage['stage']} unchanged"
    failed, moving = int(stage["failed"]), int(stage["inFlight"])
    rest = max(0, total - healthy - failed - moving)
    each = ceil(total / MOST_BOXES)
    counts = ((FULL, healthy), (MOVING, moving), (FAILED, failed), (EMPTY, rest))
    boxes = "".join(sign * ceil(count / each) for sign, count in counts)
    scale = f" (a box: up to {each} clusters)" if each > 1 else ""
    note = note_of(stage)
    note = "" if note == known else note
    done = " ✓" if stage["state"] == "Done" else ""
    said = f" ({note})" if note else ""
    return f"{stage['stage']} {boxes} {healthy}/{total}{scale}{said}{done}"


def note_of(stage: Mapping[str, Any]) -> str:
    """Why the stage does not move, if the boxes and the stage before do not show it."""
    reason = str(stage.get("reason") or "")
    if stage["state"] == "Updating":
        return reason.partition(AND_KEPT)[2]
    waits = stage["state"] == "Waiting" and not reason.startswith(_BEFORE_IT)
    return reason if waits or stage["state"] in _SPEAKING else ""


def milestone(run: Mapping[str, Any]) -> str:
    """What of a run is news when several are watched at once: states, not single clusters."""
    stages = ((s["stage"], s["state"], s["failed"], note_of(s)) for s in run["stages"])
    still = {"Updating": "Moving", "Verifying": "Moving"}
    return repr((run["state"], [(n, still.get(s, s), f, why) for n, s, f, why in stages]))


class Board:
    """Remembers what was printed, so that only changes are."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def changes(self, runs: Iterable[Mapping[str, Any]]) -> list[str]:
        """The lines of those runs that look different from the last time.

        While several runs are live, only a stage or a run that enters another state is a change.
        """
        rows = list(runs)
        crowd = sum(1 for run in rows if not run["ended"]) > 1
        lines = []
        for run in rows:
            line, news = run_line(run), milestone(run)
            before = self._printed.get(run["run"], "")
            if before.startswith(news) if crowd else before == news + line:
                continue
            self._printed[run["run"]] = news + line
            lines.append(line)
        return lines
