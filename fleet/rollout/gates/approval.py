"""The gate `approval`: people say yes to exactly this run, stage and plan.

An answer is good only for the run, stage and plan hash that it names (the hash covers revision,
stages, gates and digests); one without a stage answers nothing here (the hub fills in the stages
that wait, see `waiting`). Of each person the newest answer counts. It may come early; once the
stage has started nobody is asked again.

::

    a rejection by anybody, not voided by a retry     → FAIL
    minApprovers people who may approve, not expired  → PASS
    else                                              → NONE

Who may (I4): those in `users`, or in one of `groups` when they answered; anybody, with neither.
With `notAuthor`, nobody whose name or alias is an author or committer of the commit.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from fleet.rollout.decisions import EVERY_GROUP, Decision, Verb
from fleet.rollout.gate_kinds import Approval
from fleet.rollout.gates.verdict import Judgement, Question, Verdict
from fleet.rollout.run_plan import RunPlan, StagePlan


def judge(asked: Question, gate: Approval) -> Judgement:
    """May the stage start, and why (not)?"""
    standing = _standing(asked)
    for one in standing:
        if one.verb is Verb.REJECT:
            why = f": {one.reason}" if one.reason else ""
            return Judgement(Verdict.FAIL, f"rejected by {one.actor}{why}", "Rejected")
    yes = [(one, why_not(one, gate, asked.run, asked.now)) for one in standing]
    good = [one for one, wrong in yes if not wrong]
    if len(good) >= gate.min_approvers:
        names = " and ".join(one.actor for one in good)
        return Judgement(Verdict.PASS, f"approved by {names}")
    more = [f"{len(good)} of {gate.min_approvers} so far"] if gate.min_approvers > 1 else []
    more += [f"{one.actor}: {wrong}" for one, wrong in yes if wrong]
    tail = f" ({'; '.join(more)})" if more else ""
    what = f"waits for approval{_by(gate)}{tail}"
    ends = [end for one in good if (end := expiry(one, gate)) is not None]
    return Judgement(Verdict.NONE, what, "WaitsForApproval", min(ends, default=None))


def _standing(asked: Question) -> list[Decision]:
    """The newest answer of each person, by number; rejections before the last retry are void."""
    decisions = asked.evidence.decisions
    retried = max((d.number for d in decisions if d.verb in (Verb.RETRY, Verb.FORGIVE)), default=0)
    newest: dict[str, Decision] = {}
    for one in sorted(decisions, key=lambda d: d.number):
        if answers_gate(one, asked.run, asked.stage):
            newest[_who(one)] = one
    good = (d for d in newest.values() if d.verb is Verb.APPROVE or d.number > retried)
    return sorted(good, key=lambda d: d.number)


def _who(decision: Decision) -> str:
    """One person; where people are known, whoever has the operator token is a single one."""
    known = decision.method == "operator" and EVERY_GROUP not in decision.groups
    return "the operator" if known else decision.actor


def answers_gate(decision: Decision, run: RunPlan, stage: StagePlan) -> bool:
    """Is this an answer to exactly this run, stage and plan?"""
    return (
        decision.verb in (Verb.APPROVE, Verb.REJECT)
        and decision.run == run.uid
        and decision.stage == stage.name
        and decision.plan_hash == run.plan_hash
    )


def why_not(decision: Decision, gate: Approval, run: RunPlan, now: datetime) -> str:
    """Why an approval does not count, in words; empty if it does."""
    end = expiry(decision, gate)
    if end is not None and now >= end:
        return "expired"
    if not _may(decision, gate):
        return "may not approve this stage"
    if gate.not_author and not run.authors:
        return "who wrote the commit is not known"
    if gate.not_author and is_author(decision, run.authors):
        return "is an author of the commit"
    return ""


def opens_nothing(decision: Decision, run: RunPlan) -> str:
    """Why an approval counts for no gate of its stage, in words; empty if it does."""
    stage = next((one for one in run.stages if one.name == decision.stage), None)
    asked = stage.approvals if stage is not None else ()
    whys = [why_not(decision, gate, run, decision.at) for gate in asked]
    if not whys or not all(whys):
        return ""
    return f"{decision.actor} {whys[0]}; it waits for approval{_by(asked[0])}"


def expiry(decision: Decision, gate: Approval) -> datetime | None:
    """From when on the approval is void."""
    ends = [decision.expires_at] if decision.expires_at is not None else []
    if gate.expires_seconds is not None:
        ends.append(decision.at + timedelta(seconds=gate.expires_seconds))
    return min(ends, default=None)


def _may(decision: Decision, gate: Approval) -> bool:
    if not gate.users and not gate.groups:
        return True
    if decision.actor in gate.users or EVERY_GROUP in decision.groups:
        return True
    return not set(gate.groups).isdisjoint(decision.groups)


def is_author(decision: Decision, authors: Iterable[str]) -> bool:
    """Does the commit name this person, whatever the case of the letters?"""
    names = {name.casefold() for name in (decision.actor, *decision.aliases)}
    return any(author.casefold() in names for author in authors)


def _by(gate: Approval) -> str:
    who = [*gate.groups, *gate.users]
    count = f" by {gate.min_approvers} people" if gate.min_approvers > 1 else " by"
    if not who:
        return count if gate.min_approvers > 1 else ""
    return f"{count} {'of ' if gate.min_approvers > 1 else ''}{' or '.join(who)}"
