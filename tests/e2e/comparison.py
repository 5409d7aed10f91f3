"""Two clusters that were given the same: in what their objects differ, and which of it is known.

A difference is said as `Kind .path.to.the.field`, with the places of a list as numbers. A table of
known differences is three columns of a docstring, `where | real, simulated | why`, where `*` stands
for anything: so what a person reads is what the test goes by. A row that no difference needs any
more is as wrong as a difference without a row.

Never looks at status, uids, versions and times: those are the objects' own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from clusters.objects import Object, ObjectKey

_OWN = ("uid", "resourceVersion", "creationTimestamp", "managedFields")


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of one object: what it is on either side, `None` where it is not."""

    key: ObjectKey
    path: str
    real: Any
    simulated: Any

    @property
    def where(self) -> str:
        """What rows of a table are matched with."""
        return f"{self.key.kind} {self.path}"

    def __str__(self) -> str:
        return f"{self.key} {self.path}: {self.real!r:.200} is simulated as {self.simulated!r:.200}"


@dataclass(frozen=True, slots=True)
class Table:
    """The known differences: patterns of `Difference.where`."""

    rows: tuple[str, ...]

    @classmethod
    def of(cls, docstring: str) -> Table:
        """The table in a docstring: lines that begin with a bar, after the one of dashes."""
        lines = [line.strip() for line in docstring.splitlines() if line.strip().startswith("|")]
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
        assert all(len(row) == 3 and all(row) for row in cells), "every row says where, what, why"
        return cls(tuple(row[0] for row in cells))

    def unlisted(self, found: Iterable[Difference]) -> list[str]:
        """The differences that no row speaks of."""
        return [str(d) for d in found if not any(fnmatchcase(d.where, row) for row in self.rows)]

    def idle(self, found: Iterable[Difference]) -> list[str]:
        """The rows that speak of no difference."""
        seen = {difference.where for difference in found}
        return [row for row in self.rows if not any(fnmatchcase(where, row) for where in seen)]


def object_differences(
    real: Mapping[ObjectKey, Object | None],
    simulated: Mapping[ObjectKey, Object | None],
    managers: tuple[str, ...],
) -> Iterator[Difference]:
    """In what the objects differ, with the fields that these managers own in them."""
    for key in sorted(real.keys() | simulated.keys()):
        ours, theirs = (_normal(side.get(key), managers) for side in (real, simulated))
        yield from _walk(key, "", ours, theirs)


def _normal(obj: Object | None, managers: tuple[str, ...]) -> Object | None:
    if obj is None:
        return None
    metadata = {name: value for name, value in obj["metadata"].items() if name not in _OWN}
    owned = {
        f"{entry['manager']}/{entry['operation']}": entry["fieldsV1"]
        for entry in obj["metadata"].get("managedFields", ())
        if entry["manager"] in managers
    }
    rest = {name: value for name, value in obj.items() if name not in ("metadata", "status")}
    return rest | {"metadata": metadata, "owned": owned}


def _walk(key: ObjectKey, path: str, real: Any, simulated: Any) -> Iterator[Difference]:
    if isinstance(real, dict) and isinstance(simulated, dict):
        for name in sorted(real.keys() | simulated.keys()):
            yield from _walk(key, f"{path}.{name}", real.get(name), simulated.get(name))
    elif isinstance(real, list) and isinstance(simulated, list) and len(real) == len(simulated):
        for place, pair in enumerate(zip(real, simulated, strict=True)):
            yield from _walk(key, f"{path}.{place}", *pair)
    elif real != simulated or type(real) is not type(simulated):
        yield Difference(key, path, real, simulated)


def changed(obj: Object) -> Object:
    """The same object with another value in every field that does not say which item it is.

    Nothing of it need be valid: a server finds conflicts before it looks at values.
    """
    kept = {name: obj[name] for name in ("apiVersion", "kind")}
    rest = {name: _changed(value) for name, value in obj.items() if name not in (*kept, "metadata")}
    return {**kept, **rest, "metadata": relabelled(obj)["metadata"]}


def relabelled(obj: Object) -> Object:
    """The same object with other values in its labels and annotations, which are always valid."""
    metadata = dict(obj["metadata"])
    for name in ("labels", "annotations"):
        if metadata.get(name):
            metadata[name] = {key: f"{value}x" for key, value in metadata[name].items()}
    return {**obj, "metadata": metadata}


_IDENTITY = ("name", "port", "containerPort", "protocol", "mountPath", "key", "ip", "type")


def _changed(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _changed(item, key) for key, item in value.items()}
    if isinstance(value, list):
        return [_changed(item) for item in value]
    if name in _IDENTITY or value is None:
        return value
    if isinstance(value, bool):
        return not value
    return f"{value}x" if isinstance(value, str) else value + 1
