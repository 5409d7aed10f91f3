"""What gates must say to make sense beside the stages and rollouts that there are. Pure.

::

    proven      names another stage of the rollout
    dependency  names another rollout of the repository
    analysis    names an Analysis of the repository
    soak        with minSamples stands beside an analysis that says how samples are counted
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from fleet.rollout.document import Stage
from fleet.rollout.gate_kinds import AfterGate, Analysis, Dependency, Soak
from fleet.rollout.measures import Measures
from fleet.rollout.stages import Policy, StagePolicy


def mistakes(stages: Sequence[Stage]) -> Iterator[tuple[str, str]]:
    """(place, what is wrong) of every gate that cannot be meant so."""
    names = [stage.name for stage in stages]
    for index, stage in enumerate(stages):
        for place, gate in enumerate(stage.gates.before):
            where = f"spec.stages[{index}].gates.before[{place}]"
            if gate.proven is not None and gate.proven.in_ not in names:
                yield f"{where}.proven.in", f"no stage {gate.proven.in_!r}"
            elif gate.proven is not None and gate.proven.in_ == stage.name:
                yield f"{where}.proven.in", "a stage cannot be proven in itself"


def beside(
    policy: Policy, rollouts: Collection[str], analyses: Mapping[str, Measures]
) -> tuple[Policy | None, list[tuple[str, str]]]:
    """The policy with what its gates measure, or (place, what is wrong) of what they name."""
    wrong = [
        ("gates.before.dependency", f"no other rollout {gate.rollout!r}")
        for gate in (gate for stage in policy.stages for gate in stage.before)
        if isinstance(gate, Dependency)
        and (gate.rollout not in rollouts or gate.rollout == policy.name)
    ]
    wrong += [
        ("gates.after.analysis", f"no Analysis {gate.ref!r} that can be read")
        for gate in (gate for stage in policy.stages for gate in stage.after)
        if isinstance(gate, Analysis) and gate.ref not in analyses
    ]
    if wrong:
        return None, wrong
    stages = tuple(_measured(stage, analyses) for stage in policy.stages)
    uncounted = [
        ("gates.after.soak.minSamples", "the stage has no analysis that says `samples`")
        for stage in stages
        for gate in stage.after
        if isinstance(gate, Soak) and gate.min_samples and gate.measures is None
    ]
    return (None, uncounted) if uncounted else (replace(policy, stages=stages), [])


def _measured(stage: StagePolicy, analyses: Mapping[str, Measures]) -> StagePolicy:
    """The stage with what its gates measure: a soak counts as the first analysis that can."""
    named = [analyses[gate.ref] for gate in stage.after if isinstance(gate, Analysis)]
    counts = next((measures for measures in named if measures.samples), None)
    after: list[AfterGate] = []
    for gate in stage.after:
        if isinstance(gate, Analysis):
            after.append(replace(gate, measures=analyses[gate.ref]))
        elif gate.min_samples:
            after.append(replace(gate, measures=counts))
        else:
            after.append(gate)
    return replace(stage, after=tuple(after))
