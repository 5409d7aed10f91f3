"""Bodies and routes between agent and hub.

::

    POST /v1/agents/register                 RegisterRequest → RegisterAnswer      (token)
    GET  /v1/clusters/{c}/needs              → Needs (`needs`)
    GET  /v1/clusters/{c}/target?wait=30     If-None-Match: serial → 200 Target | 304
    POST /v1/clusters/{c}/start              StartRequest → 200 Target | 409 Refusal
    GET  /v1/clusters/{c}/artifacts/{digest} → bytes (only what its target names)
    POST /v1/clusters/{c}/report             Report → ReportAnswer

Every call carries `Authorization: Bearer <token>`, a token bound to that one cluster name.
A target is ordered by (epoch, serial): agents refuse a lower one; and it is signed by the hub's key
(`signing`), which agents pin. Reports are ordered by
(incarnation, sequence) and idempotent; an incarnation that the hub does not know is answered
`resync`, and the next report carries everything (`full`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from agents.protocol.body import FieldDrift, WireBody
from agents.protocol.deployment import BundleDeployment
from agents.protocol.syncing import SyncRequest, SyncResult
from agents.protocol.words import Deletion, Health, SyncState
from clusters.objects import Digest

PROTOCOL_MIN = 1
PROTOCOL_MAX = 1
"""The range of wire versions that this code speaks; both sides choose the highest common one."""

_Claim = Annotated[str, Field(min_length=1)]
"""Who somebody says to be: an empty claim is refused, and never taken for anybody."""


class RegisterRequest(WireBody):
    """An agent introduces itself; `incarnation` is new for every process start."""

    cluster: _Claim
    incarnation: _Claim
    protocol_min: int = PROTOCOL_MIN
    protocol_max: int = PROTOCOL_MAX
    agent_version: str = ""
    kubernetes_version: str = ""
    trouble: str = ""
    """Why the agent does not follow what the hub says; empty if it does."""


class Succession(WireBody):
    """One key of the hub is followed by another; the old one signed that (`signing`)."""

    old: str
    new: str
    signature: str


class RegisterAnswer(WireBody):
    """What the agent needs to go on. `claimed` is false for a cluster that Git does not declare."""

    cluster: str
    epoch: int
    protocol: int
    claimed: bool
    heartbeat_seconds: float
    message: str = ""
    hub_key: str = ""
    """The key that signs targets, as a line of OpenSSH; an agent without a pin pins it."""
    successions: tuple[Succession, ...] = ()
    """How that key came to be, for agents that pinned an earlier one."""


class Offer(WireBody):
    """An assignment that is not started: what one run wants this cluster to move to."""

    run: str
    generation: int
    """Unique within the cluster, never used twice."""
    deployments: tuple[BundleDeployment, ...]


class Target(WireBody):
    """All that one cluster is to run."""

    cluster: str
    epoch: int
    serial: int
    """Rises with every change within the epoch; the ETag is `"<epoch>-<serial>"`."""
    current: tuple[BundleDeployment, ...] = ()
    """What the agent keeps healed; `absent` ones stay until reported gone."""
    offers: tuple[Offer, ...] = ()
    generations: dict[str, int] = Field(default_factory=dict)
    """Per current bundle: the generation under which it was granted."""
    syncs: tuple[SyncRequest, ...] = ()
    """Open requests to reconcile now; they start nothing."""
    leaving: Deletion | None = None
    """Git no longer declares the cluster: `orphan` leaves everything as it is, else everything is
    removed, as the orders among `current` say."""
    signature: str = ""
    """The hub's, over what `signing.statement_of` says; armoured as `ssh-keygen` has it."""

    @property
    def order(self) -> tuple[int, int]:
        """What an agent compares; never goes down."""
        return (self.epoch, self.serial)

    @property
    def etag(self) -> str:
        """The entity tag, quotes included."""
        return f'"{self.epoch}-{self.serial}"'


class StartRequest(WireBody):
    """May I start this offer? Asked again it is answered alike. A grant answers the new target."""

    run: str
    generation: int
    incarnation: _Claim


class Refusal(WireBody):
    """409: the offer was withdrawn, ended or is held; the agent forgets it."""

    code: str
    message: str


class ObjectReport(WireBody):
    """One object that is worth saying something about: not in sync, not healthy or drifted."""

    object: str
    """As `str(ObjectKey)`: `Deployment.apps shop/frontend`."""
    sync: SyncState
    health: Health
    code: str = ""
    message: str = ""
    drift: tuple[FieldDrift, ...] = ()
    """How it differs; with code `healed`, how it differed when it was last set back."""


class DeploymentReport(WireBody):
    """What the agent says of one bundle; always names the digest and generation it speaks of."""

    bundle: str
    digest: Digest
    generation: int
    sync: SyncState
    health: Health
    code: str = ""
    """A stable error code where `sync` is Failed, for example `conflict`, `hook-failed`."""
    message: str = ""
    objects_total: int = 0
    objects_ready: int = 0
    objects: tuple[ObjectReport, ...] = ()
    drifted: int = 0
    """Objects that differ now and are left so (`warn`, contested, paused). Where there are some,
    OutOfSync means applied, and changed since: no step back in a release."""
    contested: int = 0
    """Those of which another manager keeps setting a field back."""
    paused: int = 0
    """Objects that an annotation keeps from being healed, differing or not."""
    healed: int = 0
    """Objects set back since this incarnation started (`correct`)."""
    since: datetime | None = None
    """When sync and health became what they are, by the agent's clock; for show only."""


class Report(WireBody):
    """Deltas since the last accepted report, or everything if `full`; empty: a heartbeat."""

    cluster: _Claim
    incarnation: _Claim
    sequence: int
    full: bool = False
    epoch: int = 0
    serial: int = 0
    """The target that the agent acts on."""
    kubernetes_version: str = ""
    agent_version: str = ""
    nodes: int = 0
    trouble: str = ""
    """As in `RegisterRequest`."""
    deployments: tuple[DeploymentReport, ...] = ()
    left: bool = False
    """The cluster has left the fleet, as the target says: nothing more is done here."""
    syncs: tuple[SyncResult, ...] = ()
    """Answers to `Target.syncs`, newest only; no part of what `full` means."""


class ReportAnswer(WireBody):
    """`resync` asks for a full report next."""

    accepted: bool
    resync: bool = False
    message: str = ""
