"""An agent of the simulation in time: it takes its time, and pulls images that may not exist.

At the hub it does all that an agent does: asks for its target, starts what is offered, fetches the
artifacts, reports. Its cluster is a table of what it holds and since when. A bundle deployment is
applied in `APPLY_SECONDS` and Healthy after some more, which differ from cluster to cluster; one
with an image that no registry has is Degraded instead, once the first pulls have failed. What the
cluster ran is written down as it happens, whatever the hub believes.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from zlib import crc32

from agents.protocol import (
    ABSENT,
    BundleDeployment,
    DeploymentReport,
    Health,
    RegisterRequest,
    Report,
    StartRequest,
    SyncState,
    read_artifact,
)
from clusters.objects import Digest
from fleet.errors import RequestError
from fleet.hub.desk import Desk
from fleet.render.manifests import images_of

APPLY_SECONDS = 8
PULL_FAILS_SECONDS = 25
READY_SECONDS = 20
SLOWEST_SECONDS = 30
"""More than `READY_SECONDS`, in the slowest cluster."""
MISSING = "no-such-tag"
"""No registry has an image whose tag begins so."""
INCARNATION = "one"


@dataclass(frozen=True, slots=True)
class Held:
    """What the cluster holds of a bundle."""

    digest: Digest
    generation: int
    since: datetime
    objects: int = 0
    missing: str = ""
    """An image of it that cannot be pulled."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A change of the true cluster."""

    at: datetime
    cluster: str
    bundle: str
    digest: Digest
    run: str
    missing: str


class TimedAgent:
    """The agent of one cluster, and what is true there."""

    def __init__(self, cluster: str, truth: list[Ran]) -> None:
        self.cluster, self._truth = cluster, truth
        self.holds: dict[str, Held] = {}
        self._slow = crc32(cluster.encode()) % SLOWEST_SECONDS
        self._sequence = 0
        self.read = 0
        """Serial of the last target that it has read."""
        self._said: tuple[DeploymentReport, ...] = ()

    def turn(self, desk: Desk, now: datetime, *, has_mail: bool) -> datetime | None:
        """Do what is due and report; when something changes by itself next."""
        if not self._sequence:
            desk.register(RegisterRequest(cluster=self.cluster, incarnation=INCARNATION))
        if has_mail:
            self._take(desk, now)
        said = tuple(self._state(bundle, held, now) for bundle, held in sorted(self.holds.items()))
        self._report(desk, said)
        gone = [one.bundle for one in said if one.digest == ABSENT and not one.objects_total]
        for bundle in gone:
            del self.holds[bundle]
        ends = (end for held in self.holds.values() for end in self._ends(held))
        return min((end for end in ends if end > now), default=None)

    def _take(self, desk: Desk, now: datetime) -> None:
        target = desk.target(self.cluster)
        self.read = target.serial
        for offer in target.offers:
            asked = StartRequest(
                run=offer.run, generation=offer.generation, incarnation=INCARNATION
            )
            with suppress(RequestError):
                granted = desk.start(self.cluster, asked)
                for wanted in granted.current:
                    if granted.generations[wanted.bundle] == offer.generation:
                        self._apply(desk, wanted, offer.generation, offer.run, now)

    def _apply(
        self, desk: Desk, wanted: BundleDeployment, generation: int, run: str, now: datetime
    ) -> None:
        count, missing = 0, ""
        if wanted.digest != ABSENT:
            count, missing = content(desk.artifact(self.cluster, wanted.artifact), wanted.artifact)
        elif wanted.bundle in self.holds:
            count = self.holds[wanted.bundle].objects
        self.holds[wanted.bundle] = Held(wanted.digest, generation, now, count, missing)
        self._truth.append(Ran(now, self.cluster, wanted.bundle, wanted.digest, run, missing))

    def _state(self, bundle: str, held: Held, now: datetime) -> DeploymentReport:
        age = now - held.since
        is_applied = age >= timedelta(seconds=APPLY_SECONDS)
        health, message = Health.PROGRESSING, ""
        if held.missing and age >= timedelta(seconds=PULL_FAILS_SECONDS):
            health, message = Health.DEGRADED, f"ImagePullBackOff: {held.missing}"
        elif not held.missing and age >= timedelta(seconds=READY_SECONDS + self._slow):
            health = Health.HEALTHY
        is_gone = is_applied and held.digest == ABSENT
        return DeploymentReport(
            bundle=bundle,
            digest=held.digest,
            generation=held.generation,
            sync=SyncState.SYNCED if is_applied else SyncState.SYNCING,
            health=Health.HEALTHY if is_gone else health,
            message=message,
            objects_total=0 if is_gone else held.objects,
        )

    def _ends(self, held: Held) -> tuple[datetime, ...]:
        settles = PULL_FAILS_SECONDS if held.missing else READY_SECONDS + self._slow
        return tuple(held.since + timedelta(seconds=s) for s in (APPLY_SECONDS, settles))

    def _report(self, desk: Desk, said: tuple[DeploymentReport, ...]) -> None:
        news = tuple(one for one in said if one not in self._said)
        self._sequence += 1
        report = Report(
            cluster=self.cluster,
            incarnation=INCARNATION,
            sequence=self._sequence,
            full=self._sequence == 1,
            deployments=news,
        )
        assert desk.report(report).accepted
        self._said = said


@lru_cache(maxsize=512)
def content(data: bytes, artifact: Digest) -> tuple[int, str]:
    """How many objects an artifact has, and an image of it that cannot be pulled."""
    objects = read_artifact(data, artifact).all_objects()
    tags = ((image, image.rpartition(":")[2]) for image in images_of(objects))
    return len(objects), next((image for image, tag in tags if tag.startswith(MISSING)), "")
