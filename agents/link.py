"""The agent's conversation with its hub: register, poll, start what is offered, fetch, report.

    poll    register if needed → target → artifacts of what is offered → start → of what is current
    tell    the next report, and what the hub answers to it

Every grant is on disk before `target` shows it. A target that the hub did not sign is refused, and
so is one older than the one held, whether it comes from the hub, the disk or the cluster. An offer
that the hub refuses is forgotten until the target changes. What is offered is fetched before it is
started, so that an agent which loses its hub right after a grant has all that it needs. After a
failure the hub is asked again later and later; only a token that is refused, or a hub of another
wire version, at the very first registration ends the process (`HubUnauthorizedError`,
`ProtocolMismatchError`).
"""

from __future__ import annotations

import contextlib
import logging
from datetime import datetime, timedelta
from random import Random

from agents.backoff import delay_seconds
from agents.cache import Cache
from agents.cluster_copy import Kept
from agents.errors import (
    AgentError,
    HubAnswerError,
    HubError,
    HubKeyError,
    HubUnauthorizedError,
    OfferRefusedError,
    ProtocolMismatchError,
)
from agents.hub_client import Hub
from agents.protocol import (
    Artifact,
    ArtifactError,
    Offer,
    RegisterAnswer,
    RegisterRequest,
    ReportAnswer,
    StartRequest,
    Target,
)
from agents.reporting import Reporter
from agents.settings import Settings
from agents.targets import artifacts_of, may_replace
from agents.trust import Trust
from clusters.objects import Digest

_log = logging.getLogger(__name__)


class Link:
    """One incarnation's side of the conversation."""

    def __init__(
        self,
        hub: Hub,
        cache: Cache,
        trust: Trust,
        cluster: str,
        incarnation: str,
        settings: Settings,
        dice: Random,
    ) -> None:
        self._hub = hub
        self._cache = cache
        self._trust = trust
        self._cluster = cluster
        self._incarnation = incarnation
        self._settings = settings
        self._dice = dice
        self.polls_failed = 0
        """Polls that failed in a row."""
        self._tells_failed = 0
        self._refused: set[tuple[str, int, tuple[int, int]]] = set()
        self._artifacts: dict[Digest, Artifact] = {}
        self.registered: RegisterAnswer | None = None
        self._known_here = False
        """Did the hub ever take this process's registration?"""
        self.target: Target | None = self._found(cache.load_target(cluster))
        """What was last accepted; from disk at first."""
        self.facts: dict[str, str | int] = {}
        """What reports and registration say of the cluster, and of a hub that is not followed."""
        self.next_poll: datetime | None = None
        self.next_tell: datetime | None = None

    def artifact(self, digest: Digest) -> Artifact | None:
        """An artifact at hand, from memory or verified from disk."""
        if digest not in self._artifacts:
            found = self._cache.load_artifact(digest)
            if found is None:
                return None
            self._artifacts[digest] = found
        return self._artifacts[digest]

    def _found(self, target: Target | None) -> Target | None:
        """What lay on the disk, if the hub that is pinned signed it."""
        if target is None:
            return None
        try:
            self._trust.check(target)
        except HubKeyError as error:
            _log.error("kept target refused", extra=_told(error))
            return None
        return target

    def recall(self, kept: Kept) -> bool:
        """Take up the copy that the cluster kept, unless what is here is newer; was it?

        Errors: `StateError`.
        """
        self._trust.recall(kept.hub_key)
        target = self._found(kept.target)
        if target is None or not may_replace(target, self.target, self._cluster):
            return False
        for digest in sorted(artifacts_of(target)):
            data = kept.artifacts.get(digest)
            if data is not None and self.artifact(digest) is None:
                with contextlib.suppress(ArtifactError):
                    self._artifacts[digest] = self._cache.save_artifact(digest, data)
        if target != self.target:
            self._cache.save_target(target)
            self.target = target
        return True

    @property
    def is_pinned(self) -> bool:
        """Is it known which hub to believe?"""
        return bool(self._trust.pin)

    @property
    def pinned(self) -> bytes:
        """What to keep of the hub's key elsewhere."""
        return self._trust.kept

    async def poll(self, now: datetime, *, wait_seconds: float = 0.0) -> None:
        """Bring `target` up to date and plan the next poll.

        Errors: at the first registration `HubUnauthorizedError`, `ProtocolMismatchError`;
        `StateError`. Every other failure of the hub is logged and leads to a later poll.
        """
        first = not self._known_here
        try:
            await self._poll(wait_seconds)
        except (HubUnauthorizedError, ProtocolMismatchError) as error:
            if first:
                raise
            self._put_off(now, error)
        except (HubError, ArtifactError) as error:
            self._put_off(now, error)
        else:
            if self.polls_failed:
                _log.info("hub answers again", extra={"polls_failed": self.polls_failed})
            self.polls_failed = 0
            self.facts["trouble"] = ""
            self.next_poll = now + timedelta(seconds=self._settings.poll_interval_seconds)

    async def _poll(self, wait_seconds: float) -> None:
        if self.registered is None:
            self.registered = await self._register()
            self._known_here = True
        await self._go_on()
        etag = self.target.etag if self.target is not None else ""
        # After a failure the hub is not asked to hold: that it answers again is then known at
        # once, and the next outage begins with the shortest delay and not where this one ended.
        hold = wait_seconds if etag and not self.polls_failed else 0.0
        answer = await self._hub.target(etag=etag, wait_seconds=hold)
        if answer is not None:
            self._take(answer)
            await self._go_on()

    async def _go_on(self) -> None:
        """Start what is offered and fetch what is current; also what a former poll left undone."""
        try:
            await self._fetch(self._lacking(offered=True))
            await self._start_all()
        finally:
            await self._fetch_all()

    def _put_off(self, now: datetime, error: Exception) -> None:
        self.polls_failed += 1
        level = logging.WARNING if self.polls_failed == 1 else logging.DEBUG
        if isinstance(error, HubKeyError | HubAnswerError | ArtifactError):
            self.facts["trouble"] = getattr(error, "what", str(error))
        if isinstance(error, HubKeyError):
            # Perhaps it has a new key, for which the old one signed: registering tells.
            self.registered = None
            _log.log(max(level, logging.INFO) + 10, "hub refused", extra=_told(error))
        else:
            _log.log(level, "hub failed", extra=_told(error))
        delay = delay_seconds(self.polls_failed, self._settings, self._dice)
        self.next_poll = now + timedelta(seconds=delay)

    async def _register(self) -> RegisterAnswer:
        request = RegisterRequest(
            cluster=self._cluster,
            incarnation=self._incarnation,
            agent_version=str(self.facts.get("agent_version", "")),
            kubernetes_version=str(self.facts.get("kubernetes_version", "")),
            trouble=str(self.facts.get("trouble", "")),
        )
        answer = await self._hub.register(request)
        self._trust.meet(answer)
        if not answer.claimed:
            _log.warning("unclaimed", extra={"cluster": self._cluster, "reason": answer.message})
        return answer

    def _take(self, target: Target) -> None:
        """Accept a target and put it on disk.

        Errors: `HubKeyError` for one that our hub did not sign, `HubAnswerError` for an older one.
        """
        self._trust.check(target)
        if not may_replace(target, self.target, self._cluster):
            held = self.target.etag if self.target is not None else "none"
            raise HubAnswerError(
                f"the hub sent target {target.etag} of {target.cluster}, held is {held}: refused",
                fix="a hub that was restored from a backup must raise its epoch",
            )
        if target != self.target:
            self._cache.save_target(target)
            self.target = target

    def _startable(self, target: Target) -> list[Offer]:
        """Offers that were not refused under this very target, in order of generation."""
        self._refused = {item for item in self._refused if item[2] == target.order}
        if target.leaving is not None:
            return []
        return [
            offer
            for offer in sorted(target.offers, key=lambda item: item.generation)
            if (offer.run, offer.generation, target.order) not in self._refused
        ]

    async def _start_all(self) -> None:
        """Ask once for every offer; what is granted is on disk when this returns."""
        tried: set[tuple[str, int]] = set()
        while self.target is not None:
            due = [o for o in self._startable(self.target) if (o.run, o.generation) not in tried]
            if not due:
                return
            tried.add((due[0].run, due[0].generation))
            await self._start(due[0], self.target)

    async def _start(self, offer: Offer, held: Target) -> None:
        request = StartRequest(
            run=offer.run, generation=offer.generation, incarnation=self._incarnation
        )
        try:
            self._take(await self._hub.start(request))
        except OfferRefusedError as error:
            self._refused.add((offer.run, offer.generation, held.order))
            which = {"run": offer.run, "generation": offer.generation}
            _log.info("offer refused", extra={**which, **_told(error)})

    def _lacking(self, *, offered: bool = False) -> list[Digest]:
        """Artifacts of what is current (or also of what is offered) that are not at hand."""
        if self.target is None:
            return []
        named = {item.artifact for item in self.target.current if item.artifact}
        named |= artifacts_of(self.target) if offered else set()
        return sorted(digest for digest in named if self.artifact(digest) is None)

    async def _fetch(self, digests: list[Digest]) -> Exception | None:
        """These artifacts; one that cannot be had does not hold up the others and is returned."""
        problem: Exception | None = None
        for digest in digests:
            try:
                data = await self._hub.artifact(digest)
                self._artifacts[digest] = self._cache.save_artifact(digest, data)
            except (HubError, ArtifactError) as error:
                problem = error
        return problem

    async def _fetch_all(self) -> None:
        """Every artifact that what is current lacks; then what nothing names any more is let go."""
        if self.target is None:
            return
        problem = await self._fetch(self._lacking())
        named = artifacts_of(self.target)
        self._cache.keep_only(named)
        self._artifacts = {k: item for k, item in self._artifacts.items() if k in named}
        if problem is not None:
            raise problem

    async def tell(self, reporter: Reporter, now: datetime) -> None:
        """Send the next report if there is news or a heartbeat is due; plans the next one."""
        due = self.next_tell is None or self.next_tell <= now
        if self.registered is None or not (due or (reporter.has_news and not self._tells_failed)):
            return
        order = self.target.order if self.target is not None else (0, 0)
        report = reporter.next(order, self.facts)
        try:
            answer = await self._hub.report(report)
        except HubAnswerError as error:
            reporter.answered(ReportAnswer(accepted=False))
            self._tell_later(now, error.what)
            return
        except HubError as error:
            self._tell_later(now, error.what)
            return
        reporter.answered(answer)
        if report.full and (answer.resync or not answer.accepted):
            self._tell_later(now, answer.message or "the hub did not take a full report")
            return
        self._tells_failed = 0
        delay = 0.0 if reporter.has_news else self.registered.heartbeat_seconds
        self.next_tell = now + timedelta(seconds=delay)

    def _tell_later(self, now: datetime, why: str) -> None:
        self._tells_failed += 1
        _log.debug("report undelivered", extra={"reason": why})
        delay = delay_seconds(self._tells_failed, self._settings, self._dice)
        self.next_tell = now + timedelta(seconds=delay)


def _told(error: Exception) -> dict[str, str]:
    """An error as parts of a log line."""
    if isinstance(error, AgentError):
        return {"code": error.code, "reason": error.what, "at": error.at, "fix": error.fix}
    return {"reason": str(error)}
