"""Opening and superseding runs: `propose(situation) → Proposal`. Pure and deterministic.

::

    joins, leaves, relabels → live runs amended
    differences → needs → units (bundles that change, joined by dependsOn or since an object moves
                          from one to the other) → launch each
    launch: a live run of the same bundle
              rolls back                                                        → that ends first
              failed and unanswered, or still Queued, or this one only restores → it is superseded
              healthy                                                           → `superseding`

With `supersede.policy: Queue` a run that is still Queued stays; else only the newest is kept, and
one in the hotfix lane. A Queued run is made for what will be granted by then; when its turn comes,
by itself or since the policy now lets it replace the others, it is compared with what was granted
in fact, and made anew if that differs: always with its own content, however many commits wait
behind it. A run that only brings back what clusters ran before waits for nobody, and `restores`
frees it from gates; where only some clusters go back, those (`restoring`) are free from them. Runs
with no bundle in common never meet here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from clusters.objects import Digest
from fleet.rollout import lane, superseding, vetoes
from fleet.rollout.coalescing import settles_at
from fleet.rollout.differences import (
    baseline,
    carried,
    change_alike,
    differences,
    hold_removals,
    target_digest,
)
from fleet.rollout.late import late
from fleet.rollout.membership import amend
from fleet.rollout.needs import Needs, needs
from fleet.rollout.plans import Planner, run_uid
from fleet.rollout.rules import SupersedePolicy, Unit
from fleet.rollout.run_plan import Change, RunPlan
from fleet.rollout.situation import Held, Proposal, RunRecord, Situation
from fleet.rollout.stages import Policy
from fleet.rollout.states import RunState
from fleet.rollout.units import units
from fleet.rollout.vetoes import held_bundles


def propose(
    situation: Situation, uid: Callable[[str, tuple[str, ...], int], str] = run_uid
) -> Proposal:
    """The runs that are wanted now and not there. `uid(commit, bundles, number)` names them."""
    found = differences(situation)
    planner = Planner(situation, uid)
    situation, amendments, asked = amend(situation, planner.members_then)
    situation = planner.situation = hold_removals(situation, found, planner.rules_of)
    vetoed = held_bundles(situation.wanted.values(), situation.vetoed)
    differing = planner.placeable({b: some for b, some in found.of.items() if b not in vetoed})
    wanted = needs(situation, differing, planner.beside)
    desk = _Desk(situation, planner, differing, wanted, frozenset(vetoed))
    desk.held = [*found.held, *wanted.held]
    desk.held += [
        Held(b, "", "Vetoed", vetoes.until_when(b, why)) for b, why in sorted(vetoed.items())
    ]
    desk.open(wanted.staged)
    desk.refresh_queued()
    desk.open_orphans()
    behind = late(desk.situation, desk.going_on(), differing)
    desk.held = [h for h in desk.held if h.cluster not in behind.owed.get(h.bundle, ())]
    lane.open_lane(
        desk.planner,
        desk.records(),
        desk.superseded,
        wanted.owed,
        desk.held,
        desk.wakes,
        behind.owed,
    )
    runs = tuple(desk.planner.made)
    return Proposal(
        runs,
        dict(sorted(desk.superseded.items())),
        dict(sorted(desk.finishing.items())),
        amendments,
        tuple(sorted({*desk.held, *desk.planner.held})),
        _waits(desk),
        min(desk.wakes, default=None),
        frozenset(behind.asked | asked),
    )


@dataclass(slots=True)
class _Desk:
    """The work of one `propose`."""

    situation: Situation
    planner: Planner
    differing: Mapping[str, Mapping[str, Digest]]
    needs: Needs
    vetoed: frozenset[str] = frozenset()
    superseded: dict[str, str] = field(default_factory=dict)
    finishing: dict[str, str] = field(default_factory=dict)
    held: list[Held] = field(default_factory=list)
    wakes: list[datetime] = field(default_factory=list)

    def records(self) -> list[RunRecord]:
        """The stored runs that are live and staged, oldest first."""
        return [r for r in self.situation.runs if r.is_live and r.is_staged]

    def going_on(self) -> list[RunRecord]:
        """Every stored run but those that are replaced now, and those that are made now."""
        kept = [r for r in self.situation.runs if r.plan.uid not in self.superseded]
        return kept + [RunRecord(plan, RunState.QUEUED) for plan in self.planner.made]

    def open(self, bundles: Iterable[str]) -> None:
        """Runs for these bundles, one for each unit."""
        names = sorted(set(bundles) - self.vetoed)
        chosen = {name: self.planner.policy_of(name) for name in names}
        ready = {name: p for name, p in chosen.items() if p is not None and self._settled(name, p)}
        together = {p.name for p in ready.values() if p.rules.delivery.unit is Unit.COMMIT}
        if together:
            ready |= self._replaced_with(ready, together)
        policies = {name: policy.name for name, policy in ready.items()}
        situation = self.situation
        for unit in units(policies, situation.depends_on, together, situation.handovers.pairs):
            self._launch(unit)

    def _settled(self, bundle: str, policy: Policy) -> bool:
        """Did the pushes settle? If not, remember when to look again."""
        seconds = policy.rules.delivery.coalesce_seconds
        at = settles_at(self.planner.pushes_of(policy), seconds)
        if at is None or self.situation.now >= at:
            return True
        why = f"pushes settle first: a run is made when none came for {seconds:g} s"
        self.held.append(Held(bundle, "", "WaitsForPushes", why))
        self.wakes.append(at)
        return False

    def _replaced_with(
        self, ready: Mapping[str, Policy], together: Collection[str]
    ) -> dict[str, Policy]:
        """With `unit: Commit`, what runs that are replaced carry stays in one run with the rest."""
        found = {}
        for record in self.records():
            if not (record.state is RunState.QUEUED or record.is_replaced_by_any):
                continue
            if not set(record.plan.bundles) & set(ready):
                continue
            for bundle in record.plan.bundles:
                policy = self.planner.policy_of(bundle)
                if policy and policy.name in together and self.differing.get(bundle):
                    found[bundle] = policy
        return found

    def refresh_queued(self) -> None:
        """Queued runs whose turn has come: those that they may replace are replaced by them.

        One is made anew if what was granted is not what it was made for, and so is what waits
        behind it, so that the order stays.
        """
        anew: list[RunPlan] = []
        for record in self.records():
            if record.state is not RunState.QUEUED or record.plan.uid in self.superseded:
                continue
            older = self._older(record)
            first, finishing = self._first(record, older)
            self.finishing.update({r.plan.uid: record.plan.uid for r in finishing})
            if first:
                continue
            bundles = tuple(b for b in record.plan.bundles if b not in self.vetoed)
            if not bundles or any(self.planner.policy_of(bundle) is None for bundle in bundles):
                continue
            before = [plan for plan in anew if set(bundles) & set(plan.bundles)]
            changes = self._as_granted(record, bundles, before, older)
            as_made = bundles == record.plan.bundles and change_alike(
                changes, _open_changes(record)
            )
            if as_made and not before:
                self.superseded.update({r.plan.uid: record.plan.uid for r in older})
                continue
            restores = not before and self._restores(bundles, changes, [])
            made = self._make(bundles, changes, [*older, record], restores, again=record)
            anew += [made] if made is not None else []

    def _first(
        self, record: RunRecord, older: list[RunRecord]
    ) -> tuple[list[RunRecord], list[RunRecord]]:
        """The older runs that a Queued one still waits for, and those to finish their stages."""
        healthy = [r for r in older if not r.is_replaced_by_any]
        if not healthy or any(r.goes_back for r in healthy):
            return healthy, []
        rules, bundles = record.plan.rules.supersede, record.plan.bundles
        hotfix = record.is_hotfix
        how = superseding.choose(rules, healthy, bundles, self.situation, is_hotfix=hotfix)
        if how is SupersedePolicy.IMMEDIATE:
            return [], []
        finish = how is SupersedePolicy.FINISH_STAGE
        return healthy, [r for r in healthy if finish and not r.finishing]

    def _as_granted(
        self,
        record: RunRecord,
        bundles: tuple[str, ...],
        before: Iterable[RunPlan],
        older: list[RunRecord],
    ) -> dict[str, tuple[Change, ...]]:
        """What a Queued run changes given what was granted and what the runs `before` bring.

        Always with its own content. A cluster of which it says nothing is added if it wants the
        same and no newer run waits, or what one of the older runs that are replaced would have
        brought and no newer one brings.
        """
        newer = [plan for plan in self._newer(record) if set(bundles) & set(plan.bundles)]
        later = {(c, x.bundle) for plan in newer for c, some in plan.changes.items() for x in some}
        as_now = self.situation.commit == record.plan.commit
        found: dict[str, list[Change]] = {}
        for bundle in bundles:
            own = carried(record, bundle)
            coming: dict[str, Digest] = {}
            for plan in before:
                coming |= carried(RunRecord(plan, RunState.QUEUED), bundle)
            lost = {pair for one in older for pair in carried(one, bundle).items()}
            for cluster in sorted({*own, *self.differing.get(bundle, ())}):
                want = target_digest(self.situation, cluster, bundle)
                is_lost = (cluster, want) in lost and (cluster, bundle) not in later
                is_alike = not newer and (as_now or want in own.values())
                if want is None or not (cluster in own or is_lost or is_alike):
                    continue
                mine = own.get(cluster, want)
                have = coming.get(cluster, self.planner.granted(cluster, bundle))
                if mine != have:
                    change = self.planner.change(cluster, bundle, mine, have)
                    found.setdefault(cluster, []).append(change)
        return {cluster: tuple(found[cluster]) for cluster in sorted(found)}

    def _newer(self, record: RunRecord) -> list[RunPlan]:
        stored = [r.plan for r in self.records() if r.plan.number > record.plan.number]
        return [*stored, *self.planner.made]

    def _older(self, record: RunRecord) -> list[RunRecord]:
        return [r for r in _older(self.records(), record) if r.plan.uid not in self.superseded]

    def open_orphans(self) -> None:
        """What a superseded run carried and its successor does not is wanted again."""
        while orphans := self._orphans():
            made = len(self.planner.made)
            self.open(orphans)
            if len(self.planner.made) == made:
                return

    def _orphans(self) -> set[str]:
        # A run that was stored may be the successor: its proposal was asked for again.
        after = set(self.superseded.values())
        stored = [record.plan for record in self.records() if record.plan.uid in after]
        mine = {bundle for run in (*self.planner.made, *stored) for bundle in run.bundles}
        theirs = {
            bundle
            for record in self.records()
            if record.plan.uid in self.superseded
            for bundle in record.plan.bundles
        }
        return {bundle for bundle in theirs - mine if self.differing.get(bundle)}

    def _launch(self, bundles: tuple[str, ...]) -> None:
        rivals = [
            record
            for record in self.records()
            if set(record.plan.bundles) & set(bundles) and record.plan.uid not in self.superseded
        ]
        now = self._changes(bundles, ())
        going = [r for r in rivals if r.goes_back]
        others = [r for r in rivals if not r.goes_back]
        if self._restores(bundles, now, rivals):
            self._make(bundles, now, others, True)
            return
        begun = [r for r in others if r.state is not RunState.QUEUED or r.is_hotfix]
        first = [r for r in begun if not r.breached]
        how = self._policy(bundles, first)
        if how is SupersedePolicy.QUEUE:
            first = [r for r in others if not r.breached]
        elif how is SupersedePolicy.IMMEDIATE:
            first = []
        replaced = [r for r in others if r not in first]
        finish = how is SupersedePolicy.FINISH_STAGE
        changes = self._changes(bundles, () if going else first, finish=finish)
        back = frozenset() if first or going else self._restoring(changes)
        made = self._make(bundles, changes, replaced, False, back)
        if finish and made is not None:
            self.finishing.update({r.plan.uid: made.uid for r in first if not r.finishing})

    def _policy(self, bundles: tuple[str, ...], active: list[RunRecord]) -> SupersedePolicy:
        policy = self.planner.policy_of(bundles[0])
        assert policy is not None, "only bundles with a policy are launched"
        return superseding.choose(policy.rules.supersede, active, bundles, self.situation)

    def _changes(
        self, bundles: tuple[str, ...], first: Collection[RunRecord], *, finish: bool = False
    ) -> dict[str, tuple[Change, ...]]:
        """Cluster → changes, given that the runs `first` have brought what they carry, or finished
        the stages in which they have started something."""
        found: dict[str, list[Change]] = {}
        for bundle in bundles:
            coming = {
                cluster: digest
                for record in first
                for cluster, digest in carried(record, bundle).items()
                if not finish or cluster in record.finishes
            }
            for cluster in sorted({*self.differing.get(bundle, ()), *coming}):
                want = target_digest(self.situation, cluster, bundle)
                have = coming.get(cluster, self.planner.granted(cluster, bundle))
                if want is not None and want != have:
                    change = self.planner.change(cluster, bundle, want, have)
                    found.setdefault(cluster, []).append(change)
        return {cluster: tuple(found[cluster]) for cluster in sorted(found)}

    def _restores(
        self,
        bundles: tuple[str, ...],
        changes: Mapping[str, tuple[Change, ...]],
        rivals: Iterable[RunRecord],
    ) -> bool:
        """Does everything go back to what ran before the unsuccessful runs of these bundles?"""
        newest_first = self.situation.runs[::-1]
        pairs = {(c, change.bundle) for c, some in changes.items() for change in some}
        for record in rivals:
            for bundle in set(record.plan.bundles) & set(bundles):
                pairs.update((cluster, bundle) for cluster in carried(record, bundle))
        for cluster, bundle in pairs:
            if cluster not in self.situation.wanted:
                continue
            want = target_digest(self.situation, cluster, bundle)
            if want is None or want != baseline(newest_first, cluster, bundle):
                return False
        return bool(pairs)

    def _restoring(self, changes: Mapping[str, tuple[Change, ...]]) -> frozenset[str]:
        """The clusters of which everything goes back, in a run where it is not so of all."""
        newest_first = self.situation.runs[::-1]
        return frozenset(
            cluster
            for cluster, some in changes.items()
            if all(c.wanted == baseline(newest_first, cluster, c.bundle) for c in some)
        )

    def _make(
        self,
        bundles: tuple[str, ...],
        changes: Mapping[str, tuple[Change, ...]],
        replaced: Iterable[RunRecord],
        restores: bool,
        restoring: frozenset[str] = frozenset(),
        again: RunRecord | None = None,
    ) -> RunPlan | None:
        """`again`: the run that this one is made anew of, with the same content."""
        plan = self.planner.staged(bundles, changes, restores, restoring, again)
        if plan is not None:
            self.superseded.update({record.plan.uid: plan.uid for record in replaced})
        return plan


def _open_changes(record: RunRecord) -> dict[str, tuple[Change, ...]]:
    """What a run changes where nobody left it."""
    plan = record.plan
    return {c: some for c, some in plan.changes.items() if c not in plan.left}


def _older(records: Iterable[RunRecord], record: RunRecord) -> list[RunRecord]:
    """The live staged runs before `record` that share a bundle with it; records oldest first."""
    found = []
    for other in records:
        if other.plan.uid == record.plan.uid:
            break
        if set(other.plan.bundles) & set(record.plan.bundles):
            found.append(other)
    return found


def _waits(desk: _Desk) -> dict[str, str]:
    """Every live run, stored or new, that an older live one holds back."""
    every = [*desk.records(), *(RunRecord(p, RunState.QUEUED) for p in desk.planner.made)]
    every = [r for r in every if r.is_staged and r.plan.uid not in desk.superseded]
    return {r.plan.uid: older[0].plan.uid for r in every if (older := _older(every, r))}


def waits_for(run: RunPlan, runs: Iterable[RunRecord]) -> str:
    """The older live run that goes first; `runs` oldest first. For `Evidence.waits_for`.

    Leave out runs that are replaced (`Proposal.superseded`), even if they have not ended yet.
    """
    live = [r for r in runs if r.is_live and r.is_staged]
    older = _older(live, RunRecord(run, RunState.QUEUED))
    known = any(r.plan.uid == run.uid for r in live)
    return older[0].plan.uid if known and older else ""
