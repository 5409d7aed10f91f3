"""Real input on a real control plane and on a simulated one: what one does, the other does too.

All that `fleet render prd-eu-1` prints of the shop's fleet, applied by the driver to both, and the
same target reconciled by a whole agent on both. They are to agree in every object (spec after
defaulting, metadata, what our managers own, generation), in every conflict with a second manager
that wants other values, and in the health at the end. Where they do not, this table says why; the
tests read it, and fail for a difference without a row and for a row without a difference.

| where | real, simulated | why |
|---|---|---|
| Service .spec.clusterIP* | random, in turn | either is free to choose |
| Service .spec.ports.*.nodePort | random, in turn | either is free to choose |
| Job .spec.selector.matchLabels.*controller-uid | its uid, its uid | an object's own |
| Job .spec.template.metadata.labels.*controller-uid | its uid, its uid | an object's own |
| APIService health | Progressing, Healthy | no pod runs: nothing answers for metrics.k8s.io |
| HorizontalPodAutoscaler health | Progressing, Healthy | so there are no metrics either |

What else a missing image keeps from happening, and is a test of its own: webhooks do not answer on
a real server, so that what they are asked about is refused, while simulated pods that are ready
answer and admit; and a namespace cannot be finished while an API service is not available.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from agents.agent import Agent
from agents.apply.policy import PROTECTED
from agents.inventory import ALLOW_WIPE, NAMESPACE, PART_OF, parent_name
from agents.protocol import (
    Artifact,
    BundleDeployment,
    Health,
    Options,
    SyncState,
    read_artifact,
)
from agents.protocol.needs import needs_of_manifests
from agents.rights import NAME, rights_of
from agents.settings import Settings
from clusters.errors import AdmissionError
from clusters.objects import Kind, Object, ObjectKey, key_of, labels_of
from tests.agents.memory_hub import MemoryHub
from tests.agents.samples import crd, secret, widget
from tests.controlplane.audit import Trail, granted, trail_of
from tests.controlplane.control_plane import ControlPlane
from tests.e2e.comparison import Difference, Table, changed, object_differences, relabelled
from tests.e2e.shop import Share, needs_shop, new_shop, share_of
from tests.e2e.two_clusters import (
    Applied,
    Side,
    apply_all,
    conflicts_of,
    health_of,
    live_objects,
    real,
    simulated,
)

pytestmark = [needs_shop, pytest.mark.xdist_group("real-cluster")]

CLUSTER = "prd-eu-1"
OURS, THEIRS = "fleet/shop", "somebody-else"
TABLE = Table.of(__doc__ or "")
SETTLED_SECONDS = 30.0
CALM_SECONDS = 5.0
CLAIM = ObjectKey("", "PersistentVolumeClaim", "webapp", "database-primary")
CONTROLLER = ObjectKey("apps", "Deployment", "ingress-nginx", "ingress-nginx-controller")
SCRATCH = ObjectKey("", "Namespace", "", "scratch")


@pytest.fixture(scope="module")
def share(tmp_path_factory: pytest.TempPathFactory) -> Share:
    """What the cluster is to run."""
    return share_of(new_shop(tmp_path_factory.mktemp("shop")), CLUSTER)


async def test_the_driver_brings_all_of_it_to_both_alike(
    share: Share,
    own_plane: ControlPlane,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    async with real(own_plane) as one, simulated(tmp_path) as other:
        for side in (one, other):
            await side.cluster.apply(volume(), manager="storage")
        stored, seconds = [], []
        for side in (one, other):
            made, took = await apply_all(side, share.objects, OURS)
            stored.append(made)
            seconds.append(took)
            record_property("applied", f"{len(made)} objects, {took:.2f} s, {side.calls}")
        found = list(object_differences(stored[0], stored[1], (OURS,)))
        assert TABLE.unlisted(found) == []
        found += await _settled(one, other, list(stored[0]))
        assert TABLE.idle(found) == []
        await _they_agree_on_a_second_manager(one, other, share)


async def _settled(one: Side, other: Side, keys: list[ObjectKey]) -> list[Difference]:
    """Wait until they differ in nothing but what is listed; those differences, all of them."""
    await other.pass_time(SETTLED_SECONDS)
    expected = await health_of(other, keys)
    found: list[Difference] = []

    async def look() -> bool:
        nonlocal found
        actual = await health_of(one, keys)
        found = [
            Difference(key, "health", actual[key].health, expected[key].health)
            for key in keys
            if actual[key].health is not expected[key].health
        ]
        found += object_differences(
            await live_objects(one, keys), await live_objects(other, keys), (OURS,)
        )
        return not TABLE.unlisted(found) and "APIService health" in {d.where for d in found}

    try:
        await one.until(look, "that both settle alike")
    except AssertionError:
        assert TABLE.unlisted(found) == []
        raise
    return found


async def _they_agree_on_a_second_manager(one: Side, other: Side, share: Share) -> None:
    left = await live_objects(one, map(key_of, share.objects))
    there = {key for key, live in left.items() if live is not None}
    assert {key.kind for key in left.keys() - there} == {"Job"}, "they asked to go when finished"
    wanted = [changed(obj) for obj in share.objects if key_of(obj) in there]
    ours, theirs = [await conflicts_of(side, wanted, THEIRS) for side in (one, other)]
    assert set(ours) == there, "every one of them is in conflict"
    differing = {key: (ours[key], theirs.get(key)) for key in ours if ours[key] != theirs.get(key)}
    assert differing == {}
    taken: list[Applied] = [{}, {}]
    for obj in share.objects:
        for side, stored in zip((one, other), taken, strict=True):
            made = await side.cluster.apply(relabelled(obj), manager=THEIRS, force=True)
            stored[key_of(obj)] = made
    found = object_differences(taken[0], taken[1], (OURS, THEIRS))
    assert TABLE.unlisted(found) == []


async def test_an_agent_brings_its_target_to_both_alike(
    share: Share,
    own_plane: ControlPlane,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    share = _with_more(share)
    unready = {str(key_of(obj)) for obj in share.objects if obj["kind"] in NEED_METRICS}
    async with real(own_plane) as one, simulated() as other:
        for side in (one, other):
            await side.cluster.apply(volume(), manager="storage")
        model = _agent(other, tmp_path / "simulated", _hub(share))
        await other.until(lambda: _stepped_to_rest(other, model, share), "that all is healthy")
        record_property("simulated", dict(other.calls))
        rights = rights_of(needs_of_manifests(share.objects))
        for item in rights:
            await one.cluster.apply(item, manager="admin")
        hub = _hub(share)
        limited = _agent(one.acting_as(AGENT), tmp_path / "real", hub)
        async with _running(limited) as agent:
            took = await one.until(lambda: _at_rest(agent, share, unready), "that all else is")
            record_property("settled", f"{took:.1f} s, {dict(one.calls)}")
            assert _counts(agent) == _counts(model)
            await _it_writes_no_more(one)
            await _they_hold_the_same(one, other, share)
            await _webhooks_that_do_not_answer_refuse(one, other)
            await _a_missing_api_holds_up_namespaces_and_nothing_else(one)
            assert await _at_rest(agent, share, unready)
            await _what_somebody_changes_is_set_back(one, share)
            await _all_is_removed_but_what_is_kept(one, hub, agent, share)
    _all_rights_were_needed(rights, trail_of(own_plane.audit_log, AGENT))


def _with_more(share: Share) -> Share:
    """The share and what it happens to have none of: a Secret, and a kind of its own in use."""
    bundle, space = "more", Options(namespace="shop")
    locked = {**secret(), "data": {"password": "aHVudGVyMg=="}}
    artifact = Artifact(bundle=bundle, objects=(locked, crd(), widget()))
    placed = [{**i, "metadata": {**i["metadata"], "namespace": "shop"}} for i in (locked, widget())]
    item = BundleDeployment.of(bundle, artifact.digest(), {}, space)
    return Share(
        (*share.objects, *placed, crd()),
        (*share.deployments, item),
        {**share.artifacts, artifact.digest(): artifact.to_bytes()},
    )


NEED_METRICS = ("APIService", "HorizontalPodAutoscaler")
AGENT = "system:serviceaccount:fleet-system:fleet-agent"


async def _what_somebody_changes_is_set_back(side: Side, share: Share) -> None:
    """Of every kind in every namespace one loses its owner, and gets it again."""
    there = await live_objects(side, map(key_of, share.objects))
    by_kind = {(key.kind_key, key.namespace): key for key, live in there.items() if live}
    gone = {"metadata": {"labels": {PART_OF: None}}}
    changed_by_hand = []
    for key in by_kind.values():
        with suppress(AdmissionError):  # its webhook does not answer
            await side.cluster.patch(key, gone, manager=THEIRS)
            changed_by_hand.append(key)

    async def all_are_back() -> bool:
        live = await live_objects(side, changed_by_hand)
        return all(PART_OF in labels_of(item or {"metadata": {}}) for item in live.values())

    assert len(changed_by_hand) > len(by_kind) - 5
    await side.until(all_are_back, "that all have their owner again")


async def _all_is_removed_but_what_is_kept(
    side: Side, hub: MemoryHub, agent: Agent, share: Share
) -> None:
    """As a wipe that is meant, since all goes at once."""
    meant = {"metadata": {"annotations": {ALLOW_WIPE: "true"}}}
    for item in share.deployments:
        parent = ObjectKey("", "ConfigMap", NAMESPACE, parent_name(item.bundle))
        await side.cluster.patch(parent, meant, manager=THEIRS)
    hub.offer("leave", *(BundleDeployment.absent(item.bundle) for item in share.deployments))

    async def has_gone() -> bool:
        return not agent.reports

    await side.until(has_gone, "that every bundle has gone")
    left = await live_objects(side, map(key_of, share.objects))
    assert {key.kind_key for key, live in left.items() if live is not None} == PROTECTED


def _all_rights_were_needed(rights: list[Object], trail: Trail) -> None:
    """No request was refused, and there is no verb that was not used: none may be taken away.

    Events are told where something fails, and here nothing did but in the whole of a bundle.
    """
    assert trail.refused == ()
    allowed = granted(rights, NAME)
    assert sorted(trail.used - allowed) == []
    unused = {right for right in allowed - trail.used if right.resource != "events"}
    assert sorted(unused) == []
    told = {right.verb for right in trail.used if right.resource == "events"}
    assert told == {"create", "get", "patch"}


def _hub(share: Share) -> MemoryHub:
    """A hub that offers the whole share."""
    hub = MemoryHub(CLUSTER)
    hub.artifacts |= share.artifacts
    hub.offer("run", *share.deployments)
    return hub


def _agent(side: Side, folder: Path, hub: MemoryHub) -> Agent:
    folder.mkdir()
    return Agent(
        side.cluster,
        hub,
        side.clock,
        folder,
        name=CLUSTER,
        incarnation="first",
        settings=Settings(poll_wait_seconds=CALM_SECONDS),
    )


@asynccontextmanager
async def _running(agent: Agent) -> AsyncIterator[Agent]:
    task = asyncio.create_task(agent.run())
    try:
        yield agent
    finally:
        agent.stop()
        await task


async def _stepped_to_rest(side: Side, agent: Agent, share: Share) -> bool:
    await agent.step(side.clock.now())
    return await _at_rest(agent, share, set())


async def _at_rest(agent: Agent, share: Share, unready: set[str]) -> bool:
    """Is every bundle in sync, and healthy but for these objects?"""
    reports = agent.reports
    if set(reports) != {item.bundle for item in share.deployments}:
        return False
    unwell = {
        detail.object
        for report in reports.values()
        for detail in report.objects
        if detail.health is not Health.HEALTHY
    }
    return unwell == unready and all(r.sync is SyncState.SYNCED for r in reports.values())


def _counts(agent: Agent) -> dict[str, int]:
    return {bundle: report.objects_total for bundle, report in agent.reports.items()}


async def _it_writes_no_more(side: Side) -> None:
    """What is in sync is left alone, whatever its health."""
    before = side.calls.copy()
    await side.pass_time(CALM_SECONDS)
    assert {name for name in (side.calls - before) if name.split()[0] in WRITES} == set()


WRITES = ("apply", "patch", "delete")


async def _they_hold_the_same(one: Side, other: Side, share: Share) -> None:
    """Hooks are gone from both, everything else is there, owned by the same managers."""
    keys = [key_of(obj) for obj in share.objects]
    managers = tuple(f"fleet/{item.bundle}" for item in share.deployments)
    ours, theirs = await live_objects(one, keys), await live_objects(other, keys)
    assert sum(live is not None for live in ours.values()) == sum(_sizes(share))
    assert TABLE.unlisted(object_differences(ours, theirs, managers)) == []


def _sizes(share: Share) -> list[int]:
    """How many objects, without hooks, each bundle has."""
    read = (read_artifact(data, name) for name, data in share.artifacts.items())
    return [len(artifact.objects) for artifact in read]


async def _webhooks_that_do_not_answer_refuse(one: Side, other: Side) -> None:
    """Both refuse in the same words when nobody answers; simulated pods do answer."""
    await other.cluster.apply(ingress(), manager=THEIRS, dry_run=True)
    await other.cluster.patch(CONTROLLER, {"spec": {"replicas": 0}}, manager=THEIRS)
    await other.pass_time(SETTLED_SECONDS)
    words = []
    for side in (one, other):
        with pytest.raises(AdmissionError) as refused:
            await side.cluster.apply(ingress(), manager=THEIRS, dry_run=True)
        found = re.search(
            r"Internal error occurred: failed calling .*Post \"[^\"]*\"", str(refused.value)
        )
        words.append(found and found.group())
    assert words[0] == words[1] is not None


async def _a_missing_api_holds_up_namespaces_and_nothing_else(side: Side) -> None:
    """Discovery goes on without it; a namespace waits for it, and goes when it is given up."""
    known = await side.cluster.discover(refresh=True)
    assert known.find(Kind("cert-manager.io", "Certificate"))
    assert not known.find(Kind("metrics.k8s.io", "PodMetrics"))
    await side.cluster.apply(scratch(), manager=THEIRS)
    await side.cluster.delete(SCRATCH)

    async def waits() -> bool:
        live = await side.cluster.get(SCRATCH)
        conditions = ((live or {}).get("status") or {}).get("conditions") or ()
        return any(
            (c["type"], c["status"]) == ("NamespaceDeletionDiscoveryFailure", "True")
            for c in conditions
        )

    await side.until(waits, "that the namespace waits for metrics.k8s.io")


def scratch() -> Object:
    """A namespace with nothing in it."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SCRATCH.name}}


def ingress() -> Object:
    """What the webhook of ingress-nginx is asked about."""
    backend = {"service": {"name": "podinfo", "port": {"number": 9898}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "podinfo", "namespace": "podinfo"},
        "spec": {"defaultBackend": backend},
    }


def volume() -> Object:
    """Storage for the claim of the shop's database: nothing provisions any here."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": "database"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "claimRef": {"namespace": CLAIM.namespace, "name": CLAIM.name},
            "hostPath": {"path": "/nowhere"},
        },
    }
