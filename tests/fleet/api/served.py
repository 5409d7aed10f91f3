"""A hub of values behind real HTTP on a free port, with its tokens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from agents.hub_client import HttpHub
from fleet.api.serving import Listen, Serving
from fleet.store.access import Access
from fleet.store.agents import token_hash
from fleet.store.people import NOBODY, People, Person
from tests.fleet.hub.rig import Rig, fleet

OPERATOR = "operator-token-of-a-test"
ANA = "anas-own-token-of-a-test"
PEOPLE = People([(token_hash(ANA), Person("ana", ("sre",), ("ana@example.com",)))])


class Served:
    """The rig's hub over HTTP: `people` has the operator token, `agent` makes agents' clients."""

    def __init__(self, rig: Rig, url: str, people: httpx.AsyncClient) -> None:
        self.rig, self.url, self.people = rig, url, people

    def token(self, cluster: str) -> str:
        """A token for that cluster's agent."""
        return self.rig.hub.desk.token_for(cluster)

    def agent(self, cluster: str, token: str = "") -> HttpHub:
        """The agent's own client; close it."""
        return HttpHub(self.url, cluster, token or self.token(cluster))

    async def get(self, path: str, **params: str) -> Any:
        """A document that people get."""
        answer = await self.people.get(path, params=params)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def ask(self, method: str, path: str, token: str | None, **more: Any) -> httpx.Response:
        """Any request with any token, or none."""
        headers = dict(more.pop("headers", {}))
        if token is not None:
            headers["Authorization"] = f"Bearer {token}".strip()
        async with httpx.AsyncClient(base_url=self.url) as client:
            return await client.request(method, path, headers=headers, **more)


@asynccontextmanager
async def served(rig: Rig, known: People = NOBODY) -> AsyncIterator[Served]:
    """The rig's hub over HTTP, its loop included."""
    access = Access(rig.store, OPERATOR, known)
    async with Serving(rig.hub, access, Listen(port=0)) as serving:
        headers = {"Authorization": f"Bearer {OPERATOR}"}
        async with httpx.AsyncClient(base_url=serving.url, headers=headers) as people:
            yield Served(rig, serving.url, people)


def small_rig(folder: Path, **bundles: str) -> Rig:
    """One staging and one production cluster, planned and offered."""
    rig = Rig(folder)
    rig.push(fleet(1, 1, **(bundles or {"web": "v1"})))
    rig.look()
    rig.join("staging-1", "production-1")
    rig.release()
    return rig
