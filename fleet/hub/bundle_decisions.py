"""What people decide about one bundle, whatever run carries it: `veto` and `unveto`.

A veto by hand holds what it names on every cluster and in every run until Git wants other content
or somebody lifts it, as a veto that a breach wrote does. It names digests, or what a run brings, or
else all that declared clusters want of the bundle now. Each decision is written in one transaction
with what follows from it; why it is refused is a `RequestError`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from agents.protocol import ABSENT
from clusters.objects import Digest
from fleet.errors import RequestError
from fleet.rollout.decisions import Actor, Decision, Verb
from fleet.store import Connection
from fleet.store.decisions import add_decision
from fleet.store.events import add_event
from fleet.store.questions import one_uid
from fleet.store.runs import read_plan, reopen
from fleet.store.vetoes import known_digests, lift_vetoes, veto_by_hand, wanted_digests

SHORTEST = 8
"""Characters of a digest's beginning, after `sha256:`."""


def decide(
    c: Connection,
    verb: Verb,
    bundle: str,
    *,
    actor: Actor,
    reason: str,
    now: datetime,
    digests: Sequence[str] = (),
    run: str = "",
) -> str:
    """Record it; what was done in words. Writes."""
    if not reason.strip():
        raise RequestError(f"{verb} needs a reason", fix="say why: -m", code="decision-refused")
    if verb is Verb.VETO:
        chosen = _chosen(c, bundle, digests, run)
        why = f"vetoed by {actor.name}: {reason}"
        veto_by_hand(c, bundle, chosen, actor.name, why, now)
        said = f"{bundle} is held until Git wants other content, or `unveto`"
    else:
        chosen = _chosen(c, bundle, digests, run) if digests or run else ()
        _lift(c, bundle, chosen, f"unveto by {actor.name}: {reason}", now)
        said = f"{bundle} is held by no veto of this content any more"
    decision = Decision(
        number=0,
        run="",
        verb=verb,
        actor=actor.name,
        at=now,
        reason=reason,
        groups=actor.groups,
        aliases=actor.aliases,
        method=actor.method,
        bundle=bundle,
        digests=tuple(chosen),
    )
    add_decision(c, decision)
    add_event(c, now, f"decided-{verb}", f"{actor.name}: {verb} {bundle} ({reason})")
    return f"{verb}: {said}, by {actor.name}"


def _lift(c: Connection, bundle: str, digests: Iterable[Digest], why: str, now: datetime) -> None:
    """Lift vetoes of a bundle, and open the runs again that were rolled back over them."""
    runs = lift_vetoes(c, bundle, digests, why, now)
    if not runs:
        raise RequestError(
            f"nothing of bundle {bundle!r} is vetoed",
            fix="see `fleet query 'SELECT * FROM vetoes'`",
            code="no-such-veto",
            status=404,
        )
    reopen(c, runs)


def _chosen(c: Connection, bundle: str, said: Sequence[str], run: str) -> tuple[Digest, ...]:
    """The digests of the bundle that are meant, sorted. Errors: none, or not known here."""
    if said:
        return tuple(sorted({_one(c, bundle, text) for text in said}))
    if run:
        plan = read_plan(c, one_uid(c, run))
        every = (change for changes in plan.changes.values() for change in changes)
        found = {change.wanted for change in every if change.bundle == bundle}
    else:
        found = wanted_digests(c, bundle)
    if found <= {ABSENT, ""}:
        where = f"run {run} brings" if run else "any declared cluster wants"
        raise RequestError(
            f"there is no content of bundle {bundle!r} that {where}",
            fix="see `fleet bundles`, or name a digest",
            code="no-such-digest",
            status=404,
        )
    return tuple(sorted(found - {ABSENT, ""}))


def _one(c: Connection, bundle: str, text: str) -> Digest:
    """The one digest of the bundle that begins so."""
    beginning = text.removeprefix("sha256:")
    found = {
        digest
        for digest in known_digests(c, bundle)
        if digest.removeprefix("sha256:").startswith(beginning)
    }
    if len(beginning) < SHORTEST or len(found) != 1:
        raise RequestError(
            f"{text!r} names no single content of bundle {bundle!r}",
            fix=f"give {SHORTEST} characters or more of its digest: `fleet bundledeployments`",
            code="no-such-digest",
            status=404,
        )
    return found.pop()
