"""The hotfix lane: a trailer of the commit asks for it, a person's Decision opens it.

::

    supersede.hotfix of the policy   there is a lane, and which trailer asks for it
    Rollout-Class: hotfix            the newest commit's message asks; nothing changes by that
    approve --hotfix RUN -m WHY      a person with the role opens it for that run

Committers cannot pass a freeze by themselves. An open lane skips the soaks of the run, passes a
freeze that lets hotfixes through, and lets the run do to the live ones before it what
`supersede.hotfix.policy` says, `maxDeferrals` or not, with one un-baked revision more. Everything
else holds: order, budgets, approvals, windows, caps. A run that is made anew because those before
it were replaced keeps the lane. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable

from fleet.rollout.decisions import EVERY_GROUP, Decision, Verb
from fleet.rollout.run_plan import RunPlan

OPENS_BY = "asks for the hotfix lane: `fleet rollout approve --hotfix RUN -m WHY` opens it"


def in_words(run: RunPlan, *, opened: bool) -> str:
    """What people are told of the lane of a run; empty if it has nothing to do with one."""
    if opened:
        return "hotfix: no soak, and past freezes that let hotfixes through"
    return OPENS_BY if asks(run) else ""


def asks(run: RunPlan) -> bool:
    """Does the run's commit ask for a lane that its policy has?"""
    lane = run.rules.supersede.hotfix
    if lane is None:
        return False
    key, _, value = lane.when_trailer.partition(":")
    return any(
        name.casefold() == key.strip().casefold() and said == value.strip()
        for name, said in run.trailers.items()
    )


def is_open(run: RunPlan, decisions: Iterable[Decision]) -> bool:
    """Did a person open the lane for this run, or for the one that it was made anew of?"""
    return bool(run.hotfix_of) or any(
        one.verb is Verb.HOTFIX and one.run == run.uid for one in decisions
    )


def refusal(decision: Decision, run: RunPlan) -> str:
    """Why this Decision does not open the lane; empty if it does."""
    lane, roles = run.rules.supersede.hotfix, run.rules.overrides.roles
    if lane is None:
        return "the rollout has no hotfix lane (supersede.hotfix)"
    if not asks(run):
        return f"commit {run.commit[:12]} does not ask for it with a trailer {lane.when_trailer!r}"
    known = EVERY_GROUP in decision.groups or not set(roles).isdisjoint(decision.groups)
    if roles and not known:
        return f"only {' or '.join(roles)} may open the hotfix lane here"
    return "" if decision.reason.strip() else "hotfix needs a reason"
