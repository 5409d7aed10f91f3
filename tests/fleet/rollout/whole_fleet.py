"""The capped pull fleet with everything else a policy can ask for: zones of time, gates, proofs.

What the hub would find in its rows is found here in what the fleet did; `WholeOracle` judges it.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from fleet.model import Cluster, PolicyDocument
from fleet.rollout.evidence import Answer, BundleEvidence, Evidence, Proof, Reading
from fleet.rollout.gate_kinds import Dependency, Proven, Side, Webhook, gate_id
from fleet.rollout.run_plan import StagePlan
from fleet.rollout.states import Lane
from tests.fleet.rollout.capped_fleet import CappedFleet
from tests.fleet.rollout.fleet_values import Assignment, Stored
from tests.fleet.rollout.whole_oracle import WholeOracle, is_well

ZONES = ("Europe/Berlin", "Asia/Kolkata", "America/New_York")
_CRDS = {
    "source": {"bundles": {"matchLabels": {"kind": "crds"}}},
    "stages": [{"name": "all", "select": {"catchAll": True}}],
}
OTHERS = (PolicyDocument("Rollout", "crds", _CRDS, "crds.yaml"),)
"""Another rollout, for `dependency` gates to name."""


class WholeFleet(CappedFleet):
    """Clusters are in three zones of time; machines that gates ask say what they are told to."""

    def __init__(
        self, spec: dict[str, Any], groups: dict[str, int], bundles: dict[str, tuple[str, ...]]
    ) -> None:
        super().__init__(spec, groups, bundles, OTHERS)
        self.clusters = tuple(
            Cluster(one.name, {"zone": self.zone(one.name), "tz": self.timezone(one.name)})
            for one in self.clusters
        )
        self.webhook = Answer.PASS
        self.ready: set[str] = set()
        """Clusters in which the other rollout has baked what it brings."""
        self.healthy_since: dict[tuple[str, str, str], datetime] = {}
        """(cluster, bundle, digest) → since when the hub hears that it is healthy."""
        self.healthy_for: dict[tuple[str, str, str], timedelta] = {}
        """Likewise: for how long it was, at most, before that ended."""
        self.oracle: WholeOracle = WholeOracle(self)

    def timezone(self, cluster: str) -> str:
        """Whose wall clock a cluster goes by."""
        return ZONES[sorted(self.agents).index(cluster) % len(ZONES)]

    def evidence(self, run: Stored) -> Evidence:
        """As the capped fleet's, with what gates ask for."""
        plain = super().evidence(run)
        known = {
            name: replace(one, labels={**one.labels, "tz": self.timezone(name)})
            for name, one in plain.clusters.items()
        }
        gates = [
            (gate_id(stage.name, Side.BEFORE, at), stage, gate)
            for stage in run.plan.stages
            for at, gate in enumerate(stage.before)
        ]
        return replace(
            plain,
            clusters=known,
            readings={
                name: Reading(self.webhook, self.now)
                for name, _, gate in gates
                if isinstance(gate, Webhook)
            },
            dependencies={
                name: frozenset(self.ready) & set(run.plan.changes)
                for name, _, gate in gates
                if isinstance(gate, Dependency)
            },
            proofs={
                name: self._proofs(run, stage, gate)
                for name, stage, gate in gates
                if isinstance(gate, Proven)
            },
        )

    def _proofs(self, run: Stored, stage: StagePlan, gate: Proven) -> tuple[Proof, ...]:
        where = self.members(gate.stage)
        found = []
        for bundle, digest in sorted(self.oracle.newly_run(run, stage)):
            keys = [(name, bundle, digest) for name in where]
            since = [self.healthy_since[key] for key in keys if key in self.healthy_since]
            spans = [self.healthy_for[key] for key in keys if key in self.healthy_for]
            longest = max(spans).total_seconds() if spans else None
            found.append(Proof(f"image:{digest}", min(since, default=None), longest))
        return tuple(found)

    def members(self, stage: str) -> list[str]:
        """All clusters of a stage: stages are named after their groups here."""
        return [name for group in self.groups if group.name == stage for name in group.members]

    def hears(self, cluster: str, report: BundleEvidence) -> None:
        """The hub's spans of health, as they follow from what it hears."""
        mine = (cluster, report.bundle, report.digest)
        if not is_well(report) or mine not in self.healthy_since:
            self._span_ends(cluster, report.bundle)
        if is_well(report):
            self.healthy_since.setdefault(mine, self.now)

    def _span_ends(self, cluster: str, bundle: str) -> None:
        for key in [key for key in self.healthy_since if key[:2] == (cluster, bundle)]:
            spent = self.now - self.healthy_since.pop(key)
            self.healthy_for[key] = max(spent, self.healthy_for.get(key, timedelta()))

    def start(self, name: str) -> None:
        """As any agent starts; every start is judged."""
        open_ones = [one for one in self.agents[name].fetched if one.can_start]
        super().start(name)
        for one in open_ones:
            if one.started_at is not None:
                self.oracle.began(self.runs[one.run], one)
                for bundle in one.digests:
                    self._span_ends(name, bundle)

    def stage_of(self, run: Stored, one: Assignment) -> StagePlan:
        """The stage that an assignment belongs to."""
        return next(s for s in run.plan.stages if one.cluster in s.clusters)

    def staged(self, run: Stored) -> bool:
        """Do gates apply to it?"""
        return run.plan.lane is Lane.STAGED and not run.plan.restores
