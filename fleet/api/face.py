"""What the routes ask of a hub. `fleet.hub.Hub` is one; so may a test's stand-in be.

Errors of every call: `RequestError` with an HTTP status.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from agents.protocol import (
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    Target,
)
from agents.protocol.needs import Needs
from clusters.clock import Clock
from clusters.objects import Digest
from fleet.rollout.decisions import Actor, Verb
from fleet.store import Store
from fleet.store.syncs import SyncOrder


class DeskFace(Protocol):
    """Requests; callable from every thread."""

    def register(self, asked: RegisterRequest) -> RegisterAnswer:
        """Let an agent introduce itself."""
        ...

    def needs(self, cluster: str) -> Needs:
        """What the cluster's agent has to be allowed to do."""
        ...

    async def target_after(self, cluster: str, etag: str, seconds: float) -> Target | None:
        """The target as soon as it is not what `etag` names; `None` after that many seconds."""
        ...

    def start(self, cluster: str, asked: StartRequest) -> Target:
        """Grant the start of an offer."""
        ...

    def artifact(self, cluster: str, digest: Digest) -> bytes:
        """The bytes of an artifact that the cluster's own target names."""
        ...

    def report(self, report: Report) -> ReportAnswer:
        """Take in what an agent says."""
        ...

    @property
    def hub_key(self) -> str:
        """The key that agents are to pin."""
        ...

    def token_for(self, cluster: str) -> str:
        """A new token for a cluster's agent."""
        ...

    def forget(self, cluster: str) -> str:
        """Forget a cluster that Git does not declare."""
        ...

    def sync(self, order: SyncOrder, clusters: Iterable[str]) -> str:
        """Ask agents to reconcile now; the sync's name."""
        ...

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
        ...

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
        """Record a decision; says what was done."""
        ...

    def decide_commit(self, commit: str, verb: Verb, *, actor: Actor, **said: Any) -> list[str]:
        """The same decision on every live run of a commit; what was done for each."""
        ...

    def decide_for_bundle(self, verb: Verb, bundle: str, **said: Any) -> str:
        """Veto content of a bundle or lift its vetoes; says what was done."""
        ...


class HubFace(Protocol):
    """One hub."""

    @property
    def store(self) -> Store:
        """Its memory."""
        ...

    @property
    def clock(self) -> Clock:
        """The time that it goes by."""
        ...

    @property
    def desk(self) -> DeskFace:
        """Its requests."""
        ...

    @property
    def location(self) -> str:
        """The repository that it follows, fit to be shown."""
        ...

    def preview(self) -> dict[str, Any]:
        """The runs that it would make now."""
        ...

    def refresh(self) -> None:
        """Look at Git at once."""
        ...

    async def run(self) -> None:
        """Step until cancelled."""
        ...
