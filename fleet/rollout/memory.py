"""`Marks` opened for one tick: the same content as dictionaries, closed again as sorted tuples.

Only `advance` and the modules it calls write here, and only within one call. Equal content gives
equal marks, so a tick in which nothing happened writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from fleet.rollout.marks import CapMarks, FailureMarks, GateMarks, Marks
from fleet.rollout.states import ClusterState, StageState

_NOBODY: Mapping[str, str] = {}


@dataclass(slots=True)
class Memory:
    """What is remembered of a run, while a tick is decided."""

    ever_failed: set[tuple[str, str]] = field(default_factory=set)
    failed: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Cluster → (stage, why)."""
    breached: dict[str, str] = field(default_factory=dict)
    denominators: dict[str, int] = field(default_factory=dict)
    started: dict[str, datetime] = field(default_factory=dict)
    done: dict[str, datetime] = field(default_factory=dict)
    soak_anchor: dict[str, datetime] = field(default_factory=dict)
    ramp_step: dict[str, int] = field(default_factory=dict)
    retried: dict[str, int] = field(default_factory=dict)
    retired: dict[str, int] = field(default_factory=dict)
    clocks: dict[str, tuple[float, datetime | None]] = field(default_factory=dict)
    batch: dict[str, set[str]] = field(default_factory=dict)
    gates: GateMarks = GateMarks()
    failure: FailureMarks = FailureMarks()
    caps: CapMarks = CapMarks()
    """These are replaced (`dataclasses.replace`) by the modules that they belong to."""
    seen_run: str = ""
    seen_stages: dict[str, StageState] = field(default_factory=dict)
    seen_clusters: dict[str, ClusterState] = field(default_factory=dict)

    @classmethod
    def of(cls, marks: Marks) -> Memory:
        """The marks, opened."""
        batch: dict[str, set[str]] = {}
        for stage, cluster in marks.batch:
            batch.setdefault(stage, set()).add(cluster)
        return cls(
            ever_failed=set(marks.ever_failed),
            failed={cluster: (stage, why) for stage, cluster, why in marks.failed},
            breached=dict(marks.breached),
            denominators=dict(marks.denominators),
            started=dict(marks.started),
            done=dict(marks.done),
            soak_anchor=dict(marks.soak_anchor),
            ramp_step=dict(marks.ramp_step),
            retried=dict(marks.retried),
            retired=dict(marks.retired),
            clocks={cluster: (spent, since) for cluster, spent, since in marks.clocks},
            batch=batch,
            gates=marks.gates,
            failure=marks.failure,
            caps=marks.caps,
            seen_run=marks.seen_run,
            seen_stages={name: _STAGES[state] for name, state in marks.seen_stages},
            seen_clusters={name: _CLUSTERS[state] for name, state in marks.seen_clusters},
        )

    def close(self) -> Marks:
        """The marks to be stored."""
        return Marks(
            ever_failed=frozenset(self.ever_failed),
            failed=tuple(sorted((stage, c, why) for c, (stage, why) in self.failed.items())),
            breached=tuple(sorted(self.breached.items())),
            denominators=tuple(sorted(self.denominators.items())),
            started=tuple(sorted(self.started.items())),
            done=tuple(sorted(self.done.items())),
            soak_anchor=tuple(sorted(self.soak_anchor.items())),
            ramp_step=tuple(sorted(self.ramp_step.items())),
            retried=tuple(sorted(self.retried.items())),
            retired=tuple(sorted(self.retired.items())),
            clocks=tuple(sorted((c, spent, since) for c, (spent, since) in self.clocks.items())),
            batch=tuple(sorted((stage, c) for stage, some in self.batch.items() for c in some)),
            gates=self.gates,
            failure=self.failure,
            caps=self.caps,
            seen_run=self.seen_run,
            seen_stages=tuple(sorted((n, s.value) for n, s in self.seen_stages.items())),
            seen_clusters=tuple(sorted((n, s.value) for n, s in self.seen_clusters.items())),
        )

    @property
    def skipped(self) -> Mapping[str, str]:
        """Cluster → why, of those that a person left out."""
        return dict(self.failure.skipped) if self.failure.skipped else _NOBODY

    def failed_in(self, stage: str) -> list[str]:
        """The clusters of a stage whose failure counts and is not answered."""
        return [
            cluster
            for cluster, (where, _) in self.failed.items()
            if where == stage
            and (stage, cluster) in self.ever_failed
            and (stage, cluster) not in self.failure.forgiven
        ]

    def count_failed(self, stage: str) -> int:
        """Distinct clusters that ever failed in a stage of this run; never shrinks."""
        return sum(1 for where, _ in self.ever_failed if where == stage)

    def count_charged(self, stage: str) -> int:
        """Those of them that nobody forgave: what the budget is charged with."""
        forgiven = sum(1 for one in self.failure.forgiven & self.ever_failed if one[0] == stage)
        return self.count_failed(stage) - forgiven


_STAGES = {state.value: state for state in StageState}
_CLUSTERS = {state.value: state for state in ClusterState}
