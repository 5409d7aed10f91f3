"""What machines said when gates asked them, as rows: the newest answer for each gate of a run."""

from __future__ import annotations

from collections.abc import Mapping

from fleet.rollout.evidence import Answer, Reading
from fleet.store.codec import moment_of, moment_or_none, text_of, text_or_none
from fleet.store.database import Connection


def readings_of(c: Connection, run: str) -> dict[str, Reading]:
    """Gate id → what was said last."""
    rows = c.execute("SELECT * FROM reading WHERE run = ?", (run,))
    return {
        row["gate"]: Reading(
            answer=Answer(row["answer"]),
            at=moment_of(row["at"]),
            since=moment_or_none(row["since"]),
            samples=row["samples"],
            why=row["why"],
            strikes=row["strikes"],
        )
        for row in rows
    }


def keep_readings(c: Connection, readings: Mapping[tuple[str, str], Reading]) -> None:
    """By (run, gate id); those of runs that have ended are forgotten."""
    c.executemany(
        "INSERT OR REPLACE INTO reading (run, gate, answer, at, since, samples, why, strikes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        [
            (
                *(run, gate, str(one.answer), text_of(one.at), text_or_none(one.since)),
                *(one.samples, one.why, one.strikes),
            )
            for (run, gate), one in readings.items()
        ],
    )
    c.execute("DELETE FROM reading WHERE run IN (SELECT uid FROM run WHERE ended_at IS NOT NULL)")
