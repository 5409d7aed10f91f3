"""Vetoed digests as rows: written by steps and people, lifted by an answer or an `unveto`.

A row says which digest of which bundle failed, in which run and why. While it is not lifted and
some declared cluster wants that digest, the bundle is held everywhere (`fleet.rollout.vetoes`).
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout.step import Veto
from fleet.store.codec import text_of
from fleet.store.database import Connection


def add_vetoes(c: Connection, vetoes: Iterable[Veto], now: datetime) -> None:
    """Store vetoes; one that stands already stays, one that was lifted stands again."""
    c.executemany(
        "INSERT INTO veto (bundle, digest, run, why, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (bundle, digest) DO UPDATE SET run = excluded.run, why = excluded.why,"
        " at = excluded.at, actor = '', lifted_at = NULL, lifted_why = ''"
        " WHERE lifted_at IS NOT NULL",
        [(v.bundle, v.digest, v.run, v.why, text_of(now)) for v in vetoes],
    )


def veto_by_hand(
    c: Connection, bundle: str, digests: Iterable[Digest], actor: str, why: str, now: datetime
) -> None:
    """Store what a person vetoes; what a run vetoed already is theirs from now on as well."""
    c.executemany(
        "INSERT INTO veto (bundle, digest, actor, why, at) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (bundle, digest) DO UPDATE SET actor = excluded.actor, why = excluded.why,"
        " at = excluded.at, run = iif(lifted_at IS NULL, run, ''),"
        " lifted_at = NULL, lifted_why = ''",
        [(bundle, digest, actor, why, text_of(now)) for digest in digests],
    )


def lift_vetoes_of_run(c: Connection, run: str, why: str, now: datetime) -> int:
    """Lift what a run vetoed and no person did; how many were there?"""
    return c.execute(
        "UPDATE veto SET lifted_at = ?, lifted_why = ?"
        " WHERE run = ? AND actor = '' AND lifted_at IS NULL",
        (text_of(now), why, run),
    ).rowcount


def lift_vetoes(
    c: Connection, bundle: str, digests: Iterable[Digest], why: str, now: datetime
) -> tuple[str, ...]:
    """Lift vetoes of a bundle, all without digests. The runs that wrote them; none: no veto."""
    wanted = set(digests)
    rows = c.execute(
        "SELECT digest, run FROM veto WHERE bundle = ? AND lifted_at IS NULL", (bundle,)
    ).fetchall()
    chosen = [row for row in rows if not wanted or row["digest"] in wanted]
    c.executemany(
        "UPDATE veto SET lifted_at = ?, lifted_why = ? WHERE bundle = ? AND digest = ?",
        [(text_of(now), why, bundle, row["digest"]) for row in chosen],
    )
    return tuple(sorted({row["run"] for row in chosen}))


def clusters_of(c: Connection, bundle: str) -> set[str]:
    """Those that run, ran or want a bundle."""
    rows = c.execute(
        "SELECT cluster FROM bundle_deployment INDEXED BY bundle_deployment_by_bundle"
        " WHERE bundle = ?",
        (bundle,),
    )
    return {row["cluster"] for row in rows}


def wanted_digests(c: Connection, bundle: str) -> set[Digest]:
    """What declared clusters want of a bundle now."""
    rows = c.execute(
        "SELECT DISTINCT d.wanted FROM bundle_deployment d INDEXED BY bundle_deployment_by_bundle"
        " JOIN cluster k ON k.name = d.cluster WHERE d.bundle = ? AND k.declared = 1",
        (bundle,),
    )
    return {row["wanted"] for row in rows}


def known_digests(c: Connection, bundle: str) -> set[Digest]:
    """Every content of a bundle that is wanted, runs somewhere, was baked or is vetoed."""
    columns = ("wanted", "current", "previous", "baked", "baked_before")
    selects = " UNION ".join(
        f"SELECT {column} AS digest FROM bundle_deployment"
        " INDEXED BY bundle_deployment_by_bundle WHERE bundle = :bundle"
        for column in columns
    )
    sql = f"{selects} UNION SELECT digest FROM veto WHERE bundle = :bundle"
    return {row["digest"] for row in c.execute(sql, {"bundle": bundle})} - {"", ABSENT}


def standing_vetoes(c: Connection) -> dict[str, dict[Digest, str]]:
    """Bundle → vetoed digest → why."""
    found: dict[str, dict[Digest, str]] = {}
    for row in c.execute("SELECT bundle, digest, why FROM veto WHERE lifted_at IS NULL"):
        found.setdefault(row["bundle"], {})[row["digest"]] = row["why"]
    return found


def held_by_vetoes(c: Connection, bundles: tuple[str, ...]) -> dict[str, str]:
    """Those of the bundles that want a vetoed digest on some declared cluster → why."""
    marks = ", ".join("?" for _ in bundles)
    rows = c.execute(
        "SELECT v.bundle, min(v.why) AS why FROM veto v WHERE v.lifted_at IS NULL"
        f" AND v.bundle IN ({marks}) AND EXISTS (SELECT 1 FROM bundle_deployment d"
        " INDEXED BY bundle_deployment_by_bundle JOIN cluster k ON k.name = d.cluster"
        " WHERE d.bundle = v.bundle AND d.wanted = v.digest AND k.declared = 1)"
        " GROUP BY v.bundle",
        bundles,
    )
    return {row["bundle"]: row["why"] for row in rows}
