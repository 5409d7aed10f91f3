"""Making `RunPlan`s: the policy of a bundle, its stages, numbers, plan hash and name.

What cannot be placed is held, with the reason: a cluster outside the policy's targets or stages,
a bundle whose policy is broken or contested, or breaks a rule of `plan_rules`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout import numbers, removals, resolution
from fleet.rollout.gate_kinds import Window
from fleet.rollout.needs import newest_staged
from fleet.rollout.origins import origin
from fleet.rollout.plan_rules import Refusal, refusals
from fleet.rollout.policy import Unprotected
from fleet.rollout.resolution import Membership
from fleet.rollout.rules import Rules
from fleet.rollout.run_plan import Change, Ramp, RunPlan, StagePlan
from fleet.rollout.situation import CommitRecord, Held, RunRecord, Situation
from fleet.rollout.stages import Policy
from fleet.rollout.states import Lane, RunState


def pinned(policy: Policy) -> Policy:
    """A policy as a run keeps it: who is in which stage; its rules stand in `RunPlan.rules`."""
    return replace(policy, rules=Rules(), at="")


def run_uid(commit: str, bundles: tuple[str, ...], number: int) -> str:
    """`podinfo-1a2b3c4-7`, `podinfo-and-2-1a2b3c4-8`: who, which commit, which run of the hub."""
    more = f"-and-{len(bundles) - 1}" if len(bundles) > 1 else ""
    return f"{bundles[0]}{more}-{commit[:7]}-{number}"


@dataclass(slots=True)
class Planner:
    """Makes the plans of one `propose`, in order."""

    situation: Situation
    uid: Callable[[str, tuple[str, ...], int], str]
    made: list[RunPlan] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    _members: dict[str, Membership] = field(default_factory=dict)
    _refused: dict[str, tuple[Refusal, ...]] = field(default_factory=dict)
    _newest: dict[str, RunRecord] | None = None
    _then: list[tuple[Policy, Membership]] = field(default_factory=list)

    def policy_of(self, bundle: str) -> Policy | None:
        """The policy of a bundle; `None` (and a line in `held`) if it has none that holds.

        A bundle that is no longer declared keeps the policy of its newest run.
        """
        situation = self.situation
        found: Policy | Unprotected | None = None
        if bundle not in situation.bundles and not situation.policies.closed:
            if self._newest is None:
                self._newest = newest_staged(situation.runs)
            record = self._newest.get(bundle)
            found = situation.policies.by_name(record.plan.rollout) if record else None
        if found is None:
            found = situation.policies.policy_for(situation.bundles.get(bundle, {}))
        if isinstance(found, Unprotected):
            self.held.append(Held(bundle, "", found.code, found.reason))
            return None
        broken = self._refusals(found)
        self.held.extend(Held(bundle, "", one.code, one.reason) for one in broken)
        return None if broken else found

    def rules_of(self, bundle: str) -> tuple[Rules, int] | None:
        """The rules of the policy of a bundle, if it has one that holds, and its clusters."""
        policy = self.policy_of(bundle)
        return None if policy is None else (policy.rules, len(self.members(policy).stage_of))

    def _refusals(self, policy: Policy) -> tuple[Refusal, ...]:
        if policy.name not in self._refused:
            self._refused[policy.name] = refusals(
                policy, self.members(policy), self.situation.policies.budgets
            )
        return self._refused[policy.name]

    def placeable(
        self, differing: Mapping[str, Mapping[str, Digest]]
    ) -> dict[str, dict[str, Digest]]:
        """The differences that some stage can release; the others go into `held`."""
        found: dict[str, dict[str, Digest]] = {}
        for bundle in sorted(differing):
            policy = self.policy_of(bundle)
            if policy is None:
                continue
            who = self.members(policy)
            kept = {c: d for c, d in differing[bundle].items() if c in who.stage_of}
            if kept:
                found[bundle] = kept
            for cluster in differing[bundle].keys() - kept.keys():
                self._hold(who, cluster, bundle)
        return found

    def _hold(self, who: Membership, cluster: str, bundle: str) -> None:
        code = who.held.get(cluster, "Unmatched")
        where = "outside spec.targets" if code == "OutsideTargets" else "in no stage"
        why = f"the cluster is {where} of the rollout; it keeps what it runs"
        self.held.append(Held(bundle, cluster, code, why))

    def members(self, policy: Policy) -> Membership:
        """Who is in which stage."""
        if policy.name not in self._members:
            self._members[policy.name] = resolution.membership(
                policy, self.situation.clusters, self.situation.groups
            )
        return self._members[policy.name]

    def members_then(self, kept: Policy) -> Membership:
        """Who is in which stage now, as a run's policy of then (`pinned`) says it."""
        now = self.situation.policies.by_name(kept.name)
        if now is not None and pinned(now) == kept:
            return self.members(now)
        found = next((who for policy, who in self._then if policy == kept), None)
        if found is None:
            situation = self.situation
            found = resolution.membership(kept, situation.clusters, situation.groups)
            self._then.append((kept, found))
        return found

    def beside(self, cluster: str, bundle: str) -> tuple[str, tuple[str, ...]]:
        """The stage that a placeable cluster is in for this bundle, and all clusters of it."""
        policy = self.policy_of(bundle)
        assert policy is not None, "only placeable differences are asked about"
        who = self.members(policy)
        stage = who.stage_of[cluster]
        return stage, who.clusters[stage]

    def granted(self, cluster: str, bundle: str) -> Digest:
        """What was last granted; `absent` if nothing was."""
        return self.situation.assigned.get(cluster, {}).get(bundle, ABSENT)

    def change(self, cluster: str, bundle: str, wanted: Digest, have: Digest) -> Change:
        """One change; exempt from the Degraded rule if what ran there was unhealthy already."""
        return Change(
            bundle=bundle,
            wanted=wanted,
            previous="" if have == ABSENT else have,
            was_unhealthy=(cluster, bundle) in self.situation.unhealthy
            and self._was_released(cluster, bundle),
        )

    def _was_released(self, cluster: str, bundle: str) -> bool:
        """Did a successful run bring what is unhealthy there? A failed one exempts nobody."""
        for record in reversed(self.situation.runs):
            brought = record.plan.changes.get(cluster, ())
            if any(change.bundle == bundle for change in brought):
                return record.state is RunState.SUCCEEDED
        return True

    def staged(
        self,
        bundles: tuple[str, ...],
        changes: Mapping[str, tuple[Change, ...]],
        restores: bool,
        restoring: frozenset[str] = frozenset(),
        again: RunRecord | None = None,
    ) -> RunPlan | None:
        """A staged run; `None` if every cluster of it is held.

        One that is made anew of another, `again`, asks for what that one asked for, and has it.
        """
        policy = self.policy_of(bundles[0])
        assert policy is not None, "only bundles with a policy are launched"
        who = self.members(policy)
        placed = self._placed(who, changes)
        if changes and not placed:
            return None
        uid = self._uid(bundles, self._of(policy, placed, again))
        stages = removals.removals_last(
            resolution.stage_plans(policy, who, placed, uid),
            removals.removing_clusters(placed),
            policy.rules.removal,
        )
        plan = self._add(policy, uid, bundles, placed, stages, restores=restores, again=again)
        self.made[-1] = plan = replace(plan, restoring=restoring.intersection(placed))
        return plan

    def pushes_of(self, policy: Policy) -> tuple[datetime, ...]:
        """When what the policy delivers was pushed, the newest first."""
        if policy.name in self.situation.contents:
            return self.situation.content_pushes.get(policy.name, ())
        return self.situation.pushes

    def catch_up(self, policy: Policy, changes: Mapping[str, tuple[Change, ...]]) -> RunPlan | None:
        """A run of the catch-up lane: one stage, no gates but windows, charged to no budget."""
        placed = self._placed(self.members(policy), changes)
        if not placed:
            return None
        clusters = tuple(sorted(placed))
        longest = max(stage.cluster_deadline_seconds for stage in policy.stages)
        stage = StagePlan(
            name="catch-up",
            clusters=clusters,
            members=len(clusters),
            parallelism=Ramp(
                (
                    numbers.parallelism(
                        policy.rules.connectivity.catch_up.parallelism, len(clusters)
                    ),
                )
            ),
            failure_budget=len(clusters),
            min_healthy=0,
            cluster_deadline_seconds=longest,
            before=_windows(policy, self.members(policy), placed),
        )
        bundles = tuple(sorted({c.bundle for some in placed.values() for c in some}))
        uid = self._uid((f"catch-up-{policy.name}",), self._of(policy, placed))
        return self._add(policy, uid, bundles, placed, (stage,), lane=Lane.CATCH_UP)

    def _of(
        self,
        policy: Policy,
        changes: Mapping[str, tuple[Change, ...]],
        again: RunRecord | None = None,
    ) -> CommitRecord:
        """The commit that a run is of; what is made anew brings its own content, of its own."""
        if again is None:
            tracked = self.situation.contents.get(policy.name)
            return tracked or origin(self.situation, changes)
        plan = again.plan
        asks = tuple(plan.trailers.items())
        return CommitRecord(plan.commit, 0, plan.title, plan.author, plan.authors, asks)

    def _uid(self, names: tuple[str, ...], of: CommitRecord) -> str:
        return self.uid(of.id, names, self._number())

    def _number(self) -> int:
        return self.situation.next_number + len(self.made)

    def _placed(
        self, who: Membership, changes: Mapping[str, tuple[Change, ...]]
    ) -> dict[str, tuple[Change, ...]]:
        placed = {}
        for cluster in sorted(changes):
            if cluster in who.stage_of:
                placed[cluster] = changes[cluster]
                continue
            for change in changes[cluster]:
                self._hold(who, cluster, change.bundle)
        return placed

    def _add(
        self,
        policy: Policy,
        uid: str,
        bundles: tuple[str, ...],
        changes: Mapping[str, tuple[Change, ...]],
        stages: tuple[StagePlan, ...],
        *,
        restores: bool = False,
        again: RunRecord | None = None,
        lane: Lane = Lane.STAGED,
    ) -> RunPlan:
        of = self._of(policy, changes, again)
        plan = RunPlan(
            uid=uid,
            rollout=policy.name,
            commit=of.id,
            bundles=bundles,
            created=self.situation.now,
            stages=stages,
            changes=changes,
            plan_hash=resolution.plan_hash(policy, of.id, changes),
            lane=lane,
            rules=policy.rules,
            restores=restores,
            title=of.title,
            author=of.author,
            authors=of.authors,
            trailers=dict(of.trailers),
            hotfix_of=again.plan.uid if again and again.is_hotfix else "",
            number=self._number(),
            policy=pinned(policy),
        )
        self.made.append(plan)
        return plan


def _windows(policy: Policy, who: Membership, placed: Collection[str]) -> tuple[Window, ...]:
    """The windows of the policy's stages, each about the clusters of its stage."""
    found: list[Window] = []
    for stage in policy.stages:
        only = tuple(sorted(cluster for cluster in placed if who.stage_of[cluster] == stage.name))
        windows = (gate for gate in stage.before if isinstance(gate, Window))
        found.extend(replace(window, only=only) for window in windows if only)
    return tuple(found)
