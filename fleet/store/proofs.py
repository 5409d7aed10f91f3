"""What `proven` and `dependency` gates are told: who was Healthy with what, and what is baked.

Material is what runs: container images (variables filled in) and charts of an artifact. What a
stage newly runs follows from the run alone: the material of what it brings, less that of what it
replaces. Where it was Healthy: the reports of the named stage's clusters that count now, and the
spans that were kept when something Healthy was replaced (`keep_spans`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from agents.protocol import ABSENT, BundleDeployment, substitute
from clusters.objects import Digest
from fleet.rollout.evidence import Proof
from fleet.rollout.gate_kinds import Dependency, Gate, Material, Proven, Side, gate_id
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.store.codec import MARKS, json_text, json_value, moment_of, text_of
from fleet.store.database import Connection

GOOD = "'Healthy', 'Suspended'"
SPANS_KEPT = 20
"""Of each bundle of each cluster."""
KINDS = {Material.IMAGES: "image:", Material.CHARTS: "chart:"}


def keep_material(
    c: Connection, material: Mapping[Digest, tuple[Iterable[str], Iterable[str]]]
) -> None:
    """Artifact → (images, charts), before variables are filled in."""
    c.executemany(
        "INSERT INTO artifact_material (artifact, images, charts) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        [
            (artifact, json_text(sorted(images)), json_text(sorted(charts)))
            for artifact, (images, charts) in material.items()
        ],
    )


def keep_spans(c: Connection, cluster: str, generation: int, now: datetime) -> None:
    """An assignment is about to replace what was Healthy there: remember for how long it was."""
    rows = c.execute(
        "SELECT d.bundle, d.current, d.since FROM bundle_deployment d"
        " JOIN assignment_bundle ab USING (cluster, bundle)"
        f" WHERE ab.cluster = ? AND ab.generation = ? AND {_healthy()}",
        (cluster, generation),
    ).fetchall()
    for row in rows:
        seconds = (now - moment_of(row["since"])).total_seconds()
        c.execute(
            "INSERT INTO healthy_span (cluster, bundle, digest, seconds, until)"
            " VALUES (?, ?, ?, ?, ?) ON CONFLICT (cluster, bundle, digest) DO UPDATE SET"
            " seconds = max(seconds, excluded.seconds), until = excluded.until",
            (cluster, row["bundle"], row["current"], seconds, text_of(now)),
        )
        c.execute(
            "DELETE FROM healthy_span WHERE cluster = ? AND bundle = ? AND digest NOT IN"
            " (SELECT digest FROM healthy_span WHERE cluster = ? AND bundle = ?"
            "  ORDER BY until DESC, digest LIMIT ?)",
            (cluster, row["bundle"], cluster, row["bundle"], SPANS_KEPT),
        )


def _healthy() -> str:
    return (
        "d.reported = d.current AND d.reported_generation = d.generation AND d.sync = 'Synced'"
        f" AND d.health IN ({GOOD}) AND d.since IS NOT NULL AND d.current NOT IN ('', '{ABSENT}')"
    )


def proofs(
    c: Connection, plan: RunPlan, waiting: Iterable[StagePlan], online: Collection[str]
) -> dict[str, tuple[Proof, ...]]:
    """By `gate_id` of every `proven` gate of these stages."""
    found: dict[str, tuple[Proof, ...]] = {}
    library = _Library(c)
    for stage, name, gate in _gates(waiting, Proven):
        there = next((one.proving for one in plan.stages if one.name == gate.stage), ())
        new = _newly_run(plan, stage, gate, library)
        since, seconds = _live(c, there, online, library), _spans(c, there, library)
        found[name] = tuple(
            Proof(material, since.get(material), seconds.get(material)) for material in sorted(new)
        )
    return found


def _gates(stages: Iterable[StagePlan], kind: type[Gate]) -> Iterator[tuple[StagePlan, str, Any]]:
    for stage in stages:
        for index, gate in enumerate(stage.before):
            if isinstance(gate, kind):
                yield stage, gate_id(stage.name, Side.BEFORE, index), gate


class _Library:
    """The material of digests, each read once."""

    def __init__(self, c: Connection) -> None:
        self._c = c
        self._known: dict[Digest, frozenset[str] | None] = {}

    def of(self, digest: Digest) -> frozenset[str] | None:
        """`image:…` and `chart:…`; `None` if nobody wrote down what the artifact holds."""
        if digest in ("", ABSENT):
            return frozenset()
        if digest not in self._known:
            self._known[digest] = self._read(digest)
        return self._known[digest]

    def _read(self, digest: Digest) -> frozenset[str] | None:
        row = self._c.execute(
            "SELECT b.body, m.images, m.charts FROM deployment_body b"
            " JOIN artifact_material m USING (artifact) WHERE b.digest = ?",
            (digest,),
        ).fetchone()
        if row is None:
            return None
        variables = BundleDeployment.model_validate_json(row["body"]).variables
        images = substitute(json_value(row["images"]), variables)
        charts = json_value(row["charts"])
        return frozenset([*(f"image:{x}" for x in images), *(f"chart:{x}" for x in charts)])


def _newly_run(plan: RunPlan, stage: StagePlan, gate: Proven, library: _Library) -> set[str]:
    """What the stage's clusters would run that they do not run yet."""
    kinds = tuple(KINDS[kind] for kind in gate.what)
    pairs = {
        (change.bundle, change.wanted, change.previous)
        for cluster in stage.clusters
        for change in plan.changes[cluster]
    }
    new: set[str] = set()
    for bundle, wanted, previous in pairs:
        brought = library.of(wanted)
        if brought is None:
            new.add(f"what {bundle} holds is not known")
            continue
        had = library.of(previous) or frozenset()
        new.update(one for one in brought - had if one.startswith(kinds))
    return new


def _live(
    c: Connection, clusters: Iterable[str], online: Collection[str], library: _Library
) -> dict[str, datetime]:
    """Material → since when some online cluster of these is Healthy with it."""
    rows = c.execute(
        "SELECT d.current, min(d.since) AS since FROM bundle_deployment d"
        f" WHERE d.cluster IN (SELECT value FROM json_each(?)) AND {_healthy()} GROUP BY d.current",
        (json_text([cluster for cluster in clusters if cluster in online]),),
    )
    found: dict[str, datetime] = {}
    for row in rows:
        since = moment_of(row["since"])
        for material in library.of(row["current"]) or ():
            found[material] = min(since, found.get(material, since))
    return found


def _spans(c: Connection, clusters: Iterable[str], library: _Library) -> dict[str, float]:
    """Material → the longest time that one of these clusters was Healthy with it before."""
    rows = c.execute(
        "SELECT digest, max(seconds) AS seconds FROM healthy_span"
        " WHERE cluster IN (SELECT value FROM json_each(?)) GROUP BY digest",
        (json_text(list(clusters)),),
    )
    found: dict[str, float] = {}
    for row in rows:
        for material in library.of(row["digest"]) or ():
            found[material] = max(row["seconds"], found.get(material, 0.0))
    return found


def dependencies(c: Connection, waiting: Iterable[StagePlan]) -> dict[str, frozenset[str]]:
    """By `gate_id` of every `dependency` gate of these stages: the clusters where it holds."""
    return {name: _baked_by(c, gate.rollout) for _, name, gate in _gates(waiting, Dependency)}


def _baked_by(c: Connection, rollout: str) -> frozenset[str]:
    """Clusters in which all that a rollout has there was baked by one of its stages."""
    rows = c.execute(
        "SELECT d.cluster, d.current_run, rc.stage, rc.state, r.rollout FROM bundle_deployment d"
        " JOIN run r ON r.uid = d.current_run"
        " LEFT JOIN run_cluster rc ON rc.run = d.current_run AND rc.cluster = d.cluster"
        " WHERE d.bundle IN (SELECT rb.bundle FROM run_bundle rb JOIN run o ON o.uid = rb.run"
        "  WHERE o.rollout = ?) AND d.current NOT IN ('', ?) AND d.gone = 0",
        (rollout, ABSENT),
    ).fetchall()
    done = {run: _done_stages(c, run) for run in {row["current_run"] for row in rows}}
    good: dict[str, bool] = {}
    for row in rows:
        if row["rollout"] == rollout:
            baked = row["state"] == "Healthy" and row["stage"] in done[row["current_run"]]
            good[row["cluster"]] = baked and good.get(row["cluster"], True)
    return frozenset(cluster for cluster, baked in good.items() if baked)


def _done_stages(c: Connection, run: str) -> frozenset[str]:
    row = c.execute("SELECT marks FROM run WHERE uid = ?", (run,)).fetchone()
    return frozenset(stage for stage, _ in MARKS.validate_json(row["marks"]).done)
