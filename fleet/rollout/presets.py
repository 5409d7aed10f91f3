"""Policies for people who wrote none, or one line.

::

    default  staging → production → rest (or one stage for all); ramps 1 → 5% → 25%;
             failure budget 0 in the first stage, 2% after; on failure, pause
    fast     the same stages, 50% at a time
    safe     the same stages, ramps 1 → 1 → 5% → 10%, 30 m of soak after each, approval before
             production

Nothing is ever released to a whole fleet at once because somebody forgot to write a policy.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from fleet.rollout.gate_kinds import Approval, Soak
from fleet.rollout.numbers import Amount, read_amount
from fleet.rollout.stages import Policy, StagePolicy

NO_POLICY = "default"
"""The name of the rollout that carries what no document does."""


def _ramp(*steps: int | str) -> tuple[Amount, ...]:
    return tuple(read_amount(step) for step in steps)


_CAREFUL = _ramp(1, "5%", "25%")
_SAFE = _ramp(1, 1, "5%", "10%")
_TWO_PERCENT = read_amount("2%")


def policy(preset: str, groups: Collection[str]) -> Policy:
    """The preset as a policy that carries every bundle no other rollout names."""
    return Policy(name=NO_POLICY, stages=stages(preset, groups), at=f"preset {preset}")


def stages(preset: str, groups: Collection[str]) -> tuple[StagePolicy, ...]:
    """The stages of a preset, given the cluster groups that exist."""
    found = _default_stages(groups)
    if preset == "fast":
        return tuple(replace(stage, parallelism=_ramp("50%")) for stage in found)
    if preset == "safe":
        return tuple(
            replace(
                stage,
                parallelism=_SAFE,
                before=(Approval(),) if stage.name == "production" else (),
                after=(Soak(1800),),
            )
            for stage in found
        )
    return found


def _default_stages(groups: Collection[str]) -> tuple[StagePolicy, ...]:
    if not {"staging", "production"} <= set(groups):
        return (StagePolicy("all", catch_all=True, parallelism=_CAREFUL),)
    return (
        StagePolicy("staging", group="staging"),
        StagePolicy(
            "production",
            group="production",
            depends_on=("staging",),
            parallelism=_CAREFUL,
            failure_budget=_TWO_PERCENT,
        ),
        StagePolicy(
            "rest",
            catch_all=True,
            depends_on=("production",),
            parallelism=_CAREFUL,
            failure_budget=_TWO_PERCENT,
        ),
    )
