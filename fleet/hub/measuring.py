"""What gates that ask a machine are answered: webhooks, measurements, counts of samples.

Everything that an answer depends on is in the `OpenGate` and in what the machine says; deciding is
`fleet.rollout.comparison`. A machine that does not answer gives a reading without data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import orjson

from fleet.hub import prometheus
from fleet.hub.outgoing import NoAnswer, Outgoing
from fleet.model import Labels
from fleet.rollout import comparison
from fleet.rollout.comparison import Observed
from fleet.rollout.evidence import Answer, Reading
from fleet.rollout.gate_kinds import Against, Analysis, Gate, Side, Soak, Webhook
from fleet.rollout.gates import gates_of
from fleet.rollout.measures import EVERY_SECONDS, Measures, Metric
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import ClusterState
from fleet.rollout.step import Step

BEFORE = timedelta(minutes=5)
"""`against: Before` looks at the clusters as they were so long before the stage started."""


@dataclass(frozen=True, slots=True)
class OpenGate:
    """A gate that is judged now and asks a machine, with all that the question depends on."""

    run: RunPlan
    stage: StagePlan
    name: str
    """Its `gate_id`."""
    gate: Gate
    healthy: tuple[str, ...] = ()
    """The stage's clusters that are Healthy at this run's revision."""
    untouched: tuple[str, ...] = ()
    """Clusters of the run, of whatever stage, that have started nothing of it."""
    started: datetime | None = None
    anchor: datetime | None = None
    """When the last cluster of the stage became Healthy."""
    labels: Mapping[str, Labels] = field(default_factory=dict)

    @property
    def every_seconds(self) -> float:
        """How often it is asked."""
        if isinstance(self.gate, Webhook):
            return self.gate.every_seconds
        measures = measures_of(self.gate)
        return measures.every_seconds if measures else EVERY_SECONDS


def open_gate(run: RunPlan, name: str, step: Step, labels: Mapping[str, Labels]) -> OpenGate:
    """The gate of that id with all that its question depends on, as the run's last step says."""
    stage, gate = next(
        (stage, gate)
        for stage in run.stages
        for side in Side
        for known, gate in gates_of(run, stage, side)
        if known == name
    )
    here = (one for one in step.clusters if one.stage == stage.name)
    return OpenGate(
        run,
        stage,
        name,
        gate,
        healthy=tuple(one.cluster for one in here if one.state is ClusterState.HEALTHY),
        untouched=tuple(o.cluster for o in step.clusters if o.state is ClusterState.QUEUED),
        started=dict(step.marks.started).get(stage.name),
        anchor=dict(step.marks.soak_anchor).get(stage.name),
        labels=labels,
    )


def measures_of(gate: Gate) -> Measures | None:
    """What a gate measures, if it measures."""
    return gate.measures if isinstance(gate, Analysis | Soak) else None


async def ask(
    outgoing: Outgoing, question: OpenGate, last: Reading | None, now: datetime
) -> Reading:
    """What the machine says now; never raises for what it does."""
    try:
        return await _ask(outgoing, question, last, now)
    except ImportError:
        why = "comparing needs SciPy: install fleet-gitops with the extra `analysis`"
        return Reading(Answer.NONE, now, _since(last, now), why=why)
    except NoAnswer as error:
        return Reading(Answer.NONE, now, _since(last, now), why=f"{_where(question.gate)}: {error}")


def _since(last: Reading | None, now: datetime) -> datetime:
    """Since when there has been no data, if there is none now."""
    return last.since if last is not None and last.since is not None else now


async def _ask(
    outgoing: Outgoing, question: OpenGate, last: Reading | None, now: datetime
) -> Reading:
    gate = question.gate
    if isinstance(gate, Webhook):
        return await _webhook(outgoing, question, gate, now)
    measures = measures_of(gate)
    if measures is None:
        raise NoAnswer("the run does not say what to measure")
    if isinstance(gate, Soak):
        return await _samples(outgoing, question, measures, now)
    assert isinstance(gate, Analysis), "only these ask"
    return await _analysis(outgoing, question, gate, measures, last, now)


def _where(gate: Gate) -> str:
    """The machine as people may see it: host and port, no path and no query."""
    measures = measures_of(gate)
    url = gate.url if isinstance(gate, Webhook) else measures.url if measures else ""
    return urlsplit(url).netloc.rpartition("@")[2]


async def _webhook(outgoing: Outgoing, question: OpenGate, gate: Webhook, now: datetime) -> Reading:
    run = question.run
    document = {
        "run": run.uid,
        "rollout": run.rollout,
        "stage": question.stage.name,
        "gate": question.name,
        "commit": run.commit,
        "planHash": run.plan_hash,
        "bundles": list(run.bundles),
    }
    reply = await outgoing.post_json(gate.url, orjson.dumps(document))
    answer = Answer.PASS if 200 <= reply.status < 300 else Answer.NONE
    return Reading(answer, now, why=f"{_where(gate)} answers {reply.status}")


async def _samples(
    outgoing: Outgoing, question: OpenGate, measures: Measures, now: datetime
) -> Reading:
    found = await _values(outgoing, measures, measures.samples, question, now)
    counts = [found.by_cluster[c] for c in question.healthy if c in found.by_cluster]
    if not counts and found.overall is None:
        raise NoAnswer("no cluster of the stage has samples")
    total = int(sum(counts) if counts else found.overall or 0)
    return Reading(Answer.PASS, now, samples=total, why=f"{total} samples")


async def _analysis(
    outgoing: Outgoing,
    question: OpenGate,
    gate: Analysis,
    measures: Measures,
    last: Reading | None,
    now: datetime,
) -> Reading:
    seen = await asyncio.gather(
        *(_observe(outgoing, question, gate, measures, metric, now) for metric in measures.metrics)
    )
    observed = {metric.name: one for metric, one in zip(measures.metrics, seen, strict=True)}
    strata = {
        cluster: question.labels.get(cluster, {}).get(gate.stratify_by, "")
        for cluster in (*question.healthy, *question.untouched)
    }
    strikes = last.strikes if last is not None else 0
    # In a thread: SciPy takes a second to load, and thousands of clusters take a while to compare.
    found = await asyncio.to_thread(
        comparison.judge, gate, measures.metrics, observed, question.healthy, strata, strikes
    )
    since = None
    if found.answer is Answer.NONE and not found.strikes:
        since = _since(last, now)
    return Reading(found.answer, now, since, why=found.why, strikes=found.strikes)


async def _observe(
    outgoing: Outgoing,
    question: OpenGate,
    gate: Analysis,
    measures: Measures,
    metric: Metric,
    now: datetime,
) -> Observed:
    found = await _values(outgoing, measures, metric.query, question, now)
    updated = _only(found, question.healthy)
    others = _only(found, question.untouched)
    if gate.against is Against.BEFORE:
        then = (question.started or now) - BEFORE
        others = _only(await _values(outgoing, measures, metric.query, question, then), updated)
    return Observed(updated, others, found.overall)


def _only(found: prometheus.Values, clusters: Iterable[str]) -> dict[str, float]:
    return {c: found.by_cluster[c] for c in clusters if c in found.by_cluster}


async def _values(
    outgoing: Outgoing, measures: Measures, text: str, question: OpenGate, at: datetime
) -> prometheus.Values:
    window = at - question.anchor if question.anchor is not None else timedelta()
    return await prometheus.query(outgoing, measures.url, text, measures.cluster_label, at, window)
