"""Whole documents as text for people: the fleet on one page, one run, one explanation.

Pure: documents of the API in, text out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fleet.cli.output import Column, short, table_text, visible, visible_lines

Document = Mapping[str, Any]

STAGE_COLUMNS = (
    Column("STAGE", "stage"),
    Column("STATE", "state"),
    Column("HEALTHY", lambda row: f"{row['healthy']}/{row['total']}", right=True),
    Column("IN FLIGHT", "inFlight", right=True),
    Column("FAILED", lambda row: f"{row['failed']} (budget {row['budget']})", right=True),
    Column("OFFLINE", "offline", right=True),
    Column("REASON", "reason"),
)
STATE_COLUMNS = (
    Column("CLUSTER", "cluster"),
    Column("STAGE", "stage"),
    Column("STATE", "state"),
    Column("REASON", "reason"),
)
EVENT_COLUMNS = (
    Column("TIME", lambda row: clock_time(row["at"])),
    Column("EVENT", "kind"),
    Column("STAGE", "stage"),
    Column("CLUSTER", "cluster"),
    Column("MESSAGE", "message"),
)
ALL_EVENT_COLUMNS = (*EVENT_COLUMNS[:2], Column("RUN", "run"), *EVENT_COLUMNS[2:])
"""Of more than one run."""
DECISION_COLUMNS = (
    Column("TIME", lambda row: clock_time(row["at"])),
    Column("DECISION", "verb"),
    Column("WHO", "actor"),
    Column("STAGE", "stage"),
    Column("REASON", "reason"),
)
GROUP_COLUMNS = (
    Column("GROUP", "group"),
    Column("CLUSTERS", "members", right=True),
    Column("ONLINE", "online", right=True),
    Column("SYNCED", lambda row: f"{row['synced']}/{row['bundleDeployments']}", right=True),
    Column("HEALTH", "health"),
)
RUN_COLUMNS = (
    Column("RUN", "run"),
    Column("BUNDLES", "bundles"),
    Column("STATE", "state"),
    Column("STAGE", "stage"),
    Column("HEALTHY", lambda row: f"{row['healthy']}/{row['clusters']}", right=True),
    Column("REASON", "reason"),
)
DRIFT_COLUMNS = (
    Column("OBJECT", "object"),
    Column("FIELD", "path"),
    Column("WANTED", "wanted"),
    Column("LIVE", "live"),
    Column("CHANGED BY", "manager"),
)
TROUBLE_COLUMNS = (
    Column("OBJECT", "object"),
    Column("SYNC", "sync"),
    Column("HEALTH", "health"),
    Column("CODE", "code"),
    Column("MESSAGE", "message"),
)

MARKS = ("drifted", "contested", "paused")
"""What is said of live state that was changed, where there is any."""


def clock_time(moment: str | None) -> str:
    """`2026-11-24T00:31:35.123456+00:00` → `2026-11-24 00:31:35`."""
    return (moment or "")[:19].replace("T", " ")


def as_of(moment: str | None) -> str:
    """` as of 2026-11-24 00:31:35`, or nothing for never."""
    return f" as of {clock_time(moment)}" if moment else ""


def status_text(fleet: Document) -> str:
    """The whole fleet on one page."""
    source, deployments, problems = fleet["source"], fleet["bundleDeployments"], fleet["problems"]
    clusters = {k: v for k, v in fleet["clusters"].items() if k != "total"}
    head = [
        f"Repository          {visible(str(source.get('location', '-')))}"
        f" at {short(source.get('commit'))} {visible(str(source.get('title') or ''))}".rstrip(),
        f"Clusters            {fleet['clusters']['total']}: {counts(clusters)}",
        f"Bundle deployments  {deployments['synced']}/{deployments['total']} Synced"
        f" ({counts(deployments['sync'])}); {counts(deployments['health'])}"
        + "".join(f"; {deployments[mark]} {mark}" for mark in MARKS if deployments[mark]),
        f"Problems            {problems['errors']} errors, {problems['warnings']} warnings",
    ]
    parts = ["\n".join(head) + "\n", table("", fleet["groups"], GROUP_COLUMNS)]
    parts.append(table("Live runs", fleet["runs"], RUN_COLUMNS))
    return "\n".join(part for part in parts if part)


def run_text(run: Document) -> str:
    """One run: what it carries, its stages, clusters that are not healthy yet, and its history."""
    head = [
        f"Run      {run['run']}  {run['state']}" + (f": {run['reason']}" if run["reason"] else ""),
        f"Carries  {', '.join(run['bundles'])}",
        f"Commit   {short(run['commit'])} {visible(run['title'])}",
    ]
    waiting = [row for row in run["clusterStates"] if row["state"] != "Healthy"]
    parts = [
        "\n".join(head) + "\n",
        table("", run["stages"], STAGE_COLUMNS),
        table("Clusters that are not Healthy", waiting, STATE_COLUMNS),
        table("Decisions", run["decisions"], DECISION_COLUMNS),
        table("History", run["events"], EVENT_COLUMNS),
    ]
    return "\n".join(part for part in parts if part)


def explanation_text(answer: Document) -> str:
    """Why a cluster runs what it runs of one bundle."""
    head = [
        f"{answer['bundle']} in {answer['cluster']} ({answer['clusterState']}):"
        f" {answer['sync']}, {answer['health']}",
        *(f"  - {visible(line)}" for line in answer["because"]),
        "",
        f"wanted    {digest(answer['wanted'])}",
        f"current   {digest(answer['current'])}",
        f"reported  {digest(answer['reported'])}" + as_of(answer["reported"]["asOf"]),
    ]
    parts = [
        "\n".join(head) + "\n",
        table("Drift", answer["drift"], DRIFT_COLUMNS),
        table("Set back lately", answer["healed"], DRIFT_COLUMNS),
        table("Objects in trouble", answer["troubles"], TROUBLE_COLUMNS),
        *(
            visible_lines(f"{p['severity']}: {p['what']}{_at(p)}\n  fix: {p['fix']}\n")
            for p in answer["problems"]
        ),
    ]
    return "\n".join(part for part in parts if part)


def _at(problem: Document) -> str:
    return f" ({problem['at']})" if problem["at"] else ""


def digest(part: Document) -> str:
    """A digest with the commit that it came from."""
    commit = part.get("commit")
    return (short(part["digest"]) or "-") + (f" of commit {short(commit)}" if commit else "")


def counts(tally: Mapping[str, int]) -> str:
    """`{"Online": 3}` → `3 Online`."""
    return ", ".join(f"{number} {word}" for word, number in tally.items()) or "none"


def table(title: str, rows: Iterable[Document], columns: tuple[Column, ...]) -> str:
    """A titled table, empty text for no rows."""
    found = list(rows)
    if not found:
        return ""
    return (f"{title}\n" if title else "") + table_text(found, columns)
