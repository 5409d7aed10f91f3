"""What a breach vetoes, and what a veto holds.

At a breach the wanted digests of the clusters that failed are stored (`onFailure.veto`). While any
cluster's wanted digest of that bundle is among them, the bundle is held on *every* cluster, in
every run, however many commits follow: production cannot get what staging refused. A commit that
wants other digests everywhere, or takes back what failed, is not held. A removal is never vetoed,
nor does a rejected approval, a deadline or a cluster that left veto anything: no content failed.

Answering the breach (retry, skip, forgive) lifts what the run vetoed; so does `unveto`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.rollout.memory import Memory
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.step import Veto


def held_bundles(
    wanted: Iterable[Mapping[str, Digest | None]], vetoed: Mapping[str, Mapping[Digest, str]]
) -> dict[str, str]:
    """Bundle → why, of those of which some cluster wants a vetoed digest.

    `wanted` may repeat one mapping for all clusters of a class; each is looked at once.
    """
    found: dict[str, str] = {}
    if not vetoed:
        return found
    for bundles in {id(one): one for one in wanted}.values():
        for bundle, digests in vetoed.items():
            digest = bundles.get(bundle)
            if digest is not None and digest in digests:
                found.setdefault(bundle, digests[digest])
    return found


def at_breach(run: RunPlan, memory: Memory) -> tuple[Veto, ...]:
    """What the breaches that stand veto, sorted; empty if the policy wants none."""
    if not run.rules.on_failure.veto:
        return ()
    found: dict[tuple[str, Digest], Veto] = {}
    for stage in sorted(memory.breached):
        for cluster in sorted(memory.failed_in(stage)):
            if cluster in run.left:
                continue
            why = memory.failed[cluster][1]
            for change in run.changes.get(cluster, ()):
                if change.wanted != ABSENT:
                    veto = Veto(change.bundle, change.wanted, run.uid, f"{cluster}: {why}")
                    found.setdefault((change.bundle, change.wanted), veto)
    return tuple(found[key] for key in sorted(found))


def until_when(bundle: str, why: str) -> str:
    """Why a bundle is held everywhere, and what ends that."""
    ends = f"until Git wants other content, or `fleet rollout unveto {bundle} -m WHY`"
    return f"vetoed, {ends}; {why}"


def in_words(held: Mapping[str, str]) -> str:
    """Why a run with these bundles does not move."""
    bundle, why = min(held.items())
    return f"{bundle} is held by a veto: {why}"
