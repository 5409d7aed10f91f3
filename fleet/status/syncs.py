"""A sync that somebody asked for, as a document: who is asked, and what each object came to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fleet.status.sync import Row


def sync_document(row: Row, answers: Iterable[Row], *, brief: bool) -> dict[str, Any]:
    """One sync; `brief` leaves the objects out.

    It is `done` when nobody is left who could still answer: an agent that went away is named and
    not waited for.
    """
    items = [_item(answer, brief=brief) for answer in answers]
    return {
        "sync": row["uid"],
        "askedAt": row["asked_at"],
        "endsAt": row["ends_at"],
        "actor": row["actor"],
        "reason": row["reason"],
        "bundle": row["bundle"],
        "selector": row["selector"],
        "force": bool(row["force"]),
        "dryRun": bool(row["dry_run"]),
        "done": all(item["state"] != "Asked" for item in items),
        "items": items,
    }


def _item(answer: Row, *, brief: bool) -> dict[str, Any]:
    """One bundle deployment; fields of the answer are empty until there is one."""
    said = answer["result"]
    away = answer["state"] == "Asked" and not answer["online"]
    item = {
        "cluster": answer["cluster"],
        "bundle": answer["bundle"],
        "state": "Offline" if away else answer["state"],
        "at": answer["at"],
        "sync": said.get("sync", "Unknown"),
        "health": said.get("health", "Unknown"),
        "code": said.get("code", ""),
        "message": said.get("message", ""),
        "digest": said.get("digest", ""),
        "generation": said.get("generation", 0),
        "counts": said.get("counts", {}),
    }
    return item if brief else {**item, "objects": said.get("objects", [])}
