"""The gate `proven`: what this stage would newly run was Healthy in another stage before (I27).

The hub says of every image and chart that a cluster of this stage does not run yet since when it
has been Healthy in the named stage, and for how long it once was. All of them must have been for
`min`. What nobody knows the images of is not proven. A stage that runs nothing new passes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from fleet.rollout.evidence import Proof
from fleet.rollout.gate_kinds import Proven
from fleet.rollout.gates.verdict import POLLED, Judgement, Question, Verdict

SHOWN = 3


def judge(asked: Question, gate: Proven) -> Judgement:
    """Has all that is new here been Healthy there for long enough?"""
    proofs = asked.evidence.proofs.get(asked.gate)
    again = asked.now + POLLED
    if proofs is None:
        return Judgement(Verdict.NONE, "what is new here is not known", "NotProven", again=again)
    wanted = timedelta(seconds=gate.min_seconds)
    missing = [proof for proof in proofs if not is_proven(proof, wanted, asked.now)]
    if not missing:
        return Judgement(Verdict.PASS, f"proven in {gate.stage}")
    names = sorted(proof.material for proof in missing)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    shown = ", ".join(names[:SHOWN]) + more
    ends = [ready(proof, wanted) for proof in missing]
    until = max((end for end in ends if end is not None), default=None) if all(ends) else None
    long = f" for {gate.min_seconds:g} s" if gate.min_seconds else ""
    what = f"not yet Healthy{long} in {gate.stage}: {shown}"
    return Judgement(Verdict.NONE, what, "NotProven", until, again=again)


def is_proven(proof: Proof, wanted: timedelta, now: datetime) -> bool:
    """Was it Healthy there for so long, now or before?"""
    end = ready(proof, wanted)
    before = proof.healthy_seconds is not None and proof.healthy_seconds >= wanted.total_seconds()
    return before or (end is not None and now >= end)


def ready(proof: Proof, wanted: timedelta) -> datetime | None:
    """When it will have been Healthy for long enough, if nothing changes."""
    return None if proof.healthy_since is None else proof.healthy_since + wanted
