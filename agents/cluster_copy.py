"""The copy of target and artifacts in the cluster, for an agent that starts on an empty disk.

::

    Secret fleet-copy                     cluster, the hub's pinned key, the target's digest, pieces
    Secret fleet-copy-<sha256>-<number>   a part of one compressed piece: the target, or an artifact

It is written when what is current changed, not for every offer: a target that differs in offers
alone has nothing more to heal. All in `fleet-system`. Pieces are named by content and written
before the head that names them, what the head no longer names is removed after it: a kill at any
write leaves a copy that is whole. Every byte is checked again when it is loaded: pieces by their
digest here, the target by its signature in `trust`.

Secrets, since artifacts may hold some; each is far below the 1 MiB that Kubernetes allows.
"""

from __future__ import annotations

import base64
import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson

from agents.inventory import AGENT_MANAGER, NAMESPACE, ensure_namespace
from agents.protocol import Target
from clusters.cluster import Cluster
from clusters.errors import NotFoundError
from clusters.objects import Digest, Kind, Object, ObjectKey, digest_of

HEAD = "fleet-copy"
LABEL = "fleet.dev/copy"
PART_BYTES = 700 * 1024
"""Of compressed data in one Secret: in base64, with its metadata, still below 1 MiB."""
MAX_PIECE_BYTES = 64 * 1024 * 1024
"""No artifact and no target is larger; what unpacks to more is no copy of ours."""
_SECRET = Kind("", "Secret")

Data = dict[str, bytes]
"""The data of one Secret, decoded."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is to be found again."""

    target: Target
    hub_key: bytes
    """As `trust` keeps it."""
    artifacts: dict[Digest, bytes] = field(repr=False, default_factory=dict)


class ClusterCopy:
    """The copy of one cluster. Errors of every call: `ClusterError`."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._mark: object = None
        """What the copy is known to hold."""
        self._head: Data = {}
        """The head as it is known to be in the cluster."""
        self._pieces: dict[Digest, int] = {}
        """Pieces that are known to be whole in the cluster: in how many parts."""

    async def load(self) -> Kept | None:
        """The copy, as far as it is whole; `None` if there is none of this cluster."""
        self._head, self._pieces = await self._read(HEAD) or {}, {}
        if self._head.get("cluster") != self._name.encode():
            return None
        found: dict[Digest, bytes] = {}
        for digest, count in _pieces_of(self._head).items():
            data = await self._piece(digest, count)
            if data is not None:
                found[digest], self._pieces[digest] = data, count
        try:
            name = self._head.get("target", b"").decode()
            target = Target.model_validate_json(found.pop(name, b""))
        except ValueError:  # of the name, or of pydantic
            return None
        kept = Kept(target, self._head.get("hubKey", b""), found)
        if _artifacts_of(target) <= found.keys():
            self._mark = _mark(target, kept.hub_key)
        return kept

    async def keep(
        self, target: Target, hub_key: bytes, read: Callable[[Digest], bytes | None]
    ) -> None:
        """Bring the copy up to this target; `read` gives an artifact's bytes, if they are there.

        Sends nothing if the copy holds it already. Asked again it goes on with what was lacking.
        """
        if self._mark == _mark(target, hub_key):
            return
        body = target.model_dump_json().encode()
        name = digest_of(body)
        wanted = {name, *_artifacts_of(target)}
        for digest in sorted(wanted - self._pieces.keys()):
            data = body if digest == name else read(digest)
            if data is not None:
                self._pieces[digest] = await self._write_piece(digest, data)
        self._pieces = {digest: self._pieces[digest] for digest in wanted & self._pieces.keys()}
        await self._write_head(name, hub_key, self._pieces)
        if wanted <= self._pieces.keys():
            self._mark = _mark(target, hub_key)

    async def _write_head(self, name: Digest, hub_key: bytes, pieces: dict[Digest, int]) -> None:
        head = {
            "cluster": self._name.encode(),
            "hubKey": hub_key,
            "target": name.encode(),
            "pieces": orjson.dumps(pieces, option=orjson.OPT_SORT_KEYS),
        }
        if head != self._head:
            await self._write(HEAD, head)
            self._head = head
            await self._sweep(pieces)

    async def _piece(self, digest: Digest, count: int) -> bytes | None:
        """One piece put together and checked; `None` if it is not what its name says."""
        parts = []
        for number in range(count):
            data = await self._read(_part_name(digest, number))
            if data is None:
                return None
            parts.append(data.get("part", b""))
        try:
            unpacked = zlib.decompressobj().decompress(b"".join(parts), MAX_PIECE_BYTES)
        except zlib.error:
            return None
        return unpacked if digest_of(unpacked) == digest else None

    async def _write_piece(self, digest: Digest, data: bytes) -> int:
        """In how many parts it lies in the cluster now; parts that a killed agent wrote stay."""
        packed = zlib.compress(data)
        parts = [packed[at : at + PART_BYTES] for at in range(0, len(packed), PART_BYTES)]
        for number, part in enumerate(parts):
            name, wanted = _part_name(digest, number), {"part": part}
            if await self._read(name) != wanted:
                await self._write(name, wanted)
        return len(parts)

    async def _sweep(self, pieces: dict[Digest, int]) -> None:
        """Remove parts that the head does not name, of former copies and of killed agents."""
        named = {_part_name(digest, n) for digest, count in pieces.items() for n in range(count)}
        listing = await self._cluster.list(
            _SECRET, namespace=NAMESPACE, labels=LABEL, metadata_only=True
        )
        for item in listing.items:
            name = item["metadata"]["name"]
            if name != HEAD and name not in named:
                await self._cluster.delete(ObjectKey("", "Secret", NAMESPACE, name))

    async def _read(self, name: str) -> Data | None:
        """The data of a Secret; `None` if there is none, or none that can be read."""
        found = await self._cluster.get(ObjectKey("", "Secret", NAMESPACE, name))
        if found is None:
            return None
        try:
            items = (found.get("data") or {}).items()
            return {key: base64.b64decode(value) for key, value in items}
        except (ValueError, AttributeError):
            return None

    async def _write(self, name: str, data: Data) -> None:
        secret: Object = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": {LABEL: "true"}},
            "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
        }
        try:
            await self._cluster.apply(secret, manager=AGENT_MANAGER, force=True)
        except NotFoundError:
            await ensure_namespace(self._cluster, NAMESPACE)
            await self._cluster.apply(secret, manager=AGENT_MANAGER, force=True)


def _artifacts_of(target: Target) -> set[Digest]:
    """What is needed to heal."""
    return {item.artifact for item in target.current if item.artifact}


def _mark(target: Target, hub_key: bytes) -> object:
    """Equal for targets that a copy need not tell apart."""
    return (target.epoch, target.current, target.generations, target.leaving, hub_key)


def _part_name(digest: Digest, number: int) -> str:
    short = hashlib.sha256(digest.encode()).hexdigest()[:40]
    return f"{HEAD}-{short}-{number}"


def _pieces_of(head: Data) -> dict[Digest, int]:
    """Digest → number of parts, as the head says; nothing where it was spoiled."""
    try:
        said = orjson.loads(head.get("pieces", b""))
        return {str(digest): int(count) for digest, count in said.items()}
    except (AttributeError, TypeError, ValueError):
        return {}
