"""What agents and people ask the hub to do, each request one transaction.

Agents: register, target, start, artifact, report. People: a token for an agent, a decision on a
run, a look at Git. Who may ask what is judged before (`fleet.api`); here is what it does. A refusal
is a `RequestError` with its HTTP status, a stable code and a cure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from agents.protocol import (
    PROTOCOL_MAX,
    PROTOCOL_MIN,
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    Target,
    read_artifact,
)
from agents.protocol.needs import Needs, needs_of_deployments
from clusters.clock import Clock
from clusters.objects import Digest
from fleet.errors import RequestError
from fleet.hub import bundle_decisions, fleet_decisions
from fleet.hub.doorbell import Doorbell, wait_for
from fleet.hub.forgetting import forget_cluster
from fleet.hub.settings import HubSettings
from fleet.rollout import ANSWERS, gates, hotfix, overrides, refusal
from fleet.rollout.decisions import Actor, Decision, Verb
from fleet.rollout.run_plan import RunPlan
from fleet.rollout.states import Intent
from fleet.store import Connection, Store
from fleet.store.agents import cluster_known, register, set_token
from fleet.store.decisions import add_decision
from fleet.store.events import add_event, epoch
from fleet.store.hub_key import HubKey
from fleet.store.questions import one_uid
from fleet.store.reports import take_report
from fleet.store.runs import (
    RunRow,
    find_run,
    live_runs_of,
    read_plan,
    reopen,
    set_intent,
    stages_of,
)
from fleet.store.syncs import SyncOrder, open_sync
from fleet.store.targets import may_fetch, read_target, read_wanted, serial_of, start
from fleet.store.vetoes import clusters_of, lift_vetoes_of_run

INTENTS = {Verb.PAUSE: Intent.PAUSE, Verb.RESUME: Intent.RUN, Verb.ABORT: Intent.ABORT}
NAME_CHARACTERS = 253


class Desk:
    """Requests of agents and people; callable from every thread."""

    def __init__(
        self,
        store: Store,
        settings: HubSettings,
        clock: Clock,
        doorbell: Doorbell,
        mint: Callable[[], str],
        key: HubKey,
        news: Callable[[Iterable[str], Iterable[str] | None], None],
    ) -> None:
        """`news` tells the hub's loop which bundles changed in which clusters, or (with `None`)
        that clusters came or went."""
        self.store = store
        self._settings, self._clock, self._doorbell = settings, clock, doorbell
        self._mint, self._key, self._news = mint, key, news

    def register(self, asked: RegisterRequest) -> RegisterAnswer:
        """Let an agent introduce itself; one that Git does not declare is unclaimed."""
        highest = min(asked.protocol_max, PROTOCOL_MAX)
        if highest < max(asked.protocol_min, PROTOCOL_MIN):
            raise RequestError(
                f"the agent speaks wire versions {asked.protocol_min} to {asked.protocol_max},"
                f" the hub {PROTOCOL_MIN} to {PROTOCOL_MAX}",
                fix="upgrade the older side",
                code="no-common-protocol",
                status=406,
            )
        with self.store.write() as c:
            register(c, asked, highest, self._clock.now())
            claimed = cluster_known(c, asked.cluster)
            known_epoch = epoch(c)
        self._news([asked.cluster], None)
        return RegisterAnswer(
            cluster=asked.cluster,
            epoch=known_epoch,
            protocol=highest,
            claimed=claimed,
            heartbeat_seconds=self._settings.heartbeat_seconds,
            message="" if claimed else f"Git declares no cluster {asked.cluster}: it gets nothing",
            hub_key=self._key.line,
            successions=self._key.successions,
        )

    @property
    def hub_key(self) -> str:
        """The key that agents are to pin."""
        return self._key.line

    def target(self, cluster: str) -> Target:
        """All that the cluster is to run now, signed."""
        with self.store.read() as c:
            target = read_target(c, cluster)
        return self._key.sign(target)

    def needs(self, cluster: str) -> Needs:
        """What the cluster's agent has to be allowed to do. Errors: 404 if Git does not declare
        the cluster."""
        with self.store.read() as c:
            wanted = read_wanted(c, cluster)
        if wanted is None:
            raise RequestError(
                f"Git declares no cluster {cluster}, so nothing is known of what it is to run",
                at=cluster,
                fix="declare it in Git and let the hub see the commit (fleet refresh)",
                code="not-found",
                status=404,
            )
        deployments, unknown = wanted
        kept = self.store.artifacts
        names = {d.artifact for d in deployments if kept.has(d.artifact)}
        artifacts = {name: read_artifact(kept.get(name), name) for name in names}
        return needs_of_deployments(deployments, artifacts, unknown)

    async def target_after(self, cluster: str, etag: str, seconds: float) -> Target | None:
        """The target as soon as it is not what `etag` names; `None` after that many seconds."""
        event = self._doorbell.listen(cluster)
        try:
            if self.etag(cluster) == etag:
                await wait_for(event, seconds)
            return None if self.etag(cluster) == etag else self.target(cluster)
        finally:
            self._doorbell.forget(cluster, event)

    def etag(self, cluster: str) -> str:
        """The entity tag of the cluster's target, without reading all of it."""
        with self.store.read() as c:
            return f'"{epoch(c)}-{serial_of(c, cluster)}"'

    def start(self, cluster: str, asked: StartRequest) -> Target:
        """Grant the start of an offer. Errors: `RequestError` with status 409."""
        with self.store.write() as c:
            refused = start(c, cluster, asked, self._clock.now())
        if refused is not None:
            raise RequestError(
                refused.message,
                at=f"run {asked.run}, generation {asked.generation}",
                fix="forget this offer; the next target says what to do",
                code=refused.code,
                status=409,
            )
        target = self.target(cluster)
        started = [
            name for name, number in target.generations.items() if number == asked.generation
        ]
        self._news([cluster], started)
        self._doorbell.ring([cluster])
        return target

    def artifact(self, cluster: str, digest: Digest) -> bytes:
        """The bytes of an artifact that the cluster's own target names. Errors: 404 otherwise."""
        with self.store.read() as c:
            allowed = may_fetch(c, cluster, digest)
        if allowed:
            try:
                return self.store.artifacts.get(digest)
            except KeyError:
                pass
        raise RequestError(
            "the target of this cluster names no such artifact",
            at=digest,
            fix="fetch the target again",
            code="no-such-artifact",
            status=404,
        )

    def report(self, report: Report) -> ReportAnswer:
        """Take in what an agent says."""
        with self.store.write(durable=False) as c:
            taken = take_report(c, report, self._clock.now())
        if taken.came_back:
            self._news([report.cluster], None)
        elif taken.changed:
            self._news([report.cluster], taken.changed)
        if taken.target_changed:
            self._doorbell.ring([report.cluster])
        return ReportAnswer(accepted=taken.accepted, resync=taken.resync, message=taken.message)

    def token_for(self, cluster: str) -> str:
        """A new token for a cluster's agent; the earlier one ends. Only its hash is kept."""
        if not cluster or len(cluster) > NAME_CHARACTERS or not cluster.isprintable():
            raise RequestError(
                "that is no name of a cluster",
                fix="use the name that Git declares for it",
                code="bad-name",
            )
        token = self._mint()
        with self.store.write() as c:
            set_token(c, cluster, token, self._clock.now())
        return token

    def forget(self, cluster: str) -> str:
        """Forget a cluster that Git does not declare; says what was done."""
        return forget_cluster(self.store, cluster, self._clock.now())

    def sync(self, order: SyncOrder, clusters: Iterable[str]) -> str:
        """Ask the agents of these clusters to reconcile now; the sync's name."""
        if not order.actor.strip():
            raise RequestError("a sync needs a name", fix="say who asks", code="no-actor")
        with self.store.write() as c:
            uid, asked = open_sync(c, order, clusters, self._clock.now())
        if not uid:
            what = f"bundle {order.bundle!r}" if order.bundle else "anything"
            where = f" that {order.selector!r} selects" if order.selector else ""
            raise RequestError(
                f"no cluster{where} runs {what}",
                fix="see what runs where: fleet bundledeployments",
                code="nothing-to-sync",
                status=404,
            )
        self._doorbell.ring(asked)
        self._news([], [])
        return uid

    def decide_for_fleet(
        self,
        verb: Verb,
        *,
        actor: Actor,
        reason: str = "",
        bundle: str = "",
        clusters: Iterable[str] = (),
    ) -> str:
        """Record a decision on the whole fleet; says what was done."""
        if not actor.name.strip():
            raise RequestError("a decision needs a name", fix="say who decides", code="no-actor")
        with self.store.write() as c:
            said, changed = fleet_decisions.decide(
                c, verb, actor, reason, bundle, tuple(clusters), self._clock.now()
            )
        self._doorbell.ring(changed)
        self._news(changed, None)
        return said

    def decide(
        self,
        run: str,
        verb: Verb,
        *,
        actor: Actor,
        reason: str = "",
        stage: str = "",
        clusters: Iterable[str] = (),
        gate: str = "",
    ) -> str:
        """Record a decision on the run of that uid (or unique beginning); says what was done."""
        if not actor.name.strip():
            raise RequestError("a decision needs a name", fix="say who decides", code="no-actor")
        now = self._clock.now()
        with self.store.write() as c:
            row = find_run(c, one_uid(c, run))
            assert row is not None, "its uid was just read"
            plan = read_plan(c, row.uid)
            stages = _gates(c, plan, stage) if verb in (Verb.APPROVE, Verb.REJECT) else ("",)
            notes: list[str] = []
            for name in stages:
                decision = Decision(
                    number=0,
                    run=row.uid,
                    verb=verb,
                    actor=actor.name,
                    at=now,
                    reason=reason,
                    stage=name,
                    plan_hash=plan.plan_hash,
                    clusters=tuple(clusters),
                    gate=gate,
                    groups=actor.groups,
                    aliases=actor.aliases,
                    method=actor.method,
                )
                _record(c, row, plan, decision)
                notes += [gates.opens_nothing(decision, plan)] if verb is Verb.APPROVE else []
        proposes = row.ended_at is not None or verb is Verb.HOTFIX
        self._news(plan.changes, None if proposes else plan.bundles)
        where = f" (stage {', '.join(stages)})" if any(stages) else ""
        note = "".join(f"; it opens nothing: {why}" for why in dict.fromkeys(notes) if why)
        return f"{verb}: recorded for run {row.uid}{where}, by {actor.name}{note}"

    def decide_commit(self, commit: str, verb: Verb, *, actor: Actor, **said: Any) -> list[str]:
        """The same decision on every live run of a commit; what was done or refused for each.

        Errors: `RequestError` if the commit has no live run, or every one refuses.
        """
        with self.store.read() as c:
            runs = live_runs_of(c, commit)
        done: list[str] = []
        refused: list[RequestError] = []
        for uid in runs:
            try:
                done.append(self.decide(uid, verb, actor=actor, **said))
            except RequestError as error:
                refused.append(error)
        if not runs:
            raise RequestError(
                f"commit {commit} has no run that is live",
                fix="see `fleet runs`",
                code="no-such-run",
                status=404,
            )
        if not done:
            raise refused[0]
        return [*done, *(f"not {verb}: {error.what} ({error.at})" for error in refused)]

    def decide_for_bundle(self, verb: Verb, bundle: str, **said: Any) -> str:
        """Veto what is wanted of a bundle, or lift its vetoes; says what was done.

        `said`: actor, reason, digests, run, as `bundle_decisions.decide` takes them.
        """
        if not said["actor"].name.strip():
            raise RequestError("a decision needs a name", fix="say who decides", code="no-actor")
        with self.store.write() as c:
            done = bundle_decisions.decide(c, verb, bundle, now=self._clock.now(), **said)
            clusters = clusters_of(c, bundle)
        self._news(clusters, None)
        return done


def _record(c: Connection, row: RunRow, plan: RunPlan, decision: Decision) -> None:
    why = refusal(decision.verb, plan, row.state, row.marks, decision.stage)
    why = why or overrides.refusal(decision, plan, row.marks)
    if not why and decision.verb is Verb.HOTFIX:
        why = hotfix.refusal(decision, plan)
    if why:
        raise RequestError(
            why,
            at=f"run {row.uid}",
            fix=f"see `fleet runs {row.uid}`",
            code="decision-refused",
            status=409,
        )
    add_decision(c, decision)
    if decision.verb is Verb.RETRY:
        reopen(c, [row.uid])
    if decision.verb in ANSWERS:
        lift_vetoes_of_run(c, row.uid, f"{decision.verb} by {decision.actor}", decision.at)
    if decision.verb in INTENTS:
        set_intent(c, row.uid, INTENTS[decision.verb])
    said = f"{decision.actor}: {decision.verb}"
    add_event(
        c,
        decision.at,
        f"decided-{decision.verb}",
        f"{said} ({decision.reason})" if decision.reason else said,
        run=row.uid,
        stage=decision.stage,
    )


def _gates(c: Connection, plan: RunPlan, stage: str) -> tuple[str, ...]:
    """The stage that was named, or every stage whose approval is waited for now."""
    if stage:
        return (stage,)
    gated = {stage.name for stage in plan.stages if stage.approvals}
    waiting = gates.waiting(stages_of(c, plan.uid))
    if not waiting:
        raise RequestError(
            f"run {plan.uid} waits for no approval now",
            fix="name the stage to answer early: --stage " + (min(gated) if gated else "NAME"),
            code="no-gate-waits",
            status=409,
        )
    return waiting
