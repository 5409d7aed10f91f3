"""In which form an answer goes out: as it is, as a Table, or as metadata only.

The client says so in `Accept` (`application/json;as=Table;g=meta.k8s.io;v=v1`); the first form
that it lists and that is served here wins, as on a real server.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
from aiohttp import web

from clusters.objects import Object
from clusters.simulation.cluster import partial_metadata
from clusters.simulation.http.routes import Target
from clusters.simulation.http.tables import table_of


class Form(Enum):
    """What `as=` in an Accept header can ask for."""

    WHOLE = ""
    TABLE = "Table"
    METADATA = "PartialObjectMetadata"
    METADATA_LIST = "PartialObjectMetadataList"
    AGGREGATED = "APIGroupDiscoveryList"


def wanted_form(accept: str) -> Form:
    """The first form in an Accept header that is served."""
    for option in accept.split(","):
        media, *parameters = (part.strip() for part in option.split(";"))
        pairs = dict(part.partition("=")[::2] for part in parameters)
        asked = pairs.get("as", "")
        if media in ("application/json", "*/*") and asked in Form._value2member_map_:
            return Form(asked)
    return Form.WHOLE


@dataclass(frozen=True, slots=True)
class Rendering:
    """How one request wants its objects; `table` is given the objects of one kind."""

    form: Form
    target: Target
    include_object: str
    columns: list[dict[str, Any]]
    now: Callable[[], Any]

    def one(self, obj: Object) -> Object:
        """A single object."""
        if self.form is Form.TABLE:
            return self._table([obj], {"resourceVersion": obj["metadata"]["resourceVersion"]})
        if self.form in (Form.METADATA, Form.METADATA_LIST):
            return partial_metadata(obj)
        return obj

    def many(self, items: list[Object], metadata: dict[str, str]) -> Object:
        """A list of objects."""
        if self.form is Form.TABLE:
            return self._table(items, metadata)
        if self.form in (Form.METADATA, Form.METADATA_LIST):
            return {
                "apiVersion": "meta.k8s.io/v1",
                "kind": "PartialObjectMetadataList",
                "metadata": metadata,
                # Go writes a list that nothing was added to as null.
                "items": [partial_metadata(item) for item in items] or None,
            }
        return {
            "apiVersion": self.target.api_version,
            "kind": f"{self.target.kind.kind}List",
            "metadata": metadata,
            "items": items if self.target.traits.custom else [_bare(item) for item in items],
        }

    def bookmark(self, version: str, *, initial_end: bool) -> Object:
        """The object of a BOOKMARK event."""
        metadata: dict[str, Any] = {"resourceVersion": version}
        if initial_end:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        kind, api_version = self.target.kind.kind, self.target.api_version
        bare: Object = {"kind": kind, "apiVersion": api_version, "metadata": metadata}
        if self.form is Form.TABLE:
            table = self._table([], {"resourceVersion": version})
            row: Object = {"cells": [], "object": bare}
            return {**table, "rows": [row]}
        return bare if self.form is Form.WHOLE else partial_metadata(bare)

    def _table(self, items: list[Object], metadata: dict[str, str]) -> Object:
        return table_of(
            self.target.kind,
            items,
            columns=self.columns,
            metadata=metadata,
            include=self.include_object,
            now=self.now(),
        )


def _bare(item: Object) -> Object:
    """An item of a list of a built-in kind: the list says what it is."""
    return {key: value for key, value in item.items() if key not in ("apiVersion", "kind")}


def json_answer(body: Any, status: int = 200, content_type: str = "") -> web.Response:
    """An HTTP answer with a JSON body."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers={"Content-Type": content_type or "application/json"},
    )
