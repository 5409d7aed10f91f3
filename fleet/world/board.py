"""Progress lines: what a run looks like to somebody who watches, one line for each change.

    storefront  staging ■■ 2/2 soaking until 14:02:31 │ production-eu □□□□□ 0/5 waits for approval

Pure: rows of the API in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FULL, EMPTY, FAILED, MOVING = "■", "□", "✗", "▣"


def run_line(run: Mapping[str, Any]) -> str:
    """One run on one line."""
    stages = " │ ".join(stage_text(stage) for stage in run["stages"])
    return f"{','.join(run['bundles'])}  {run['state']}  {stages}"


def stage_text(stage: Mapping[str, Any]) -> str:
    """One stage: a box for each cluster, counts, and what it waits for."""
    total, healthy = int(stage["total"]), int(stage["healthy"])
    failed, moving = int(stage["failed"]), int(stage["inFlight"])
    rest = max(0, total - healthy - failed - moving)
    boxes = FULL * healthy + MOVING * moving + FAILED * failed + EMPTY * rest
    text = f"{stage['stage']} {boxes} {healthy}/{total}" if total else f"{stage['stage']} unchanged"
    note = stage.get("reason") or ""
    quiet = stage["state"] in ("Done", "Skipped") or not note
    return text + ("" if quiet else f" ({note})") + (" ✓" if stage["state"] == "Done" else "")


class Board:
    """Remembers what was printed, so that only changes are."""

    def __init__(self) -> None:
        self._printed: dict[str, str] = {}

    def changes(self, runs: Iterable[Mapping[str, Any]]) -> list[str]:
        """The lines of those runs that look different from the last time."""
        lines = []
        for run in runs:
            line = run_line(run)
            if self._printed.get(run["run"]) != line:
                self._printed[run["run"]] = line
                lines.append(line)
        return lines
