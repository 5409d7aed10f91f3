"""What people decided, as rows: append-only, each with who, when and why."""

from __future__ import annotations

from fleet.rollout.decisions import Decision, Verb
from fleet.store.codec import (
    json_text,
    json_value,
    moment_of,
    moment_or_none,
    text_of,
    text_or_none,
)
from fleet.store.database import Connection


def add_decision(c: Connection, decision: Decision) -> int:
    """Append a decision (its `number` is given here) and make older steps of the run void."""
    number = c.execute(
        "INSERT INTO decision (run, verb, actor, at, reason, stage, plan_hash, clusters,"
        " groups, aliases, method, expires_at, gate, bundle, digests, rollout)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
        " coalesce((SELECT rollout FROM run WHERE uid = ?), ''))",
        (
            *(decision.run, str(decision.verb), decision.actor, text_of(decision.at)),
            *(decision.reason, decision.stage, decision.plan_hash),
            *(json_text(list(decision.clusters)), json_text(list(decision.groups))),
            json_text(list(decision.aliases)),
            *(decision.method, text_or_none(decision.expires_at), decision.gate),
            *(decision.bundle, json_text(list(decision.digests)), decision.run),
        ),
    ).lastrowid
    c.execute("UPDATE run SET version = version + 1 WHERE uid = ?", (decision.run,))
    return int(number or 0)


def decisions_of(c: Connection, run: str) -> tuple[Decision, ...]:
    """Every decision on a run, in order."""
    rows = c.execute("SELECT * FROM decision WHERE run = ? ORDER BY number", (run,))
    return tuple(
        Decision(
            number=row["number"],
            run=row["run"],
            verb=Verb(row["verb"]),
            actor=row["actor"],
            at=moment_of(row["at"]),
            reason=row["reason"],
            stage=row["stage"],
            plan_hash=row["plan_hash"],
            clusters=tuple(json_value(row["clusters"])),
            groups=tuple(json_value(row["groups"])),
            aliases=tuple(json_value(row["aliases"])),
            method=row["method"],
            expires_at=moment_or_none(row["expires_at"]),
            gate=row["gate"],
            bundle=row["bundle"],
            digests=tuple(json_value(row["digests"])),
        )
        for row in rows
    )
