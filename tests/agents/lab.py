"""A laboratory for agents: a hub in memory, one simulated cluster, a clock that stands still.

`MemoryHub` is a first-class `Hub`: it grants and refuses as the wire says, and can be away, wrong
or forgetful on request. `Lab` drives agent and cluster in turn, so nothing in a test waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from agents.agent import Agent
from agents.errors import HubUnauthorizedError, HubUnreachableError, OfferRefusedError
from agents.protocol import (
    Artifact,
    BundleDeployment,
    DeploymentReport,
    Health,
    Hook,
    Offer,
    Options,
    RegisterAnswer,
    RegisterRequest,
    Report,
    ReportAnswer,
    StartRequest,
    SyncState,
    Target,
)
from agents.settings import Settings
from clusters.clock import FakeClock
from clusters.cluster import Cluster
from clusters.objects import Digest, Kind, Object, ObjectKey
from clusters.simulation import SimulatedCluster
from clusters.simulation.controllers import Controllers

CLUSTER = "stg-1"
TEST_SETTINGS = Settings(
    poll_interval_seconds=1,
    health_interval_seconds=0.5,
    check_interval_seconds=60,
    backoff_first_seconds=1,
)


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
        self.withdrawn: set[int] = set()
        self.calls: list[str] = []
        self.starts: list[StartRequest] = []
        self.registrations: list[RegisterRequest] = []
        self.received: list[Report] = []
        self.known: dict[str, DeploymentReport] = {}
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

    def withdraw(self, generation: int) -> None:
        """Take an offer back without the agent being told."""
        self.withdrawn.add(generation)

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
        )

    async def target(self, *, etag: str = "", wait_seconds: float = 0.0) -> Target | None:
        """The target; held open until it changes if it is known and a wait is asked for."""
        self._check("target")
        if etag == self.held.etag and wait_seconds:
            await self._changed.wait()
        return None if etag == self.held.etag else self.held

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
        return self.held

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
        if self.lose_answers:
            self.lose_answers -= 1
            raise HubUnreachableError("the answer was lost")
        return ReportAnswer(accepted=True)

    async def close(self) -> None:
        """Nothing to give back."""


class Crash(BaseException):
    """The process is gone; nothing in it can catch this."""


class Recorder:
    """A cluster that counts calls, and dies after so many writes if told to."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.writes: list[str] = []
        self.reads: list[str] = []
        self.dry_runs = 0
        self.crash_after: int | None = None
        self.before_write: Callable[[str, Object | None], None] = lambda what, obj: None

    def _wrote(self, what: str) -> None:
        self.writes.append(what)
        if self.crash_after is not None and len(self.writes) >= self.crash_after:
            raise Crash(what)

    async def apply(
        self, obj: Object, *, manager: str, force: bool = False, dry_run: bool = False
    ) -> Object:
        """Apply, and count it after it happened."""
        self.dry_runs += dry_run
        if not dry_run:
            self.before_write("apply", obj)
        stored = await self._cluster.apply(obj, manager=manager, force=force, dry_run=dry_run)
        if not dry_run:
            self._wrote(f"apply {obj['kind']} {obj['metadata']['name']}")
        return stored

    async def patch(self, key: ObjectKey, patch: Object, *, manager: str) -> Object:
        """Patch, and count it after it happened."""
        self.before_write("patch", None)
        stored = await self._cluster.patch(key, patch, manager=manager)
        self._wrote(f"patch {key.kind} {key.name}")
        return stored

    async def delete(self, key: ObjectKey, **options: Any) -> None:
        """Delete, and count it after it happened."""
        self.before_write("delete", None)
        await self._cluster.delete(key, **options)
        self._wrote(f"delete {key.kind} {key.name}")

    async def get(self, key: ObjectKey) -> Object | None:
        """Read, and count it."""
        self.reads.append(f"get {key}")
        return await self._cluster.get(key)

    async def list(self, kind: Kind, **options: Any) -> Any:
        """Read, and count it."""
        self.reads.append(f"list {kind}")
        return await self._cluster.list(kind, **options)

    def watch(self, kind: Kind, **options: Any) -> Any:
        """The cluster's own watch."""
        return self._cluster.watch(kind, **options)

    async def version(self) -> str:
        """The cluster's own version."""
        return await self._cluster.version()

    async def discover(self, *, refresh: bool = False) -> Any:
        """The cluster's own kinds."""
        return await self._cluster.discover(refresh=refresh)

    async def close(self) -> None:
        """Nothing to give back."""


@dataclass
class Lab:
    """One cluster, one hub, and as many incarnations of the agent as a test wants."""

    state_dir: Path
    settings: Settings = TEST_SETTINGS
    clock: FakeClock = field(default_factory=FakeClock)
    hub: MemoryHub = field(default_factory=MemoryHub)
    incarnations: int = 0

    def __post_init__(self) -> None:
        self.cluster = SimulatedCluster(CLUSTER, self.clock, controllers=Controllers)
        self.recorder = Recorder(self.cluster)
        self.agent = self.new_agent()

    def new_agent(self) -> Agent:
        """The next incarnation, on the same disk and cluster."""
        self.incarnations += 1
        self.agent = Agent(
            self.recorder,
            self.hub,
            self.clock,
            self.state_dir,
            name=CLUSTER,
            incarnation=f"inc-{self.incarnations}",
            settings=self.settings,
        )
        return self.agent

    async def run_for(self, seconds: float) -> None:
        """Let agent and cluster work in turn until the clock has moved that far."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < end:
            await self.turn(end)

    async def turn(self, end: datetime) -> None:
        """One turn of both, then move the clock to whoever is due next."""
        now = self.clock.now()
        due = self.cluster.step(now)
        wake = await self.agent.step(now)
        due_again = self.cluster.step(now)
        times = [at for at in (due, wake, due_again, end) if at is not None]
        pause = max(0.05, (min(times) - now).total_seconds())
        self.clock.advance(min(pause, (end - now).total_seconds()))

    async def until(self, holds: Callable[[], bool], *, seconds: float = 120) -> None:
        """Go on until `holds`, or fail when the clock has moved too far."""
        end = self.clock.now() + timedelta(seconds=seconds)
        while not holds():
            said = {name: _line(report) for name, report in self.agent.reports.items()}
            assert self.clock.now() < end, f"not within {seconds} s; reported: {said}"
            await self.turn(end)

    async def settled(self, *bundles: str) -> None:
        """Go on until these bundles (or all) are Synced and Healthy under their current digest."""
        await self.until(lambda: self.is_settled(*bundles))

    def is_settled(self, *bundles: str) -> bool:
        """Has the hub been told that these bundles (or all) are in order, and nothing is offered?"""
        current = {item.bundle: item for item in self.hub.held.current}
        names = bundles or tuple(current)
        return bool(names) and not self.hub.held.offers and all(
            name in current and self.is_in_order(current[name]) for name in names
        )

    def is_in_order(self, item: BundleDeployment) -> bool:
        """Does the hub know this bundle deployment as Synced and Healthy?"""
        report = self.hub.known.get(item.bundle)
        return (
            report is not None
            and report.digest == item.digest
            and report.sync is SyncState.SYNCED
            and report.health is Health.HEALTHY
        )

    def release(
        self,
        bundle: str,
        *objects: Object,
        hooks: tuple[Hook, ...] = (),
        options: Options | None = None,
        variables: dict[str, str] | None = None,
        run: str = "run",
    ) -> BundleDeployment:
        """Offer a bundle made of these objects."""
        item = self.deployment(
            bundle, *objects, hooks=hooks, options=options, variables=variables
        )
        self.hub.offer(run, item)
        return item

    def deployment(
        self,
        bundle: str,
        *objects: Object,
        hooks: tuple[Hook, ...] = (),
        options: Options | None = None,
        variables: dict[str, str] | None = None,
    ) -> BundleDeployment:
        """A bundle deployment whose artifact the hub has."""
        digest = self.hub.put(Artifact(bundle=bundle, objects=objects, hooks=hooks))
        chosen = options or Options(namespace="shop")
        return BundleDeployment.of(bundle, digest, variables or {}, chosen)

    def edit(self, key: ObjectKey, patch: Object, manager: str = "kubectl-edit") -> None:
        """A person changes an object by hand."""
        self.cluster.server.patch(key, patch, patch_type="merge", manager=manager)

    def live(self, kind: str, name: str, namespace: str = "shop", group: str = "") -> Object | None:
        """An object in the cluster, `None` if it is not there."""
        try:
            return self.cluster.server.get(ObjectKey(group, kind, namespace, name))
        except Exception as error:
            if type(error).__name__ not in ("NotFoundError", "KindNotFoundError"):
                raise
            return None

    def there(self, kind: str, name: str, namespace: str = "shop", group: str = "") -> Object:
        """An object that must be in the cluster."""
        found = self.live(kind, name, namespace, group)
        assert found is not None, f"{kind} {namespace}/{name} is not there"
        return found

    def report(self, bundle: str) -> DeploymentReport:
        """What the agent says of a bundle now."""
        return self.agent.reports[bundle]


def _line(report: DeploymentReport) -> str:
    return f"{report.sync} {report.health} {report.code} {report.message}"


def key(kind: str, name: str, namespace: str = "shop", group: str = "") -> ObjectKey:
    """Which object, for short."""
    return ObjectKey(group, kind, namespace, name)


WEB = key("Deployment", "web", group="apps")
SETTINGS = key("ConfigMap", "settings")


def config_map(name: str = "settings", **data: str) -> Object:
    """A ConfigMap without a namespace."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": data or {"colour": "blue"},
    }


def secret(name: str = "password", **data: str) -> Object:
    """A Secret with plain text in it."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": data,
    }


def deployment(name: str = "web", image: str = "example/web:1", replicas: int = 2) -> Object:
    """A Deployment of one container."""
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": [{"name": "main", "image": image}]},
            },
        },
    }


def job(name: str = "migrate", image: str = "example/migrate:1") -> Object:
    """A Job that is tried once."""
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "containers": [{"name": "main", "image": image}],
                }
            },
        },
    }


def crd(plural: str = "widgets", kind: str = "Widget", scope: str = "Namespaced") -> Object:
    """A CustomResourceDefinition of the group example.com."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "singular": kind.lower(), "kind": kind},
            "versions": [
                {
                    "name": "v1",
                    "served": True,
                    "storage": True,
                    "schema": {
                        "openAPIV3Schema": {
                            "type": "object",
                            "x-kubernetes-preserve-unknown-fields": True,
                        }
                    },
                }
            ],
        },
    }


def widget(name: str = "one", size: int = 1) -> Object:
    """A custom resource of `crd()`."""
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"size": size},
    }


def namespace(name: str) -> Object:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
