"""The gate `webhook`: another system says yes to exactly this run, stage and plan.

The hub posts who asks, and counts an answer of 2xx as yes, any other as "not yet". A gate that has
no yes after `timeout` fails; one that gets no answer at all is without data.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from fleet.rollout.evidence import Answer
from fleet.rollout.gate_kinds import Webhook
from fleet.rollout.gates.asked import fresh_reading, opened_at, without_data
from fleet.rollout.gates.verdict import PASS, Judgement, Question, Verdict


def judge(asked: Question, gate: Webhook) -> Judgement:
    """Did it say yes?"""
    due = opened_at(asked) + timedelta(seconds=gate.timeout_seconds)
    reading = fresh_reading(asked, gate.every_seconds)
    if reading is not None and reading.answer is Answer.PASS:
        return replace(PASS, reason="the webhook said yes")
    if asked.now >= due:
        what = f"the webhook did not say yes within {gate.timeout_seconds:g} s"
        return Judgement(Verdict.FAIL, what, "WebhookTimeout")
    if reading is None or reading.since is not None:
        found = without_data(asked, gate, "waits for the webhook's answer", "WaitsForWebhook")
    else:
        found = Judgement(Verdict.NONE, f"the webhook says not yet: {reading.why}", "WebhookNotYet")
    return replace(found, again=min(filter(None, (found.again, due))))
