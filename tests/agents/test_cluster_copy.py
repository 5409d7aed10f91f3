"""The copy in the cluster: whole after any kill, small, written once, never believed blindly."""

from __future__ import annotations

import base64
import zlib
from random import Random

import pytest

from agents.cluster_copy import HEAD, LABEL, ClusterCopy, Kept
from agents.protocol import Artifact, BundleDeployment, Offer, Options, Target
from clusters.clock import FakeClock
from clusters.objects import Digest, Kind, Object, ObjectKey
from clusters.simulation import SimulatedCluster
from tests.agents.recorder import Crash, Recorder
from tests.agents.samples import config_map

SECRET = Kind("", "Secret")
KEY = b'{"key": "ssh-ed25519 AAAA"}'


class Place:
    """A cluster, and artifacts that an agent has on disk."""

    def __init__(self) -> None:
        self.cluster = SimulatedCluster("stg-1", FakeClock())
        self.recorder = Recorder(self.cluster)
        self.disk: dict[Digest, bytes] = {}

    def copy(self, name: str = "stg-1") -> ClusterCopy:
        """A new process's view."""
        return ClusterCopy(self.recorder, name)

    def deployment(self, bundle: str, **data: str) -> BundleDeployment:
        """A bundle deployment whose artifact is on disk."""
        artifact = Artifact(bundle=bundle, objects=(config_map(**data),))
        self.disk[artifact.digest()] = artifact.to_bytes()
        return BundleDeployment.of(bundle, artifact.digest(), {}, Options())

    def target(self, serial: int, *current: BundleDeployment) -> Target:
        """A target of that serial."""
        return Target(cluster="stg-1", epoch=1, serial=serial, current=current)

    async def keep(self, copy: ClusterCopy, target: Target) -> list[str]:
        """Keep it; what was written."""
        self.recorder.all_writes.clear()
        await copy.keep(target, KEY, self.disk.get)
        return list(self.recorder.all_writes)

    def secrets(self) -> list[Object]:
        """What lies there."""
        return list(self.cluster.server.list(SECRET, namespace="fleet-system", labels=LABEL)[0])


@pytest.fixture
def place() -> Place:
    """A cluster without a copy."""
    return Place()


async def test_a_copy_is_found_again_as_it_was(place: Place) -> None:
    web, db = place.deployment("web"), place.deployment("db", colour="red")
    target = place.target(4, web, db)
    assert await place.copy().load() is None
    await place.keep(place.copy(), target)
    assert await place.copy().load() == Kept(target, KEY, dict(place.disk))
    assert await place.copy("prd-1").load() is None, "another cluster's is none"


async def test_what_did_not_change_is_not_written_again(place: Place) -> None:
    copy, web, db = place.copy(), place.deployment("web"), place.deployment("db", colour="red")
    assert len(await place.keep(copy, place.target(1, web, db))) == 5, "namespace, 3 pieces, head"
    assert await place.keep(copy, place.target(1, web, db)) == []
    offered = place.target(2, web, db).model_copy(
        update={"offers": (Offer(run="r", generation=1, deployments=(db,)),)}
    )
    assert await place.keep(copy, offered) == [], "an offer changes nothing that is to be healed"
    place.recorder.reads.clear()
    again = place.copy()
    await again.load()
    assert await place.keep(again, offered) == [], "and a restart nothing either"
    new = place.deployment("db", colour="blue")
    written = await place.keep(copy, place.target(3, web, new))
    assert [line.split()[0] for line in written] == ["apply"] * 3 + ["delete"] * 2
    assert len(place.secrets()) == 4


async def test_an_artifact_that_comes_later_is_kept_later(place: Place) -> None:
    copy, web = place.copy(), place.deployment("web")
    data = place.disk.pop(web.artifact)
    await place.keep(copy, place.target(1, web))
    found = await place.copy().load()
    assert found is not None
    assert (found.target.serial, found.artifacts) == (1, {})
    assert await place.keep(copy, place.target(1, web)) == []
    place.disk[web.artifact] = data
    assert len(await place.keep(copy, place.target(1, web))) == 2
    found = await place.copy().load()
    assert found is not None
    assert found.artifacts == {web.artifact: data}


async def test_a_big_artifact_lies_in_parts_below_a_mebibyte(place: Place) -> None:
    noise = base64.b64encode(Random(7).randbytes(2_400_000)).decode()
    big = place.deployment("big", noise=noise)
    await place.keep(place.copy(), place.target(1, big))
    sizes = [
        sum(len(base64.b64decode(part)) for part in item["data"].values())
        for item in place.secrets()
    ]
    assert len(sizes) >= 5
    assert max(sizes) < 1024 * 1024
    found = await place.copy().load()
    assert found is not None
    assert found.artifacts == place.disk


async def test_a_kill_at_any_write_leaves_the_old_copy_or_the_new_one(place: Place) -> None:
    old = place.target(1, place.deployment("web"), place.deployment("db", colour="red"))
    new = place.target(2, place.deployment("web", v="2"), place.deployment("db", colour="blue"))
    await place.keep(place.copy(), old)
    before, seen, count = place.secrets(), set(), 0
    while True:
        count += 1
        fresh = Place()
        fresh.disk = place.disk
        await fresh.keep(fresh.copy(), old)
        assert len(fresh.secrets()) == len(before)
        fresh.recorder.all_writes.clear()
        fresh.recorder.crash_after = count
        try:
            await fresh.copy().keep(new, KEY, fresh.disk.get)
            break
        except Crash:
            fresh.recorder.crash_after = None
        found = await fresh.copy().load()
        assert found is not None
        assert found.target in (old, new)
        wanted = {item.artifact for item in found.target.current}
        assert found.artifacts.keys() == wanted, f"killed at write {count}"
        seen.add(found.target.serial)
        await fresh.keep(fresh.copy(), new)
        found = await fresh.copy().load()
        assert found == Kept(
            new, KEY, {d: place.disk[d] for d in (c.artifact for c in new.current)}
        )
    assert seen == {1, 2}
    assert count > 5


@pytest.mark.parametrize("spoil", ["bytes", "gone", "bomb", "head", "swapped"])
async def test_what_was_tampered_with_counts_as_not_there(place: Place, spoil: str) -> None:
    web = place.deployment("web")
    await place.keep(place.copy(), place.target(1, web))
    found = await place.copy().load()
    assert found is not None
    for item in place.secrets():
        name = item["metadata"]["name"]
        key = ObjectKey("", "Secret", "fleet-system", name)
        if (name == HEAD) != (spoil == "head"):
            continue
        if spoil == "gone":
            place.cluster.server.delete(key)
            continue
        text = {"bytes": b"evil", "head": b'["x"]', "swapped": _other(place)}.get(spoil) or _bomb()
        patch = {"data": dict.fromkeys(item["data"], base64.b64encode(text).decode())}
        place.cluster.server.patch(key, patch, patch_type="merge", manager="evil")
    assert await place.copy().load() is None


async def test_a_part_that_is_missing_or_damaged_is_written_again(place: Place) -> None:
    target = place.target(1, place.deployment("web"), place.deployment("db", colour="red"))
    await place.keep(place.copy(), target)
    names = [item["metadata"]["name"] for item in place.secrets()]
    for name in names:
        place.cluster.server.delete(ObjectKey("", "Secret", "fleet-system", name))
        copy = place.copy()
        await copy.load()
        await place.keep(copy, target)
        assert await place.copy().load() == Kept(target, KEY, dict(place.disk)), name


def _other(place: Place) -> bytes:
    """A piece that unpacks well, and is another target."""
    return zlib.compress(place.target(9).model_dump_json().encode())


def _bomb() -> bytes:
    """A few hundred KiB that unpack to far more than any artifact has."""
    packer = zlib.compressobj(9)
    zeros = bytes(1024 * 1024)
    return b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()


async def test_values_do_not_show_when_a_copy_is_printed(place: Place) -> None:
    await place.keep(place.copy(), place.target(1, place.deployment("web", password="canary")))
    assert "canary" not in repr(await place.copy().load())
