"""What gates must say to make sense beside the stages and rollouts that there are. Pure.

::

    proven      names another stage of the rollout
    dependency  names another rollout of the repository
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from fleet.rollout.document import Stage
from fleet.rollout.gate_kinds import Dependency
from fleet.rollout.stages import Policy


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


def unknown_rollouts(policy: Policy, known: Collection[str]) -> tuple[str, ...]:
    """The rollouts that `dependency` gates of a policy name and that are not there."""
    named = {
        gate.rollout
        for stage in policy.stages
        for gate in stage.before
        if isinstance(gate, Dependency)
    }
    return tuple(sorted(name for name in named if name not in known or name == policy.name))
