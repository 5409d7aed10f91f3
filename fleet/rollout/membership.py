"""What clusters that join, leave or get other labels do to live runs, by each run's own rules.

::

    joined     mode: Dynamic, its stage not Done  → it enters that stage, last in its order
               else                               → no amendment; the catch-up lane or next run
    left       its stage not Done                 → Removed, its slot free
               its stage started, onLeave: Fail   → Failed, and counts against the budget
    relabelled onRelabel: KeepStage (the default) → it stays; Restage, nothing started → it moves
    back       its stage not Done                 → it is in that stage again

A stage that is Done is never opened again. A joiner gets what the run brings to others; while Git
wants newer content already and that of the run's commit is not known, it waits. Parallelism and
spread follow the number of members; what failures are judged by does not. Missing data is no leave
and no relabel. Runs that wait behind another, or go back, are left alone. Pure; what is decided
here is recorded once (`fleet.rollout.amendments`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout import resolution
from fleet.rollout.amendments import Amendment, Move, MoveKind, Size, amended
from fleet.rollout.differences import carried, target_digest
from fleet.rollout.resolution import Membership
from fleet.rollout.rules import MembershipMode, OnLeave, OnRelabel
from fleet.rollout.run_plan import Change, RunPlan, StagePlan
from fleet.rollout.situation import Asked, RunRecord, Situation
from fleet.rollout.stages import Policy


def amend(
    situation: Situation, members: Callable[[Policy], Membership]
) -> tuple[Situation, dict[str, Amendment], set[Asked]]:
    """The situation with its live runs as they are from now on, what was amended in which, and
    which content must be known before more can join.

    `members(policy)` answers who is in which stage of a run's pinned policy now.
    """
    found: dict[str, Amendment] = {}
    runs: list[RunRecord] = []
    asked: set[Asked] = set()
    for record in situation.runs:
        amendment = None
        if record.is_live and not record.goes_back and not _waits(runs, record):
            amendment = _amendment(situation, record, members, asked)
        if amendment is not None:
            found[record.plan.uid] = amendment
            record = replace(record, plan=amended(record.plan, [amendment]))
        runs.append(record)
    return (replace(situation, runs=tuple(runs)) if found else situation), found, asked


def _waits(older: Sequence[RunRecord], record: RunRecord) -> bool:
    """Does an older live run of one of its bundles go first?"""
    bundles = set(record.plan.bundles)
    return record.is_staged and any(
        one.is_live and one.is_staged and not bundles.isdisjoint(one.plan.bundles) for one in older
    )


def _amendment(
    situation: Situation,
    record: RunRecord,
    members: Callable[[Policy], Membership],
    asked: set[Asked],
) -> Amendment | None:
    if situation.declared is None:
        return None
    plan = record.plan
    moves = list(_leaves(situation, record))
    who = None
    if plan.policy is not None and _takes_members(record) and not situation.members_unread:
        who = members(plan.policy)
        look = _Look(situation, record, who, {move.cluster for move in moves}, asked)
        moves += [*look.returns(), *look.relabels(), *look.joins()]
    amendment = Amendment(situation.now, tuple(sorted(moves, key=lambda m: m.cluster)))
    if who is not None:
        sizes = _sizes(amended(plan, [amendment]), who)
        amendment = replace(amendment, sizes=tuple(sizes))
    return amendment if amendment.moves or amendment.sizes else None


def _takes_members(record: RunRecord) -> bool:
    """Does it follow who joins? Not the catch-up lane, nor a run that only restores."""
    mode = record.plan.rules.membership.mode
    follows = record.is_staged and not record.plan.restores
    return follows and mode is MembershipMode.DYNAMIC


def _open_stages(record: RunRecord) -> Iterator[StagePlan]:
    return (stage for stage in record.plan.stages if stage.name not in record.done)


def _leaves(situation: Situation, record: RunRecord) -> Iterator[Move]:
    """Clusters that Git declares no more, of stages that are not Done."""
    assert situation.declared is not None, "asked only if it is known"
    plan = record.plan
    fails = record.is_staged and plan.rules.membership.on_leave is OnLeave.FAIL
    why = f"Git declares it no more, as of commit {situation.commit[:12]}"
    for stage in _open_stages(record):
        kind = MoveKind.LOST if fails and stage.name in record.started else MoveKind.LEFT
        for name in stage.clusters:
            if name not in situation.declared and name not in plan.left:
                yield Move(name, kind, stage.name, why)


@dataclass(slots=True)
class _Look:
    """One run, and who is where now."""

    situation: Situation
    record: RunRecord
    who: Membership
    leaving: set[str]
    asked: set[Asked]
    _outdated: dict[str, bool] = field(default_factory=dict)

    def returns(self) -> Iterator[Move]:
        """Clusters that left and are there again, in their stage."""
        for stage in _open_stages(self.record):
            for name in stage.clusters:
                if name in self.record.plan.left and self._stage(name):
                    yield Move(name, MoveKind.JOINED, stage.name, self._since("is back"))

    def relabels(self) -> Iterator[Move]:
        """With `onRelabel: Restage`, clusters that start elsewhere by the labels they have now."""
        plan = self.record.plan
        if plan.rules.membership.on_relabel is not OnRelabel.RESTAGE:
            return
        for stage in _open_stages(self.record):
            for name in stage.clusters:
                if name in plan.left or name in self.leaving or name in self.record.touched:
                    continue
                if name in self.who.declared and self.who.stage_of.get(name) != stage.name:
                    yield self._restage(name, stage.name)

    def _restage(self, name: str, before: str) -> Move:
        stage = self.who.stage_of.get(name)
        if stage is None:
            return Move(name, MoveKind.LEFT, before, self._since("its labels are of no stage"))
        if not self._stage(name):
            why = f"its labels are of stage {stage}, which is Done"
            return Move(name, MoveKind.LEFT, before, self._since(why))
        why = self._since(f"its labels put it from stage {before} into {stage}")
        return Move(name, MoveKind.RESTAGED, stage, why, domain=self._domain(name, stage))

    def joins(self) -> Iterator[Move]:
        """Clusters that were declared after the run was made and get what it brings."""
        plan, declared = self.record.plan, self.situation.declared or {}
        for name in sorted(self.who.stage_of):
            since = declared.get(name)
            if name in plan.changes or since is None or since < plan.created:
                continue
            stage = self._stage(name)
            changes = tuple(self._changes(name)) if stage else ()
            if changes:
                domain = self._domain(name, stage)
                why = self._since("joined")
                yield Move(name, MoveKind.JOINED, stage, why, changes, domain)

    def _since(self, what: str) -> str:
        return f"{what}, as of commit {self.situation.commit[:12]}"

    def _stage(self, name: str) -> str:
        """The stage that a cluster is in by its labels, if that is not Done."""
        stage = self.who.stage_of.get(name, "")
        return "" if stage in self.record.done else stage

    def _domain(self, name: str, stage: str) -> str:
        plan = next(one for one in self.record.plan.stages if one.name == stage)
        return resolution.domain(self.who, name, plan.spread.key) if plan.spread else ""

    def _changes(self, name: str) -> Iterator[Change]:
        granted = self.situation.assigned.get(name, {})
        for bundle in self.record.plan.bundles:
            want, have = self._content(name, bundle), granted.get(bundle, ABSENT)
            if want not in (None, ABSENT, have):
                yield Change(bundle, want, "" if have == ABSENT else have)

    def _content(self, name: str, bundle: str) -> Digest | None:
        """What the run brings of a bundle, as today's declaration of the cluster renders it."""
        if bundle not in self._outdated:
            self._outdated[bundle] = any(
                target_digest(self.situation, cluster, bundle) not in (None, digest)
                for cluster, digest in carried(self.record, bundle).items()
            )
        if not self._outdated[bundle]:
            return target_digest(self.situation, name, bundle)
        key = (self.record.plan.commit, bundle)
        if key not in self.situation.as_of:
            self.asked.add(key)
        return self.situation.as_of.get(key, {}).get(name)


def _sizes(plan: RunPlan, who: Membership) -> Iterator[Size]:
    """The stages whose parallelism or spread is another for the members of today."""
    assert plan.policy is not None, "asked only if it is pinned"
    stage_of = dict(who.stage_of)
    for stage in plan.stages:
        for name in stage.clusters:
            stage_of[name] = stage.name
    for name in plan.left:
        stage_of.pop(name, None)
    members: dict[str, list[str]] = {stage.name: [] for stage in plan.stages}
    for name, where in stage_of.items():
        members[where].append(name)
    said = {stage.name: stage for stage in plan.policy.stages}
    for stage in plan.stages:
        names, policy = members[stage.name], said[stage.name]
        if not names:
            continue
        steps = resolution.steps(policy, len(names))
        limits = resolution.limits(policy.spread, names, who) if policy.spread else {}
        if steps != stage.parallelism.steps or (stage.spread and limits != stage.spread.limits):
            yield Size(stage.name, len(names), steps, limits)
