"""A hub in memory for one cluster: a first-class `Hub`.

It grants and refuses as the wire says, and can be away, wrong or forgetful on request.
"""

from __future__ import annotations

import asyncio
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agents.errors import HubUnauthorizedError, HubUnreachableError, OfferRefusedError
from agents.protocol import (
    Artifact,
    BundleDeployment,
    Deletion,
    DeploymentReport,
    Offer,
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    Succession,
    SyncRequest,
    SyncResult,
    SyncState,
    Target,
)
from agents.protocol.needs import Needs
from agents.protocol.signing import sign_target
from agents.protocol.sshsig import key_line
from clusters.objects import Digest

CLUSTER = "stg-1"


class MemoryHub:
    """A hub for one cluster that keeps everything in memory."""

    def __init__(self, cluster: str = CLUSTER) -> None:
        self.cluster = cluster
        self.reachable = True
        self.authorized = True
        self.claimed = True
        self.heartbeat_seconds = 15.0
        self.artifacts: dict[Digest, bytes] = {}
        self.held = Target(cluster=cluster, epoch=1, serial=1)
        self.key = Ed25519PrivateKey.generate()
        self.successions: tuple[Succession, ...] = ()
        self.needs: Needs | None = None
        """What it says of the cluster before there is an agent; `None`: it does not know it."""
        self.withdrawn: set[int] = set()
        self.calls: list[str] = []
        self.starts: list[StartRequest] = []
        self.registrations: list[RegisterRequest] = []
        self.received: list[Report] = []
        self.known: dict[str, DeploymentReport] = {}
        self.answers: dict[tuple[str, str], SyncResult] = {}
        """The newest answer to each sync, by sync and bundle."""
        self.known_incarnations: set[str] = set()
        self.lose_answers = 0
        """That many reports are taken, and their answers lost on the way."""
        self._generation = 0
        self._changed = asyncio.Event()

    def put(self, artifact: Artifact) -> Digest:
        """Have an artifact to serve."""
        self.artifacts[artifact.digest()] = artifact.to_bytes()
        return artifact.digest()

    def offer(self, run: str, *deployments: BundleDeployment) -> int:
        """Lay an assignment beside what is offered already; its generation."""
        self._generation += 1
        offer = Offer(run=run, generation=self._generation, deployments=deployments)
        self._change(offers=(*self.held.offers, offer))
        return self._generation

    def ask_sync(self, uid: str, *bundles: str, **how: Any) -> None:
        """Ask the agent to reconcile these bundles now."""
        request = SyncRequest(uid=uid, bundles=bundles, **how)
        self._change(syncs=(*self.held.syncs, request))

    def end_sync(self, uid: str) -> None:
        """Nobody waits for that sync any more."""
        self._change(syncs=tuple(item for item in self.held.syncs if item.uid != uid))

    def withdraw(self, generation: int) -> None:
        """Take an offer back without the agent being told."""
        self.withdrawn.add(generation)

    def let_leave(self, policy: Deletion | None) -> None:
        """Git no longer declares the cluster; `None`: it does again."""
        if policy in (None, Deletion.ORPHAN):
            self._change(leaving=policy)
            return
        self._generation += 1
        names = [item.bundle for item in self.held.current]
        self._change(
            leaving=policy,
            current=tuple(BundleDeployment.absent(name) for name in names),
            generations=dict.fromkeys(names, self._generation),
        )

    def remove_from_target(self, bundle: str) -> None:
        """Name a bundle no more, which is no order to remove it."""
        self._change(current=tuple(c for c in self.held.current if c.bundle != bundle))

    def _change(self, **fields: Any) -> None:
        self.held = self.held.model_copy(update={**fields, "serial": self.held.serial + 1})
        self._changed.set()
        self._changed = asyncio.Event()

    def _check(self, call: str) -> None:
        self.calls.append(call)
        if not self.reachable:
            raise HubUnreachableError("the hub does not answer: it is away")
        if not self.authorized:
            raise HubUnauthorizedError("the hub does not take this token", fix="make one")

    async def register(self, request: RegisterRequest) -> RegisterAnswer:
        """Introduce this incarnation."""
        self._check("register")
        self.registrations.append(request)
        return RegisterAnswer(
            cluster=self.cluster,
            epoch=self.held.epoch,
            protocol=1,
            claimed=self.claimed,
            heartbeat_seconds=self.heartbeat_seconds,
            hub_key=key_line(self.key),
            successions=self.successions,
        )

    async def target(self, *, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        """The target; held open until it changes if it is known and a wait is asked for."""
        self._check("target")
        if etag == self.held.etag and wait_seconds:
            await self._changed.wait()
        return None if etag == self.held.etag else self.signed()

    def signed(self) -> Target:
        """The target as it goes out."""
        return sign_target(self.key, self.held)

    async def start(self, request: StartRequest) -> Target:
        """Grant an offer, once and for all; or refuse it."""
        self._check("start")
        self.starts.append(request)
        offer = next((o for o in self.held.offers if o.generation == request.generation), None)
        if offer is None or offer.run != request.run or offer.generation in self.withdrawn:
            raise OfferRefusedError("the offer was withdrawn", code="withdrawn")
        granted = {item.bundle: item for item in offer.deployments}
        kept = [item for item in self.held.current if item.bundle not in granted]
        self._change(
            current=tuple(sorted([*kept, *granted.values()], key=lambda item: item.bundle)),
            offers=tuple(o for o in self.held.offers if o is not offer),
            generations={**self.held.generations, **dict.fromkeys(granted, offer.generation)},
        )
        return self.signed()

    async def artifact(self, digest: Digest) -> bytes:
        """An artifact's bytes."""
        self._check(f"artifact {digest}")
        if digest not in self.artifacts:
            raise HubUnreachableError("no such artifact here yet")
        return self.artifacts[digest]

    async def report(self, report: Report) -> ReportAnswer:
        """Take a report as the wire says; an absent bundle that is gone leaves the target."""
        self._check("report")
        if report.incarnation not in self.known_incarnations and not report.full:
            return ReportAnswer(accepted=False, resync=True)
        self.known_incarnations.add(report.incarnation)
        self.received.append(report)
        if report.full:
            self.known = {}
        self.known |= {item.bundle: item for item in report.deployments}
        for item in report.deployments:
            if item.digest == "absent" and item.sync is SyncState.SYNCED:
                self.remove_from_target(item.bundle)
        self.answers |= {(item.uid, item.bundle): item for item in report.syncs}
        for request in self.held.syncs:
            said = [self.answers.get((request.uid, name)) for name in request.bundles]
            if all(item is not None and item.done for item in said):
                self.end_sync(request.uid)
        if self.lose_answers:
            self.lose_answers -= 1
            raise HubUnreachableError("the answer was lost")
        return ReportAnswer(accepted=True)

    async def close(self) -> None:
        """Nothing to give back."""
