"""The board of a run as text: one line of boxes, its stages, gates, and what waits for what.

Pure: documents of the API in, text out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fleet.cli.explaining import clock_time, table
from fleet.cli.output import Column, short, visible
from fleet.durations import say_duration
from fleet.world.board import run_line

Document = Mapping[str, Any]
NAMES_SHOWN = 5
ROWS_SHOWN = 10

STAGE_COLUMNS = (
    Column("STAGE", "stage"),
    Column("STATE", "state"),
    Column("HEALTHY", lambda row: f"{row['healthy']}/{row['total']}", right=True),
    Column("IN FLIGHT", "inFlight", right=True),
    Column("OFFLINE", "offline", right=True),
    Column("FAILED", lambda row: price_text(row["price"])),
    Column("ONE TAKES", lambda row: took_text(row["took"])),
    Column("DONE AT", lambda row: "" if row["state"] == "Done" else eta_text(row["eta"])),
)
GATE_COLUMNS = (
    Column("GATE", "gate"),
    Column("KIND", "kind"),
    Column("VERDICT", "verdict"),
    Column("OPENS", lambda row: clock_time(row["until"])),
    Column("REASON", "reason"),
)
MOVING_COLUMNS = (
    Column("STAGE", "stage"),
    Column("STATE", "state"),
    Column("CLUSTERS", lambda row: names_text(row["clusters"])),
    Column("SAID", "said"),
)
WAITING_COLUMNS = (
    Column("STAGE", "stage"),
    Column("STATE", "state"),
    Column("CLUSTERS", lambda row: names_text(row["clusters"])),
    Column("BECAUSE", lambda row: because_text(row["reasons"])),
)


def progress_text(answer: Document) -> str:
    """Every run of the answer, one after another."""
    runs = answer["items"]
    return "\n".join(run_text(run) for run in runs) if runs else "no run is live\n"


def run_text(run: Document) -> str:
    """One run: what, where, when; its stages, gates and waiting clusters."""
    why = f": {run['reason']}" if run["reason"] else ""
    head = [
        visible(run_line(run)),
        visible(f"Run {run['run']}  {run['state']}{why}"),
        visible(f"Commit {short(run['commit'])} {run['title']}"),
    ]
    if run["hotfix"]:
        head.append(visible(f"Lane {run['hotfix'].replace('RUN', run['run'])}"))
    if run["bisection"]:
        head += [visible(line) for line in bisection_lines(run["bisection"])]
    if not run["ended"]:
        head.append(visible(f"Done {eta_text(run['eta'])}"))
    head += ways_on(run)
    gates = [gate for stage in run["stages"] for gate in stage["gates"]]
    parts = [
        "\n".join(head) + "\n",
        table("", [s for s in run["stages"] if s["total"]], STAGE_COLUMNS),
        table("Gates", gates, GATE_COLUMNS),
        table("Moving", run["moving"][:ROWS_SHOWN], MOVING_COLUMNS),
        _more(len(run["moving"]) - ROWS_SHOWN),
        table("Waiting", run["waiting"], WAITING_COLUMNS),
    ]
    return "\n".join(part for part in parts if part)


def bisection_lines(report: Document) -> list[str]:
    """What failed clusters have in common, and which commits may be to blame."""
    return [f"Why?  {report['said']}", *(f"      {commit}" for commit in report["suspects"])]


def ways_on(run: Document) -> list[str]:
    """What people can do where a run waits for them: a line, or none."""
    uid, gated = run["run"], [s for s in run["stages"] if s["state"] == "GatedBefore"]
    if run["state"] == "Paused" and any(s["state"] == "Failed" for s in run["stages"]):
        answers = "revert or mend it in Git, or fleet rollout retry|skip|forgive|rollback|abort"
        return [f"Go on  {answers} {uid}"]
    if run["state"] == "Paused":
        return [f"Go on  fleet rollout resume {uid}, or abort it"]
    gates = [gate for stage in gated for gate in stage["gates"]]
    if any(gate["kind"] == "approval" and gate["verdict"] == "none" for gate in gates):
        return [f"Go on  fleet rollout approve {uid}, or reject it"]
    return []


def _more(count: int) -> str:
    return f"… and {count} more\n" if count > 0 else ""


def explanations_text(answer: Document) -> str:
    """Why a cluster waits, run by run."""
    if not answer["items"]:
        return "no live run changes this cluster\n"
    return "\n".join(_explanation(one) for one in answer["items"])


def _explanation(one: Document) -> str:
    where = f"stage {one['stage']}, " if one["stage"] else ""
    lines = [
        f"{one['cluster']} in run {one['run']} ({one['runState']}): {where}{one['state']}",
        *(f"  - {reason_text(reason)} [{reason['code']}]" for reason in one["reasons"]),
    ]
    if not one["reasons"] and one["said"]:
        lines.append(f"  {one['said']}")
    if one["bisection"]:
        lines.append(f"  in this run {one['bisection']}")
    head = "".join(visible(line) + "\n" for line in lines)
    return "\n".join(part for part in (head, table("Gates", one["gates"], GATE_COLUMNS)) if part)


def because_text(reasons: Sequence[Document]) -> str:
    """All reasons in a row; what one says already is not said again by one that adds a place."""
    texts = [reason_text(reason) for reason in reasons]
    return "; ".join(text for text in texts if not any(_is_in(text, other) for other in texts))


def _is_in(text: str, other: str) -> bool:
    said = text.partition(": ")[2]
    return bool(said) and said in other and (": " not in other or len(text) < len(other))


def reason_text(reason: Document) -> str:
    """`soaks (until 2026-11-24 12:00:00)`."""
    said = " until " in reason["what"] or not reason["until"]
    until = "" if said else f" (until {clock_time(reason['until'])})"
    return f"{reason['what']}{until}"


def price_text(price: Document) -> str:
    """`1 (2 more of 97 may)`: what failed, and what the budget has left."""
    if price["left"]:
        return f"{price['spent']} ({price['left']} more of {price['of']} may)"
    return f"{price['spent']} ({'no more' if price['spent'] else 'none'} may)"


def took_text(took: Document | None) -> str:
    """`40s (p90 1m10s)`: one cluster from offer to Healthy."""
    if took is None:
        return "unknown"
    often, late = _seconds(took["p50"]), _seconds(took["p90"])
    return often if often == late else f"{often} (p90 {late})"


def eta_text(eta: Document) -> str:
    """When it ends, or why nobody knows, and how much work is left then."""
    if eta["p50"]:
        soon, late = clock_time(eta["p50"]), clock_time(eta["p90"])
        return soon if soon == late else f"{soon} (p90 {late})"
    work = f"; {_seconds(eta['work'][0])} of work" if eta["work"] and eta["work"][0] else ""
    return f"unknown: {eta['unknown']}{work}"


def names_text(names: list[str]) -> str:
    """The first few names, and how many more there are."""
    more = len(names) - NAMES_SHOWN
    return ",".join(names[:NAMES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _seconds(seconds: float) -> str:
    return say_duration(max(1, round(seconds)))
