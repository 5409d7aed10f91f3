"""Reasons, taken away one by one: what a moment would be like without them (I22).

`freed(moment, cluster, reasons)` undoes what reasons of `obstacles` say, and nothing more: a gate
that is named passes, a cap that is named is lifted, a failure that is named was forgiven. If all
that a cluster was told is undone and it still gets no offer, something kept it that nobody was
told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from fleet.rollout import gates
from fleet.rollout.decisions import Decision, Verb
from fleet.rollout.evidence import ClusterEvidence, Evidence
from fleet.rollout.gate_kinds import Side
from fleet.rollout.gates import Turnstile
from fleet.rollout.marks import Marks
from fleet.rollout.memory import Memory
from fleet.rollout.reasons import Reason
from fleet.rollout.run_plan import Ramp, RunPlan, SpreadPlan, StagePlan
from fleet.rollout.shared_budget import RolloutBudget
from fleet.rollout.states import Intent


@dataclass(frozen=True)
class Moment:
    """All that `advance` is asked with."""

    run: RunPlan
    marks: Marks
    intent: Intent
    evidence: Evidence
    now: datetime

    def stage_of(self, cluster: str) -> StagePlan:
        """Where a cluster of the run is."""
        return next(one for one in self.run.stages if cluster in one.clusters)

    def with_stage(self, stage: StagePlan) -> Moment:
        """The same with one stage changed."""
        stages = tuple(stage if one.name == stage.name else one for one in self.run.stages)
        return replace(self, run=replace(self.run, stages=stages))

    def with_evidence(self, **said: object) -> Moment:
        """The same with other evidence."""
        return replace(self, evidence=replace(self.evidence, **said))  # type: ignore[arg-type]

    def with_cluster(self, name: str, **said: object) -> Moment:
        """The same, but the hub knows something else of one cluster."""
        known = self.evidence.clusters.get(name, ClusterEvidence())
        changed = replace(known, **said)  # type: ignore[arg-type]
        return self.with_evidence(clusters={**self.evidence.clusters, name: changed})

    def forced(self, names: Iterable[str]) -> Moment:
        """The same with these gates forced by a person."""
        number = max((d.number for d in self.evidence.decisions), default=0)
        more = [
            Decision(number + at, self.run.uid, Verb.OVERRIDE, "ann", self.now, "why", gate=name)
            for at, name in enumerate(sorted(names), 1)
        ]
        return self.with_evidence(decisions=(*self.evidence.decisions, *more))


def first_in_line(moment: Moment, cluster: str) -> Moment:
    """The same with this cluster before all others: who goes first is no reason by itself."""
    stage = moment.stage_of(cluster)
    others = tuple(one for one in stage.clusters if one != cluster)
    mine = replace(stage, clusters=(cluster, *others))
    rest = tuple(one for one in moment.run.stages if one.name != stage.name)
    moment = replace(moment, run=replace(moment.run, stages=(mine, *rest)))
    offer = moment.evidence.clusters[cluster].assignment
    is_over = offer is not None and (
        offer.generation <= dict(moment.marks.retired).get(cluster, 0)
        or (offer.withdrawn_at is not None and offer.started_at is None)
    )
    return moment.with_cluster(cluster, assignment=None) if is_over else moment


def freed(moment: Moment, cluster: str, reasons: Iterable[Reason]) -> Moment:
    """The same, the cluster being the first in line, without these reasons."""
    found = first_in_line(moment, cluster)
    # Gates are known by their words, which other cures may change: they come first.
    for reason in sorted(reasons, key=lambda one: _CURES[one.code] not in (_gate, _turnstile)):
        found = _CURES[reason.code](found, cluster, reason)
    return found


Cure = Callable[[Moment, str, Reason], Moment]


def _answered(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """People forgave what failed and let the run go on; nobody asked for a rollback."""
    marks = moment.marks
    failure = replace(marks.failure, back_since=None)
    asked = [d for d in moment.evidence.decisions if d.verb is not Verb.ROLLBACK]
    number = max((d.number for d in asked), default=0)
    for verb in (Verb.FORGIVE, Verb.RESUME):
        number += 1
        asked.append(Decision(number, moment.run.uid, verb, "ann", moment.now, "known"))
    moment = replace(moment, marks=replace(marks, failure=failure), intent=Intent.RUN)
    return moment.with_evidence(decisions=tuple(asked))


def _queued(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return moment.with_evidence(waits_for="")


def _vetoed(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return moment.with_evidence(vetoed={})


def _frozen(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return _budgets(moment, lambda b: replace(b, freeze=replace(b.freeze, active=False)))


def _waiting(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """The stages that the text names are Done; a successor that it names lets it go on."""
    if "takes it from here" in reason.what:
        return moment.with_evidence(finishing_for="")
    _, found, names = reason.what.partition("waits for stage ")
    if not found:
        return moment
    done = dict(moment.marks.done) | dict.fromkeys(names.split(", "), moment.now)
    seen = tuple((n, s) for n, s in moment.marks.seen_stages if n not in done)
    return replace(
        moment, marks=replace(moment.marks, done=tuple(sorted(done.items())), seen_stages=seen)
    )


def _gate(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """The gate whose words these are."""
    stage = moment.stage_of(cluster)
    memory = Memory.of(moment.marks)
    said = gates.judge(moment.run, stage, Side.BEFORE, moment.evidence, memory, moment.now).gates
    return moment.forced(g.gate for g in said if g.reason and reason.what.endswith(g.reason))


def _turnstile(moment: Moment, cluster: str, reason: Reason) -> Moment:
    stage = moment.stage_of(cluster)
    memory = Memory.of(moment.marks)
    gate = Turnstile.of(moment.run, stage, moment.evidence, memory, moment.now)
    return moment.forced(n for n, _, judge in gate.passages if judge(cluster).refused == reason)


def _undone(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """The stage is not Done yet."""
    name = moment.stage_of(cluster).name
    marks = moment.marks
    done = tuple(one for one in marks.done if one[0] != name)
    seen = tuple((n, "Updating" if n == name else s) for n, s in marks.seen_stages)
    return replace(moment, marks=replace(marks, done=done, seen_stages=seen))


def _away(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return moment.with_cluster(cluster, online=True, registered=True)


def _fresh(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """It was never offered anything."""
    return moment.with_cluster(cluster, assignment=None)


def _held_by(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return moment.with_cluster(cluster, held_by="")


def _spread(moment: Moment, cluster: str, reason: Reason) -> Moment:
    stage = moment.stage_of(cluster)
    assert stage.spread is not None
    wide = dict.fromkeys(stage.spread.limits, 10**6)
    return moment.with_stage(
        replace(stage, spread=SpreadPlan(stage.spread.key, stage.spread.domain_of, wide))
    )


def _cap(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """`fleet: maxInFlight: 2 of zone=a in flight, 2 may be`: that cap of that owner."""
    owner, kind, said = reason.what.split(": ", 2)
    gone = {"maxInFlight": "max_in_flight", "maxUnavailable": "max_unavailable"}.get(kind, "")

    def lifted(budget: RolloutBudget) -> RolloutBudget:
        if budget.name != owner:
            return budget
        if "of the fleet" in said:
            return replace(budget, fleet=replace(budget.fleet, max_in_flight=None))
        kept = [
            replace(one, **{gone: None}) if f"of {one.key}=" in said else one  # type: ignore[arg-type]
            for one in budget.per_domain
        ]
        return replace(budget, per_domain=tuple(kept))

    rules = moment.run.rules
    left = tuple(one for one in rules.invariants if one.name != owner)
    run = replace(moment.run, rules=replace(rules, invariants=left))
    return _budgets(replace(moment, run=run), lifted)


def _pace(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return _budgets(
        moment, lambda b: replace(b, fleet=replace(b.fleet, max_starts_per_minute=None))
    )


def _quiet(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return moment.with_cluster(cluster, changed_at=None)


def _runs(moment: Moment, cluster: str, reason: Reason) -> Moment:
    return moment.with_cluster(cluster, runs=())


def _turn(moment: Moment, cluster: str, reason: Reason) -> Moment:
    """There are slots for everybody."""
    stage = moment.stage_of(cluster)
    batch = tuple(one for one in moment.marks.batch if one[0] != stage.name)
    moment = replace(moment, marks=replace(moment.marks, batch=batch))
    return moment.with_stage(replace(stage, parallelism=Ramp((10**6,))))


def _budgets(moment: Moment, change: Callable[[RolloutBudget], RolloutBudget]) -> Moment:
    return moment.with_evidence(budgets=tuple(change(one) for one in moment.evidence.budgets))


_CURES: Mapping[str, Cure] = {
    "RunQueued": _queued,
    "RunPaused": _answered,
    "RunFailing": _answered,
    "RunRollsBack": _answered,
    "Vetoed": _vetoed,
    "Frozen": _frozen,
    "StageWaiting": _waiting,
    "StageGatedBefore": _gate,
    "StageFailed": _answered,
    "StageDone": _undone,
    "GateAhead": _gate,
    "WindowClosed": _turnstile,
    "WindowCloses": _turnstile,
    "UnknownTimezone": _turnstile,
    "DependencyNotBaked": _turnstile,
    "Offline": _away,
    "Pending": _away,
    "HeldByRun": _held_by,
    "LeaseEnded": _fresh,
    "SpreadFull": _spread,
    "CapReached": _cap,
    "StartsPerMinute": _pace,
    "Quiet": _quiet,
    "RunsPerCluster": _runs,
    "NoFreeSlot": _turn,
    "BatchNotHealthy": _turn,
}
