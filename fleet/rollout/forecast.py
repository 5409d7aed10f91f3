"""When a run and its stages would be done, from how long clusters took so far. Pure.

::

    batches left × p50 (p90) of one cluster  +  gates that time alone opens  +  soak

A stage begins when all that it depends on ends. What nobody can know is said and never guessed: a
stage that waits for people or machines, one of which no cluster was ever timed, a run that stands
still, and whatever comes after those, have no time, only the reason. `work` is what is left to do
once nothing has to be waited for; it is known of more stages than `ends`. A spread makes batches
smaller. Nobody foresees shared caps that other runs take up, clusters that fail, or a window that
closes again before all have started: a run may end later than this says.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from fractions import Fraction
from itertools import chain, repeat
from math import ceil

from fleet.rollout.gate_kinds import Side, Soak
from fleet.rollout.gates import Verdict, gates_of
from fleet.rollout.run_plan import RunPlan, StagePlan
from fleet.rollout.states import StageState
from fleet.rollout.step import GateStatus, StageStatus

NOT_JUDGED: Mapping[str, Iterable[GateStatus]] = {}
Span = tuple[float, float]
"""Seconds: if clusters take their p50, if they take their p90."""
_NOT_JUDGED_YET = (StageState.WAITING, StageState.SKIPPED)
_OVER = (StageState.DONE, StageState.SKIPPED)
_LATER = (StageState.WAITING, StageState.GATED_BEFORE, StageState.UPDATING, StageState.VERIFYING)


@dataclass(frozen=True, slots=True)
class Took:
    """How long clusters of one stage took from offer to Healthy."""

    p50: float
    p90: float
    count: int
    """Of how many clusters that is known."""

    @classmethod
    def of(cls, seconds: Iterable[float]) -> Took:
        """From what was observed; at least one."""
        ordered = sorted(seconds)
        return cls(nearest_rank(ordered, 0.5), nearest_rank(ordered, 0.9), len(ordered))


def nearest_rank(ordered: Sequence[float], share: float) -> float:
    """The least of them that this share of them is not above."""
    return ordered[ceil(share * len(ordered)) - 1]


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is known of the end of one stage, or of the run."""

    work: Span | None
    """Seconds of moving and soaking that are left; `None`: nobody was timed."""
    ends: tuple[datetime, datetime] | None
    unknown: str = ""
    """Why there is no `ends`."""


def forecast(
    run: RunPlan,
    stages: Iterable[StageStatus],
    took: Mapping[str, Took],
    ramp_step: Mapping[str, int],
    halted: str,
    now: datetime,
    ahead: Mapping[str, Iterable[GateStatus]] = NOT_JUDGED,
) -> dict[str, Estimate]:
    """Stage → its estimate; `halted` says why the run stands still, empty if it goes on.

    `ahead`: of stages that wait for others, their gates as they would be judged now
    (`obstacles.gates_ahead`): an approval that was given early keeps nothing.
    """
    statuses = {status.name: status for status in stages}
    found: dict[str, Estimate] = {}
    for stage in run.stages:
        status = statuses.get(stage.name)
        if status is None:
            found[stage.name] = Estimate(None, None, "the run was not looked at yet")
            continue
        before = {name: found[name] for name in stage.depends_on if name in found}
        status = replace(status, gates=(*status.gates, *ahead.get(stage.name, ())))
        step = ramp_step.get(stage.name, 0)
        found[stage.name] = _stage(
            run, stage, status, took.get(stage.name), step, before, halted, now
        )
    return found


def whole(estimates: Mapping[str, Estimate], now: datetime) -> Estimate:
    """The run: it ends with its last stage; its work is that of all stages, one after another."""
    spans = [one.work for one in estimates.values()]
    known = [span for span in spans if span is not None]
    work = (sum(a for a, _ in known), sum(b for _, b in known))
    unknown = next((one.unknown for one in estimates.values() if one.unknown), "")
    ends = [one.ends for one in estimates.values() if one.ends is not None]
    latest = (max((a for a, _ in ends), default=now), max((b for _, b in ends), default=now))
    return Estimate(
        work if len(known) == len(spans) else None, None if unknown else latest, unknown
    )


def _stage(
    run: RunPlan,
    stage: StagePlan,
    status: StageStatus,
    took: Took | None,
    ramp_step: int,
    before: Mapping[str, Estimate],
    halted: str,
    now: datetime,
) -> Estimate:
    if status.state in _OVER or not stage.clusters:
        return Estimate((0.0, 0.0), (now, now))
    left = max(0, status.total - status.healthy - status.failed - status.offline)
    rounds = max(batches(stage.parallelism.steps, ramp_step, left), spread_rounds(stage, left))
    work = _work(run, stage, status, rounds, took)
    unknown = halted or _unknown(run, stage, status, before)
    if not unknown and work is None:
        unknown = f"no cluster of stage {stage.name} was timed yet"
    if unknown or work is None:
        return Estimate(work, None, unknown)
    starts = [one.ends for one in before.values() if one.ends is not None]
    opens = max((g.until for g in _shut(status) if g.until is not None), default=now)
    first, last = (max([now, opens, *(ends[i] for ends in starts)]) for i in (0, 1))
    return Estimate(work, (first + timedelta(seconds=work[0]), last + timedelta(seconds=work[1])))


def _work(
    run: RunPlan, stage: StagePlan, status: StageStatus, rounds: int, took: Took | None
) -> Span | None:
    """Moving what is left, then soaking; a soak that has begun is a gate that time opens."""
    if rounds and took is None:
        return None
    soaks = [g.min_seconds for _, g in gates_of(run, stage, Side.AFTER) if isinstance(g, Soak)]
    soak = max(soaks, default=0.0) if status.state in _LATER else 0.0
    if took is None:
        return (soak, soak)
    return (rounds * took.p50 + soak, rounds * took.p90 + soak)


def batches(steps: Sequence[int], at: int, left: int) -> int:
    """How many batches `left` clusters are, the ramp being at step `at`; its last step repeats."""
    rounds = 0
    for size in chain(steps[at:-1], repeat(steps[-1])):
        if left <= 0:
            return rounds
        left -= size
        rounds += 1
    return rounds


def spread_rounds(stage: StagePlan, left: int) -> int:
    """How many batches the fullest domain of a spread needs, if `left` clusters of the stage are
    left and all domains are equally far; 0 without a spread."""
    if stage.spread is None or not stage.clusters:
        return 0
    domain_of, limits = stage.spread.domain_of, stage.spread.limits
    sizes = Counter(domain_of.get(cluster, "") for cluster in stage.clusters)
    share = Fraction(left, len(stage.clusters))
    return max(ceil(size * share / limits.get(value, 1)) for value, size in sizes.items())


def _shut(status: StageStatus) -> list[GateStatus]:
    return [gate for gate in status.gates if gate.verdict != Verdict.PASS.value]


def _unknown(
    run: RunPlan, stage: StagePlan, status: StageStatus, before: Mapping[str, Estimate]
) -> str:
    """What nobody can know the end of; empty if there is nothing of the kind."""
    if status.state is StageState.FAILED:
        return f"stage {stage.name} failed"
    for one in before.values():
        if one.unknown:
            return one.unknown
    if status.offline and status.offline == status.total:
        return f"no cluster of stage {stage.name} is online"
    asked = [gate.kind for gate in _shut(status) if gate.until is None]
    if status.state in _NOT_JUDGED_YET:
        judged = {gate.gate for gate in status.gates}
        before_it = gates_of(run, stage, Side.BEFORE)
        asked += [gate.kind for name, gate in before_it if name not in judged]
    if status.state in _LATER:
        after = gates_of(run, stage, Side.AFTER)
        asked += [g.kind for _, g in after if not isinstance(g, Soak) or g.min_samples]
    kinds = ", ".join(dict.fromkeys(asked))
    return f"stage {stage.name} has to pass: {kinds}" if kinds else ""
