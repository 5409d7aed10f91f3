"""Staged rollouts: who may move now, and why nobody else does. Pure: no clock, no disk.

::

    read_policies(documents, groups) → PolicyBook        numbers, document, policy, presets
    propose(situation)               → Proposal          differences, needs, units, plans, lane
    advance(run, marks, intent, evidence, now) → Step    standing, budgets, gates, slots, progress
    explain(run, step, evidence, cluster) → reasons      explain
    obstacles(run, step, evidence, now) → all reasons    obstacles
    forecast(run, stages, took, …)   → when it ends      forecast
    refusal(verb, run, state, marks, stage) → text       rulings

`fleet.store` records what they answer; agents perform it. See docs/rollouts.md.
"""

from __future__ import annotations

from fleet.rollout.advance import advance
from fleet.rollout.explain import explain
from fleet.rollout.obstacles import obstacles
from fleet.rollout.policy import PolicyBook, overlaps, read_policies
from fleet.rollout.reasons import Reason
from fleet.rollout.rulings import ANSWERS, refusal
from fleet.rollout.runs import propose, waits_for
from fleet.rollout.situation import Held, Proposal, RunRecord, Situation

__all__ = [
    "ANSWERS",
    "Held",
    "PolicyBook",
    "Proposal",
    "Reason",
    "RunRecord",
    "Situation",
    "advance",
    "explain",
    "obstacles",
    "overlaps",
    "propose",
    "read_policies",
    "refusal",
    "waits_for",
]
